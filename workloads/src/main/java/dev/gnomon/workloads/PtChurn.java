package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelModeCode;
import dev.gnomon.workloads.kernel.Program;
import java.util.List;

/**
 * Remaps pages of a window at random: rewrite the entry, INVLPG, touch. Runs in the kernel. Each frame holds its
 * number; the result is the sum of what the touches found, each multiplied by the step.
 */
final class PtChurn implements Workload {
  private static final long ENTRY = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.A | PageTableEntry.D;
  private static final int MAX_FRAMES = 4096;

  @Override
  public String name() {
    return "ptchurn";
  }

  @Override
  public String description() {
    return "rewrite a page-table entry, INVLPG, touch the page, over and over";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.count("pages", 64, 1, 4096, "pages of the window"),
        Parameter.count("frames", 16, 1, MAX_FRAMES, "frames to map there"),
        PageSize.parameter(),
        Parameter.count("iterations", 100_000, 1, 1_000_000_000, "remappings"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    int pages = values.count("pages");
    int frames = values.count("frames");
    int iterations = values.count("iterations");
    long seed = values.number("seed");
    long memory = (long) frames * page.bytes;
    if (memory > 1L << 30) {
      throw new IllegalArgumentException(
          "workload ptchurn: frames=" + frames + ": expected at most 512 with page=2m");
    }
    long expected = result(pages, frames, iterations, seed);
    Program program = Program.kernel(code -> emit(code, page, pages, frames, iterations, seed));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(memory));
  }

  private static void emit(KernelModeCode code, PageSize page, int pages, int frames, int iterations, long seed) {
    Assembler a = code.a;
    Label frameTable = code.variable("churn_frames", 8 * MAX_FRAMES);
    Label entryTable = code.variable("churn_entries", 8 * 4096);
    emitFrames(code, page, frames, frameTable);
    emitEntries(code, page, pages, entryTable);
    code.regionBegin();
    Lcg.emitConstants(a, R8, R9);
    a.lea(R10, rip(frameTable));
    a.lea(R11, rip(entryTable));
    a.mov(R12, seed);
    a.mov(R13, KernelLayout.WINDOW);
    a.mov(ECX, iterations);
    a.xor(EBX, EBX);
    Label loop = a.here();
    Lcg.emitNext(a, R12, R8, R9);
    Lcg.emitIndex(a, RAX, R12, pages);
    Lcg.emitNext(a, R12, R8, R9);
    Lcg.emitIndex(a, RDX, R12, frames);
    a.mov(RDI, ptr(R10, RDX, 8));
    a.mov(RSI, ptr(R11, RAX, 8));
    a.mov(ptr(R15, RSI, 1), RDI);
    a.shl(RAX, page.bytes == 1 << 12 ? 12 : 21);
    a.add(RAX, R13);
    a.invlpg(ptr(RAX));
    a.mov(RDX, ptr(RAX));
    a.imul(RDX, RCX);
    a.add(RBX, RDX);
    a.dec(ECX);
    a.jne(loop);
    code.regionEnd();
  }

  /** Fills the table with entries for frames that hold their numbers. */
  private static void emitFrames(KernelModeCode code, PageSize page, int frames, Label table) {
    Assembler a = code.a;
    a.lea(R12, rip(table));
    a.xor(EBX, EBX);
    Label loop = a.here();
    if (page == PageSize.SIZE_4K) {
      code.allocateZeroed();
    } else {
      code.allocate2M();
    }
    a.mov(ptr(R15, RAX, 1), RBX);
    a.or(RAX, ENTRY | (page == PageSize.SIZE_2M ? PageTableEntry.PS : 0));
    a.mov(ptr(R12, RBX, 8), RAX);
    a.inc(RBX);
    a.cmp(RBX, frames);
    a.jb(loop);
  }

  /** Fills the table with the physical addresses of the window's entries. */
  private static void emitEntries(KernelModeCode code, PageSize page, int pages, Label table) {
    Assembler a = code.a;
    a.lea(R12, rip(table));
    a.mov(R13, KernelLayout.WINDOW);
    a.xor(EBX, EBX);
    Label loop = a.here();
    a.mov(RSI, R13);
    code.entryFor(page.level());
    a.mov(ptr(R12, RBX, 8), RAX);
    a.add(R13, page.bytes);
    a.inc(RBX);
    a.cmp(RBX, pages);
    a.jb(loop);
  }

  private static long result(int pages, int frames, int iterations, long seed) {
    long state = seed;
    long sum = 0;
    for (long step = iterations; step > 0; step--) {
      state = Lcg.next(Lcg.next(state));
      sum += Lcg.index(state, frames) * step;
    }
    return sum;
  }
}
