package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * Bursts of page-table work ({@code pfloop}) and of TLB misses ({@code gups}) in turn, so that neither static choice of
 * paging suits the whole run. The result is the sum of both results.
 */
final class Phases implements Workload {
  /** The chunk lies behind the largest table. */
  private static final long CHUNK = KernelLayout.USER_HEAP + (2L << 30);

  @Override
  public String name() {
    return "phases";
  }

  @Override
  public String description() {
    return "bursts of page-table work and of TLB misses in turn";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 8 << 20, 1 << 12, 1 << 30, "size of the table for updates"),
        PageSize.parameter(),
        Parameter.count("rounds", 4, 1, 100_000, "bursts of each kind"),
        Parameter.size("chunk", 128 << 10, 1 << 12, 1 << 28, "chunk that is allocated, touched and freed; 4K pages"),
        Parameter.count("chunks", 4, 1, 100_000, "chunks in a burst"),
        Parameter.count("updates", 40_000, 1, 100_000_000, "table updates in a burst"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    long chunk = PageSize.SIZE_4K.roundUp(values.number("chunk"));
    int rounds = values.count("rounds");
    int chunks = values.count("chunks");
    int updates = values.count("updates");
    long seed = values.number("seed");
    long expected = PfLoop.randomSum(seed, PageSize.SIZE_4K.pages(chunk) * chunks * rounds)
        + Gups.result(size, (long) rounds * updates, seed);
    Program program = Program.user(code -> emit(code, page, size, rounds, chunk, chunks, updates, seed));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size + chunk));
  }

  /** R12: rounds left; RBP: chunks left; R13 and R14: state of the generators of chunks and of updates. */
  private static void emit(UserCode code, PageSize page, long size, int rounds, long chunk, int chunks, int updates,
      long seed) {
    Assembler a = code.a;
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    TouchAll.emitTouch(a, size, page);
    code.regionBegin();
    a.mov(R12D, rounds);
    a.mov(R13, seed);
    a.mov(R14, R13);
    a.xor(EBX, EBX);
    Label round = a.here();
    a.mov(EBP, chunks);
    Label next = a.here();
    PfLoop.emitChunk(code, CHUNK, chunk, PageSize.SIZE_4K);
    a.dec(EBP);
    a.jne(next);
    a.mov(RSI, R14);
    Gups.emitUpdates(a, size, updates);
    a.mov(R14, RSI);
    a.dec(R12D);
    a.jne(round);
    code.regionEnd();
  }
}
