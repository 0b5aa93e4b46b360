package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.MachineCheck;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Mtrrs;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every bit of every control register, debug register and MSR: what can be set, and what is #GP(0). */
class ReservedBitsTest {
  private static final int MOV_TO_CONTROL = 0x122;
  private static final int MOV_TO_DEBUG = 0x123;
  private static final long LOW = 0xFFFF_FFFFL;

  private static SystemMachine machine(String model) {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.select(CpuModel.parse(model));
    m.cpu.mtrrs = new Mtrrs(HostMemory.MAXPHYADDR);
    return m;
  }

  private static long hex(String text) {
    return Long.parseUnsignedLong(text, 16);
  }

  /** Bits that can be set one at a time on top of a base value, of a register in long mode. */
  private static long settable(String model, int opcode, int number, long base) {
    long bits = 0;
    for (int bit = 0; bit < 64; bit++) {
      SystemMachine m = machine(model);
      m.cpu.regs[Cpu.RAX] = base | 1L << bit;
      String outcome = m.outcome(m.run(m.register(opcode, number, Cpu.RAX)));
      assertThat(outcome).as("bit " + bit).isIn("OK", "#GP(0)");
      bits |= outcome.equals("OK") ? 1L << bit : 0;
    }
    return bits;
  }

  /**
   * CR0: what is not defined is ignored, as on processors and in KVM, but for the upper half; NW needs CD. CR3: bits
   * from MAXPHYADDR on. CR4: what CPUID does not offer, and PKE, PKS, PCIDE and the like are there. LA57 cannot change
   * in long mode.
   */
  @ParameterizedTest
  @CsvSource({"max, 0, 80000011, dfffffff", "max, 2, 0, ffffffffffffffff", "max, 3, 0, 3fffffffffff", "max, 8, 0, f",
      "minimal, 4, 20, 7fc", "max, 4, 20, 1770fff", "default, 4, 20, 3207fc", "Nehalem, 4, 20, 7ff",
      "Haswell, 4, 20, 1707ff", "'max,-la57', 4, 20, 1770fff", "'max,-pks', 4, 20, 770fff",
      "'max,-xsave,-xsaveopt,-xsavec,-xgetbv1,-pku', 4, 20, 1330fff"})
  void shouldKnowEveryBitOfTheControlRegisters(String model, int number, String base, String expected) {
    long bits = settable(model, MOV_TO_CONTROL, number, hex(base));
    // The table shows the bits that exist; the row of CR4 leaves out LA57, which is #GP(0) here whether it exists or
    // not.
    assertThat(Long.toHexString(bits)).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({"0, ffffffffffffffff", "3, ffffffffffffffff", "6, ffffffff", "7, ffffffff"})
  void shouldKnowEveryBitOfTheDebugRegisters(int number, String expected) {
    long bits = 0;
    for (int bit = 0; bit < 64; bit++) {
      SystemMachine m = machine("max");
      m.cpu.regs[Cpu.RAX] = 1L << bit;
      bits |= m.outcome(m.run(m.register(MOV_TO_DEBUG, number, Cpu.RAX))).equals("OK") ? 1L << bit : 0;
    }
    assertThat(Long.toHexString(bits)).isEqualTo(expected);
  }

  @Test
  void shouldKeepTheFixedBitsOfDebugRegisters() {
    SystemMachine m = machine("max");
    m.cpu.regs[Cpu.RAX] = 0;
    for (int number : new int[] {6, 7}) {
      m.run(m.register(MOV_TO_DEBUG, number, Cpu.RAX));
      m.run(m.register(0x121, number, Cpu.RCX));
      assertThat(m.cpu.regs[Cpu.RCX]).isEqualTo(number == 6 ? 0xFFFF_0FF0L : 0x400);
    }
  }

  /**
   * MSR, processor model, base value, bits that can be set on top of it; of memory types those of one bit, WC and WT.
   */
  @ParameterizedTest
  @CsvSource({"0, max, 0, 0", "1, max, 0, 0", "10, max, 0, ffffffffffffffff", "17, max, 0, 0",
      "1b, max, 0, 3ffffffff900", "3b, max, 0, ffffffffffffffff", "8b, max, 0, ffffffffffffffff", "fe, max, 0, 0",
      "179, max, 0, 0", "17a, max, 0, 7", "17b, max, 0, 0", "400, max, 0, 0", "401, max, 0, 0",
      "402, max, 0, ffffffffffffffff", "427, max, 0, ffffffffffffffff", "174, max, 0, ffffffffffffffff",
      "175, default, 0, 7fffffffffff", "176, default, 0, 7fffffffffff", "175, max, 0, ffffffffffffff",
      "176, max, 0, ffffffffffffff", "1a0, max, 1, 400c51889", "200, max, 0, 3ffffffff005", "201, max, 0, 3ffffffff800",
      "20e, max, 0, 3ffffffff005", "20f, max, 0, 3ffffffff800", "250, max, 0, 505050505050505",
      "258, max, 0, 505050505050505", "26f, max, 0, 505050505050505", "277, max, 0, 505050505050505",
      "2ff, max, 0, c05", "6e1, max, 0, ffffffff", "c0000080, max, 500, d01", "c0000081, max, 0, ffffffffffffffff",
      "c0000082, default, 0, 7fffffffffff", "c0000083, default, 0, 7fffffffffff", "c0000084, max, 0, ffffffff",
      "c0000100, default, 0, 7fffffffffff", "c0000101, max, 0, ffffffffffffff", "c0000102, default, 0, 7fffffffffff",
      "c0000103, max, 0, ffffffff"})
  void shouldKnowEveryBitOfTheMsrs(String msr, String model, String base, String expected) {
    int number = (int) hex(msr);
    long bits = 0;
    for (int bit = 0; bit < 64; bit++) {
      SystemMachine m = machine(model);
      int status = new ModelRegisters(m.cpu).write(number, hex(base) | 1L << bit);
      assertThat(m.outcome(status)).isIn("OK", "#GP(0)");
      bits |= status == Status.OK ? 1L << bit : 0;
    }
    assertThat(bits).as("%x", bits).isEqualTo(hex(expected));
  }

  /** EFER by what CPUID offers. */
  @ParameterizedTest
  @CsvSource({"max, d01", "'max,-nx', 501", "qemu32, 400"})
  void shouldReserveBitsOfEferWithTheirFeature(String model, String expected) {
    long bits = 0;
    for (int bit = 0; bit < 64; bit++) {
      SystemMachine m = SystemMachine.protectedMode(0);
      m.cpu.select(CpuModel.parse(model));
      bits |= new ModelRegisters(m.cpu).write(Msr.EFER, 1L << bit) == Status.OK ? 1L << bit : 0;
    }
    // LMA is the processor's own: writes of it are ignored.
    assertThat(Long.toHexString(bits)).isEqualTo(expected);
  }

  /** Each of the eight bytes of IA32_PAT and of a fixed-range MTRR takes the types that exist. */
  @Test
  void shouldTakeMemoryTypesThatExist() {
    for (int type = 0; type < 256; type++) {
      for (int place = 0; place < 64; place += 8) {
        long others = PagingContext.PAT_RESET & ~(0xFFL << place);
        boolean pat = type == 0 || type == 1 || type >= 4 && type <= 7;
        SystemMachine m = machine("max");
        assertThat(new ModelRegisters(m.cpu).write(Msr.PAT, others | (long) type << place) == Status.OK)
            .as("PAT %x", type).isEqualTo(pat);
        assertThat(new ModelRegisters(m.cpu).write(Mtrrs.FIX_4K, (long) type << place) == Status.OK).as("MTRR %x", type)
            .isEqualTo(pat && type != 7);
      }
    }
  }

  @Test
  void shouldRaiseGpForMsrsThatDoNotExist() {
    Set<String> known = new TreeSet<>();
    SystemMachine m = machine("max");
    ModelRegisters registers = new ModelRegisters(m.cpu);
    int[] ranges = {0, 0x2000, 0x4000_0000, 0x4000_0200, 0x4B56_4D00, 0x4B56_4D10, 0xC000_0000, 0xC000_2000,
        0xC001_0000, 0xC001_2000, -0x100, -1};
    for (int i = 0; i < ranges.length; i += 2) {
      for (int msr = ranges[i]; msr != ranges[i + 1]; msr++) {
        if (registers.read(msr) == Status.OK) {
          known.add(Integer.toHexString(msr));
        } else {
          assertThat(m.outcome(registers.write(msr, 0))).as(Integer.toHexString(msr)).isEqualTo("#GP(0)");
        }
      }
    }
    Set<String> expected = new TreeSet<>(Set.of("0", "1", "10", "17", "1b", "3b", "8b", "179", "17a", "17b", "fe",
        "174", "175", "176", "1a0", "250", "258", "259", "277", "2ff", "6e1", "c0000080",
        "c0000081", "c0000082", "c0000083", "c0000084", "c0000100", "c0000101", "c0000102", "c0000103"));
    for (int i = 0; i < 16; i++) {
      expected.add(Integer.toHexString(0x200 + i));
    }
    for (int i = 0; i < 8; i++) {
      expected.add(Integer.toHexString(0x268 + i));
    }
    for (int i = 0; i < 4 * MachineCheck.BANKS; i++) {
      expected.add(Integer.toHexString(MachineCheck.FIRST_BANK + i));
    }
    assertThat(known).isEqualTo(expected);
  }

  @Test
  void shouldReadNoBanksAndNoMachineCheckWithoutTheFeature() {
    SystemMachine m = machine("default");
    ModelRegisters registers = new ModelRegisters(m.cpu);
    for (int msr : new int[] {MachineCheck.CAP, MachineCheck.STATUS}) {
      assertThat(registers.read(msr)).isEqualTo(Status.OK);
      assertThat(m.cpu.value).isZero();
    }
    assertThat(registers.write(MachineCheck.CAP, 0)).isNotEqualTo(Status.OK);
    assertThat(registers.write(MachineCheck.STATUS, 0)).isEqualTo(Status.OK);
  }

  @ParameterizedTest
  @CsvSource({"6e1, max, true", "6e1, 'max,-pks', false", "17a, max, true", "402, 'max,-mca', false",
      "401, default, false", "3b, max, true", "3b, 'max,-tsc-adjust', false", "c0000103, max, true",
      "c0000103, 'max,-rdpid,-rdtscp', false", "c0000103, 'max,-rdtscp', true"})
  void shouldHaveMsrsOfFeaturesWithThem(String msr, String model, boolean exists) {
    SystemMachine m = machine(model);
    ModelRegisters registers = new ModelRegisters(m.cpu);
    assertThat(registers.read((int) hex(msr)) == Status.OK).isEqualTo(exists);
    assertThat(registers.write((int) hex(msr), 0) == Status.OK).isEqualTo(exists);
  }

  @Test
  void shouldTakeAllOnesForMachineCheckControls() {
    ModelRegisters registers = new ModelRegisters(machine("max").cpu);
    for (int msr : new int[] {MachineCheck.CTL, MachineCheck.FIRST_BANK, MachineCheck.FIRST_BANK + 36}) {
      assertThat(registers.write(msr, -1)).isEqualTo(Status.OK);
      assertThat(registers.write(msr, 0)).isEqualTo(Status.OK);
    }
  }

  /** SDM vol. 3B, "IA32_TSC_ADJUST Register Support": each adds to the other what is written to it. */
  @Test
  void shouldKeepTscAndItsAdjustmentTogether() {
    SystemMachine m = machine("max");
    ModelRegisters registers = new ModelRegisters(m.cpu);
    registers.write(Msr.TSC_ADJUST, 5000);
    registers.read(Msr.TSC);
    assertThat(m.cpu.value).isEqualTo(m.cpu.now() + 5000);
    registers.write(Msr.TSC, m.cpu.now() + 7000);
    registers.read(Msr.TSC_ADJUST);
    assertThat(m.cpu.value).isEqualTo(7000);
  }

  /** RDMSR clears the upper halves, and ECX alone names the register. */
  @Test
  void shouldUseTheLowHalvesOfRegisters() {
    SystemMachine m = machine("max");
    m.cpu.star = 0x1234_5678_9ABC_DEF0L;
    m.cpu.regs[Cpu.RCX] = -1L << 32 | Msr.STAR & LOW;
    m.cpu.regs[Cpu.RAX] = -1;
    m.cpu.regs[Cpu.RDX] = -1;
    assertThat(m.outcome(m.run(0x132))).isEqualTo("OK");
    assertThat(m.cpu.regs[Cpu.RAX]).isEqualTo(0x9ABC_DEF0L);
    assertThat(m.cpu.regs[Cpu.RDX]).isEqualTo(0x1234_5678L);
    m.cpu.regs[Cpu.RCX] = -1L << 32 | 0x7FFF;
    assertThat(m.outcome(m.run(0x132))).isEqualTo("#GP(0)");
    assertThat(m.outcome(m.run(0x130))).isEqualTo("#GP(0)");
  }
}
