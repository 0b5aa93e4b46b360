package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.Areas;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * Maps a file that is in memory already, reads some of its pages, unmaps it: page-table changes without page faults or
 * zeroing. Page i of the file starts with i + 1; the result is the sum of what was read. The file has 4K pages.
 */
final class MapUnmap implements Workload {
  private static final int MAX_BYTES = 4 << 20;

  @Override
  public String name() {
    return "mmap";
  }

  @Override
  public String description() {
    return "map a file's pages, read a few, unmap";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 128 << 10, 1 << 12, MAX_BYTES, "size of the mapping, in whole pages"),
        Parameter.count("reads", 8, 1, 1_000_000, "random pages read while it is mapped"),
        Parameter.count("iterations", 300, 1, 10_000_000, "mappings, one after the other"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    long size = PageSize.SIZE_4K.roundUp(values.number("size"));
    int pages = (int) PageSize.SIZE_4K.pages(size);
    int reads = values.count("reads");
    int iterations = values.count("iterations");
    long seed = values.number("seed");
    long expected = result(pages, reads, iterations, seed);
    Program program = Program.user(code -> emit(code, size, pages, reads, iterations, seed));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, long size, int pages, int reads, int iterations, long seed) {
    Assembler a = code.a;
    // Once before it counts, so that the file is in memory.
    code.map(KernelLayout.USER_HEAP, size, Areas.FILE);
    code.checkCall();
    code.unmap(KernelLayout.USER_HEAP, size);
    code.regionBegin();
    a.mov(R12D, iterations);
    a.mov(R13, seed);
    a.xor(EBX, EBX);
    Label loop = a.here();
    code.map(KernelLayout.USER_HEAP, size, Areas.FILE);
    Lcg.emitConstants(a, R8, R9);
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, reads);
    Label read = a.here();
    Lcg.emitNext(a, R13, R8, R9);
    Lcg.emitIndex(a, RAX, R13, pages);
    a.shl(RAX, 12);
    a.add(RBX, ptr(RDX, RAX, 1));
    a.dec(ECX);
    a.jne(read);
    code.unmap(KernelLayout.USER_HEAP, size);
    code.checkCall();
    a.dec(R12D);
    a.jne(loop);
    code.regionEnd();
  }

  private static long result(int pages, int reads, int iterations, long seed) {
    long state = seed;
    long sum = 0;
    for (long i = 0; i < (long) reads * iterations; i++) {
      state = Lcg.next(state);
      sum += Lcg.index(state, pages) + 1;
    }
    return sum;
  }
}
