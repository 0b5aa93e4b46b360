package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.workloads.kernel.GuestKernel.physical;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.MultibootHeader;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * From the multiboot loader's 32-bit entry to the kernel at its linear addresses in 64-bit mode, and on to the program.
 */
final class BootCode {
  private static final long TABLE = PageTableEntry.P | PageTableEntry.RW;
  private static final long PAGE_2M = TABLE | PageTableEntry.PS;
  private static final int HIGH_MEMORY = 0x10_0000;
  private static final int SHIFT_2M = 21;

  /** Offsets in the multiboot information (Multiboot Specification 0.6.96, "Boot information format"). */
  private static final int INFO_MEM_UPPER = 8;
  private static final int INFO_MMAP_LENGTH = 44;
  private static final int INFO_MMAP_ADDR = 48;
  /** A memory-map entry: 0 size of the rest | 4 base (64) | C length (64) | 14 type. */
  private static final int MMAP_BASE = 4;
  private static final int MMAP_BASE_HIGH = 8;
  private static final int MMAP_TYPE = 20;
  private static final int MMAP_RESERVED = 2;

  // CPUID leaf 1 ECX and leaf 7 EBX.
  private static final int CPUID_PCID = 17;
  private static final int CPUID_SMEP = 7;
  private static final int CPUID_INVPCID = 10;

  private static final int STACK_PAGES = 2;

  private final GuestKernel k;
  private final Assembler a;
  final Label entry = new Label("boot_entry");
  private final Label longMode = new Label("boot_long_mode");
  private final Label start = new Label("kernel_start");
  /** A kernel-mode program's first instruction. */
  final Label main = new Label("kernel_main");
  private final Label stack;
  /** End of RAM above 1 MiB, physical. */
  final Label ramEnd;
  /** First range of the memory map that is reserved and lies above 1 MiB, physical; 0 if there is none. */
  final Label reservedRange;

  BootCode(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.stack = k.pages("boot_stack", STACK_PAGES);
    this.ramEnd = k.variable("ram_end", 8);
    this.reservedRange = k.variable("reserved_range", 8);
  }

  /** The 32-bit part, at its physical address. */
  void emitEntry() {
    a.phase(KernelLayout.LOAD_ADDRESS);
    MultibootHeader.write(a, MultibootHeader.PAGE_ALIGN | MultibootHeader.MEMORY_INFO);
    a.bind(entry);
    a.cli();
    a.cld();
    Label multiboot = new Label();
    a.cmp(EAX, MultibootHeader.LOADER_MAGIC);
    a.je(multiboot);
    a.hlt();
    a.bind(multiboot);
    a.lea(ESP, physical(stack, STACK_PAGES * KernelLayout.PAGE));
    emitMemorySize();
    emitReservedRange();
    emitTables();
    emitLongMode();
    a.dephase();
  }

  private void emitMemorySize() {
    a.mov(EAX, ptr(EBX, INFO_MEM_UPPER));
    a.shl(EAX, 10);
    a.add(EAX, HIGH_MEMORY);
    a.mov(physical(ramEnd, 0), EAX);
  }

  private void emitReservedRange() {
    Label loop = new Label();
    Label next = new Label();
    Label done = new Label();
    a.mov(ESI, ptr(EBX, INFO_MMAP_ADDR));
    a.mov(ECX, ptr(EBX, INFO_MMAP_LENGTH));
    a.add(ECX, ESI);
    a.bind(loop);
    a.cmp(ESI, ECX);
    a.jae(done);
    a.cmp(ptr(ESI, MMAP_TYPE).d(), MMAP_RESERVED);
    a.jne(next);
    a.cmp(ptr(ESI, MMAP_BASE_HIGH).d(), 0);
    a.jne(next);
    a.mov(EAX, ptr(ESI, MMAP_BASE));
    a.cmp(EAX, HIGH_MEMORY);
    a.jb(next);
    a.mov(physical(reservedRange, 0), EAX);
    a.jmp(done);
    a.bind(next);
    a.add(ESI, ptr(ESI));
    a.add(ESI, 4);
    a.jmp(loop);
    a.bind(done);
  }

  /** The kernel's tables: image, direct map, and for the way there the image also at its physical address. */
  private void emitTables() {
    PageTables t = k.tables;
    link(t.kernelPml4, 0, t.imagePdpt);
    link(t.kernelPml4, KernelLayout.DIRECT_SLOT, t.directPdpt);
    link(t.kernelPml4, KernelLayout.IMAGE_SLOT, t.imagePdpt);
    link(t.imagePdpt, 0, t.imagePd);
    link(t.imagePdpt, KernelLayout.IMAGE_PDPT_SLOT, t.imagePd);
    link(t.imagePdpt, KernelLayout.DEVICE_PDPT_SLOT, t.devicePd);
    link(t.devicePd, 0, t.devicePt);
    a.mov(physical(t.imagePd, 8 * (KernelLayout.LOAD_ADDRESS >> SHIFT_2M)).d(),
        KernelLayout.LOAD_ADDRESS | PAGE_2M | t.global());
    for (int i = 0; i < KernelLayout.DIRECT_TABLES; i++) {
      a.lea(EAX, physical(t.directPd, (long) i * KernelLayout.PAGE));
      a.or(EAX, TABLE);
      a.mov(physical(t.directPdpt, 8L * i), EAX);
    }
    Label loop = new Label();
    a.mov(ECX, physical(ramEnd, 0));
    a.add(ECX, KernelLayout.PAGE_2M - 1);
    a.shr(ECX, SHIFT_2M);
    a.lea(EDI, physical(t.directPd, 0));
    a.mov(EAX, PAGE_2M | t.global());
    a.bind(loop);
    a.mov(ptr(EDI), EAX);
    a.add(EDI, 8);
    a.add(EAX, KernelLayout.PAGE_2M);
    a.dec(ECX);
    a.jne(loop);
  }

  private void link(Label table, int slot, Label to) {
    a.lea(EAX, physical(to, 0));
    a.or(EAX, TABLE);
    a.mov(physical(table, 8L * slot), EAX);
  }

  private void emitLongMode() {
    a.mov(EAX, ControlRegister.CR4_PAE);
    a.mov(CR4, EAX);
    a.lea(EAX, physical(k.tables.kernelPml4, 0));
    a.mov(CR3, EAX);
    a.mov(ECX, Msr.EFER);
    a.rdmsr();
    a.or(EAX, ControlRegister.EFER_LME | ControlRegister.EFER_NXE | ControlRegister.EFER_SCE);
    a.wrmsr();
    a.mov(EAX, CR0);
    a.or(EAX, ControlRegister.CR0_NE | ControlRegister.CR0_WP | ControlRegister.CR0_PG);
    a.mov(CR0, EAX);
    a.lgdt(physical(k.entry.gdtPointerPhysical, 0));
    a.jmpFar(EntryCode.KERNEL_CODE, longMode);
    a.bits(64);
    a.bind(longMode);
    a.mov(RAX, start);
    a.jmp(RAX);
  }

  /** The 64-bit part: leaves the low addresses, sets the processor up, and jumps to {@code program}. */
  void emitStart(Label program) {
    a.bind(start);
    a.lea(RSP, rip(stack, STACK_PAGES * KernelLayout.PAGE));
    a.mov(R15, KernelLayout.DIRECT_MAP);
    a.mov(rip(k.tables.kernelPml4).q(), 0);
    a.mov(rip(k.tables.imagePdpt).q(), 0);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
    k.entry.emitLoad();
    emitFeatures();
    a.call(k.console.initialize);
    a.call(k.frames.initialize);
    if (k.options.isolation()) {
      a.call(k.isolation.initialize);
    }
    a.call(k.timer.initialize);
    a.jmp(program);
  }

  private void emitFeatures() {
    a.mov(RBP, ControlRegister.CR4_PAE | ControlRegister.CR4_PGE);
    a.mov(EAX, 7);
    a.xor(ECX, ECX);
    a.cpuid();
    Label noSmep = new Label();
    a.bt(EBX, CPUID_SMEP);
    a.jae(noSmep);
    a.or(RBP, ControlRegister.CR4_SMEP);
    a.bind(noSmep);
    if (k.options.pcid()) {
      Label lacking = new Label();
      Label fine = new Label();
      a.bt(EBX, CPUID_INVPCID);
      a.jae(lacking);
      a.mov(EAX, 1);
      a.cpuid();
      a.bt(ECX, CPUID_PCID);
      a.jb(fine);
      a.bind(lacking);
      k.results.panic("processor without PCID and INVPCID");
      a.bind(fine);
      a.or(RBP, ControlRegister.CR4_PCIDE);
    }
    a.mov(CR4, RBP);
  }
}
