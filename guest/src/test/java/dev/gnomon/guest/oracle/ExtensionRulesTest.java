package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.HostMemory;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rules of features that CPUID may offer, as far as user code on the host cannot show them. */
class ExtensionRulesTest {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = 0x10_0000;
  private static final long DATA = 0x20_0000;
  private static final int NO_VECTOR = -1;
  private static final long NOT_CANONICAL = 1L << 57;

  private UserMachine machine;

  private void start(String model) {
    machine = new UserMachine((int) (8 * PAGE), 64, CpuModel.parse(model));
    machine.pages.map(CODE, PAGE, PageMap.WRITE | PageMap.EXECUTE);
    machine.pages.map(DATA, 2 * PAGE, PageMap.WRITE);
    machine.select(OracleLayout.USER_CODE_64);
  }

  /** Runs bytes with RSI at the data page. @return vector of the exception, −1 if the INT3 behind them was reached */
  private int run(String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", "") + "cc");
    machine.memory.writeBytes(PAGE, bytes, 0, bytes.length);
    machine.cpu.rip = CODE;
    machine.cpu.regs[Cpu.RSI] = DATA;
    machine.processor.run(machine.cpu.retired + 100);
    int vector = machine.cpu.exit.interruptionInfo & 0xFF;
    return vector == Vector.BP ? NO_VECTOR : vector;
  }

  /** A feature, those that go with it, and an instruction that it brings. */
  @ParameterizedTest
  @CsvSource({"sse3, f20ff006", "sse3, f30f12c1", "sse3, 660f7cc1", "sse3, df0e", "ssse3, 0f3800c1",
      "ssse3, 660f3a0fc103", "sse4.1, 660f3817c1", "sse4.1, 660f3a08c100", "sse4.1, 660f3a14c001", "sse4.2, 660f3837c1",
      "sse4.2, 660f3a63c100", "sse4.2, f20f38f1c1", "popcnt, f30fb8c1", "cx16, 480fc70e", "lahf-lm, 9f", "lahf-lm, 9e",
      "rdrand, 0fc7f0", "rdseed, 480fc7f8", "rdpid, f30fc7f8", "fsgsbase, f3480faec0", "clflushopt, 660fae3e",
      "clwb, 660fae36", "rdtscp, 0f01f9"})
  void shouldRaiseUdForAnInstructionOfAFeatureThatIsNotOffered(String feature, String bytes) {
    start("max");
    assertThat(run(bytes)).isEqualTo(NO_VECTOR);
    String without = switch (feature) {
      case "sse3" -> "max,-sse4.2,-sse4.1,-ssse3,-sse3";
      case "ssse3" -> "max,-sse4.2,-sse4.1,-ssse3";
      case "sse4.1" -> "max,-sse4.2,-sse4.1";
      default -> "max,-" + feature;
    };
    start(without);
    assertThat(run(bytes)).isEqualTo(Vector.UD);
  }

  @Test
  void shouldDrawRandomNumbersFromTheSeed() {
    start("max");
    machine.cpu.randomState = 0;
    machine.cpu.setStatusFlags(Rflags.STATUS);
    assertThat(run("480fc7f0 480fc7fb 660fc7f1")).isEqualTo(NO_VECTOR);
    // The first outputs of SplitMix64 with seed 0.
    assertThat(machine.cpu.regs[Cpu.RAX]).isEqualTo(0xE220_A839_7B1D_CDAFL);
    assertThat(machine.cpu.regs[Cpu.RBX]).isEqualTo(0x6E78_9E6A_A1B9_65F4L);
    assertThat(machine.cpu.regs[Cpu.RCX] & 0xFFFF).isEqualTo(0x06C4_5D18_8009_454FL & 0xFFFF);
    assertThat(machine.cpu.rflags() & Rflags.STATUS).isEqualTo(Rflags.CF);
  }

  @Test
  void shouldReadAndWriteSegmentBasesWhereCr4LetsIt() {
    start("max");
    machine.cpu.base[Segments.FS] = 0x1234_5678_9ABCL;
    machine.cpu.regs[Cpu.RCX] = 0x7000_0000_1000L;
    // RDFSBASE RAX; RDFSBASE EBX; WRGSBASE RCX
    assertThat(run("f3480faec0 f30faec3 f3480faed9")).isEqualTo(NO_VECTOR);
    assertThat(machine.cpu.regs[Cpu.RAX]).isEqualTo(0x1234_5678_9ABCL);
    assertThat(machine.cpu.regs[Cpu.RBX]).isEqualTo(0x5678_9ABCL);
    assertThat(machine.cpu.base[Segments.GS]).isEqualTo(0x7000_0000_1000L);
    machine.cpu.regs[Cpu.RCX] = NOT_CANONICAL;
    assertThat(run("f3480faed1")).isEqualTo(Vector.GP);
    machine.cpu.cr4 &= ~ControlRegister.CR4_FSGSBASE;
    assertThat(run("f3480faec0")).isEqualTo(Vector.UD);
    machine.cpu.cr4 |= ControlRegister.CR4_FSGSBASE;
    machine.select(OracleLayout.USER_CODE_32);
    assertThat(run("f30faec0")).isEqualTo(Vector.UD);
  }

  @Test
  void shouldReadProcessorNumber() {
    start("max");
    machine.cpu.tscAux = 0x1_0005;
    machine.cpu.regs[Cpu.RAX] = -1;
    assertThat(run("f30fc7f8")).isEqualTo(NO_VECTOR);
    assertThat(machine.cpu.regs[Cpu.RAX]).isEqualTo(0x1_0005);
  }

  /** SGDT, SIDT, SLDT, STR, SMSW. */
  @ParameterizedTest
  @CsvSource({"0f0106", "0f010e", "0f00c0", "0f00c8", "0f01e0", "0f0126"})
  void shouldKeepUserCodeFromSystemRegistersWithUmip(String bytes) {
    start("max");
    assertThat(run(bytes)).isEqualTo(NO_VECTOR);
    machine.cpu.cr4 |= ControlRegister.CR4_UMIP;
    assertThat(run(bytes)).isEqualTo(Vector.GP);
    machine.cpu.setCpl(0);
    assertThat(run(bytes)).isEqualTo(NO_VECTOR);
  }
}
