package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * The #PF handler: demand-zero pages, copy-on-write, and for anything else the process's fault handler in user mode, or
 * the end. As Linux does, it sets A in what it maps, and D if the fault was a write, so that the processor need not.
 */
final class PageFaults {
  private static final long LEAF = PageTableEntry.P | PageTableEntry.US | PageTableEntry.A;
  private static final long WRITTEN = PageTableEntry.RW | PageTableEntry.D;

  private final GuestKernel k;
  private final Assembler a;
  /** RDI: frame of a #PF. */
  final Label handle = new Label("page_fault");

  PageFaults(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  /**
   * Registers: R12 frame, R13 process, RBX page's address, RBP error code, later the entry, R14 physical address of the
   * entry.
   */
  void emit() {
    Label violation = new Label();
    Label present = new Label();
    Label done = new Label();
    a.bind(handle);
    a.push(RBP);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(R12, RDI);
    a.mov(RBX, CR2);
    a.mov(R13, rip(k.processes.current));
    a.mov(EBP, ptr(R12, TrapFrame.ERROR_CODE));
    a.test(R13, R13);
    a.je(violation);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.call(k.areas.find);
    a.and(RBX, PageTables.FRAME_MASK);
    a.test(RAX, RAX);
    a.je(violation);
    a.mov(R14, ptr(RAX, ProcessRecord.AREA_FLAGS));
    a.test(R14B, Areas.PREPARED | Areas.FILE);
    a.jne(violation);
    a.test(EBP, PageFaultCode.RSVD | PageFaultCode.ID);
    a.jne(violation);
    emitFindEntry();
    a.test(EBP, PageFaultCode.P);
    a.jne(present);
    emitDemand(violation, done);
    a.bind(present);
    a.test(EBP, PageFaultCode.W);
    a.je(violation);
    emitWrite(violation, done);
    a.bind(violation);
    emitViolation();
    a.bind(done);
    emitReturn();
  }

  /** R14: area's flags; then the address of the entry for RBX. */
  private void emitFindEntry() {
    Label large = new Label();
    Label have = new Label();
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.mov(EDX, 1);
    a.test(R14B, Areas.PAGES_2M);
    a.jne(large);
    a.call(k.tables.pteFor);
    a.jmp(have);
    a.bind(large);
    a.call(k.tables.pdeFor);
    a.bind(have);
    // In a 2M area only the entry tells from here on what it is; a fresh one has to be told.
    a.xchg(R14, RAX);
  }

  /** The page was never there. RAX: area's flags. */
  private void emitDemand(Label violation, Label done) {
    Label writable = new Label();
    Label large = new Label();
    Label have = new Label();
    Label read = new Label();
    Label readOnly = new Label();
    a.test(ptr(R15, R14, 1).b(), PageTableEntry.P);
    a.jne(done);
    a.mov(RDX, ptr(R15, R14, 1));
    a.bt(RDX, PageTables.READ_ONLY_BIT);
    a.jae(writable);
    a.test(EBP, PageFaultCode.W);
    a.jne(violation);
    a.bind(writable);
    a.push(RDX);
    a.test(AL, Areas.PAGES_2M);
    a.jne(large);
    a.call(k.frames.allocateZeroed);
    a.jmp(have);
    a.bind(large);
    emitZeroed2M();
    a.bind(have);
    a.pop(RDX);
    a.or(RAX, LEAF);
    a.bts(RAX, PageTables.NX_BIT);
    a.bt(RDX, PageTables.READ_ONLY_BIT);
    a.jb(readOnly);
    a.or(RAX, PageTableEntry.RW);
    a.test(EBP, PageFaultCode.W);
    a.je(read);
    a.or(RAX, PageTableEntry.D);
    a.bind(read);
    a.mov(ptr(R15, R14, 1), RAX);
    a.jmp(done);
    a.bind(readOnly);
    a.or(RAX, PageTables.READ_ONLY);
    a.mov(ptr(R15, R14, 1), RAX);
    a.jmp(done);
  }

  private void emitZeroed2M() {
    a.call(k.frames.allocate2M);
    a.mov(RDX, RAX);
    a.lea(RDI, ptr(R15, RAX, 1));
    a.mov(ECX, KernelLayout.PAGE_2M / 8);
    a.xor(EAX, EAX);
    a.rep().stosq();
    a.mov(RAX, RDX);
    a.or(RAX, PageTableEntry.PS);
  }

  /** A write to a page that is there and write-protected. */
  private void emitWrite(Label violation, Label done) {
    Label copy = new Label();
    Label copy2M = new Label();
    Label writable = new Label();
    a.mov(RBP, ptr(R15, R14, 1));
    a.bt(RBP, PageTables.READ_ONLY_BIT);
    a.jb(violation);
    // Writable by now: the processor had an older entry cached, which the fault has dropped.
    a.test(BPL, PageTableEntry.RW);
    a.jne(done);
    a.bt(RBP, PageTables.COPY_ON_WRITE_BIT);
    a.jae(violation);
    a.mov(RSI, RBP);
    a.btr(RSI, PageTables.NX_BIT);
    a.and(RSI, PageTables.FRAME_MASK);
    a.mov(RCX, RSI);
    a.shr(RCX, 12);
    a.mov(RDX, rip(k.frames.counts));
    a.cmp(ptr(RDX, RCX, 4).d(), 1);
    a.je(writable);
    a.test(BPL, PageTableEntry.PS);
    a.jne(copy2M);
    a.bind(copy);
    emitCopy(k.frames.allocate, k.frames.release, KernelLayout.PAGE);
    a.jmp(writable);
    a.bind(copy2M);
    emitCopy(k.frames.allocate2M, k.frames.release2M, KernelLayout.PAGE_2M);
    a.bind(writable);
    a.btr(RBP, PageTables.COPY_ON_WRITE_BIT);
    a.or(RBP, WRITTEN);
    a.mov(ptr(R15, R14, 1), RBP);
    a.mov(RDI, RBX);
    a.call(k.tables.invalidate);
    a.jmp(done);
  }

  /** Replaces the frame RSI in the entry RBP by a copy. */
  private void emitCopy(Label allocate, Label release, int bytes) {
    a.xor(RBP, RSI);
    a.call(allocate);
    a.or(RBP, RAX);
    a.push(RSI);
    a.lea(RDI, ptr(R15, RAX, 1));
    a.add(RSI, R15);
    a.mov(ECX, bytes / 8);
    a.rep().movsq();
    a.pop(RDI);
    a.call(release);
  }

  /**
   * Lets the process's handler run in place of the faulting instruction, its argument the page's address; without one
   * it is the end.
   */
  private void emitViolation() {
    Label fatal = new Label();
    Label handled = new Label();
    a.test(R13, R13);
    a.je(fatal);
    a.mov(RAX, ptr(R13, ProcessRecord.FAULT_HANDLER));
    a.test(RAX, RAX);
    a.je(fatal);
    a.test(ptr(R12, TrapFrame.CS).b(), 3);
    a.jne(handled);
    a.bind(fatal);
    a.mov(RDI, R12);
    a.jmp(k.traps.unexpected);
    a.bind(handled);
    a.mov(RSI, R12);
    a.lea(RDI, ptr(R13, ProcessRecord.SAVED_FRAME));
    a.mov(ECX, TrapFrame.QUADWORDS);
    a.rep().movsq();
    a.mov(ptr(R12, TrapFrame.RIP), RAX);
    a.mov(ptr(R12, TrapFrame.RDI_OFFSET), RBX);
  }

  private void emitReturn() {
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.pop(RBP);
    a.ret();
  }
}
