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
 * Fork, copy-on-write in the child, exit, wait, and writes in the parent, over and over. The child adds 2 to its first
 * pages and exits with the sum of all; then the parent adds 1 to the same pages. The result is the sum of the
 * children's sums and the parent's last.
 */
final class ForkCow implements Workload {
  private static final int CHILD_ADDS = 2;

  @Override
  public String name() {
    return "forkcow";
  }

  @Override
  public String description() {
    return "fork, copy-on-write in the child, exit, wait";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 512 << 10, 1 << 12, 1 << 29, "memory that is shared by fork"),
        PageSize.parameter(),
        Parameter.count("writes", 32, 0, 1 << 20, "pages that each side writes, at most all"),
        Parameter.count("iterations", 20, 1, 1_000_000, "forks"),
        Parameter.onOff("pcid", false, "process-context identifiers"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int pages = (int) page.pages(size);
    int writes = Math.min(pages, values.count("writes"));
    int iterations = values.count("iterations");
    long seed = values.number("seed");
    long expected = result(pages, writes, iterations, seed);
    Program program = Program.user(code -> emit(code, page, pages, writes, iterations, seed));
    KernelOptions options = KernelOptions.defaults().withPcid(values.on("pcid"));
    return GuestProgram.of(this, values, options, program, expected, MachineMemory.forFrames(2 * size));
  }

  private static void emit(UserCode code, PageSize page, int pages, int writes, int iterations, long seed) {
    Assembler a = code.a;
    Label parent = new Label();
    code.map(KernelLayout.USER_HEAP, (long) pages * page.bytes, page.areaFlags());
    code.checkCall();
    TouchAll.emitFill(a, pages, page, seed);
    code.regionBegin();
    a.mov(R12D, iterations);
    a.xor(EBX, EBX);
    Label loop = a.here();
    code.call(SystemCall.FORK);
    code.checkCall();
    a.test(RAX, RAX);
    a.jne(parent);
    emitAdd(a, page, writes, CHILD_ADDS);
    a.xor(EBX, EBX);
    TouchAll.emitSum(a, pages, page);
    a.mov(RDI, RBX);
    code.call(SystemCall.EXIT);
    a.bind(parent);
    code.call(SystemCall.WAIT);
    a.add(RBX, RAX);
    emitAdd(a, page, writes, 1);
    a.dec(R12D);
    a.jne(loop);
    code.regionEnd();
    TouchAll.emitSum(a, pages, page);
  }

  private static void emitAdd(Assembler a, PageSize page, int writes, int value) {
    if (writes == 0) {
      return;
    }
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, writes);
    Label loop = a.here();
    a.add(ptr(RDX).q(), value);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
  }

  private static long result(int pages, int writes, int iterations, long seed) {
    long parent = PfLoop.randomSum(seed, pages);
    long sum = 0;
    for (int i = 0; i < iterations; i++) {
      sum += parent + (long) CHILD_ADDS * writes;
      parent += writes;
    }
    return sum + parent;
  }
}
