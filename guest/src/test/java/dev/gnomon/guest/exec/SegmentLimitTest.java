package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Limits of data and stack segments against the manual's rule (SDM vol. 3A, "Limit Checking"): every byte of an operand
 * must lie in the segment, up to its limit, or above it if it expands down.
 */
class SegmentLimitTest {
  private static final long BASE = SystemMachine.DATA;
  private static final int DATA_SEGMENT = Segments.P | Segments.S | Segments.TYPE_WRITABLE | Segments.TYPE_ACCESSED;
  private static final int NONE = Vector.BP;

  private static SystemMachine machine(boolean expandDown, boolean big, long limit) {
    SystemMachine m = SystemMachine.protectedMode(0);
    int rights = DATA_SEGMENT | (expandDown ? Segments.TYPE_EXPAND_DOWN : 0) | (big ? Segments.DB : 0);
    for (int segment : new int[] {Segments.DS, Segments.ES, Segments.SS}) {
      m.cpu.base[segment] = BASE;
      m.cpu.limit[segment] = limit;
      m.cpu.rights[segment] = rights;
    }
    m.cpu.cr4 |= ControlRegister.CR4_OSFXSR;
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = -1;
    m.cpu.updateMode();
    return m;
  }

  private static boolean inside(boolean expandDown, boolean big, long limit, long offset) {
    return expandDown ? offset > limit && offset <= (big ? 0xFFFF_FFFFL : 0xFFFF) : offset <= limit;
  }

  private static boolean inside(boolean expandDown, boolean big, long limit, long offset, int size) {
    boolean all = true;
    for (int i = 0; i < size; i++) {
      all &= inside(expandDown, big, limit, offset + i);
    }
    return all;
  }

  /** Runs bytes and an INT3. @return vector that ends them */
  private static int run(SystemMachine m, String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", "") + "cc");
    m.memory.writeBytes((int) SystemMachine.CODE, bytes, 0, bytes.length);
    assertThat(new Processor(m.cpu, 64).run(100)).isEqualTo(ExitReason.EXCEPTION_NMI);
    return m.cpu.exit.interruptionInfo & 0xFF;
  }

  private static String little(long value, int bytes) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < bytes; i++) {
      text.append(String.format("%02x", value >>> 8 * i & 0xFF));
    }
    return text.toString();
  }

  /** An instruction up to the 32-bit displacement of its operand, and what it moves. */
  @ParameterizedTest
  @CsvSource({"8a05, 1", "8805, 1", "668b05, 2", "668905, 2", "8b05, 4", "8905, 4", "0105, 4", "8705, 4", "f0 0105, 4",
      "dd05, 8", "dd1d, 8", "db2d, 10", "db3d, 10", "0f6f05, 8", "0f7f05, 8", "0f1005, 16", "0f1105, 16", "0fc70d, 8",
      "f0 0fc70d, 8", "f20f1005, 8", "f30f1005, 4", "0fb605, 1", "0fb705, 2", "0fae05, 512", "d935, 28", "dd35, 108",
      "0f0105, 6", "c405, 6", "ff35, 4", "8f05, 4"})
  void shouldCheckEveryByteOfAnOperand(String code, int size) {
    for (boolean expandDown : new boolean[] {false, true}) {
      long limit = 0x7FF;
      for (long offset : new long[] {0, 0x7FF - 2L * size, 0x800 - size, 0x801 - size, 0x7FE, 0x7FF, 0x800,
          0x801, 0x900}) {
        // FXSAVE asks for alignment.
        long at = size == 512 ? offset & -16 : offset;
        for (boolean stack : new boolean[] {false, true}) {
          SystemMachine m = machine(expandDown, true, limit);
          // Pushes and pops, and null selectors loaded, work on places that are good.
          m.cpu.regs[Cpu.RSP] = expandDown ? 0xA00 : 0x400;
          m.memory.fill((int) BASE, 0x1000, (byte) 0);
          boolean good = at >= 0 && inside(expandDown, true, limit, at, size);
          int vector = run(m, (stack ? "36" : "") + code + little(at, 4));
          int expected = good ? NONE : stack ? Vector.SS : Vector.GP;
          assertThat(vector).as("%s at %x, expand-down %s, stack %s", code, at, expandDown, stack).isEqualTo(expected);
        }
      }
    }
  }

  /** An address of 16 bits wraps, an operand does not: one across FFFFh is beyond a limit of 64 KiB. */
  @ParameterizedTest
  @CsvSource({"67 8a06, 1", "67 668b06, 2", "67 8b06, 4", "67 dd06, 8", "67 db2e, 10", "67 0f1006, 16"})
  void shouldNotWrapAnOperandAt64K(String code, int size) {
    for (long offset : new long[] {0xFFFF, 0xFFFE, 0xFFFC, 0xFFF8, 0xFFF6, 0xFFF0, 0x10000 - size,
        0x10001 - size & 0xFFFF, 0}) {
      boolean good = offset + size <= 0x10000;
      SystemMachine m = machine(false, false, 0xFFFF);
      assertThat(run(m, code + little(offset, 2))).as("%s at %x", code, offset).isEqualTo(good ? NONE : Vector.GP);
      // Down from 64 KiB: the same end, and nothing up to the limit.
      m = machine(true, false, 0xEFFF);
      boolean above = offset > 0xEFFF && good;
      assertThat(run(m, code + little(offset, 2))).as("%s at %x, down", code, offset)
          .isEqualTo(above ? NONE : Vector.GP);
    }
  }

  /** PUSH, POP, PUSHF and CALL of words and doublewords around the ends of a stack of 16 bits. */
  @ParameterizedTest
  @CsvSource({"6650, -2, 2", "50, -4, 4", "6658, 0, 2", "58, 0, 4", "669c, -2, 2", "6a05, -4, 4", "e800000000, -4, 4"})
  void shouldWrapTheStackPointerAndNotTheOperand(String code, int distance, int size) {
    for (long sp : new long[] {0, 1, 2, 3, 4, 5, 0x100, 0xFFFA, 0xFFFB, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF}) {
      SystemMachine m = machine(false, false, 0xFFFF);
      m.cpu.regs[Cpu.RSP] = 0xABCD_0000L | sp;
      long offset = sp + distance & 0xFFFF;
      boolean good = offset + size <= 0x10000;
      assertThat(run(m, code)).as("%s with SP %x", code, sp).isEqualTo(good ? NONE : Vector.SS);
      long behind = good ? (distance < 0 ? offset : sp + size & 0xFFFF) : sp;
      assertThat(m.cpu.regs[Cpu.RSP]).as("ESP after %s with SP %x", code, sp).isEqualTo(0xABCD_0000L | behind);
    }
  }

  /** MOVS, with its source before the one end and its destination before the other. */
  @ParameterizedTest
  @CsvSource({"a4, 1", "66a5, 2", "a5, 4"})
  void shouldCheckEachIterationOfAString(String code, int size) {
    SystemMachine m = machine(false, true, 0xFFF);
    m.cpu.regs[Cpu.RSI] = 0x1000 - 3L * size;
    m.cpu.regs[Cpu.RDI] = 0;
    m.cpu.regs[Cpu.RCX] = 10;
    assertThat(run(m, "f3" + code)).isEqualTo(Vector.GP);
    assertThat(m.cpu.regs[Cpu.RCX]).as("three iterations fit").isEqualTo(7);
    assertThat(m.cpu.regs[Cpu.RSI]).isEqualTo(0x1000);
    assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE);
  }
}
