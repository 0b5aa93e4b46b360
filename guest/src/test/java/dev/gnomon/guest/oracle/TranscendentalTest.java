package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.fp.SoftFloat;
import dev.gnomon.guest.memory.HostMemory;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Transcendental x87 instructions to the last bit, which the host's processor cannot show. */
class TranscendentalTest {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = 0x10_0000;

  private final UserMachine machine = new UserMachine((int) (8 * PAGE), 64);

  TranscendentalTest() {
    machine.pages.map(CODE, PAGE, PageMap.WRITE | PageMap.EXECUTE);
    machine.select(OracleLayout.USER_CODE_64);
  }

  private void run(String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex + "cc");
    machine.memory.writeBytes(PAGE, bytes, 0, bytes.length);
    machine.cpu.rip = CODE;
    machine.processor.run(machine.cpu.retired + 100);
    assertThat(machine.cpu.exit.interruptionInfo & 0xFF).isEqualTo(Vector.BP);
  }

  /** The processor's π has 66 bits: the sine of a π of 64 bits is a quarter of a unit in its last place, 2^−64. */
  @Test
  void shouldReduceAnglesByAPiOf66Bits() {
    // FNINIT; FLDPI; FSIN
    run("dbe3d9ebd9fe");
    int top = 7;
    assertThat(machine.cpu.fpuSignificand[top]).isEqualTo(Long.MIN_VALUE);
    assertThat(machine.cpu.fpuExponent[top]).isEqualTo(0x8000 | 0x3FFF - 64);
  }

  /** 16381 × 2^−16421 by FYL2X of two powers of two: exact and denormal, which processors report as an underflow. */
  @Test
  void shouldUnderflowToADenormalLogarithmEvenIfItIsExact() {
    machine.memory.write(PAGE + 0x800, 4, -16421);
    machine.memory.write(PAGE + 0x804, 4, 16381);
    // FNINIT; FILD [100800h]; FLD1; FSCALE; FSTP ST(1); FILD [100804h]; FLD1; FSCALE; FSTP ST(1); FYL2X
    run("dbe3" + "db042500081000" + "d9e8d9fdddd9" + "db042504081000" + "d9e8d9fdddd9" + "d9f1");
    assertThat(machine.cpu.fpuStatus & SoftFloat.EXCEPTIONS)
        .isEqualTo(SoftFloat.UNDERFLOW | SoftFloat.PRECISION | SoftFloat.DENORMAL);
    assertThat(machine.cpu.fpuExponent[7]).isZero();
    assertThat(machine.cpu.fpuSignificand[7]).isEqualTo(16381L << 24);
  }

  /** Functions of 1, 2, 3, ½ and ¼, rounded from 60 decimal digits. */
  @ParameterizedTest
  @CsvSource({"d9e8d9e8d9f3, 3FFE, C90FDAA22168C235",
      "d9e8d9e8d8c0d9f3, 3FFD, ED63382B0DDA7B45",
      "d9e8d9fe, 3FFE, D76AA47848677021",
      "d9e8d9ff, 3FFE, 8A51407DA8345C92",
      "d9e8d9e8d8c0d8c1d9f1, 3FFF, CAE00D1CFDEB43D0",
      "d9e8d9e8d8c0def9d9f0, 3FFD, D413CCCFE7799211",
      "d9e8d9e8d9e8d8c0d8c0def9d9f9, 3FFD, A4D3C25E68DC57F2",
      "d9e8d9f2ddd8, 3FFF, C75922E5F71D2DC5"})
  void shouldRoundTranscendentalFunctionsCorrectly(String bytes, String exponent, String significand) {
    run("dbe3" + bytes);
    int top = machine.cpu.fpuStatus >> FpuWord.TOP_SHIFT & 7;
    assertThat(machine.cpu.fpuSignificand[top]).isEqualTo(Long.parseUnsignedLong(significand, 16));
    assertThat(machine.cpu.fpuExponent[top]).isEqualTo(Integer.parseInt(exponent, 16));
  }
}
