package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * Allocate a chunk of memory, touch each page, free it, over and over. With {@code frames=recycled} the kernel hands
 * out what was just freed; with {@code fresh} it takes frames never used before while there are any, which the
 * hypervisor has to back. Each page must be found zero; random numbers are left in them. The result is the sum of those
 * numbers and of all that was found.
 */
final class PfLoop implements Workload {
  @Override
  public String name() {
    return "pfloop";
  }

  @Override
  public String description() {
    return "allocate, touch, free: page faults on fresh or recycled pages";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 256 << 10, 1 << 12, 1 << 29, "size of the chunk"),
        PageSize.parameter(),
        Parameter.choice("frames", "which frames are handed out", "recycled", "fresh"),
        Parameter.count("iterations", 30, 1, 1_000_000, "chunks, one after the other"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int iterations = values.count("iterations");
    long seed = values.number("seed");
    boolean fresh = values.choice("frames").equals("fresh");
    long expected = randomSum(seed, iterations * page.pages(size));
    Program program = Program.user(code -> {
      code.regionBegin();
      code.a.mov(R13, seed);
      code.a.xor(EBX, EBX);
      code.a.mov(R12D, iterations);
      Label loop = code.a.here();
      emitChunk(code, KernelLayout.USER_HEAP, size, page);
      code.a.dec(R12D);
      code.a.jne(loop);
      code.regionEnd();
    });
    // Beyond a quarter of a gibibyte the kernel runs out of fresh frames and recycles.
    long frames = fresh ? Math.max(size, Math.min(size * iterations, 1 << 28)) : size;
    KernelOptions options = KernelOptions.defaults().withFreshFrames(fresh);
    return GuestProgram.of(this, values, options, program, expected, MachineMemory.forFrames(frames));
  }

  /**
   * Maps a chunk, adds what is in its pages to RBX, leaves random numbers there and adds those too, and unmaps it. R13
   * is the generator's state. Clobbers RAX, RCX, RDX, RSI, RDI, R8 to R11.
   */
  static void emitChunk(UserCode code, long address, long size, PageSize page) {
    Assembler a = code.a;
    code.map(address, size, page.areaFlags());
    code.checkCall();
    Lcg.emitConstants(a, R8, R9);
    a.mov(RDX, address);
    a.mov(ECX, page.pages(size));
    Label loop = a.here();
    a.add(RBX, ptr(RDX));
    Lcg.emitNext(a, R13, R8, R9);
    a.mov(ptr(RDX), R13);
    a.add(RBX, R13);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
    code.unmap(address, size);
    code.checkCall();
  }

  /** Sum of the generator's next numbers. */
  static long randomSum(long seed, long count) {
    long state = seed;
    long sum = 0;
    for (long i = 0; i < count; i++) {
      state = Lcg.next(state);
      sum += state;
    }
    return sum;
  }
}
