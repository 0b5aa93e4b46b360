package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.SystemCall;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.ArrayList;
import java.util.List;

/**
 * The shortest system call over and over, with a few pages read between calls; as {@code kpti} with page-table
 * isolation, which loads CR3 twice a call. The result is the number of calls, counted by their results, and the sum of
 * the pages, each time.
 */
final class SystemCallLoop implements Workload {
  private final boolean isolation;

  SystemCallLoop(boolean isolation) {
    this.isolation = isolation;
  }

  @Override
  public String name() {
    return isolation ? "kpti" : "syscall";
  }

  @Override
  public String description() {
    return isolation ? "system calls with page-table isolation: two CR3 loads a call"
        : "system calls without page-table isolation";
  }

  @Override
  public List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(List.of(
        Parameter.count("calls", 20_000, 1, 1_000_000_000, "system calls"),
        Parameter.size("size", 16 << 10, 1 << 12, 1 << 28, "memory whose pages are read between calls"),
        PageSize.parameter()));
    if (isolation) {
      parameters.add(Parameter.onOff("pcid", false, "process-context identifiers, so that CR3 loads flush nothing"));
    }
    parameters.add(Parameter.seed());
    return List.copyOf(parameters);
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int pages = (int) page.pages(size);
    int calls = values.count("calls");
    long seed = values.number("seed");
    long expected = calls * (1 + PfLoop.randomSum(seed, pages));
    KernelOptions options = KernelOptions.defaults().withIsolation(isolation).withPcid(isolation && values.on("pcid"));
    Program program = Program.user(code -> emit(code, page, size, pages, calls, seed));
    return GuestProgram.of(this, values, options, program, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, PageSize page, long size, int pages, int calls, long seed) {
    Assembler a = code.a;
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    TouchAll.emitFill(a, pages, page, seed);
    code.regionBegin();
    a.mov(R12D, calls);
    a.xor(EBX, EBX);
    Label loop = a.here();
    code.call(SystemCall.GETPID);
    a.add(RBX, RAX);
    TouchAll.emitSum(a, pages, page);
    a.dec(R12D);
    a.jne(loop);
    code.regionEnd();
  }
}
