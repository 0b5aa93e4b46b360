package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Near transfers in code segments with limits: SDM vol. 2A, "JMP", "CALL", "Jcc", "LOOP". */
class NearTransferTest {
  private static final long LIMIT = SystemMachine.CODE + 0xFFF;

  private static SystemMachine machine() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.limit[Segments.CS] = LIMIT;
    m.cpu.updateMode();
    m.cpu.regs[Cpu.RCX] = 5;
    return m;
  }

  /** Opcode, flags, displacement behind its two bytes, outcome, RIP behind it less that of the segment's start, ECX. */
  @ParameterizedTest
  @CsvSource({"eb, 0, 10, OK, 12, 5", "eb, 0, ffd, OK, fff, 5", "eb, 0, ffe, '#GP(0)', 0, 5", "e9, 0, -3, OK, -1, 5",
      "74, 40, ffe, '#GP(0)', 0, 5",
      "74, 0, ffe, OK, 2, 5", "74, 40, 20, OK, 22, 5", "75, 0, 20, OK, 22, 5", "7c, 80, 20, OK, 22, 5",
      "184, 40, ffe, '#GP(0)', 0, 5", "e2, 0, ffe, '#GP(0)', 0, 5",
      "e2, 0, 20, OK, 22, 4", "e1, 0, ffe, OK, 2, 4", "e1, 40, 20, OK, 22, 4", "e0, 0, 20, OK, 22, 4",
      "e0, 40, 20, OK, 2, 4", "e3, 0, ffe, OK, 2, 5"})
  void shouldCheckTheLimitBeforeItCommits(String opcode, String flags, String displacement, String outcome, String rip,
      long ecx) {
    SystemMachine m = machine();
    m.cpu.setStatusFlags(Integer.parseInt(flags, 16));
    Instruction insn = m.insn(Integer.parseInt(opcode, 16));
    insn.immediate = Integer.parseInt(displacement, 16);
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
    assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE + Integer.parseInt(rip, 16));
    assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(ecx);
  }

  @ParameterizedTest
  @CsvSource({"10, OK", "ffe, '#GP(0)'"})
  void shouldPushNothingIfTheTargetOfCallIsBeyondTheLimit(String displacement, String outcome) {
    SystemMachine m = machine();
    Instruction insn = m.insn(0xE8);
    insn.immediate = Integer.parseInt(displacement, 16);
    m.memory.write(SystemMachine.STACK - 4, 4, 0x5A5A);
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
    boolean called = outcome.equals("OK");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(called ? SystemMachine.STACK - 4 : SystemMachine.STACK);
    assertThat(m.memory.read(SystemMachine.STACK - 4, 4)).isEqualTo(called ? SystemMachine.CODE + 2 : 0x5A5A);
    insn = m.register(0xFF, 4, Cpu.RDX);
    m.cpu.regs[Cpu.RDX] = LIMIT + (called ? 0 : 1);
    assertThat(m.outcome(m.run(insn))).isEqualTo(outcome);
  }

  /**
   * The same by the whole processor: code at the segment's start; the exception's RIP is that of the transfer, −1 if
   * there is none.
   */
  @ParameterizedTest
  @CsvSource({"40 e9 f9ffffff, -1", "40 e9 00100000, 1", "40 e8 ff0f0000, 1", "31c0 0f84 00100000, 2",
      "31c0 74 00 90, -1", "b9 02000000 e2 fe 90, -1", "ffe2, 0",
      "68 20000100 c3, -1", "68 00200100 c3, 5"})
  void shouldFaultAtTheTransfer(String code, int at) {
    SystemMachine m = machine();
    m.memory.fill((int) SystemMachine.CODE - 16, 64, (byte) 0x90);
    byte[] bytes = HexFormat.of().parseHex(code.replace(" ", ""));
    m.memory.writeBytes((int) SystemMachine.CODE, bytes, 0, bytes.length);
    m.cpu.regs[Cpu.RDX] = LIMIT + 1;
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = -1;
    int reason = new Processor(m.cpu, 64).run(8);
    if (at < 0) {
      assertThat(reason).isEqualTo(ExitReason.BUDGET);
    } else {
      assertThat(reason).isEqualTo(ExitReason.EXCEPTION_NMI);
      assertThat(m.cpu.exit.interruptionInfo & 0xFF).isEqualTo(Vector.GP);
      assertThat(m.cpu.rip).isEqualTo(SystemMachine.CODE + at);
    }
  }

  /**
   * Code that ends with the lower canonical half: the exception's RIP, from the end of that half, and how many
   * instructions retire before it. What runs off the end faults behind it; a branch faults where it is, with nothing
   * pushed and nothing counted.
   */
  @ParameterizedTest
  @CsvSource({"90, 0, 1", "eb00, -2, 0", "e900000000, -5, 0", "66e900000000, -6, 0", "e800000000, -5, 0", "7410, -2, 0",
      "7510, 0, 1", "0f8400000000, -6, 0", "0f8500000000, 0, 1", "e210, -2, 0", "e020, 0, 1", "e310, 0, 1",
      "eb109090909090, -7, 0", "48b801, -3, 0", "40ffe2, -3, 0", "40ffd2, -3, 0", "52c3, -1, 1", "90904090eb00, -2, 3"})
  void shouldFaultAtTheBranchThatLeavesTheCanonicalHalf(String code, int rip, int retired) {
    SystemMachine m = SystemMachine.longMode(0);
    long end = 1L << 47;
    m.pages.moved.put(end - 1 >>> 12, SystemMachine.CODE >>> 12);
    byte[] bytes = HexFormat.of().parseHex(code);
    m.memory.writeBytes((int) SystemMachine.CODE + 0x1000 - bytes.length, bytes, 0, bytes.length);
    m.cpu.rip = end - bytes.length;
    m.cpu.setStatusFlags(Rflags.ZF);
    m.cpu.regs[Cpu.RCX] = 5;
    m.cpu.regs[Cpu.RDX] = end;
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = -1;
    long pushed = m.memory.read(SystemMachine.STACK - 8, 8);
    assertThat(new Processor(m.cpu, 64).run(8)).isEqualTo(ExitReason.EXCEPTION_NMI);
    assertThat(m.cpu.exit.interruptionInfo & 0xFF).isEqualTo(Vector.GP);
    assertThat(m.cpu.exit.interruptionErrorCode).isZero();
    assertThat(m.cpu.rip).isEqualTo(end + rip);
    assertThat(m.cpu.retired).isEqualTo(retired);
    assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(code.equals("e020") ? 4 : 5);
    boolean pushes = code.startsWith("52");
    assertThat(m.cpu.regs[Cpu.RSP]).isEqualTo(SystemMachine.STACK - (pushes ? 8 : 0));
    assertThat(m.memory.read(SystemMachine.STACK - 8, 8)).isEqualTo(pushes ? end : pushed);
  }

  @ParameterizedTest
  @CsvSource({"eb00", "ebee", "e800000000"})
  void shouldFaultAtTheBranchThatLeavesTheUpperHalf(String code) {
    SystemMachine m = SystemMachine.longMode(0);
    long start = -1L << 47;
    m.pages.moved.put(start >>> 12, SystemMachine.CODE >>> 12);
    byte[] bytes = HexFormat.of().parseHex(code);
    m.memory.fill((int) SystemMachine.CODE, 64, (byte) 0x90);
    m.memory.writeBytes((int) SystemMachine.CODE, bytes, 0, bytes.length);
    m.cpu.rip = start;
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = -1;
    int reason = new Processor(m.cpu, 64).run(8);
    assertThat(reason).isEqualTo(code.equals("ebee") ? ExitReason.EXCEPTION_NMI : ExitReason.BUDGET);
    assertThat(m.cpu.rip == start).isEqualTo(code.equals("ebee"));
  }
}
