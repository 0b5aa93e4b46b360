package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PermissionsTest {
  @Test
  void shouldFollowEachRowOfTheTable() {
    PagingContext c = new PagingContext();
    c.mode = PagingContext.LONG4;
    for (int controls = 0; controls < 8; controls++) {
      c.wp = (controls & 1) != 0;
      c.smep = (controls & 2) != 0;
      c.smap = (controls & 4) != 0;
      for (int access : PermissionTable.accesses()) {
        for (int bits = 0; bits < 8; bits++) {
          boolean rw = (bits & 1) != 0;
          boolean us = (bits & 2) != 0;
          boolean nx = (bits & 4) == 0;
          assertThat(Permissions.allowed(access, bits, c)).as("access %x rights %x controls %d", access, bits, controls)
              .isEqualTo(PermissionTable.allowed(access, us, rw, nx, c));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {PagingContext.LEGACY, PagingContext.PAE, PagingContext.LONG4})
  void shouldReportFetchOnlyWithSmepOrNx(int mode) {
    PagingContext c = new PagingContext();
    c.mode = mode;
    assertThat(Permissions.errorCode(Access.FETCH, PageFaultCode.P, c)).isEqualTo(PageFaultCode.P);
    c.nxe = true;
    int expected = mode == PagingContext.LEGACY ? 0 : PageFaultCode.ID;
    assertThat(Permissions.errorCode(Access.FETCH, 0, c)).isEqualTo(expected);
    c.nxe = false;
    c.smep = true;
    assertThat(Permissions.errorCode(Access.FETCH | Access.USER, 0, c)).isEqualTo(PageFaultCode.ID | PageFaultCode.U);
  }

  @Test
  void shouldKeepInternalAccessBitsOutOfTheErrorCode() {
    PagingContext c = new PagingContext();
    c.mode = PagingContext.LONG4;
    int access = Access.WRITE | Access.IMPLICIT | Access.SMAP_OVERRIDE;
    assertThat(Permissions.errorCode(access, PageFaultCode.P, c)).isEqualTo(PageFaultCode.P | PageFaultCode.W);
  }
}
