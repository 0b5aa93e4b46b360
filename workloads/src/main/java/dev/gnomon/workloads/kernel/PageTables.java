package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * The kernel's static tables, and the walk of a process's tables in software. In leaf entries of user pages three of
 * the bits that the processor ignores are the kernel's:
 * <pre>
 *  11 BORROWED | 10 READ_ONLY | 9 COPY_ON_WRITE
 * </pre>
 */
final class PageTables {
  /** Write-protected only because others may use the frame too. */
  static final long COPY_ON_WRITE = 1L << 9;
  /** mprotect has taken write access; may stand in an entry that is not present. */
  static final long READ_ONLY = 1L << 10;
  /** The frame is not the process's own: never counted, copied or freed. */
  static final long BORROWED = 1L << 11;
  static final int COPY_ON_WRITE_BIT = 9;
  static final int READ_ONLY_BIT = 10;
  static final int BORROWED_BIT = 11;
  static final int NX_BIT = 63;

  static final long TABLE = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.US;
  static final int FRAME_MASK = -KernelLayout.PAGE;
  private static final int INDEX_MASK = KernelLayout.TABLE_ENTRIES - 1;
  private static final int SHIFT_PML4 = 39;
  private static final int SHIFT_PDPT = 30;
  private static final int SHIFT_PD = 21;
  private static final int SHIFT_PT = 12;

  private final GuestKernel k;
  private final Assembler a;
  final Label kernelPml4;
  final Label imagePdpt;
  final Label imagePd;
  final Label directPdpt;
  final Label directPd;
  final Label devicePd;
  final Label devicePt;

  /**
   * RDI: a {@link ProcessRecord}; RSI: linear address; EDX: whether to make missing tables. @return RAX: physical
   * address of the PDE, 0 if a table is missing; clobbers RCX, RDX, RDI
   */
  final Label pdeFor = new Label("pde_for");
  /** Like {@link #pdeFor}, of the PTE; 0 also if the PDE maps a 2M page. */
  final Label pteFor = new Label("pte_for");
  /** RDI: linear address of a user page whose entry has changed. Clobbers RAX. */
  final Label invalidate = new Label("tlb_invalidate_page");
  /** Drops all translations of the current process's user pages. Clobbers RAX. */
  final Label flushUser = new Label("tlb_flush_user");
  /**
   * RDI: physical address of a page, RSI: further bits of its entry.
   * @return RAX: where it is mapped now; clobbers RCX
   */
  final Label mapDevice = new Label("map_device");

  PageTables(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.kernelPml4 = k.pages("kernel_pml4", 1);
    this.imagePdpt = k.pages("image_pdpt", 1);
    this.imagePd = k.pages("image_pd", 1);
    this.directPdpt = k.pages("direct_pdpt", 1);
    this.directPd = k.pages("direct_pd", KernelLayout.DIRECT_TABLES);
    this.devicePd = k.pages("device_pd", 1);
    this.devicePt = k.pages("device_pt", 1);
  }

  /** G for the kernel's leaves; under isolation they must not outlive the switch to the user's tables. */
  long global() {
    return k.options.isolation() ? 0 : PageTableEntry.G;
  }

  void emit() {
    emitPdeFor();
    emitPteFor();
    emitInvalidate();
    emitFlushUser();
    emitMapDevice();
  }

  private void emitPdeFor() {
    Label none = new Label();
    Label out = new Label();
    a.bind(pdeFor);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(RBX, RSI);
    a.mov(R12D, EDX);
    a.mov(R13, RDI);
    a.mov(RAX, ptr(RDI, ProcessRecord.PML4));
    emitDescend(SHIFT_PML4, none);
    emitDescend(SHIFT_PDPT, none);
    emitIndex(SHIFT_PD);
    a.lea(RAX, ptr(RAX, RCX, 8));
    a.jmp(out);
    a.bind(none);
    a.xor(EAX, EAX);
    a.bind(out);
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  /** From the table in RAX to the next one, also in RAX, through the entry for RBX. */
  private void emitDescend(int shift, Label none) {
    Label present = new Label();
    emitIndex(shift);
    a.lea(R14, ptr(RAX, RCX, 8));
    a.mov(RAX, ptr(R15, R14, 1));
    a.test(AL, PageTableEntry.P);
    a.jne(present);
    a.test(R12D, R12D);
    a.je(none);
    a.call(k.frames.allocateZeroed);
    a.or(RAX, TABLE);
    a.mov(ptr(R15, R14, 1), RAX);
    if (shift == SHIFT_PML4 && k.options.isolation()) {
      emitMirror(present);
    }
    a.bind(present);
    a.and(RAX, FRAME_MASK);
  }

  /** Both roots of a process share the tables of its user half. */
  private void emitMirror(Label done) {
    emitIndex(SHIFT_PML4);
    a.cmp(ECX, KernelLayout.USER_SLOTS);
    a.jae(done);
    a.mov(RDX, ptr(R13, ProcessRecord.USER_PML4));
    a.lea(RDX, ptr(RDX, RCX, 8));
    a.mov(ptr(R15, RDX, 1), RAX);
  }

  private void emitIndex(int shift) {
    a.mov(RCX, RBX);
    a.shr(RCX, shift);
    a.and(ECX, INDEX_MASK);
  }

  private void emitPteFor() {
    Label present = new Label();
    Label none = new Label();
    Label out = new Label();
    a.bind(pteFor);
    a.push(RBX);
    a.push(R12);
    a.mov(RBX, RSI);
    a.mov(R12D, EDX);
    a.call(pdeFor);
    a.test(RAX, RAX);
    a.je(out);
    a.mov(RCX, ptr(R15, RAX, 1));
    a.test(CL, PageTableEntry.P);
    a.jne(present);
    a.test(R12D, R12D);
    a.je(none);
    a.mov(R12, RAX);
    a.call(k.frames.allocateZeroed);
    a.or(RAX, TABLE);
    a.mov(ptr(R15, R12, 1), RAX);
    a.mov(RCX, RAX);
    a.bind(present);
    a.test(CL, PageTableEntry.PS);
    a.jne(none);
    a.and(RCX, FRAME_MASK);
    a.shr(RBX, SHIFT_PT);
    a.and(EBX, INDEX_MASK);
    a.lea(RAX, ptr(RCX, RBX, 8));
    a.jmp(out);
    a.bind(none);
    a.xor(EAX, EAX);
    a.bind(out);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  private void emitInvalidate() {
    a.bind(invalidate);
    a.invlpg(ptr(RDI));
    if (k.options.isolation() && k.options.pcid()) {
      emitInvalidateUserPcid(Mmu.INDIVIDUAL_ADDRESS);
    }
    a.ret();
  }

  private void emitFlushUser() {
    a.bind(flushUser);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
    if (k.options.isolation() && k.options.pcid()) {
      emitInvalidateUserPcid(Mmu.SINGLE_CONTEXT);
    }
    a.ret();
  }

  /** INVLPG and CR3 loads in the kernel concern the kernel's PCID only. */
  private void emitInvalidateUserPcid(int type) {
    a.mov(RAX, rip(k.processes.current));
    a.mov(RAX, ptr(RAX, ProcessRecord.USER_CR3));
    emitInvpcid(type);
  }

  /**
   * INVPCID for the PCID in RAX and the address in RDI; clobbers RAX. The descriptor: 0 PCID, bits 63:12 zero | 8
   * linear address.
   */
  void emitInvpcid(int type) {
    a.and(EAX, ControlRegister.CR3_PCID);
    a.push(RDI);
    a.push(RAX);
    a.mov(EAX, type);
    a.invpcid(RAX, ptr(RSP));
    a.add(RSP, 16);
  }

  private void emitMapDevice() {
    a.bind(mapDevice);
    a.lea(RAX, ptr(RDI, RSI, 1, PageTableEntry.P | PageTableEntry.RW));
    a.bts(RAX, NX_BIT);
    a.mov(rip(devicePt), RAX);
    a.mov(RAX, KernelLayout.DEVICE_WINDOW);
    a.invlpg(ptr(RAX));
    a.ret();
  }
}
