package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import java.util.List;

/**
 * First touch of every page of a heap: nothing but page faults, zeroing and the construction of page tables. A random
 * number goes into each page; the result is their sum, read back after the measured region.
 */
final class TouchAll implements Workload {
  @Override
  public String name() {
    return "touchall";
  }

  @Override
  public String description() {
    return "first touch of every page of a heap: page faults and page-table construction";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 8 << 20, 1 << 12, 1 << 30, "size of the heap"),
        PageSize.parameter(),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int pages = (int) page.pages(size);
    long seed = values.number("seed");
    long expected = PfLoop.randomSum(seed, pages);
    Program program = Program.user(code -> {
      code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
      code.checkCall();
      code.regionBegin();
      emitFill(code.a, pages, page, seed);
      code.regionEnd();
      code.a.xor(EBX, EBX);
      emitSum(code.a, pages, page);
    });
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size));
  }

  /** Adds a random number to the first quadword of each page of the heap; clobbers RCX, RDX, RSI, R8, R9. */
  static void emitFill(Assembler a, int pages, PageSize page, long seed) {
    Lcg.emitConstants(a, R8, R9);
    a.mov(RSI, seed);
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, pages);
    Label loop = a.here();
    Lcg.emitNext(a, RSI, R8, R9);
    a.add(ptr(RDX), RSI);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
  }

  /** Adds the first quadword of each page to RBX; clobbers RCX, RDX. */
  static void emitSum(Assembler a, int pages, PageSize page) {
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, pages);
    Label loop = a.here();
    a.add(RBX, ptr(RDX));
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
  }

  /** Writes to each page of the heap and changes nothing, so that all of it is mapped; clobbers RCX and RDX. */
  static void emitTouch(Assembler a, long size, PageSize page) {
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, page.pages(size));
    Label loop = a.here();
    a.add(ptr(RDX).b(), 0);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
  }
}
