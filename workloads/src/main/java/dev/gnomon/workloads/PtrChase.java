package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * A chain of dependent loads along one random cycle through all nodes (Sattolo's algorithm): each load waits for the
 * one before. The cycle is built before the measured region. The result is the sum of all addresses loaded.
 */
final class PtrChase implements Workload {
  private static final int NODE_BYTES = 8;

  @Override
  public String name() {
    return "ptrchase";
  }

  @Override
  public String description() {
    return "dependent loads along a random cycle: the latency of TLB misses";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 16 << 20, 1 << 12, 1 << 30, "memory that the nodes are spread over"),
        PageSize.parameter(),
        Parameter.size("stride", 512, 64, 1 << 21, "distance from node to node"),
        Parameter.count("loads", 300_000, 1, 1_000_000_000, "loads in the measured region"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int stride = values.count("stride");
    int loads = values.count("loads");
    long seed = values.number("seed");
    if (stride % NODE_BYTES != 0) {
      throw new IllegalArgumentException(
          "workload ptrchase: stride=" + stride + ": expected a multiple of " + NODE_BYTES);
    }
    int nodes = (int) (size / stride);
    if (nodes < 2) {
      throw new IllegalArgumentException(
          "workload ptrchase: stride=" + stride + ": expected at most half of the size, " + size);
    }
    long expected = result(nodes, stride, loads, seed);
    Program program = Program.user(code -> emit(code, page, size, nodes, stride, loads, seed));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, PageSize page, long size, int nodes, int stride, int loads, long seed) {
    Assembler a = code.a;
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    a.mov(R12, KernelLayout.USER_HEAP);
    a.mov(RDX, R12);
    a.mov(ECX, nodes);
    Label self = a.here();
    a.mov(ptr(RDX), RDX);
    a.add(RDX, stride);
    a.dec(ECX);
    a.jne(self);

    // RDX is behind the last node; node i, from the last down to 1, trades places with one before it.
    Lcg.emitConstants(a, R8, R9);
    a.mov(RSI, seed);
    a.mov(ECX, nodes - 1);
    a.sub(RDX, stride);
    Label shuffle = a.here();
    Lcg.emitNext(a, RSI, R8, R9);
    a.mov(RAX, RSI);
    a.shr(RAX, 32);
    a.imul(RAX, RCX);
    a.shr(RAX, 32);
    a.imul(RAX, RAX, stride);
    a.mov(RDI, ptr(R12, RAX, 1));
    a.mov(R10, ptr(RDX));
    a.mov(ptr(RDX), RDI);
    a.mov(ptr(R12, RAX, 1), R10);
    a.sub(RDX, stride);
    a.dec(ECX);
    a.jne(shuffle);

    code.regionBegin();
    a.mov(RAX, R12);
    a.mov(ECX, loads);
    a.xor(EBX, EBX);
    Label chase = a.here();
    a.mov(RAX, ptr(RAX));
    a.add(RBX, RAX);
    a.dec(ECX);
    a.jne(chase);
    code.regionEnd();
  }

  private static long result(int nodes, int stride, int loads, long seed) {
    int[] next = new int[nodes];
    for (int i = 0; i < nodes; i++) {
      next[i] = i;
    }
    long state = seed;
    for (int i = nodes - 1; i > 0; i--) {
      state = Lcg.next(state);
      int j = (int) Lcg.index(state, i);
      int swapped = next[i];
      next[i] = next[j];
      next[j] = swapped;
    }
    long sum = 0;
    int node = 0;
    for (int i = 0; i < loads; i++) {
      node = next[node];
      sum += KernelLayout.USER_HEAP + (long) node * stride;
    }
    return sum;
  }
}
