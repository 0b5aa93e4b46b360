package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.HostMemory;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Cases that the oracle found the model wrong in, with what the host does. */
class OracleFindingsTest {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = OracleLayout.CODE;
  private static final long DATA = OracleLayout.DATA_16_BASE;

  private final UserMachine machine = new UserMachine((int) (8 * PAGE), 64, CpuModel.parse("max"));

  OracleFindingsTest() {
    machine.pages.map(CODE, PAGE, PageMap.EXECUTE);
    machine.pages.map(DATA, 2 * PAGE, PageMap.WRITE);
    machine.select(OracleLayout.USER_CODE_64);
  }

  /** Runs bytes at the start of the code. @return vector of the exception */
  private int run(String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", "") + "cc");
    machine.memory.writeBytes(PAGE, bytes, 0, bytes.length);
    machine.processor.run(machine.cpu.retired + 10);
    return machine.cpu.exit.interruptionInfo & 0xFF;
  }

  /** Magnitude and sign of an operand beyond 18 digits. */
  @ParameterizedTest
  @CsvSource({"c03e, 8000000000000000", "403e, 8000000000000000", "c03a, de0b6b3a76400000", "403a, de0b6b3a76400000"})
  void shouldStoreTheIndefiniteForMoreThan18Digits(String exponent, String significand) {
    machine.cpu.rip = CODE;
    machine.cpu.regs[Cpu.RBX] = DATA;
    machine.cpu.fpuValid = 1;
    machine.cpu.fpuExponent[0] = Integer.parseInt(exponent, 16);
    machine.cpu.fpuSignificand[0] = Long.parseUnsignedLong(significand, 16);
    assertThat(run("df33")).isEqualTo(Vector.BP);
    assertThat(machine.memory.read(2 * PAGE, 8)).isEqualTo(0xC000_0000_0000_0000L);
    assertThat(machine.memory.read(2 * PAGE + 8, 2)).isEqualTo(0xFFFF);
    assertThat(machine.cpu.fpuStatus & FpuWord.FLAGS).isEqualTo(1);
  }

  /** CMPXCHG16B [RBP + disp]: a misaligned address is #GP, though it is not canonical either and that would be #SS. */
  @ParameterizedTest
  @CsvSource({"ffff7fffffffffff, 13", "ffff7ffffffffff0, 12", "7ffffffffff8, 13", "800000000000, 12"})
  void shouldCheckAlignmentOf16BytesFirst(String address, int vector) {
    machine.cpu.rip = CODE;
    machine.cpu.regs[Cpu.RBP] = Long.parseUnsignedLong(address, 16);
    assertThat(run("480fc74d00")).isEqualTo(vector);
  }

  /** MOVNTI [0], EBX in 16-bit code, whose operand size is no less than 32 bits. */
  @Test
  void shouldStoreAllOfADoublewordFrom16BitCode() {
    machine.select(OracleLayout.USER_CODE_16);
    machine.cpu.rip = 0;
    machine.cpu.regs[Cpu.RBX] = 0x1234_5678;
    assertThat(run("0fc31e0000")).isEqualTo(Vector.BP);
    assertThat(machine.memory.read(2 * PAGE, 4)).isEqualTo(0x1234_5678);
  }

  /** REP INS and REP OUTS of nothing. */
  @ParameterizedTest
  @CsvSource({"f36c", "f36d", "f36e", "f26f"})
  void shouldCheckThePortEvenIfNothingIsMoved(String code) {
    machine.cpu.rip = CODE;
    machine.cpu.regs[Cpu.RCX] = 0;
    assertThat(run(code)).isEqualTo(Vector.GP);
  }
}
