package dev.gnomon.guest.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every combination of entry bits at two levels, of control bits and of accesses, against a model that shares nothing
 * with the walker: present and reserved by a rule of three lines, rights by {@link PermissionTable}.
 */
class PageFaultCodeTableTest {
  private static final long GVA = 0x0040_3000L;
  private static final long PAGE = 0x5000;
  private static final long[] BITS = {PageTables.P, PageTables.RW, PageTables.US, PageTables.NX, 1L << 51};

  @ParameterizedTest
  @CsvSource({"4-level,3,0", "4-level with A set,3,32", "PAE,2,0", "PAE with A set,2,32"})
  void shouldGiveTheCodeOfTheTableWithEightByteEntries(String name, int mode, long accessed) {
    PagingContext c = new PagingContext();
    PageTables tables = new PageTables(c, mode);
    tables.map(GVA, PAGE, PageTables.P);
    long table = tables.get(GVA, 2) & PageTableEntry.ADDRESS;
    PageWalker walker = new PageWalker(tables.memory, c, null);
    for (int upper = 0; upper < 32; upper++) {
      for (int lower = 0; lower < 32; lower++) {
        long pde = table | bits(upper) | accessed;
        long pte = PAGE | bits(lower) | accessed;
        checkAll(tables, walker, pde, pte, true);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void shouldGiveTheCodeOfTheTableWithFourByteEntries(boolean nxe) {
    PagingContext c = new PagingContext();
    PageTables tables = new PageTables(c, PagingContext.LEGACY);
    tables.map(GVA, PAGE, PageTables.P);
    long table = tables.get(GVA, 2) & PageTableEntry.ADDRESS_LEGACY;
    PageWalker walker = new PageWalker(tables.memory, c, null);
    for (int upper = 0; upper < 8; upper++) {
      for (int lower = 0; lower < 8; lower++) {
        checkAll(tables, walker, table | upper, PAGE | lower, nxe);
      }
    }
  }

  private static long bits(int choice) {
    long entry = 0;
    for (int i = 0; i < BITS.length; i++) {
      entry |= (choice >> i & 1) != 0 ? BITS[i] : 0;
    }
    return entry;
  }

  private static void checkAll(PageTables tables, PageWalker walker, long pde, long pte, boolean varyNxe) {
    PagingContext c = tables.paging;
    Translation out = new Translation();
    long pdeAddress = tables.entryAddress(GVA, 2);
    long pteAddress = (pde & PageTableEntry.ADDRESS_LEGACY) + 3 * tables.entrySize();
    for (int controls = 0; controls < 16; controls++) {
      c.wp = (controls & 1) != 0;
      c.smep = (controls & 2) != 0;
      c.smap = (controls & 4) != 0;
      c.nxe = (controls & 8) != 0 && varyNxe;
      for (int access : PermissionTable.accesses()) {
        tables.memory.write(pdeAddress, tables.entrySize(), pde);
        tables.memory.write(pteAddress, tables.entrySize(), pte);
        int expected = expectedCode(pde, pte, access, c);
        long result = walker.translate(GVA, access, out);
        String what = "pde %x pte %x access %x controls %x".formatted(pde, pte, access, controls);
        if (expected < 0) {
          assertThat(result).as(what).isEqualTo(PAGE);
        } else {
          assertThat(result).as(what).isEqualTo(Status.FAULT);
          assertThat(PageFaultCode.toString(out.errorCode)).as(what).isEqualTo(PageFaultCode.toString(expected));
          assertThat(tables.get(GVA, 2)).as("no flag set, " + what).isEqualTo(pde);
          assertThat(tables.memory.read(pteAddress, tables.entrySize())).as("no flag set, " + what).isEqualTo(pte);
        }
      }
    }
  }

  /** −1 if the access is allowed. */
  private static int expectedCode(long pde, long pte, int access, PagingContext c) {
    int code = access & Access.ERROR_CODE_MASK;
    if (!c.smep && !(c.nxe && c.mode != PagingContext.LEGACY)) {
      code &= ~PageFaultCode.ID;
    }
    for (long entry : new long[] {pde, pte}) {
      if ((entry & 1) == 0) {
        return code;
      }
      if ((entry & 1L << 51) != 0 || entry < 0 && !c.nxe) {
        return code | 9;
      }
    }
    boolean rw = (pde & pte & 2) != 0;
    boolean us = (pde & pte & 4) != 0;
    return PermissionTable.allowed(access, us, rw, (pde | pte) < 0, c) ? -1 : code | 1;
  }
}
