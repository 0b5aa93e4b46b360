package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;

/**
 * The list of a process's memory areas: what may be touched where, whether or not it is mapped yet. Unsorted; areas do
 * not overlap.
 */
public final class Areas {
  /** Flag: 2M pages. */
  public static final int PAGES_2M = 1;
  /** Flag: pages of the one file that the kernel knows, all mapped at once, read-only. */
  public static final int FILE = 2;
  /** Flag: every page is mapped already, a fault is an error. */
  static final int PREPARED = 4;

  private final Assembler a;
  /** RDI: process; RSI: linear address. @return RAX: area, 0 if none; clobbers RCX */
  final Label find = new Label("area_find");
  /** RDI: process; RSI: start; RDX: end; RCX: flags. Clobbers RAX, R8. @return EAX: 0, or −1 if the list is full */
  final Label add = new Label("area_add");
  /**
   * RDI: process; RSI: start; RDX: end, of exactly one area.
   * @return RAX: its flags, −1 if there is none; clobbers RCX, R8
   */
  final Label remove = new Label("area_remove");
  /** RDI: process; RSI: start; RDX: end. @return ZF clear if an area overlaps the range; clobbers RAX, RCX */
  final Label overlaps = new Label("area_overlaps");

  Areas(GuestKernel k) {
    this.a = k.a;
  }

  void emit() {
    emitFind();
    emitAdd();
    emitRemove();
    emitOverlaps();
  }

  /** RAX: first area; RCX: how many. */
  private void first() {
    a.lea(RAX, ptr(RDI, ProcessRecord.AREAS));
    a.mov(RCX, ptr(RDI, ProcessRecord.AREA_COUNT));
  }

  private void next(Label loop) {
    a.add(RAX, ProcessRecord.AREA_SIZE);
    a.dec(RCX);
    a.jne(loop);
  }

  private void emitFind() {
    Label loop = new Label();
    Label next = new Label();
    Label found = new Label();
    a.bind(find);
    first();
    a.bind(loop);
    a.cmp(RSI, ptr(RAX, ProcessRecord.AREA_START));
    a.jb(next);
    a.cmp(RSI, ptr(RAX, ProcessRecord.AREA_END));
    a.jb(found);
    a.bind(next);
    next(loop);
    a.xor(EAX, EAX);
    a.bind(found);
    a.ret();
  }

  private void emitAdd() {
    Label room = new Label();
    a.bind(add);
    a.mov(RAX, ptr(RDI, ProcessRecord.AREA_COUNT));
    a.cmp(RAX, ProcessRecord.MAX_AREAS);
    a.jb(room);
    a.or(EAX, -1);
    a.ret();
    a.bind(room);
    a.inc(ptr(RDI, ProcessRecord.AREA_COUNT).q());
    a.imul(RAX, RAX, ProcessRecord.AREA_SIZE);
    a.lea(R8, ptr(RDI, RAX, 1, ProcessRecord.AREAS));
    a.mov(ptr(R8, ProcessRecord.AREA_START), RSI);
    a.mov(ptr(R8, ProcessRecord.AREA_END), RDX);
    a.mov(ptr(R8, ProcessRecord.AREA_FLAGS), RCX);
    a.xor(EAX, EAX);
    a.ret();
  }

  private void emitRemove() {
    Label loop = new Label();
    Label next = new Label();
    a.bind(remove);
    first();
    a.bind(loop);
    a.cmp(RSI, ptr(RAX, ProcessRecord.AREA_START));
    a.jne(next);
    a.cmp(RDX, ptr(RAX, ProcessRecord.AREA_END));
    a.jne(next);
    a.dec(ptr(RDI, ProcessRecord.AREA_COUNT).q());
    a.push(ptr(RAX, ProcessRecord.AREA_FLAGS).q());
    a.imul(RCX, ptr(RDI, ProcessRecord.AREA_COUNT), ProcessRecord.AREA_SIZE);
    a.lea(RCX, ptr(RDI, RCX, 1, ProcessRecord.AREAS));
    copyField(RCX, RAX, ProcessRecord.AREA_START);
    copyField(RCX, RAX, ProcessRecord.AREA_END);
    copyField(RCX, RAX, ProcessRecord.AREA_FLAGS);
    a.pop(RAX);
    a.ret();
    a.bind(next);
    next(loop);
    a.mov(RAX, -1);
    a.ret();
  }

  private void copyField(Reg from, Reg to, int field) {
    a.mov(R8, ptr(from, field));
    a.mov(ptr(to, field), R8);
  }

  private void emitOverlaps() {
    Label loop = new Label();
    Label next = new Label();
    Label found = new Label();
    a.bind(overlaps);
    first();
    a.bind(loop);
    a.cmp(RSI, ptr(RAX, ProcessRecord.AREA_END));
    a.jae(next);
    a.cmp(RDX, ptr(RAX, ProcessRecord.AREA_START));
    a.ja(found);
    a.bind(next);
    next(loop);
    a.xor(EAX, EAX);
    a.ret();
    a.bind(found);
    a.test(RSP, RSP);
    a.ret();
  }
}
