package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.MachineCheck;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.exec.ModelRegisters;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Status;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * CPUID offers exactly what works: for every feature bit there is something that works with it and does not without.
 */
class FeatureEvidenceTest {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = 0x10_0000;
  private static final long DATA = 0x20_0000;

  private UserMachine machine;

  private void start(String model) {
    machine = new UserMachine((int) (8 * PAGE), 64, CpuModel.parse(model));
    machine.pages.map(CODE, PAGE, PageMap.WRITE | PageMap.EXECUTE);
    machine.pages.map(DATA, 2 * PAGE, PageMap.WRITE);
    machine.select(OracleLayout.USER_CODE_64);
    machine.cpu.setCpl(0);
  }

  /** Vector that one instruction of ring 0 ends with, RSI at the data page, 3 if it ends at the INT3 behind it. */
  private int vector(String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", "") + "cc");
    machine.memory.writeBytes(PAGE, bytes, 0, bytes.length);
    machine.cpu.rip = CODE;
    machine.cpu.regs[Cpu.RSI] = DATA;
    machine.processor.run(machine.cpu.retired + 100);
    return machine.cpu.exit.interruptionInfo & 0xFF;
  }

  private boolean executes(String hex) {
    return vector(hex) != Vector.UD;
  }

  private boolean controls(long cr4) {
    return (machine.cpu.cpuid.cr4Bits() & cr4) == cr4;
  }

  private boolean enables(long efer) {
    machine.cpu.cr0 &= ~ControlRegister.CR0_PG;
    return new ModelRegisters(machine.cpu).write(Msr.EFER, efer) == Status.OK;
  }

  private boolean works(Feature feature) {
    return switch (feature) {
      case SSE3 -> executes("f20ff006");
      case SSSE3 -> executes("0f3800c1");
      case SSE4_1 -> executes("660f3817c1");
      case SSE4_2 -> executes("660f3837c1");
      case POPCNT -> executes("f30fb8c1");
      case XSAVE -> controls(ControlRegister.CR4_OSXSAVE) && executes("0fae26");
      case XSAVEOPT -> executes("0fae36");
      case XSAVEC -> executes("0fc726");
      case XGETBV1 -> vector("b901000000 0f01d0") == Vector.BP;
      case RDRAND -> executes("0fc7f0");
      case VME -> controls(ControlRegister.CR4_VME | ControlRegister.CR4_PVI);
      case LM -> enables(ControlRegister.EFER_LME);
      case NX -> enables(ControlRegister.EFER_NXE);
      case SYSCALL -> enables(ControlRegister.EFER_SCE);
      case PDPE1GB -> machine.cpu.mmu.paging.pages1g;
      case RDTSCP -> executes("0f01f9");
      case LAHF_LM -> executes("9f");
      case CX16 -> executes("480fc70e");
      case PCID -> controls(ControlRegister.CR4_PCIDE);
      case INVPCID -> executes("660f388206");
      case FSGSBASE -> controls(ControlRegister.CR4_FSGSBASE) && executes("f3480faec0");
      case SMEP -> controls(ControlRegister.CR4_SMEP);
      case RDSEED -> executes("0fc7f8");
      case SMAP -> controls(ControlRegister.CR4_SMAP) && executes("0f01cb");
      case CLFLUSHOPT -> executes("660fae3e");
      case CLWB -> executes("660fae36");
      case UMIP -> controls(ControlRegister.CR4_UMIP);
      case PKU -> keys();
      case PKS -> controls(ControlRegister.CR4_PKS) && reads(Msr.PKRS);
      case LA57 -> controls(ControlRegister.CR4_LA57) && machine.cpu.canonicalBase(1L << 55);
      case RDPID -> executes("f30fc7f8");
      case MCE -> reads(Msr.P5_MC_TYPE);
      case MCA -> reads(MachineCheck.FIRST_BANK);
      case TSC_ADJUST -> reads(Msr.TSC_ADJUST);
    };
  }

  private boolean reads(int msr) {
    return new ModelRegisters(machine.cpu).read(msr) == Status.OK;
  }

  private boolean keys() {
    machine.cpu.cr4 |= machine.cpu.cpuid.cr4Bits() & ControlRegister.CR4_PKE;
    machine.cpu.regs[Cpu.RCX] = 0;
    return vector("0f01ee") == Vector.BP;
  }

  @ParameterizedTest
  @ValueSource(strings = {"minimal", "default", "max", "qemu32", "qemu64", "Conroe", "Penryn", "Nehalem", "Westmere",
      "SandyBridge", "IvyBridge", "Haswell", "Broadwell", "Skylake-Client", "Skylake-Server", "Icelake-Server"})
  void shouldOfferExactlyWhatWorks(String model) {
    for (Feature feature : Feature.values()) {
      start(model);
      assertThat(works(feature)).as(feature.toString()).isEqualTo(machine.cpu.cpuid.offers(feature));
    }
  }

  @Test
  void shouldTakeWhatWorksAwayWithTheFeature() {
    for (Feature feature : Feature.values()) {
      StringBuilder without = new StringBuilder("max");
      remove(feature, without);
      start(without.toString());
      assertThat(works(feature)).as(feature.toString()).isFalse();
      start("max");
      assertThat(works(feature)).as(feature.toString()).isTrue();
    }
  }

  private static void remove(Feature feature, StringBuilder model) {
    for (Feature other : Feature.values()) {
      if (other.needed().contains(feature)) {
        remove(other, model);
      }
    }
    model.append(",-").append(feature);
  }

  /** What every model offers: leaf, register (0 EAX to 3 EDX), bit, instruction. */
  @ParameterizedTest
  @CsvSource({"1, 3, 0, d9e8", "1, 3, 4, 0f31", "1, 3, 5, 0f32", "1, 3, 8, 0fc70e", "1, 3, 11, 0f34",
      "1, 3, 15, 0f44c1", "1, 3, 19, 0fae3e", "1, 3, 23, 0f77", "1, 3, 24, 0fae06", "1, 3, 25, 0f58c1",
      "1, 3, 26, 660f58c1"})
  void shouldBackWhatEveryModelOffers(int leaf, int register, int bit, String bytes) {
    for (String model : new String[] {"minimal", "qemu32", "max"}) {
      start(model);
      assertThat(machine.cpu.cpuid.query(leaf, 0)[register] >>> bit & 1).isEqualTo(1);
      assertThat(executes(bytes)).isTrue();
    }
  }

  /** What no model offers: leaf, register, bit, instruction. */
  @ParameterizedTest
  @CsvSource({"1, 2, 1, 660f3a44c100", "1, 2, 3, 0f01c8", "1, 2, 5, f30fc736", "1, 2, 6, 0f37", "1, 2, 12, c4e26998c1",
      "1, 2, 22, 0f38f006", "1, 2, 25, 660f38dcc1", "1, 2, 28, c5f058c2", "1, 2, 29, c4e27913c1", "7, 1, 2, 0f01d7",
      "7, 1, 3, c4e270f2c1", "7, 1, 5, c5f5fcc1", "7, 1, 8, c4e2fbf6c1", "7, 1, 11, 0f01d6", "7, 1, 11, c7f800000000",
      "7, 1, 14, 0f1a06", "7, 1, 16, 62f17c4858c1", "7, 1, 19, 660f38f6c1", "7, 1, 29, 0f38c8c1", "7, 2, 5, 660faef1",
      "7, 2, 8, 660f38cfc1", "7, 2, 27, 0f38f906", "7, 2, 28, 660f38f806", "7, 2, 29, f20f38f806", "7, 3, 5, f30faef0",
      "7, 3, 14, 0f01e8", "7, 3, 18, 0f01c5", "80000001, 2, 2, 0f01d8", "80000001, 2, 5, f30fbdc1",
      "80000001, 2, 6, f20f79c1", "80000001, 3, 31, 0f0fc19e"})
  void shouldRaiseUdForWhatNoModelOffers(String leaf, int register, int bit, String bytes) {
    start("max");
    assertThat(machine.cpu.cpuid.query(Integer.parseUnsignedInt(leaf, 16), 0)[register] >>> bit & 1).isZero();
    // On processors without them these are NOPs, or BSR with a prefix of no account.
    boolean nothing = bytes.startsWith("0f1a") || bytes.startsWith("f30fbd");
    assertThat(executes(bytes)).isEqualTo(nothing);
  }
}
