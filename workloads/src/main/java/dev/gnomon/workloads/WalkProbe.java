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
 * Touches one address after each flush of the TLB, to count what a cold walk costs. Code and data lie in two pages of
 * one size, so that all misses in the measured region are alike (but for a 1G page under a hypervisor, which maps it by
 * what backs it): with {@code flush=cr3} two in an iteration, one to fetch and one to load; with {@code flush=invlpg}
 * one. Memory references per miss, with no walk caches: 4, 3, 2 natively for 4K, 2M, 1G. Runs in the kernel.
 */
final class WalkProbe implements Workload {
  private static final long ENTRY = PageTableEntry.P | PageTableEntry.RW | PageTableEntry.A | PageTableEntry.D;
  private static final long GIB = 1L << 30;
  private static final long CODE_WINDOW = KernelLayout.WINDOW;
  private static final long DATA_WINDOW = KernelLayout.WINDOW + GIB;
  private static final int PML4_ENTRY = 8 * (int) (KernelLayout.WINDOW >>> 39 & 511);
  /** What is copied of the code: the loop and some of what follows. */
  private static final int LOOP_BYTES = 32;
  private static final int VALUE = 3;
  private static final List<Long> SIZES = List.of(1L << 12, 1L << 21, GIB);

  @Override
  public String name() {
    return "walkprobe";
  }

  @Override
  public String description() {
    return "touch one address after each TLB flush: the cost of a cold page walk";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.choice("page", "page size of the code and the data", "4k", "2m", "1g"),
        Parameter.choice("flush", "how the TLB is emptied", "cr3", "invlpg"),
        Parameter.count("iterations", 100_000, 1, 1_000_000_000, "flushes"));
  }

  @Override
  public GuestProgram build(Parameters values) {
    int level = values.count("page") + 1;
    boolean cr3 = values.choice("flush").equals("cr3");
    int iterations = values.count("iterations");
    long expected = (long) VALUE * iterations;
    Program program = Program.kernel(code -> emit(code, level, cr3, iterations));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(level == 1 ? 0 : 4 << 20));
  }

  private static void emit(KernelModeCode code, int level, boolean cr3, int iterations) {
    Assembler a = code.a;
    Label loop = new Label("walkprobe_loop");
    Label back = new Label();
    if (level == 3) {
      emitPdpt(code);
    }
    emitAllocate(code, level);
    a.mov(RDX, RAX);
    a.lea(RSI, rip(loop));
    a.lea(RDI, ptr(R15, RAX, 1));
    a.mov(ECX, LOOP_BYTES);
    a.rep().movsb();
    a.mov(RAX, RDX);
    emitMap(code, CODE_WINDOW, level);
    a.mov(R14, RAX);
    emitAllocate(code, level);
    a.mov(ptr(R15, RAX, 1).q(), VALUE);
    emitMap(code, DATA_WINDOW, level);
    a.mov(R13, RAX);
    code.regionBegin();
    a.mov(RSI, R13);
    a.mov(ECX, iterations);
    a.xor(EBX, EBX);
    a.lea(R11, rip(back));
    a.jmp(R14);

    a.bind(loop);
    if (cr3) {
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
    } else {
      a.invlpg(ptr(RSI));
    }
    a.add(RBX, ptr(RSI));
    a.dec(ECX);
    a.jne(loop);
    a.jmp(R11);
    a.bind(back);
    a.nop(LOOP_BYTES);
    code.regionEnd();
  }

  /** A frame for code or data, without page tables near it: those would make shadow paging map it by smaller pages. */
  private static void emitAllocate(KernelModeCode code, int level) {
    if (level == 1) {
      code.allocateZeroed();
    } else {
      code.allocate2M();
    }
  }

  /** Gives the window a PDPT. */
  private static void emitPdpt(KernelModeCode code) {
    Assembler a = code.a;
    code.allocateZeroed();
    a.mov(RBP, RAX);
    a.or(RAX, PageTableEntry.P | PageTableEntry.RW);
    a.mov(RCX, RAX);
    code.kernelPml4();
    a.mov(ptr(R15, RAX, 1, PML4_ENTRY), RCX);
  }

  /**
   * Maps the page around the physical address in RAX at a window's start; the address's linear counterpart comes back
   * in RAX. Level 3: RBP is the PDPT.
   */
  private static void emitMap(KernelModeCode code, long window, int level) {
    Assembler a = code.a;
    int size = (int) (long) SIZES.get(level - 1);
    a.mov(RBX, RAX);
    a.mov(R12, window);
    if (level == 3) {
      a.lea(RAX, ptr(RBP, 8 * (window >>> 30 & 511)));
    } else {
      a.mov(RSI, R12);
      code.entryFor(level);
    }
    a.mov(RCX, RBX);
    a.and(RCX, -size);
    a.or(RCX, ENTRY | (level == 1 ? 0 : PageTableEntry.PS));
    a.mov(ptr(R15, RAX, 1), RCX);
    a.and(EBX, size - 1);
    a.lea(RAX, ptr(RBX, R12, 1));
  }
}
