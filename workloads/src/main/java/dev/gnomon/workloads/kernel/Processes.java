package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.mmu.PageTableEntry;
import java.util.List;

/** The table of processes: the first one, fork, exit, wait, and the switch from one to the next in turn. */
final class Processes {
  /** What a switch keeps on the kernel stack, below the return address. */
  private static final List<Reg> SWITCHED = List.of(RBX, RBP, R12, R13, R14);
  private static final long TEXT_PAGE = PageTableEntry.P | PageTableEntry.US | PageTableEntry.A | PageTables.BORROWED;
  private static final long USER_FLAGS = Rflags.FIXED | Rflags.IF;

  private final GuestKernel k;
  private final Assembler a;
  private final Label table;
  /** Linear address of the running process's record; 0 before there is one. */
  final Label current;
  /** Entered by a jump, once: the program's process is made and entered. */
  final Label startFirst = new Label("process_start_first");
  /** Lets the next process run, if there is another; returns when it is this one's turn again. */
  final Label yield = new Label("process_yield");
  /** RCX: frame of the caller. @return RAX: the child's number here, 0 in the child */
  final Label fork = new Label("process_fork");
  /** RDI: exit code. Does not return; the first process's exit ends the guest. */
  final Label exit = new Label("process_exit");
  /** Waits until a child has ended. @return RAX: its exit code, −1 if there is no child */
  final Label wait = new Label("process_wait");
  private final Label allocate = new Label("process_allocate");
  /** User text in the image, whole pages; bound where the program is emitted. */
  final Label userText = new Label("user_text_image");
  final Label userTextEnd = new Label("user_text_image_end");

  Processes(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.table = k.variable("processes", ProcessRecord.SIZE * ProcessRecord.COUNT);
    this.current = k.variable("current", 8);
  }

  void emit(boolean user) {
    emitAllocate();
    emitYield();
    emitFork();
    emitExit();
    emitWait();
    if (user) {
      emitStartFirst();
    }
  }

  /** A free record, numbered, with tables, stack and no areas. @return RAX: its linear address */
  private void emitAllocate() {
    Label loop = new Label();
    Label found = new Label();
    a.bind(allocate);
    a.push(RBX);
    a.push(R12);
    a.lea(RBX, rip(table));
    a.xor(R12D, R12D);
    a.bind(loop);
    a.inc(R12D);
    a.cmp(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.FREE);
    a.je(found);
    a.add(RBX, ProcessRecord.SIZE);
    a.cmp(R12D, ProcessRecord.COUNT);
    a.jb(loop);
    k.results.panic("too many processes");
    a.bind(found);
    a.mov(RDI, RBX);
    a.mov(ECX, ProcessRecord.SIZE / 8);
    a.xor(EAX, EAX);
    a.rep().stosq();
    a.mov(ptr(RBX, ProcessRecord.NUMBER), R12);
    a.mov(RDI, RBX);
    a.call(k.spaces.create);
    a.call(k.frames.allocate);
    a.mov(ptr(RBX, ProcessRecord.KERNEL_STACK), RAX);
    a.mov(RAX, RBX);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  /** RAX: linear address behind the kernel stack of the process in a register. */
  private void stackTop(Reg process) {
    a.mov(RAX, ptr(process, ProcessRecord.KERNEL_STACK));
    a.lea(RAX, ptr(R15, RAX, 1, KernelLayout.PAGE));
  }

  private void emitStartFirst() {
    a.bind(startFirst);
    a.call(allocate);
    a.mov(RBX, RAX);
    a.mov(rip(current), RBX);
    a.mov(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.RUNNABLE);
    a.mov(RDI, RBX);
    a.mov(RSI, KernelLayout.USER_STACK_TOP - KernelLayout.USER_STACK_BYTES);
    a.mov(EDX, KernelLayout.USER_STACK_BYTES);
    a.xor(ECX, ECX);
    a.call(k.spaces.map);
    emitMapText();
    emitEnter();
  }

  /** Maps the image's user text at its linear address. */
  private void emitMapText() {
    Label loop = new Label();
    a.lea(R12, GuestKernel.physical(userText, 0));
    a.lea(R13, GuestKernel.physical(userTextEnd, 0));
    a.mov(EBP, KernelLayout.USER_TEXT);
    a.mov(RDI, RBX);
    a.mov(RSI, RBP);
    a.lea(RDX, ptr(R13, RBP, 1));
    a.sub(RDX, R12);
    a.mov(ECX, Areas.PREPARED);
    a.call(k.areas.add);
    a.bind(loop);
    a.mov(RDI, RBX);
    a.mov(RSI, RBP);
    a.mov(EDX, 1);
    a.call(k.tables.pteFor);
    a.lea(RCX, ptr(R12, TEXT_PAGE));
    a.mov(ptr(R15, RAX, 1), RCX);
    a.add(RBP, KernelLayout.PAGE);
    a.add(R12, KernelLayout.PAGE);
    a.cmp(R12, R13);
    a.jb(loop);
  }

  private void emitEnter() {
    emitLoadSpace(RBX);
    stackTop(RBX);
    a.mov(RSP, RAX);
    a.push(EntryCode.USER_DATA);
    a.mov(RAX, KernelLayout.USER_STACK_TOP);
    a.push(RAX);
    a.push(USER_FLAGS);
    a.push(EntryCode.USER_CODE);
    a.push(KernelLayout.USER_TEXT);
    a.sub(RSP, TrapFrame.RIP);
    a.mov(RDI, RSP);
    a.mov(ECX, TrapFrame.RIP / 8);
    a.xor(EAX, EAX);
    a.rep().stosq();
    a.jmp(k.entry.trapReturn);
  }

  /** Makes a process's stack and tables those of the processor; clobbers RAX. */
  private void emitLoadSpace(Reg process) {
    stackTop(process);
    k.entry.emitSetKernelStack();
    a.mov(RAX, ptr(process, ProcessRecord.USER_CR3));
    a.mov(rip(k.entry.userCr3), RAX);
    a.mov(RAX, ptr(process, ProcessRecord.CR3));
    a.mov(rip(k.entry.kernelCr3), RAX);
    a.mov(CR3, RAX);
  }

  private void emitYield() {
    Label loop = new Label();
    Label inside = new Label();
    Label found = new Label();
    Label same = new Label();
    a.bind(yield);
    a.mov(RDI, rip(current));
    a.mov(RSI, RDI);
    a.lea(RCX, rip(table, (long) ProcessRecord.SIZE * ProcessRecord.COUNT));
    a.bind(loop);
    a.add(RSI, ProcessRecord.SIZE);
    a.cmp(RSI, RCX);
    a.jb(inside);
    a.lea(RSI, rip(table));
    a.bind(inside);
    a.cmp(ptr(RSI, ProcessRecord.STATE).q(), ProcessRecord.RUNNABLE);
    a.je(found);
    a.cmp(RSI, RDI);
    a.jne(loop);
    k.results.panic("no process can run");
    a.bind(found);
    a.cmp(RSI, RDI);
    a.je(same);
    SWITCHED.forEach(a::push);
    a.mov(ptr(RDI, ProcessRecord.STACK_POINTER), RSP);
    a.mov(rip(current), RSI);
    a.mov(RSP, ptr(RSI, ProcessRecord.STACK_POINTER));
    emitLoadSpace(RSI);
    for (int i = SWITCHED.size() - 1; i >= 0; i--) {
      a.pop(SWITCHED.get(i));
    }
    a.bind(same);
    a.ret();
  }

  private void emitFork() {
    a.bind(fork);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.mov(R12, RCX);
    a.mov(R13, rip(current));
    a.call(allocate);
    a.mov(RBX, RAX);
    a.mov(ptr(RBX, ProcessRecord.PARENT), R13);
    a.mov(RAX, ptr(R13, ProcessRecord.FAULT_HANDLER));
    a.mov(ptr(RBX, ProcessRecord.FAULT_HANDLER), RAX);
    a.mov(RDI, R13);
    a.mov(RSI, RBX);
    a.call(k.forkCopy.copy);
    // The child's stack: what a switch pops, a return address, and the parent's frame with another result.
    stackTop(RBX);
    a.lea(RDX, ptr(RAX, -TrapFrame.SIZE));
    a.mov(RDI, RDX);
    a.mov(RSI, R12);
    a.mov(ECX, TrapFrame.QUADWORDS);
    a.rep().movsq();
    a.mov(ptr(RDX, TrapFrame.RAX_OFFSET).q(), 0);
    a.lea(RCX, rip(k.entry.trapReturn));
    a.mov(ptr(RDX, -8), RCX);
    a.lea(RDX, ptr(RDX, -8L * (SWITCHED.size() + 1)));
    a.mov(ptr(RBX, ProcessRecord.STACK_POINTER), RDX);
    a.mov(RDI, RDX);
    a.mov(ECX, SWITCHED.size());
    a.xor(EAX, EAX);
    a.rep().stosq();
    a.mov(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.RUNNABLE);
    a.mov(RAX, ptr(RBX, ProcessRecord.NUMBER));
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  private void emitExit() {
    Label child = new Label();
    a.bind(exit);
    a.mov(RBX, rip(current));
    a.cmp(ptr(RBX, ProcessRecord.NUMBER).q(), 1);
    a.jne(child);
    a.jmp(k.results.finish);
    a.bind(child);
    a.mov(ptr(RBX, ProcessRecord.EXIT_CODE), RDI);
    a.mov(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.ZOMBIE);
    a.lea(RAX, GuestKernel.physical(k.tables.kernelPml4, 0));
    a.mov(CR3, RAX);
    a.mov(RDI, RBX);
    a.call(k.spaces.destroy);
    a.call(yield);
    k.results.panic("an ended process runs");
  }

  private void emitWait() {
    Label again = new Label();
    Label loop = new Label();
    Label next = new Label();
    Label none = new Label();
    a.bind(wait);
    a.push(RBX);
    a.push(R12);
    a.bind(again);
    a.lea(RBX, rip(table));
    a.mov(ECX, ProcessRecord.COUNT);
    a.xor(R12D, R12D);
    a.mov(RDX, rip(current));
    a.bind(loop);
    a.cmp(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.FREE);
    a.je(next);
    a.cmp(ptr(RBX, ProcessRecord.PARENT), RDX);
    a.jne(next);
    a.inc(R12D);
    a.cmp(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.ZOMBIE);
    a.jne(next);
    a.mov(ptr(RBX, ProcessRecord.STATE).q(), ProcessRecord.FREE);
    a.mov(RDI, ptr(RBX, ProcessRecord.KERNEL_STACK));
    a.call(k.frames.release);
    a.mov(RAX, ptr(RBX, ProcessRecord.EXIT_CODE));
    a.pop(R12);
    a.pop(RBX);
    a.ret();
    a.bind(next);
    a.add(RBX, ProcessRecord.SIZE);
    a.dec(ECX);
    a.jne(loop);
    a.test(R12D, R12D);
    a.je(none);
    a.call(yield);
    a.jmp(again);
    a.bind(none);
    a.mov(RAX, -1);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }
}
