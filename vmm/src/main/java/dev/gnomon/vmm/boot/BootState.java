package dev.gnomon.vmm.boot;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Builds initial states, with the tables that they need in guest memory. Linux wants the selectors of its descriptors
 * to be 10h and 18h; the multiboot specification leaves them open, but kernels that go on with CS as they found it
 * expect QEMU's:
 * <pre>
 *             08      10                         18     20
 *  Linux              code, 32- or 64-bit        data   busy TSS (16 bytes in 64-bit mode)
 *  multiboot  code    data                              busy TSS
 *                                                       +40: the TSS, all zero
 * </pre>
 */
final class BootState {
  private static final int CODE = 0x10;
  private static final int DATA = 0x18;
  private static final int MULTIBOOT_CODE = 0x08;
  private static final int MULTIBOOT_DATA = 0x10;
  private static final int TSS = 0x20;
  private static final int GDT_BYTES = 0x30;
  private static final int TSS_OFFSET = 0x40;
  private static final long RESET_OFFSET = 0xFFF0;
  private static final int PAGE = 4096;
  private static final int IDT_REAL_LIMIT = 0x3FF;
  /**
   * As after a reset. Page 0 is all zero, so until there is a table of its own the guest's first exception is a triple
   * fault.
   */
  private static final int IDT_LIMIT = 0xFFFF;

  private static final long TABLE_ENTRY = 0x3;
  private static final long LARGE_PAGE_ENTRY = 0x83;
  private static final int ENTRIES = 512;
  private static final int GIB_MAPPED = 4;

  private BootState() {}

  /** 32-bit protected mode, flat segments, paging off. */
  static InitialState protectedMode(String file, BootMemory memory, @Gpa long entry, long rax, long rbx, long rsi) {
    return protectedMode(descriptors(file, memory, SegmentState.code32(CODE), SegmentState.data(DATA)), entry,
        rax, rbx, rsi);
  }

  /** As {@link #protectedMode}, with the selectors of a multiboot loader. */
  static InitialState multiboot(String file, BootMemory memory, @Gpa long entry, long rax, long rbx) {
    return protectedMode(descriptors(file, memory, SegmentState.code32(MULTIBOOT_CODE),
        SegmentState.data(MULTIBOOT_DATA)), entry, rax, rbx, 0);
  }

  private static InitialState protectedMode(Descriptors descriptors, @Gpa long entry, long rax, long rbx, long rsi) {
    return descriptors.state(entry, rax, rbx, rsi, InitialState.CR0_BASE | ControlRegister.CR0_PE, 0, 0, 0);
  }

  /** 64-bit mode, the first 4 GiB mapped to themselves by 2M pages. */
  static InitialState longMode(String file, BootMemory memory, @Gpa long entry, long rsi) {
    SegmentState code = SegmentState.code64(CODE);
    @Gpa long pml4 = identityTables(file, memory);
    return descriptors(file, memory, code, SegmentState.data(DATA)).state(entry, 0, 0, rsi,
        InitialState.CR0_BASE | ControlRegister.CR0_PE | ControlRegister.CR0_WP | ControlRegister.CR0_PG, pml4,
        ControlRegister.CR4_PAE, ControlRegister.EFER_LME | ControlRegister.EFER_LMA);
  }

  /** Real mode; the entry lies below 1 MiB. */
  static InitialState realMode(@Gpa long entry) {
    // Segment 0 as far as it goes: boot sectors expect 0:7C00.
    int selector = entry < 0x10000 ? 0 : (int) (entry >>> 4);
    SegmentState data = SegmentState.realData(0);
    return new InitialState(Addresses.bits(entry) - ((long) selector << 4), 0, 0, 0, 0,
        List.of(data, SegmentState.realCode(selector), data, data, data, data, SegmentState.unusable(),
            SegmentState.tss(0, 0)),
        InitialState.CR0_BASE, 0, 0, 0, 0, 0xFFFF, IDT_REAL_LIMIT);
  }

  /** After a reset: real mode at F000:FFF0 with a base that reaches the end of the first 4 GiB, caches off. */
  static InitialState reset() {
    SegmentState data = SegmentState.realData(0);
    return new InitialState(RESET_OFFSET, 0, 0, 0, 0,
        List.of(data, SegmentState.resetCode(), data, data, data, data, SegmentState.unusable(),
            SegmentState.tss(0, 0)),
        ControlRegister.CR0_CD | ControlRegister.CR0_NW | ControlRegister.CR0_ET, 0, 0, 0, 0, 0xFFFF, 0xFFFF);
  }

  private record Descriptors(@Gpa long gdt, SegmentState code, SegmentState data, SegmentState tss) {
    InitialState state(@Gpa long entry, long rax, long rbx, long rsi, long cr0, @Gpa long cr3, long cr4, long efer) {
      return new InitialState(Addresses.bits(entry), rax, rbx, 0, rsi,
          List.of(data, code, data, data, data, data, SegmentState.unusable(), tss), cr0, cr3,
          cr4, efer, Addresses.identityMapped(gdt), GDT_BYTES - 1, IDT_LIMIT);
    }
  }

  private static Descriptors descriptors(String file, BootMemory memory, SegmentState code, SegmentState data) {
    @Gpa long gdt = memory.placeLow(file, PAGE, PAGE, BootMemory.LIMIT_4G, "descriptor table");
    SegmentState tss = SegmentState.tss(TSS, Addresses.identityMapped(gdt + TSS_OFFSET));
    ByteBuffer page = ByteBuffer.allocate(PAGE).order(ByteOrder.LITTLE_ENDIAN);
    page.putLong(code.selector(), code.descriptor()).putLong(data.selector(), data.descriptor())
        .putLong(TSS, tss.descriptor());
    memory.write(gdt, page.array());
    return new Descriptors(gdt, code, data, tss);
  }

  private static @Gpa long identityTables(String file, BootMemory memory) {
    @Gpa long pml4 = memory.placeLow(file, (2L + GIB_MAPPED) * PAGE, PAGE, BootMemory.LIMIT_4G, "identity page tables");
    ByteBuffer tables = ByteBuffer.allocate((2 + GIB_MAPPED) * PAGE).order(ByteOrder.LITTLE_ENDIAN);
    tables.putLong(0, pml4 + PAGE | TABLE_ENTRY);
    for (int gib = 0; gib < GIB_MAPPED; gib++) {
      tables.putLong(PAGE + 8 * gib, pml4 + (2L + gib) * PAGE | TABLE_ENTRY);
      for (int i = 0; i < ENTRIES; i++) {
        tables.putLong((2 + gib) * PAGE + 8 * i, (long) gib << 30 | (long) i << 21 | LARGE_PAGE_ENTRY);
      }
    }
    memory.write(pml4, tables.array());
    return pml4;
  }
}
