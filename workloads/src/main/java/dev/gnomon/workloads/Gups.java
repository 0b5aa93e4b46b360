package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;
import org.eclipse.collections.impl.map.mutable.primitive.IntLongHashMap;

/**
 * Random updates of a large table (HPC Challenge's RandomAccess, "giga-updates per second"): TLB misses without
 * page-table work. The table is touched before the measured region. The result is the sum of all values that an update
 * found.
 */
final class Gups implements Workload {
  static final int ENTRY_BYTES = 8;

  @Override
  public String name() {
    return "gups";
  }

  @Override
  public String description() {
    return "random read-modify-writes of a large table: TLB misses, no page-table changes";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 16 << 20, 1 << 12, 1 << 30, "size of the table"),
        PageSize.parameter(),
        Parameter.count("updates", 200_000, 1, 1_000_000_000, "updates in the measured region"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int updates = values.count("updates");
    long seed = values.number("seed");
    Program program = Program.user(code -> emit(code, size, page, updates, seed));
    long expected = result(size, updates, seed);
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, long size, PageSize page, int updates, long seed) {
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    TouchAll.emitTouch(code.a, size, page);
    code.regionBegin();
    code.a.mov(RSI, seed);
    code.a.xor(EBX, EBX);
    emitUpdates(code.a, size, updates);
    code.regionEnd();
  }

  /** Updates: RSI is the generator's state, RBX the sum. Clobbers RAX, RCX, RDX, R8, R9, R10. */
  static void emitUpdates(Assembler a, long size, int updates) {
    Lcg.emitConstants(a, R8, R9);
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, updates);
    Label loop = a.here();
    Lcg.emitNext(a, RSI, R8, R9);
    Lcg.emitIndex(a, RAX, RSI, (int) (size / ENTRY_BYTES));
    a.mov(R10, ptr(RDX, RAX, 8));
    a.add(RBX, R10);
    a.xor(R10, RSI);
    a.mov(ptr(RDX, RAX, 8), R10);
    a.dec(ECX);
    a.jne(loop);
  }

  /** The same in Java: what that many updates of a table of zeros find, in all. */
  static long result(long size, long updates, long seed) {
    IntLongHashMap entries = new IntLongHashMap();
    long state = seed;
    long sum = 0;
    for (long i = 0; i < updates; i++) {
      state = Lcg.next(state);
      int index = (int) Lcg.index(state, size / ENTRY_BYTES);
      long found = entries.get(index);
      sum += found;
      entries.put(index, found ^ state);
    }
    return sum;
  }
}
