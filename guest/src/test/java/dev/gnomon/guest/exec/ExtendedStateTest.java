package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.decode.Instruction;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SDM vol. 1, "Managing State Using the XSAVE Feature Set", as far as the host's processor cannot show it. */
class ExtendedStateTest {
  private static final int GROUP_7 = 0x101;
  private static final int GROUP_15 = 0x1AE;
  private static final int GROUP_9 = 0x1C7;
  private static final int MOV_TO = 0x122;
  private static final long AREA = SystemMachine.DATA;
  private static final long HEADER = AREA + 512;
  private static final long COMPACT_PKRU = AREA + 576;
  private static final long PKRU = AREA + 2688;
  private static final byte UNTOUCHED = 0x5A;

  private final SystemMachine m = SystemMachine.longMode(0);
  private final Cpu cpu = m.cpu;

  private void start(String model, long xcr0) {
    cpu.select(CpuModel.parse(model));
    cpu.cr4 |= ControlRegister.CR4_OSXSAVE;
    cpu.setXcr0(xcr0);
    m.memory.fill((int) AREA, 4096, UNTOUCHED);
  }

  private String control(int number, String rcx, String rdx, String rax) {
    cpu.regs[Cpu.RCX] = Long.parseUnsignedLong(rcx, 16);
    cpu.regs[Cpu.RDX] = Long.parseUnsignedLong(rdx, 16);
    cpu.regs[Cpu.RAX] = Long.parseUnsignedLong(rax, 16);
    return m.outcome(m.run(m.register(GROUP_7, 2, number)));
  }

  private String state(String name, long mask) {
    return state(name, mask, AREA);
  }

  private String state(String name, long mask, long address) {
    cpu.regs[Cpu.RAX] = mask & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = mask >>> 32;
    Instruction insn = switch (name) {
      case "XSAVE" -> m.memory(GROUP_15, 4, address);
      case "XRSTOR" -> m.memory(GROUP_15, 5, address);
      case "XSAVEOPT" -> m.memory(GROUP_15, 6, address);
      default -> m.memory(GROUP_9, 4, address);
    };
    return m.outcome(m.run(insn));
  }

  /** Nothing is in its initial configuration. */
  private void fill() {
    Arrays.fill(cpu.xmm, 0x1111_2222_3333_4444L);
    cpu.mxcsr = 0x3F80;
    cpu.fpuControl = 0x27F;
    cpu.fpuSignificand[0] = Long.MIN_VALUE;
    cpu.fpuExponent[0] = 0x3FFF;
    cpu.fpuValid = 1;
    m.mmu.setPkru(0x5555_5554);
  }

  private void header(long states, long places) {
    m.memory.fill((int) HEADER, 64, (byte) 0);
    m.memory.write64(HEADER, states);
    m.memory.write64(HEADER + 8, places);
  }

  @ParameterizedTest
  @CsvSource({"max, true, 0, 0, 0, 3, OK", "max, true, 0, 0, 0, 203, OK", "max, true, 0, 0, 0, 1, OK",
      "max, true, 0, ffffffff00000000, 0, ffffffff00000001, OK", "max, true, 0, 0, 0, 2, '#GP(0)'",
      "max, true, 0, 0, 0, 0, '#GP(0)'", "max, true, 0, 0, 0, 7, '#GP(0)'", "max, true, 0, 0, 1, 3, '#GP(0)'",
      "max, true, 0, 1, 0, 3, '#GP(0)'", "max, true, 3, 0, 0, 3, '#GP(0)'", "max, false, 0, 0, 0, 3, '#UD(0)'",
      "max, false, 3, 0, 0, 3, '#UD(0)'", "'Haswell', true, 0, 0, 0, 3, OK", "'Haswell', true, 0, 0, 0, 203, '#GP(0)'"})
  void shouldCheckXsetbv(String model, boolean enabled, int cpl, String rcx, String rdx, String rax, String outcome) {
    start(model, 1);
    cpu.cr4 &= enabled ? -1 : ~ControlRegister.CR4_OSXSAVE;
    cpu.setCpl(cpl);
    assertThat(control(1, rcx, rdx, rax)).isEqualTo(outcome);
    assertThat(cpu.xcr0).isEqualTo(outcome.equals("OK") ? Long.parseUnsignedLong(rax, 16) & 0xFFFF_FFFFL : 1);
  }

  @Test
  void shouldAlwaysExitFromXsetbv() {
    start("max", 1);
    cpu.intercepts.enabled = true;
    assertThat(control(1, "5", "0", "0")).isEqualTo("EXIT");
    assertThat(cpu.exit.reason).isEqualTo(ExitReason.XSETBV);
    cpu.setCpl(3);
    assertThat(control(1, "0", "0", "3")).isEqualTo("#GP(0)");
  }

  @ParameterizedTest
  @CsvSource({"max, 0, OK", "max, 1, OK", "max, 2, '#GP(0)'", "Haswell, 0, OK", "Haswell, 1, '#GP(0)'"})
  void shouldReadXcr0AndWhatIsInUse(String model, String rcx, String outcome) {
    start(model, 3);
    cpu.setCpl(3);
    fill();
    assertThat(control(0, rcx, "ffffffff", "ffffffff")).isEqualTo(outcome);
    if (outcome.equals("OK")) {
      assertThat(cpu.regs[Cpu.RAX]).isEqualTo(3);
      assertThat(cpu.regs[Cpu.RDX]).isZero();
    }
    cpu.cr4 &= ~ControlRegister.CR4_OSXSAVE;
    assertThat(control(0, rcx, "0", "0")).isEqualTo("#UD(0)");
  }

  @Test
  void shouldCallInUseWhatIsNotInitial() {
    start("max", 0x203);
    control(0, "1", "0", "0");
    assertThat(cpu.regs[Cpu.RAX]).as("after reset").isZero();
    cpu.mxcsr = 0x3F80;
    control(0, "1", "0", "0");
    assertThat(cpu.regs[Cpu.RAX]).as("MXCSR does not count").isZero();
    cpu.xmm[31] = 1;
    control(0, "1", "0", "0");
    assertThat(cpu.regs[Cpu.RAX]).as("XMM15").isEqualTo(2);
    cpu.fpuExponent[7] = 1;
    control(0, "1", "0", "0");
    assertThat(cpu.regs[Cpu.RAX]).as("x87").isEqualTo(3);
    m.mmu.setPkru(4);
    control(0, "1", "0", "0");
    assertThat(cpu.regs[Cpu.RAX]).as("PKRU").isEqualTo(0x203);
  }

  /** Leaf DH: EAX and ECX of subleaf 0 and EBX by XCR0; EAX and EBX of subleaf 1; EAX, EBX of subleaf 9. */
  @ParameterizedTest
  @CsvSource({"default, 1, b, 0, 0, 0, 0, 0, 0, 0", "Haswell, 3, d, 3, 576, 576, 1, 0, 0, 0",
      "Skylake-Client, 3, d, 3, 576, 576, 7, 576, 0, 0", "max, 1, d, 203, 2696, 576, 7, 576, 8, 2688",
      "max, 3, d, 203, 2696, 576, 7, 576, 8, 2688", "max, 203, d, 203, 2696, 2696, 7, 584, 8, 2688",
      "'max,-pku', 3, d, 3, 576, 576, 7, 576, 0, 0", "'max,-xsavec', 203, d, 203, 2696, 2696, 5, 0, 8, 2688"})
  void shouldDescribeTheAreaInCpuid(String model, String xcr0, String maxLeaf, String components, int largest, int size,
      int features, int compacted, int pkruBytes, int pkruOffset) {
    cpu.select(CpuModel.parse(model));
    cpu.setXcr0(Long.parseLong(xcr0, 16));
    assertThat(cpu.cpuid.query(0, 0)[Cpuid.EAX]).isEqualTo(Integer.parseInt(maxLeaf, 16));
    if (cpu.cpuid.offers(Feature.XSAVE)) {
      assertThat(cpu.cpuid.query(0xD, 0)).containsExactly(Integer.parseInt(components, 16), size, largest, 0);
      assertThat(cpu.cpuid.query(0xD, 1)).containsExactly(features, compacted, 0, 0);
      assertThat(cpu.cpuid.query(0xD, 9)).containsExactly(pkruBytes, pkruOffset, 0, 0);
      for (int sub : new int[] {2, 3, 8, 10, 62, 63}) {
        assertThat(cpu.cpuid.query(0xD, sub)).containsExactly(0, 0, 0, 0);
      }
    }
  }

  @Test
  void shouldShowInCpuidThatTheSystemEnabledIt() {
    cpu.select(CpuModel.parse("max"));
    int bit = 1 << 27;
    assertThat(cpu.cpuid.query(1, 0)[Cpuid.ECX] & bit).isZero();
    cpu.regs[Cpu.RAX] = cpu.cr4 | ControlRegister.CR4_OSXSAVE;
    assertThat(m.outcome(m.run(m.register(MOV_TO, 4, Cpu.RAX)))).isEqualTo("OK");
    assertThat(cpu.cpuid.query(1, 0)[Cpuid.ECX] & bit).isNotZero();
    cpu.select(CpuModel.DEFAULT);
    cpu.cr4 &= ~ControlRegister.CR4_OSXSAVE;
    cpu.regs[Cpu.RAX] = cpu.cr4 | ControlRegister.CR4_OSXSAVE;
    assertThat(m.outcome(m.run(m.register(MOV_TO, 4, Cpu.RAX)))).as("reserved where it is not offered")
        .isEqualTo("#GP(0)");
  }

  @ParameterizedTest
  @CsvSource({"XSAVE", "XSAVEOPT", "XSAVEC", "XRSTOR"})
  void shouldCheckControlBitsAndAlignment(String name) {
    start("max", 3);
    header(0, 0);
    m.memory.write64(AREA + 24, Mxcsr.INITIAL);
    assertThat(state(name, 3)).isEqualTo("OK");
    assertThat(state(name, 3, AREA + 32)).isEqualTo("#GP(0)");
    assertThat(state(name, 3, 1L << 60)).as("not canonical").isEqualTo("#GP(0)");
    cpu.cr0 |= ControlRegister.CR0_EM;
    assertThat(state(name, 3)).as("EM is of no account").isEqualTo("OK");
    cpu.cr0 |= ControlRegister.CR0_TS;
    assertThat(state(name, 3, AREA + 32)).isEqualTo("#NM(0)");
    cpu.cr4 &= ~ControlRegister.CR4_OSXSAVE;
    assertThat(state(name, 3)).isEqualTo("#UD(0)");
  }

  @ParameterizedTest
  @CsvSource({"XSAVEOPT, xsaveopt", "XSAVEC, xsavec"})
  void shouldRaiseUdWithoutTheFeature(String name, String feature) {
    start("max,-" + feature, 3);
    assertThat(state(name, 3)).isEqualTo("#UD(0)");
  }

  @Test
  void shouldSaveWhatIsAskedForAndKeepTheRestOfTheHeader() {
    start("max", 0x203);
    fill();
    m.memory.write64(HEADER, 0x1000_0000_0000_0001L);
    assertThat(state("XSAVE", 0xFFFF_FFFF_FFFF_FFFEL)).isEqualTo("OK");
    assertThat(m.memory.read64(HEADER)).as("x87 and what XCR0 has not are kept").isEqualTo(0x1000_0000_0000_0203L);
    assertThat(m.memory.read64(HEADER + 8)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(AREA)).as("x87").isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(AREA + 24)).isEqualTo(0xFFFFL << 32 | 0x3F80);
    assertThat(m.memory.read64(AREA + 160)).isEqualTo(0x1111_2222_3333_4444L);
    assertThat(m.memory.read64(PKRU)).isEqualTo(0x5555_5554L);
    assertThat(m.memory.read64(AREA + 576)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
  }

  @Test
  void shouldSaveWhatIsInitialUnlessOptimized() {
    start("max", 0x203);
    m.memory.write64(HEADER, 0x203);
    assertThat(state("XSAVEOPT", 0x203)).isEqualTo("OK");
    assertThat(m.memory.read64(HEADER)).isZero();
    assertThat(m.memory.read64(AREA)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(AREA + 24)).as("MXCSR goes with the mask").isEqualTo(0xFFFFL << 32 | Mxcsr.INITIAL);
    assertThat(m.memory.read64(AREA + 160)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(state("XSAVE", 0x203)).isEqualTo("OK");
    assertThat(m.memory.read64(HEADER)).isZero();
    assertThat(m.memory.read64(AREA)).isEqualTo(FpuWord.INITIAL_CONTROL);
    assertThat(m.memory.read64(PKRU)).isZero();
  }

  @ParameterizedTest
  @CsvSource({"0, 1f80, 0, 0", "0, 3f80, 0, 2", "1, 1f80, 0, 2", "0, 1f80, 4, 200", "1, 3f80, 4, 202"})
  void shouldCompactWhatIsInUse(long xmm0, String mxcsr, int pkru, String states) {
    start("max", 0x203);
    cpu.xmm[0] = xmm0;
    cpu.mxcsr = Integer.parseInt(mxcsr, 16);
    m.mmu.setPkru(pkru);
    assertThat(state("XSAVEC", -1)).isEqualTo("OK");
    long saved = Long.parseLong(states, 16);
    assertThat(m.memory.read64(HEADER)).isEqualTo(saved);
    assertThat(m.memory.read64(HEADER + 8)).isEqualTo(Long.MIN_VALUE | 0x203);
    assertThat(m.memory.read64(HEADER + 16)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(AREA + 24))
        .isEqualTo((saved & 2) != 0 ? 0xFFFFL << 32 | cpu.mxcsr : 0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(COMPACT_PKRU)).isEqualTo((saved & 0x200) != 0 ? pkru : 0x5A5A_5A5A_5A5A_5A5AL);
    assertThat(m.memory.read64(PKRU)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
  }

  /** XSTATE_BV, XCOMP_BV, one more word of the header and its place. */
  @ParameterizedTest
  @CsvSource({"3, 0, 0, 16, OK", "203, 0, 0, 16, '#GP(0)'", "4, 0, 0, 16, '#GP(0)'",
      "8000000000000000, 0, 0, 16, '#GP(0)'", "3, 1, 0, 16, '#GP(0)'", "3, 0, 1, 16, '#GP(0)'", "3, 0, 1, 24, OK",
      "3, 8000000000000003, 0, 16, OK", "1, 8000000000000003, 0, 16, OK", "3, 8000000000000001, 0, 16, '#GP(0)'",
      "3, 8000000000000203, 0, 16, '#GP(0)'", "8000000000000003, 8000000000000003, 0, 16, '#GP(0)'",
      "3, 8000000000000003, 1, 16, '#GP(0)'", "3, 8000000000000003, 1, 56, '#GP(0)'"})
  void shouldCheckTheHeader(String states, String places, int word, int at, String outcome) {
    start("max", 3);
    m.memory.fill((int) AREA, 512, (byte) 0);
    header(Long.parseUnsignedLong(states, 16), Long.parseUnsignedLong(places, 16));
    m.memory.write64(HEADER + at, word);
    assertThat(state("XRSTOR", 3)).isEqualTo(outcome);
  }

  @Test
  void shouldRefuseTheCompactedFormWithoutXsavec() {
    start("max,-xsavec", 3);
    header(3, Long.MIN_VALUE | 3);
    assertThat(state("XRSTOR", 3)).isEqualTo("#GP(0)");
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void shouldInitializeWhatTheAreaDoesNotHold(boolean compacted) {
    start("max", 0x203);
    m.memory.fill((int) AREA, 512, (byte) 0);
    m.memory.write64(AREA + 24, 0x5F80);
    header(0, compacted ? Long.MIN_VALUE | 0x203 : 0);
    fill();
    assertThat(state("XRSTOR", 0x203)).isEqualTo("OK");
    assertThat(cpu.xmm).containsOnly(0);
    assertThat(cpu.fpuControl).isEqualTo(FpuWord.INITIAL_CONTROL);
    assertThat(cpu.fpuValid).isZero();
    assertThat(cpu.fpuSignificand).containsOnly(0);
    assertThat(m.mmu.paging.pkru).isZero();
    assertThat(cpu.mxcsr).as("from memory in the standard form").isEqualTo(compacted ? Mxcsr.INITIAL : 0x5F80);
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void shouldBringBackWhatItSaved(boolean compacted) {
    start("max", 0x203);
    header(0, 0);
    fill();
    assertThat(state(compacted ? "XSAVEC" : "XSAVE", 0x203)).isEqualTo("OK");
    m.memory.fill((int) HEADER + 16, 48, (byte) 0);
    Arrays.fill(cpu.xmm, 7);
    cpu.fpuValid = 0xFF;
    cpu.mxcsr = Mxcsr.INITIAL;
    m.mmu.setPkru(1);
    assertThat(state("XRSTOR", 0)).isEqualTo("OK");
    assertThat(cpu.xmm).as("nothing was asked for").containsOnly(7);
    assertThat(state("XRSTOR", -1)).isEqualTo("OK");
    assertThat(cpu.xmm).containsOnly(0x1111_2222_3333_4444L);
    assertThat(cpu.fpuValid).isEqualTo(1);
    assertThat(cpu.fpuControl).isEqualTo(0x27F | FpuWord.CONTROL_FIXED);
    assertThat(cpu.mxcsr).isEqualTo(0x3F80);
    assertThat(m.mmu.paging.pkru).isEqualTo(0x5555_5554);
  }

  @Test
  void shouldChangeNothingIfThePlaceOfPkruFaults() {
    start("max", 0x203);
    fill();
    long area = AREA + 0x1000 - 2688 & -64;
    m.pages.notPresent.add(AREA + 0x1000 >>> 12);
    assertThat(state("XSAVE", 0x203, area)).isEqualTo("#PF(2)");
    assertThat(m.memory.read64(area + 160)).isEqualTo(0x5A5A_5A5A_5A5A_5A5AL);
  }
}
