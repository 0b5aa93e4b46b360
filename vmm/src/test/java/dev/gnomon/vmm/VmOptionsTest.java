package dev.gnomon.vmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Intercepts;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Options and the controls that follow from them. */
class VmOptionsTest {
  private static Intercepts intercepts(Mode mode) {
    return new VmBuilder(Machines.options(mode)).build().cpu().intercepts;
  }

  @Test
  void shouldExitNeverNatively() {
    assertThat(intercepts(Mode.NATIVE).enabled).isFalse();
  }

  @Test
  void shouldLeavePagingToTheGuestUnderEpt() {
    Intercepts ept = intercepts(Mode.EPT);
    assertThat(ept.exceptionBitmap >>> Vector.PF & 1).isZero();
    assertThat(ept.cr3Load || ept.invlpg || ept.invpcid).isFalse();
    assertThat(ept.cr4GuestHostMask & ControlRegister.CR4_PGE).isZero();
    assertThat(ept.cr0GuestHostMask & (ControlRegister.CR0_WP | ControlRegister.CR0_TS)).isZero();
    assertThat(ept.cr0GuestHostMask & ControlRegister.CR0_PG).isNotZero();
  }

  @Test
  void shouldSeeAllPagingUnderShadow() {
    Intercepts shadow = intercepts(Mode.SHADOW);
    assertThat(shadow.exceptionBitmap >>> Vector.PF & 1).isEqualTo(1);
    assertThat(shadow.cr3Load && shadow.cr3Store && shadow.invlpg && shadow.invpcid).isTrue();
    assertThat(shadow.cr4GuestHostMask & ControlRegister.CR4_PGE).isNotZero();
    assertThat(shadow.cr0GuestHostMask & ControlRegister.CR0_WP).isNotZero();
    assertThat(shadow.cr0GuestHostMask & ControlRegister.CR0_TS).isZero();
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldInterceptWhatKvmDoesInBothModes(Mode mode) {
    Intercepts both = intercepts(mode);
    assertThat(both.enabled && both.hlt && both.io && both.msr && both.externalInterrupt && both.wbinvd
        && both.movDr).isTrue();
    assertThat(both.rdtsc || both.pause).isFalse();
  }

  @Test
  void shouldNameTheModesThatThereAre() {
    assertThat(Mode.parse("EPT")).isEqualTo(Mode.EPT);
    assertThat(Mode.SHADOW).hasToString("shadow");
    assertThatThrownBy(() -> Mode.parse("npt")).isInstanceOf(IllegalArgumentException.class)
        .hasMessage("mode \"npt\": expected native, ept or shadow");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1, 1_000_001})
  void shouldRefuseImpossibleClocks(long ns) {
    assertThatThrownBy(() -> VmOptions.of(Mode.EPT).withNsPerInstruction(ns))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 1 to 1000000");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 11, 22, 64})
  void shouldRefuseImpossiblePageSizes(int shift) {
    assertThatThrownBy(() -> VmOptions.of(Mode.EPT).withEptMaxPageShift(shift))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 12, 21 or 30");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRefuseADeviceOnTopOfMemory(Mode mode) {
    DeviceSetup misplaced = DeviceSetup.mmio(() -> new RequestDevice("misplaced", Window.anywhere(4096), 0), 0x100000);
    assertThatThrownBy(() -> new VmBuilder(Machines.options(mode)).polled(misplaced).build())
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("misplaced").hasMessageContaining("RAM");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunTheSameWhateverTheTlbKeeps(Mode mode) {
    String expected = null;
    TlbPolicy[] policies = {TlbPolicy.UNCOUNTED, TlbPolicy.counted(TlbGeometry.SKYLAKE), TlbPolicy.FORGETFUL,
        TlbPolicy.STALE};
    for (TlbPolicy policy : policies) {
      Vm vm = Machines.boot(Machines.options(mode).withTlb(policy), a -> {
        a.mov(dev.gnomon.guest.asm.Reg.RDI, Machines.DATA);
        a.mov(dev.gnomon.guest.asm.Reg.ECX, 3000);
        a.rep().stosq();
        Machines.exit(a, 0);
      });
      assertThat(vm.run(100_000).end()).isEqualTo(RunResult.End.GUEST_EXIT);
      String state = Machines.state(vm.cpu());
      expected = expected == null ? state : expected;
      assertThat(state).isEqualTo(expected);
    }
  }
}
