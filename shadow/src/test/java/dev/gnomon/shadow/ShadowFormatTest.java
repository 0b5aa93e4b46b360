package dev.gnomon.shadow;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.HostMemory;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class ShadowFormatTest {
  @Property
  void shouldKeepFrameRightsAndGenerationInAnMmioMarker(
      @ForAll @LongRange(max = (1L << 34) - 1) long gfn, @ForAll @IntRange(max = 7) int access,
      @ForAll int generation) {
    long spte = ShadowPte.mmio(gfn, access, generation);
    assertThat(ShadowPte.isMmio(spte)).isTrue();
    assertThat(ShadowPte.isPresent(spte)).isFalse();
    assertThat(ShadowPte.mmioGfn(spte)).isEqualTo(gfn);
    assertThat(ShadowPte.access(spte)).isEqualTo(access);
    assertThat(ShadowPte.mmioGeneration(spte)).isEqualTo(generation & ShadowPte.GENERATION_MASK);
    assertThat(spte >>> HostMemory.MAXPHYADDR & 0x3F).as("a reserved bit is set").isNotZero();
  }

  @Test
  void shouldKeepSoftwareBitsWherePaeIgnoresThem() {
    assertThat(ShadowPte.HOST_WRITABLE | ShadowPte.MMU_WRITABLE).isEqualTo(0x600);
  }

  @Test
  void shouldTellEntriesApartInMessages() {
    assertThat(ShadowPte.toString(0)).isEqualTo("not present");
    long spte = 0x1_0000_3000L | ShadowPte.P | ShadowPte.W | ShadowPte.A | ShadowPte.XD;
    assertThat(ShadowPte.toString(spte)).isEqualTo("hpa 0x100003000 rw-- A");
    long marker = ShadowPte.mmio(0xfee00, ShadowAccess.WRITE, 5);
    assertThat(ShadowPte.toString(marker)).isEqualTo("mmio gfn fee00 w-- gen 5");
  }

  @Test
  void shouldDescribeRolesAsKvmDoes() {
    GuestPagingState state = new GuestPagingState();
    state.cr0 = ControlRegister.CR0_PG | ControlRegister.CR0_PE;
    state.cr4 = ControlRegister.CR4_PAE | ControlRegister.CR4_SMEP;
    state.efer = ControlRegister.EFER_LMA | ControlRegister.EFER_LME | ControlRegister.EFER_NXE;
    int root = Role.root(state);
    assertThat(Role.toString(root)).isEqualTo("l4 8-byte q0 wux nxe !wp smep_andnot_wp");
    int direct = Role.child(root, 1, true, ShadowAccess.WRITE, 0);
    assertThat(Role.toString(direct)).isEqualTo("l1 8-byte q0 direct w-- nxe !wp smep_andnot_wp");
    assertThat(Role.vcpuBits(direct)).isEqualTo(Role.vcpuBits(root));
    state.cr4 = ControlRegister.CR4_PSE;
    state.efer = 0;
    int legacy = Role.root(state);
    assertThat(Role.toString(Role.child(legacy, 1, false, ShadowAccess.EXEC, 0x20_0000)))
        .isEqualTo("l1 4-byte q1 --x !nxe !wp");
    state.cr0 = ControlRegister.CR0_PE;
    assertThat(Role.direct(Role.root(state))).isTrue();
    assertThat(Role.level(Role.root(state))).isEqualTo(2);
  }

  @Test
  void shouldPrintAShadowPageAsKvmDoes() {
    GuestPagingState state = new GuestPagingState();
    state.cr0 = ControlRegister.CR0_PG | ControlRegister.CR0_PE | ControlRegister.CR0_WP;
    state.cr4 = ControlRegister.CR4_PAE;
    ShadowPage page = new ShadowPage(HostMemory.TABLES_BASE, 0, 0x1a, Role.root(state), 3, -1);
    assertThat(page).hasToString("sp gen 3 gfn 1a l2 8-byte q0 wux !nxe root 0 sync");
  }
}
