package dev.gnomon.guest.asm;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole families of instructions with every size, register and form of operand, judged by the host's disassembler. */
class OperandFormsTest {

  private static final int[] SCALES = {1, 2, 4, 8};

  @ParameterizedTest
  @EnumSource(AluOp.class)
  void shouldEncodeEveryFormOfTheTwoOperandOperations(AluOp op) {
    String name = nameOf(op);
    for (int bits : new int[] {16, 32, 64}) {
      InstructionTable table = new InstructionTable(bits);
      for (Reg reg : generalRegisters(bits)) {
        int size = reg.size();
        Mem mem = Mem.ptr(addressRegister(bits), 0x12);
        table.row(name + " " + nameOf(reg) + "," + textOf(mem, size), a -> a.alu(op, reg, mem));
        table.row(name + " " + textOf(mem, size) + "," + nameOf(reg), a -> a.alu(op, mem, reg));
        for (long value : new long[] {0, 1, 0x7F, -0x80, -1}) {
          table.row(name + " " + nameOf(reg) + "," + immediate(value, size), a -> a.alu(op, reg, value));
          table.row(name + " " + textOf(mem, size) + "," + immediate(value, size),
              a -> a.alu(op, mem.sized(size), value));
        }
        long wide = size == 1 ? 0xC5 : size == 2 ? 0xFEDC : 0x76543210;
        table.row(name + " " + nameOf(reg) + "," + immediate(wide, size), a -> a.alu(op, reg, wide));
        table.row(name + " " + textOf(mem, size) + "," + immediate(wide, size), a -> a.alu(op, mem.sized(size), wide));
      }
      table.checkAll();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 32, 64})
  void shouldEncodeEveryPairOfRegisters(int bits) {
    InstructionTable table = new InstructionTable(bits);
    for (Reg dst : generalRegisters(bits)) {
      for (Reg src : generalRegisters(bits)) {
        boolean highWithRex = dst.kind() == Reg.Kind.HIGH_BYTE && src.needsRex()
            || src.kind() == Reg.Kind.HIGH_BYTE && dst.needsRex();
        if (dst.size() == src.size() && !highWithRex) {
          table.row("adc " + nameOf(dst) + "," + nameOf(src), a -> a.adc(dst, src));
        }
      }
    }
    table.checkAll();
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 32, 64})
  void shouldEncodeEveryOperationOfTheOtherFamilies(int bits) {
    InstructionTable table = new InstructionTable(bits);
    Mem mem = Mem.ptr(addressRegister(bits), -0x12);
    for (Reg reg : generalRegisters(bits)) {
      int size = reg.size();
      for (UnaryOp op : UnaryOp.values()) {
        table.row(nameOf(op) + " " + nameOf(reg), a -> a.unary(op, reg));
        table.row(nameOf(op) + " " + textOf(mem, size), a -> a.unary(op, mem.sized(size)));
      }
      for (ShiftOp op : ShiftOp.values()) {
        table.row(nameOf(op) + " " + nameOf(reg) + ",1|" + nameOf(op) + " " + nameOf(reg) + ",0x1",
            a -> a.shift(op, reg, 1));
        table.row(nameOf(op) + " " + nameOf(reg) + ",0x1f", a -> a.shift(op, reg, 31));
        table.row(nameOf(op) + " " + textOf(mem, size) + ",cl", a -> a.shift(op, mem.sized(size), Reg.CL));
      }
      if (size > 1) {
        for (BitTestOp op : BitTestOp.values()) {
          table.row(nameOf(op) + " " + textOf(mem, size) + "," + nameOf(reg), a -> a.bitTest(op, mem, reg));
          table.row(nameOf(op) + " " + nameOf(reg) + ",0xf", a -> a.bitTest(op, reg, 15));
        }
        for (BitScanOp op : BitScanOp.values()) {
          table.row(nameOf(op) + " " + nameOf(reg) + "," + textOf(mem, size), a -> a.bitScan(op, reg, mem));
        }
      }
    }
    table.checkAll();
  }

  @ParameterizedTest
  @EnumSource(Cond.class)
  void shouldEncodeEveryCondition(Cond cond) {
    for (int bits : new int[] {16, 32, 64}) {
      InstructionTable table = new InstructionTable(bits);
      table.row("j" + nameOf(cond) + " $", a -> a.jcc(cond, a.here()));
      table.row("j" + nameOf(cond) + " $", a -> a.jccShort(cond, a.here()));
      for (Reg reg : generalRegisters(bits)) {
        if (reg.size() == 1) {
          table.row("set" + nameOf(cond) + " " + nameOf(reg), a -> a.set(cond, reg));
        } else {
          table.row("cmov" + nameOf(cond) + " " + nameOf(reg) + "," + nameOf(reg), a -> a.cmov(cond, reg, reg));
        }
      }
      table.checkAll();
    }
  }

  @AddLifecycleHook(HostTool.NeedsObjdump.class)
  @Property(tries = 20, shrinking = ShrinkingMode.BOUNDED)
  void shouldEncode64BitAddressing(@ForAll("addresses64") @Size(200) List<Mem> operands) {
    check(64, operands);
  }

  @AddLifecycleHook(HostTool.NeedsObjdump.class)
  @Property(tries = 20, shrinking = ShrinkingMode.BOUNDED)
  void shouldEncode32BitAddressing(@ForAll("addresses32") @Size(200) List<Mem> operands) {
    check(32, operands);
  }

  @Provide
  Arbitrary<List<Mem>> addresses64() {
    return Arbitraries.of(4, 8).flatMap(size -> addresses(size, 15)).list();
  }

  @Provide
  Arbitrary<List<Mem>> addresses32() {
    return addresses(4, 7).list();
  }

  /** Base with or without an index, and every class of displacement. */
  private static Arbitrary<Mem> addresses(int size, int lastRegister) {
    Arbitrary<Reg> bases = Arbitraries.integers().between(0, lastRegister).map(number -> Reg.general(number, size));
    Arbitrary<Reg> indices = bases.filter(reg -> reg.number() != 4).injectNull(0.3);
    Arbitrary<Long> displacements = Arbitraries.oneOf(Arbitraries.of(0L, 127L, 128L, -128L, -129L, 0x7FFFFFFFL),
        Arbitraries.longs().between(-0x80000000L, 0x7FFFFFFFL));
    Arbitrary<Integer> scales = Arbitraries.integers().between(0, 3).map(i -> SCALES[i]);
    return Combinators.combine(bases, indices, scales, displacements)
        .as((base, index, scale, displacement) -> index == null
            ? Mem.ptr(base, displacement) : Mem.ptr(base, index, scale, displacement));
  }

  private static void check(int bits, List<Mem> operands) {
    InstructionTable table = new InstructionTable(bits);
    for (Mem mem : operands) {
      table.row("mov ecx," + textOf(mem, 4), a -> a.mov(Reg.ECX, mem));
      table.row("mov " + textOf(mem, 2) + ",0x1234", a -> a.mov(mem.w(), 0x1234));
    }
    table.checkAll();
  }

  private static String textOf(Mem mem, int size) {
    StringBuilder text = new StringBuilder(switch (size) {
      case 1 -> "BYTE PTR [";
      case 2 -> "WORD PTR [";
      case 4 -> "DWORD PTR [";
      default -> "QWORD PTR [";
    });
    text.append(nameOf(mem.base()));
    if (mem.index() != null) {
      text.append('+').append(nameOf(mem.index())).append('*').append(mem.scale());
    }
    long displacement = mem.displacement();
    boolean cannotOmit = mem.base().size() > 2 && (mem.base().number() & 7) == 5;
    if (displacement != 0 || cannotOmit) {
      text.append(displacement < 0 ? "-0x" : "+0x").append(Long.toHexString(Math.abs(displacement)));
    }
    return text.append(']').toString();
  }

  private static String immediate(long value, int size) {
    return "0x" + Long.toHexString(size == 8 ? value : value & (1L << size * 8) - 1);
  }

  private static Reg addressRegister(int bits) {
    return bits == 64 ? Reg.R11 : bits == 32 ? Reg.ESI : Reg.SI;
  }

  /** Registers that such code can use beside an address register that needs REX in 64-bit code. */
  private static List<Reg> generalRegisters(int bits) {
    List<Reg> registers = new ArrayList<>();
    for (Reg reg : Reg.values()) {
      boolean usable = bits == 64 ? reg.kind() != Reg.Kind.HIGH_BYTE : reg.size() < 8 && !reg.needsRex();
      if (reg.isGeneral() && usable) {
        registers.add(reg);
      }
    }
    return registers;
  }

  private static String nameOf(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
