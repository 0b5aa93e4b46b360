package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterContainer;

/** Random guest tables over random EPT tables against {@link GuestReference}. */
class TwoDimensionalRandomTest {
  private static final int GUEST_TABLES = 6;
  private static final int EPT_TABLES = 4;
  private static final EptFixture EPT = new EptFixture();
  private static final long INDEX_MASK = 1L << 39 | 1L << 30 | 1L << 21 | 1L << 12 | 0xFFF;
  private static final Map<String, Integer> MET = new LinkedHashMap<>();

  private final HostMemory memory = EPT.memory;

  @Property(tries = 3000)
  void shouldAgreeWithTheTableDrivenModel(@ForAll long seed) {
    Random random = new Random(seed);
    fillEpt(random);
    fillGuest(random);
    PagingContext paging = randomContext(random);
    boolean accessedDirty = random.nextBoolean();
    EptCapabilities capabilities = new EptCapabilities(random.nextBoolean(), true, true, true, true);
    PageWalker walker = new PageWalker(memory, paging,
        EPT.walker(capabilities, accessedDirty, null, random.nextBoolean()));
    GuestReference reference = new GuestReference(memory, capabilities, EPT.root, accessedDirty, paging);
    Translation out = new Translation();
    for (int i = 0; i < 12; i++) {
      @Gva long gva = random.nextLong() & INDEX_MASK;
      int access = randomAccess(random);
      GuestReference.Result expected = reference.walk(gva, access);
      long[] before = snapshot();
      long peeked = walker.peek(gva, access, out, null);
      assertThat(difference(before, snapshot())).as("peek changes nothing").isEmpty();
      expected.flags().forEach((at, bits) -> before[place(at)] |= bits);
      long hpa = walker.translate(gva, access, out);
      assertThat(difference(before, snapshot())).as("flags set").isEmpty();
      MET.merge(expected.outcome(), 1, Integer::sum);
      switch (expected.outcome()) {
        case "ok" -> assertThat(hpa).isEqualTo(expected.detail()).isEqualTo(peeked);
        case "fault" -> {
          assertThat(hpa).isEqualTo(Status.FAULT).isEqualTo(peeked);
          assertThat(out.errorCode).isEqualTo((int) expected.detail());
        }
        case "violation" -> {
          assertThat(hpa).isEqualTo(Status.EXIT);
          assertThat(out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
          assertThat(EptViolation.toString(out.exitQualification)).isEqualTo(EptViolation.toString(expected.detail()));
          assertThat(out.exitGpa).isEqualTo(expected.exitGpa());
        }
        default -> {
          assertThat(hpa).isEqualTo(Status.EXIT);
          assertThat(out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
          assertThat(out.exitGpa).isEqualTo(expected.exitGpa());
        }
      }
      if (!expected.aliased()) {
        assertThat(out.references).isEqualTo(expected.references());
      }
    }
  }

  @AfterContainer
  static void shouldHaveMetEveryOutcome() {
    assertThat(MET.keySet()).contains("ok", "fault", "violation", "misconfig");
    assertThat(MET.values()).allMatch(count -> count > 300);
  }

  @Property(tries = 1500)
  void shouldEndEveryWalkInEveryModeWhateverTheTablesHold(@ForAll long seed) {
    Random random = new Random(seed);
    fillEpt(random);
    fillGuest(random);
    PagingContext paging = randomContext(random);
    paging.mode = random.nextInt(4);
    paging.pse = random.nextBoolean();
    paging.root = random.nextInt(4) == 0 ? random.nextLong() & (1L << 46) - 4096 : paging.root;
    Arrays.setAll(paging.pdpte, i -> random.nextInt(3) == 0 ? random.nextLong() : random.nextInt(8) * 4096L | 1);
    NestedTlb nested = random.nextBoolean() ? new NestedTlb(8, 2, NestedTlb.Option.REPORT_CACHED_RIGHTS) : null;
    EptWalker stage = EPT.walker(EptCapabilities.ALL, random.nextBoolean(), nested, random.nextBoolean());
    PageWalker walker = new PageWalker(memory, paging, stage);
    Translation out = new Translation();
    for (int i = 0; i < 12; i++) {
      @Gva long gva = random.nextBoolean() ? random.nextLong() & INDEX_MASK : random.nextLong() >> random.nextInt(40);
      if (paging.mode != PagingContext.LONG4) {
        gva &= 0xFFFF_FFFFL;
      }
      long result = walker.translate(gva, randomAccess(random), out);
      assertThat(result).isGreaterThanOrEqualTo(Status.EXIT);
      if (result == Status.EXIT) {
        assertThat(out.exitReason).isIn(ExitReason.EPT_VIOLATION, ExitReason.EPT_MISCONFIG);
      }
      walker.loadPdptes(random.nextLong(), paging.pdpte.clone(), out);
    }
  }

  private static int randomAccess(Random random) {
    int access = new int[] {Access.READ, Access.WRITE, Access.FETCH}[random.nextInt(3)];
    return access | switch (random.nextInt(4)) {
      case 0 -> Access.USER;
      case 1 -> access == Access.FETCH ? 0 : Access.IMPLICIT;
      case 2 -> access == Access.FETCH ? 0 : Access.SMAP_OVERRIDE;
      default -> 0;
    };
  }

  private static PagingContext randomContext(Random random) {
    PagingContext paging = new PagingContext();
    paging.mode = PagingContext.LONG4;
    paging.root = random.nextInt(GUEST_TABLES) * 4096L;
    paging.nxe = random.nextInt(4) > 0;
    paging.wp = random.nextBoolean();
    paging.smep = random.nextBoolean();
    paging.smap = random.nextInt(3) == 0;
    return paging;
  }

  /**
   * Guest-physical pages 0 to 7, a 2-MiB page at 2 MiB and a 1-GiB page at 1 GiB, with a little damage most of the
   * time.
   */
  private void fillEpt(Random random) {
    for (int table = 0; table < EPT_TABLES; table++) {
      for (int index = 0; index < 8; index++) {
        long entry = table == 3 ? EptEntry.leaf(HostMemory.VM_DRAM_BASE + random.nextInt(GUEST_TABLES) * 4096L, 12,
            EptEntry.RIGHTS, EptMemoryType.WB)
            : index == 0 ? EptEntry.table(EPT.root + (table + 1) * 4096L)
            : index == 1 && table > 0 ? EptEntry.leaf(HostMemory.VM_DRAM_BASE, EptEntry.shift(4 - table),
                EptEntry.RIGHTS, EptMemoryType.WB) : 0;
        memory.write64(EPT.root + table * 4096L + index * 8L, entry);
      }
    }
    for (int i = random.nextInt(4); i > 0; i--) {
      int table = random.nextInt(3) == 0 ? random.nextInt(EPT_TABLES) : 3;
      @Hpa long at = EPT.root + table * 4096L + (table == 3 ? random.nextInt(8) : random.nextInt(2)) * 8L;
      long entry = memory.read64(at);
      entry = entry & ~EptEntry.RIGHTS | new long[] {0, 1, 3, 4, 5, 7, 2}[random.nextInt(7)];
      memory.write64(at, random.nextInt(6) == 0 ? entry ^ 1L << random.nextInt(64) & ~EptEntry.ADDRESS_MASK : entry);
    }
  }

  private void fillGuest(Random random) {
    for (int table = 0; table < GUEST_TABLES; table++) {
      for (int index = 0; index < 2; index++) {
        memory.write64(HostMemory.VM_DRAM_BASE + table * 4096L + index * 8L, randomEntry(random));
      }
    }
  }

  private static long randomEntry(Random random) {
    if (random.nextInt(40) == 0) {
      return random.nextLong();
    }
    long entry = random.nextInt(8) * 4096L;
    if (random.nextInt(5) == 0) {
      entry = PageTableEntry.PS | (long) random.nextInt(2) << (random.nextBoolean() ? 21 : 30);
    }
    entry |= random.nextInt(12) == 0 ? 0 : PageTableEntry.P;
    entry |= random.nextInt(4) == 0 ? 0 : PageTableEntry.RW;
    entry |= random.nextInt(3) == 0 ? 0 : PageTableEntry.US;
    entry |= random.nextInt(2) == 0 ? 0 : PageTableEntry.A;
    entry |= random.nextInt(2) == 0 ? 0 : PageTableEntry.D;
    entry |= random.nextInt(10) == 0 ? PageTableEntry.NX : 0;
    return entry | (random.nextInt(40) == 0 ? 1L << random.nextInt(64) : 0);
  }

  /** The two entries in use of each guest table and the eight of each EPT table, by {@link #place}. */
  private long[] snapshot() {
    long[] words = new long[8 * (GUEST_TABLES + EPT_TABLES)];
    for (int i = 0; i < words.length; i++) {
      words[i] = memory.read64(at(i));
    }
    return words;
  }

  private static @Hpa long at(int place) {
    int table = place >> 3;
    return (table < GUEST_TABLES ? HostMemory.VM_DRAM_BASE + table * 4096L : EPT.root + (table - GUEST_TABLES) * 4096L)
        + 8 * (place & 7);
  }

  private static int place(@Hpa long at) {
    long table = at < EPT.root ? at - HostMemory.VM_DRAM_BASE >> 12 : GUEST_TABLES + (at - EPT.root >> 12);
    return (int) (table * 8 + (at >> 3 & 511));
  }

  /** Where two snapshots differ, at most eight places. */
  private static String difference(long[] expected, long[] actual) {
    return IntStream.range(0, expected.length).filter(i -> expected[i] != actual[i]).limit(8)
        .mapToObj(i -> String.format("[%x] expected %x but was %x ", at(i), expected[i], actual[i]))
        .collect(Collectors.joining());
  }
}
