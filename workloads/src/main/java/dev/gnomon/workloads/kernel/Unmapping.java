package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageTableEntry;

/** munmap: clears entries, invalidates what was present, frees frames, and frees tables that no area needs any more. */
final class Unmapping {
  private final GuestKernel k;
  private final Assembler a;
  /** RDI: process; RSI: address; RDX: length, of one area. @return RAX: 0, −1 if there is no such area */
  final Label unmap = new Label("space_unmap");

  Unmapping(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  /** Registers: R13 process, RBX address, R12 end, RBP physical address of the PDE, R14 the table behind it. */
  void emit() {
    Label span = new Label();
    Label page = new Label();
    Label nextPage = new Label();
    Label spanDone = new Label();
    Label large = new Label();
    Label skip = new Label();
    Label done = new Label();
    Label bad = new Label();
    a.bind(unmap);
    a.push(RBP);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(R13, RDI);
    a.mov(RBX, RSI);
    a.lea(R12, ptr(RSI, RDX, 1));
    a.mov(RDX, R12);
    a.call(k.areas.remove);
    a.cmp(RAX, -1);
    a.je(bad);
    a.bind(span);
    a.cmp(RBX, R12);
    a.jae(done);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.xor(EDX, EDX);
    a.call(k.tables.pdeFor);
    a.test(RAX, RAX);
    a.je(skip);
    a.mov(RBP, RAX);
    a.mov(R14, ptr(R15, RAX, 1));
    a.test(R14B, PageTableEntry.P);
    a.je(skip);
    a.test(R14B, PageTableEntry.PS);
    a.jne(large);
    a.and(R14, PageTables.FRAME_MASK);

    a.bind(page);
    a.mov(RCX, RBX);
    a.shr(RCX, 12);
    a.and(ECX, KernelLayout.TABLE_ENTRIES - 1);
    a.lea(RCX, ptr(R14, RCX, 8));
    a.mov(RDX, ptr(R15, RCX, 1));
    a.test(RDX, RDX);
    a.je(nextPage);
    a.mov(ptr(R15, RCX, 1).q(), 0);
    a.test(DL, PageTableEntry.P);
    a.je(nextPage);
    a.mov(RDI, RBX);
    a.call(k.tables.invalidate);
    a.bt(RDX, PageTables.BORROWED_BIT);
    a.jb(nextPage);
    a.mov(RDI, RDX);
    a.btr(RDI, PageTables.NX_BIT);
    a.and(RDI, PageTables.FRAME_MASK);
    a.call(k.frames.release);
    a.bind(nextPage);
    a.add(RBX, KernelLayout.PAGE);
    a.cmp(RBX, R12);
    a.jae(spanDone);
    a.test(EBX, KernelLayout.PAGE_2M - 1);
    a.jne(page);

    a.bind(spanDone);
    a.lea(RSI, ptr(RBX, -1));
    a.and(RSI, -KernelLayout.PAGE_2M);
    a.lea(RDX, ptr(RSI, KernelLayout.PAGE_2M));
    a.mov(RDI, R13);
    a.call(k.areas.overlaps);
    a.jne(span);
    // No area is left under this table. INVLPG also drops what paging-structure caches hold of the entry.
    a.mov(ptr(R15, RBP, 1).q(), 0);
    a.mov(RDI, RSI);
    a.call(k.tables.invalidate);
    a.mov(RDI, R14);
    a.call(k.frames.release);
    a.jmp(span);

    a.bind(large);
    a.mov(ptr(R15, RBP, 1).q(), 0);
    a.mov(RDI, RBX);
    a.call(k.tables.invalidate);
    a.mov(RDI, R14);
    a.btr(RDI, PageTables.NX_BIT);
    a.and(RDI, PageTables.FRAME_MASK);
    a.call(k.frames.release2M);
    a.bind(skip);
    a.add(RBX, KernelLayout.PAGE_2M);
    a.and(RBX, -KernelLayout.PAGE_2M);
    a.jmp(span);

    a.bind(done);
    a.xor(EAX, EAX);
    a.bind(bad);
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.pop(RBP);
    a.ret();
  }
}
