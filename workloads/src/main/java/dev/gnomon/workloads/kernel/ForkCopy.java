package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageTableEntry;

/** Fork's copy of an address space: the same frames in new tables, write-protected in both until someone writes. */
final class ForkCopy {
  private static final int RW_BIT = 1;
  /** The count of areas and the areas lie next to each other. */
  private static final int AREA_QUADWORDS = (ProcessRecord.SAVED_FRAME - ProcessRecord.AREA_COUNT) / 8;

  private final GuestKernel k;
  private final Assembler a;
  /** RDI: parent, whose tables are in use; RSI: child with empty tables. */
  final Label copy = new Label("space_copy");

  ForkCopy(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  /**
   * Registers: R13 parent, R14 child, RBP area, RBX address, R12 end of the area, R8 and R9 physical addresses of the
   * two entries.
   */
  void emit() {
    Label area = new Label();
    Label span = new Label();
    Label page = new Label();
    Label nextPage = new Label();
    Label large = new Label();
    Label skip = new Label();
    Label areaDone = new Label();
    a.bind(copy);
    a.push(RBP);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(R13, RDI);
    a.mov(R14, RSI);
    a.lea(RSI, ptr(R13, ProcessRecord.AREA_COUNT));
    a.lea(RDI, ptr(R14, ProcessRecord.AREA_COUNT));
    a.mov(ECX, AREA_QUADWORDS);
    a.rep().movsq();
    a.lea(RBP, ptr(R13, ProcessRecord.AREAS));
    a.imul(RAX, ptr(R13, ProcessRecord.AREA_COUNT), ProcessRecord.AREA_SIZE);
    a.add(RAX, RBP);
    a.push(RAX);

    a.bind(area);
    a.mov(RBX, ptr(RBP, ProcessRecord.AREA_START));
    a.mov(R12, ptr(RBP, ProcessRecord.AREA_END));
    a.bind(span);
    a.cmp(RBX, R12);
    a.jae(areaDone);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.xor(EDX, EDX);
    a.call(k.tables.pdeFor);
    a.test(RAX, RAX);
    a.je(skip);
    a.mov(R8, ptr(R15, RAX, 1));
    a.test(R8B, PageTableEntry.P);
    a.je(skip);
    a.test(R8B, PageTableEntry.PS);
    a.jne(large);
    a.and(R8, PageTables.FRAME_MASK);
    a.mov(RCX, RBX);
    a.shr(RCX, 12);
    a.and(ECX, KernelLayout.TABLE_ENTRIES - 1);
    a.lea(R8, ptr(R8, RCX, 8));
    emitChildEntry(k.tables.pteFor);
    a.bind(page);
    emitShare();
    a.add(R8, 8);
    a.add(R9, 8);
    a.add(RBX, KernelLayout.PAGE);
    a.cmp(RBX, R12);
    a.jae(areaDone);
    a.test(EBX, KernelLayout.PAGE_2M - 1);
    a.jne(page);
    a.jmp(span);

    a.bind(large);
    a.mov(R8, RAX);
    emitChildEntry(k.tables.pdeFor);
    emitShare();
    a.bind(skip);
    a.add(RBX, KernelLayout.PAGE_2M);
    a.and(RBX, -KernelLayout.PAGE_2M);
    a.jmp(span);

    a.bind(areaDone);
    a.add(RBP, ProcessRecord.AREA_SIZE);
    a.cmp(RBP, ptr(RSP));
    a.jb(area);
    a.call(k.tables.flushUser);
    a.pop(RAX);
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.pop(RBP);
    a.ret();
  }

  private void emitChildEntry(Label walk) {
    a.mov(RDI, R14);
    a.mov(RSI, RBX);
    a.mov(EDX, 1);
    a.call(walk);
    a.mov(R9, RAX);
  }

  /** Copies one leaf entry from [R8] to [R9]; a frame of the parent's own gets one user more. */
  private void emitShare() {
    Label store = new Label();
    Label same = new Label();
    Label next = new Label();
    a.mov(RAX, ptr(R15, R8, 1));
    a.test(RAX, RAX);
    a.je(next);
    a.bt(RAX, PageTables.BORROWED_BIT);
    a.jb(store);
    a.test(AL, PageTableEntry.P);
    a.je(store);
    a.mov(RCX, RAX);
    a.btr(RCX, RW_BIT);
    a.bts(RCX, PageTables.COPY_ON_WRITE_BIT);
    a.cmp(RCX, RAX);
    a.je(same);
    a.mov(ptr(R15, R8, 1), RCX);
    a.mov(RAX, RCX);
    a.bind(same);
    a.btr(RCX, PageTables.NX_BIT);
    a.shr(RCX, 12);
    a.mov(RDX, rip(k.frames.counts));
    a.inc(ptr(RDX, RCX, 4).d());
    a.bind(store);
    a.mov(ptr(R15, R9, 1), RAX);
    a.bind(next);
  }
}
