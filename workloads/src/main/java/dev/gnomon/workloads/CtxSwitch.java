package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.SystemCall;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * Processes that yield to each other in turn, each with its own pages to touch between. Every process adds its number
 * to each of its pages, each time; at the end it checks them, and the result is the sum of the numbers of the processes
 * that found theirs right. A timer, if asked for, switches too.
 */
final class CtxSwitch implements Workload {
  @Override
  public String name() {
    return "ctxswitch";
  }

  @Override
  public String description() {
    return "processes that yield in turn: CR3 loads, with and without PCIDs";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.count("processes", 4, 1, 16, "processes"),
        Parameter.size("size", 64 << 10, 1 << 12, 1 << 28, "memory that each touches between switches"),
        PageSize.parameter(),
        Parameter.count("switches", 1500, 1, 100_000_000, "yields of each process in the measured region"),
        Parameter.onOff("pcid", false, "process-context identifiers"),
        Parameter.count("hz", 0, 0, KernelOptions.MAX_HZ, "rate of a preempting timer, 0 for none"));
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    int processes = values.count("processes");
    int switches = values.count("switches");
    long size = page.roundUp(values.number("size"));
    KernelOptions options = KernelOptions.defaults().withPcid(values.on("pcid")).withTimer(values.count("hz"), true);
    long expected = (long) processes * (processes + 1) / 2;
    Program program = Program.user(code -> emit(code, page, size, processes, switches));
    return GuestProgram.of(this, values, options, program, expected, MachineMemory.forFrames(size * processes));
  }

  /** R12: this process's number; R13: children left; RBP: yields left. */
  private static void emit(UserCode code, PageSize page, long size, int processes, int switches) {
    Assembler a = code.a;
    Label child = new Label();
    Label done = new Label();
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    if (processes > 1) {
      a.mov(R13D, processes - 1);
      Label fork = a.here();
      code.call(SystemCall.FORK);
      a.test(RAX, RAX);
      a.je(child);
      a.dec(R13D);
      a.jne(fork);
    }
    // A first round in which each process gets its pages; the parent comes back to it when all have.
    code.call(SystemCall.GETPID);
    a.mov(R12, RAX);
    emitAdd(a, page, size);
    code.call(SystemCall.YIELD);
    code.regionBegin();
    emitYields(code, page, size, switches);
    code.regionEnd();
    emitCheck(a, page, size, switches);
    if (processes > 1) {
      a.mov(R13D, processes - 1);
      Label wait = a.here();
      code.call(SystemCall.WAIT);
      a.add(RBX, RAX);
      a.dec(R13D);
      a.jne(wait);
    }
    a.jmp(done);

    a.bind(child);
    code.call(SystemCall.GETPID);
    a.mov(R12, RAX);
    emitAdd(a, page, size);
    code.call(SystemCall.YIELD);
    emitYields(code, page, size, switches);
    emitCheck(a, page, size, switches);
    a.mov(RDI, RBX);
    code.call(SystemCall.EXIT);
    a.bind(done);
  }

  private static void emitYields(UserCode code, PageSize page, long size, int switches) {
    code.a.mov(EBP, switches);
    Label loop = code.a.here();
    emitAdd(code.a, page, size);
    code.call(SystemCall.YIELD);
    code.a.dec(EBP);
    code.a.jne(loop);
  }

  private static void emitAdd(Assembler a, PageSize page, long size) {
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, page.pages(size));
    Label loop = a.here();
    a.add(ptr(RDX), R12);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
  }

  /** RBX: the process's number if each page holds what it should, else 0. */
  private static void emitCheck(Assembler a, PageSize page, long size, int switches) {
    Label wrong = new Label();
    a.imul(RAX, R12, switches + 1);
    a.xor(EBX, EBX);
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, page.pages(size));
    Label loop = a.here();
    a.cmp(ptr(RDX), RAX);
    a.jne(wrong);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
    a.mov(RBX, R12);
    a.bind(wrong);
  }
}
