package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.HostMemory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * SDM vol. 3A, "Protection Keys" and the PK flag of "Page-Fault Exceptions": every combination, with and without a
 * cached translation.
 */
class ProtectionKeysTest {
  private static final long GVA = 0x40_3000L;
  private static final long PAGE = 0x10_0000L;
  private static final int KEY = 11;

  private final PageTables tables = new PageTables(new PagingContext(), PagingContext.LONG4_KEYS);
  private final Mmu mmu = new Mmu(tables.memory);

  static TlbPolicy[] policies() {
    return new TlbPolicy[] {TlbPolicy.UNCOUNTED, TlbPolicy.counted(TlbGeometry.SKYLAKE), TlbPolicy.STALE,
        TlbPolicy.FORGETFUL};
  }

  private void use(TlbPolicy policy) {
    mmu.paging.mode = PagingContext.LONG4_KEYS;
    mmu.paging.root = tables.paging.root;
    mmu.paging.nxe = true;
    mmu.setTranslator(new PageWalker(tables.memory, mmu.paging, null));
    mmu.setPolicy(policy);
  }

  /** The manual's words, apart from the model's code. */
  private boolean keyDenies(int access, boolean userPage, int limits) {
    boolean user = (access & Access.USER) != 0;
    if ((access & Access.FETCH) != 0 || user && !userPage || !(userPage ? mmu.paging.pke : mmu.paging.pks)) {
      return false;
    }
    boolean ad = (limits & 1) != 0;
    boolean wd = (limits & 2) != 0;
    return ad || wd && (access & Access.WRITE) != 0 && (user || mmu.paging.wp);
  }

  @ParameterizedTest
  @MethodSource("policies")
  void shouldLimitDataAccessesByTheKeyOfThePageWhateverIsCached(TlbPolicy policy) {
    use(policy);
    for (int c = 0; c < 1 << 8; c++) {
      mmu.paging.pke = (c & 1) != 0;
      mmu.paging.pks = (c & 2) != 0;
      mmu.paging.wp = (c & 4) != 0;
      boolean userPage = (c & 8) != 0;
      boolean writable = (c & 16) != 0;
      int limits = c >> 5 & 3;
      boolean large = (c & 128) != 0;
      long flags = PageTables.P | PageTables.A | PageTables.D | (userPage ? PageTables.US : 0)
          | (writable ? PageTables.RW : 0)
          | (long) KEY << ProtectionKeys.ENTRY_SHIFT;
      mmu.flushAll();
      tables.set(GVA, 2, 0);
      tables.map(GVA & (large ? -0x20_0000L : -1), PAGE & (large ? -0x20_0000L : -1), large ? 2 : 1, flags);
      for (int access : PermissionTable.accesses()) {
        // Fills whatever is cached while nothing is limited, then limits every other key too, which must not matter.
        mmu.setPkru(0);
        mmu.setPkrs(0);
        boolean allowed = PermissionTable.allowed(access, userPage, writable, false, mmu.paging);
        long expectedOffset = large ? GVA & 0x1F_F000 : PAGE;
        check(access, allowed, false, expectedOffset, c);
        int others = 0x5555_5555 & ~(3 << 2 * KEY);
        mmu.setPkru(userPage ? limits << 2 * KEY | others : -1);
        mmu.setPkrs(userPage ? -1 : limits << 2 * KEY | others);
        check(access, allowed, keyDenies(access, userPage, limits), expectedOffset, c);
      }
    }
  }

  private void check(int access, boolean allowed, boolean key, long offset, int combination) {
    mmu.select((access & Access.USER) != 0, (access & Access.SMAP_OVERRIDE) != 0);
    int needs = (access & Access.WRITE) != 0 ? SoftTlb.DENY_STORE : SoftTlb.DENY_LOAD;
    boolean soft = (access & (Access.FETCH | Access.IMPLICIT)) == 0
        && SoftTlb.probe(mmu.data.entries, GVA, 0, needs) >= 0;
    long result = soft ? SoftTlb.probe(mmu.data.entries, GVA, 0, needs) : mmu.translate(GVA, access);
    String what = "access %x combination %x".formatted(access, combination);
    if (allowed && !key) {
      assertThat(result).as(what).isEqualTo(offset);
      return;
    }
    assertThat(result).as(what).isEqualTo(Status.FAULT);
    int code = PageFaultCode.P | access & Access.ERROR_CODE_MASK | (key ? PageFaultCode.PK : 0);
    assertThat(mmu.walk.errorCode).as(what).isEqualTo(code);
  }

  @ParameterizedTest
  @CsvSource({"0, 4", "1, 13", "2, 13"})
  void shouldReportNoKeyWhenThereIsNoTranslation(String bad, int code) {
    use(TlbPolicy.UNCOUNTED);
    mmu.paging.pke = true;
    mmu.setPkru(-1);
    long entry = bad.equals("0") ? 0
        : PageTables.P | PageTables.US | (bad.equals("1") ? 1L << 50 : 1L << HostMemory.MAXPHYADDR);
    tables.map(GVA, PAGE, entry);
    assertThat(mmu.translate(GVA, Access.USER)).isEqualTo(Status.FAULT);
    assertThat(mmu.walk.errorCode).isEqualTo(code);
  }

  @Test
  void shouldIgnoreTheBitsOfAKeyWithoutKeys() {
    use(TlbPolicy.UNCOUNTED);
    mmu.paging.mode = PagingContext.LONG4;
    mmu.setPkru(-1);
    tables.map(GVA, PAGE, PageTables.P | PageTables.US | ProtectionKeys.ENTRY_MASK);
    assertThat(mmu.translate(GVA, Access.USER)).isEqualTo(PAGE);
  }
}
