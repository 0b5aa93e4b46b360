package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Cond;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * Making, mapping, protecting and destroying a process's address space. Lengths and addresses are multiples of the
 * area's page size.
 */
final class AddressSpaces {
  private static final long TABLE_OF_KERNEL = PageTableEntry.P | PageTableEntry.RW;
  private static final long FILE_PAGE = PageTableEntry.P | PageTableEntry.US | PageTableEntry.A | PageTables.BORROWED;
  private static final int CR3_NO_FLUSH_BIT = 63;
  /** Pages of the kernel's one file: page i starts with the 64-bit number i + 1 and is zero elsewhere. */
  private static final int FILE_PAGES = 1024;

  private final GuestKernel k;
  private final Assembler a;
  /** RDI: process. Gives it empty tables. */
  final Label create = new Label("space_create");
  /**
   * RDI: process; RSI: address; RDX: length; RCX: flags of {@link Areas}.
   * @return RAX: the address, −1 if there are too many areas
   */
  final Label map = new Label("space_map");
  /** RDI: process; RSI: address; RDX: length; ECX: whether to allow writes. @return RAX: 0, −1 if there is no area */
  final Label protect = new Label("space_protect");
  /** RDI: process; frees its tables and what they map. The tables must not be in use. */
  final Label destroy = new Label("space_destroy");
  private final Label freeTable = new Label("free_table");
  private final Label filePages;

  AddressSpaces(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.filePages = k.variable("file_pages", 8 * FILE_PAGES);
  }

  void emit() {
    emitCreate();
    emitMap();
    emitProtect();
    emitDestroy();
    emitFreeTable();
  }

  private void emitCreate() {
    int kernelHalf = 8 * KernelLayout.USER_SLOTS;
    a.bind(create);
    a.push(RBX);
    a.mov(RBX, RDI);
    a.call(k.frames.allocateZeroed);
    a.mov(ptr(RBX, ProcessRecord.PML4), RAX);
    a.lea(RDI, ptr(R15, RAX, 1, kernelHalf));
    a.lea(RSI, rip(k.tables.kernelPml4, kernelHalf));
    a.mov(ECX, KernelLayout.TABLE_ENTRIES - KernelLayout.USER_SLOTS);
    a.rep().movsq();
    if (k.options.isolation()) {
      a.call(k.frames.allocateZeroed);
      a.lea(RCX, GuestKernel.physical(k.isolation.pdpt, 0));
      a.or(RCX, TABLE_OF_KERNEL);
      a.mov(ptr(R15, RAX, 1, 8 * KernelLayout.IMAGE_SLOT), RCX);
    }
    a.mov(ptr(RBX, ProcessRecord.USER_PML4), RAX);
    emitCr3(ProcessRecord.PML4, ProcessRecord.CR3, 0);
    emitCr3(ProcessRecord.USER_PML4, ProcessRecord.USER_CR3, k.options.isolation() ? 1 : 0);
    a.pop(RBX);
    a.ret();
  }

  /**
   * The value to load into CR3: with PCIDs 2 × number, and one more in user mode under isolation; nothing may be cached
   * for it yet.
   */
  private void emitCr3(int root, int field, int user) {
    if (k.options.pcid()) {
      a.mov(RAX, ptr(RBX, ProcessRecord.NUMBER));
      a.lea(RAX, ptr(RAX, RAX, 1, user));
      a.mov(RCX, RAX);
      a.xor(EDI, EDI);
      k.tables.emitInvpcid(Mmu.SINGLE_CONTEXT);
      a.or(RCX, ptr(RBX, root));
      a.bts(RCX, CR3_NO_FLUSH_BIT);
      a.mov(ptr(RBX, field), RCX);
    } else {
      a.mov(RAX, ptr(RBX, root));
      a.mov(ptr(RBX, field), RAX);
    }
  }

  private void emitMap() {
    Label fail = new Label();
    Label anonymous = new Label();
    Label loop = new Label();
    Label have = new Label();
    a.bind(map);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(R13, RDI);
    a.mov(RBX, RSI);
    a.lea(R12, ptr(RSI, RDX, 1));
    a.mov(RDX, R12);
    a.call(k.areas.add);
    a.test(EAX, EAX);
    a.jne(fail);
    a.mov(RAX, RBX);
    a.test(CL, Areas.FILE);
    a.je(anonymous);
    a.push(RBX);
    a.xor(R14D, R14D);
    a.bind(loop);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.mov(EDX, 1);
    a.call(k.tables.pteFor);
    a.mov(RSI, RAX);
    a.lea(R8, rip(filePages));
    a.mov(RAX, ptr(R8, R14, 8));
    a.inc(R14);
    a.test(RAX, RAX);
    a.jne(have);
    a.call(k.frames.allocateZeroed);
    a.mov(ptr(R8, R14, 8, -8), RAX);
    a.mov(ptr(R15, RAX, 1), R14);
    a.bind(have);
    a.or(RAX, FILE_PAGE);
    a.bts(RAX, PageTables.NX_BIT);
    a.mov(ptr(R15, RSI, 1), RAX);
    a.add(RBX, KernelLayout.PAGE);
    a.cmp(RBX, R12);
    a.jb(loop);
    a.pop(RAX);
    a.bind(anonymous);
    emitReturn();
    a.bind(fail);
    a.mov(RAX, -1);
    emitReturn();
  }

  private void emitReturn() {
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  private void emitProtect() {
    Label step = new Label();
    Label loop = new Label();
    Label large = new Label();
    Label have = new Label();
    Label readOnly = new Label();
    Label store = new Label();
    Label next = new Label();
    Label done = new Label();
    a.bind(protect);
    a.push(RBP);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.mov(R13, RDI);
    a.mov(RBX, RSI);
    a.lea(R12, ptr(RSI, RDX, 1));
    a.mov(R14D, ECX);
    a.call(k.areas.find);
    a.test(RAX, RAX);
    a.mov(RCX, -1);
    a.cmov(Cond.E, RAX, RCX);
    a.je(done);
    a.mov(EBP, KernelLayout.PAGE);
    a.test(ptr(RAX, ProcessRecord.AREA_FLAGS).b(), Areas.PAGES_2M);
    a.je(step);
    a.mov(EBP, KernelLayout.PAGE_2M);
    a.bind(step);

    a.bind(loop);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.mov(EDX, 1);
    a.cmp(EBP, KernelLayout.PAGE);
    a.jne(large);
    a.call(k.tables.pteFor);
    a.jmp(have);
    a.bind(large);
    a.call(k.tables.pdeFor);
    a.bind(have);
    a.mov(RCX, ptr(R15, RAX, 1));
    a.test(R14D, R14D);
    a.je(readOnly);
    a.btr(RCX, PageTables.READ_ONLY_BIT);
    a.test(CL, PageTableEntry.P);
    a.je(store);
    a.bt(RCX, PageTables.COPY_ON_WRITE_BIT);
    a.jb(store);
    a.or(RCX, PageTableEntry.RW);
    a.jmp(store);
    a.bind(readOnly);
    a.or(RCX, PageTables.READ_ONLY);
    a.and(RCX, ~PageTableEntry.RW);
    a.bind(store);
    a.mov(ptr(R15, RAX, 1), RCX);
    a.test(CL, PageTableEntry.P);
    a.je(next);
    a.mov(RDI, RBX);
    a.call(k.tables.invalidate);
    a.bind(next);
    a.add(RBX, RBP);
    a.cmp(RBX, R12);
    a.jb(loop);
    a.xor(EAX, EAX);
    a.bind(done);
    a.pop(R14);
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.pop(RBP);
    a.ret();
  }

  private void emitDestroy() {
    a.bind(destroy);
    a.push(RBX);
    a.mov(RBX, RDI);
    a.mov(RDI, ptr(RBX, ProcessRecord.PML4));
    a.mov(ESI, 4);
    a.call(freeTable);
    if (k.options.isolation()) {
      a.mov(RDI, ptr(RBX, ProcessRecord.USER_PML4));
      a.call(k.frames.release);
    }
    a.pop(RBX);
    a.ret();
  }

  /** RDI: physical address of a table of level ESI, 4 to 1; frees the user pages below it, its tables and itself. */
  private void emitFreeTable() {
    Label half = new Label();
    Label loop = new Label();
    Label leaf = new Label();
    Label large = new Label();
    Label next = new Label();
    a.bind(freeTable);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.push(R14);
    a.lea(R12, ptr(R15, RDI, 1));
    a.mov(R13D, ESI);
    a.xor(EBX, EBX);
    a.mov(R14D, KernelLayout.TABLE_ENTRIES);
    a.cmp(ESI, 4);
    a.jne(half);
    a.mov(R14D, KernelLayout.USER_SLOTS);
    a.bind(half);

    a.bind(loop);
    a.mov(RDI, ptr(R12, RBX, 8));
    a.test(DIL, PageTableEntry.P);
    a.je(next);
    a.btr(RDI, PageTables.NX_BIT);
    a.cmp(R13D, 1);
    a.je(leaf);
    a.test(DIL, PageTableEntry.PS);
    a.jne(large);
    a.and(RDI, PageTables.FRAME_MASK);
    a.lea(ESI, ptr(R13, -1));
    a.call(freeTable);
    a.jmp(next);
    a.bind(large);
    a.and(RDI, PageTables.FRAME_MASK);
    a.call(k.frames.release2M);
    a.jmp(next);
    a.bind(leaf);
    a.bt(RDI, PageTables.BORROWED_BIT);
    a.jb(next);
    a.and(RDI, PageTables.FRAME_MASK);
    a.call(k.frames.release);
    a.bind(next);
    a.inc(EBX);
    a.cmp(EBX, R14D);
    a.jb(loop);
    a.mov(RDI, R12);
    a.sub(RDI, R15);
    a.call(k.frames.release);
    emitReturn();
  }
}
