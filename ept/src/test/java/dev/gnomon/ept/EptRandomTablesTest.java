package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptReference.Operation;
import dev.gnomon.ept.EptReference.Result;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterContainer;

/** Random EPT entries against {@link EptReference}; whatever they hold, a walk ends in a translation or an exit. */
class EptRandomTablesTest {
  private static final int TABLES = 15;
  /** Tables that entries of the tangled kind refer to. */
  private static final int TANGLED = 6;
  private static final int[] KINDS = {Access.READ, Access.WRITE, Access.FETCH, SecondStage.TABLE,
      SecondStage.TABLE | SecondStage.TABLE_UPDATE | Access.WRITE, SecondStage.TABLE | SecondStage.NO_LINEAR};
  private static final EptFixture SHARED = new EptFixture();
  private static int translated;
  private static int violations;
  private static int misconfigurations;

  private final HostMemory memory = SHARED.memory;

  @Property(tries = 3000)
  void shouldAgreeWithTheTableDrivenModel(@ForAll long seed) {
    Random random = new Random(seed);
    EptCapabilities capabilities = new EptCapabilities(random.nextBoolean(), true, random.nextInt(4) > 0,
        random.nextInt(4) > 0, true);
    boolean accessedDirty = random.nextBoolean();
    fillTables(random);
    EptWalker walker = new EptWalker(memory, capabilities, null, false);
    walker.setEptPointer(EptPointer.of(SHARED.root, accessedDirty));
    EptReference reference = new EptReference(memory, capabilities, accessedDirty);
    Translation out = new Translation();
    for (int i = 0; i < 30; i++) {
      @Gpa long gpa = randomGpa(random);
      int access = KINDS[random.nextInt(KINDS.length)];
      boolean tableWrite = accessedDirty && (access & SecondStage.TABLE) != 0 && (access & SecondStage.NO_LINEAR) == 0;
      Operation operation = access == Access.FETCH ? Operation.FETCH
          : (access & Access.WRITE) != 0 || tableWrite ? Operation.WRITE : Operation.READ;
      Result expected = reference.walk(SHARED.root, gpa, operation);
      long sum = checksum();
      out.references = 0;
      long peeked = walker.peek(gpa, 0, access, out, null);
      assertThat(checksum()).as("peek changes nothing").isEqualTo(sum);
      Map<Long, Long> flags = new LinkedHashMap<>();
      expected.flags().forEach(entry -> flags.merge(entry[0], entry[1], (one, other) -> one | other));
      Map<Long, Long> wanted = new LinkedHashMap<>();
      flags.forEach((at, bits) -> wanted.put(at, memory.read64(at) | bits));
      out.references = 0;
      long hpa = walker.translate(gpa, 0, access, out);
      assertThat(peeked).isEqualTo(hpa);
      assertThat(out.references).isEqualTo((access & SecondStage.TABLE_UPDATE) != 0 ? 0 : expected.references());
      if (expected.outcome().equals("ok")) {
        translated++;
        assertThat(hpa).isEqualTo(expected.hpa());
        assertThat(out.pageShift).isEqualTo(expected.shift());
        assertThat(out.memoryType).isEqualTo(expected.type());
        wanted.forEach((at, entry) -> assertThat(memory.read64(at)).isEqualTo(entry));
        long after = checksum();
        assertThat(walker.translate(gpa, 0, access, out)).isEqualTo(hpa);
        assertThat(checksum()).as("the second time there is nothing left to set").isEqualTo(after);
        continue;
      }
      assertThat(hpa).isEqualTo(Status.EXIT);
      assertThat(checksum()).as("a walk that fails sets no flag").isEqualTo(sum);
      assertThat(out.exitGpa).isEqualTo(gpa);
      if (expected.outcome().equals("misconfig")) {
        misconfigurations++;
        assertThat(out.exitReason).isEqualTo(ExitReason.EPT_MISCONFIG);
      } else {
        violations++;
        assertThat(out.exitReason).isEqualTo(ExitReason.EPT_VIOLATION);
        assertThat(out.exitQualification >>> 3 & 7).isEqualTo(expected.permissions());
      }
    }
  }

  @AfterContainer
  static void shouldHaveMetEveryOutcome() {
    assertThat(translated).isGreaterThan(1000);
    assertThat(violations).isGreaterThan(1000);
    assertThat(misconfigurations).isGreaterThan(1000);
  }

  @Property(tries = 500)
  void shouldGiveTheSameResultsWithTheSoftTlbAsWithout(@ForAll long seed) {
    Random random = new Random(seed);
    boolean accessedDirty = random.nextBoolean();
    fillTree(random);
    EptWalker walker = new EptWalker(memory, EptCapabilities.ALL, null, true);
    walker.setEptPointer(EptPointer.of(SHARED.root, accessedDirty));
    EptWalker plain = new EptWalker(memory, EptCapabilities.ALL, null, false);
    plain.setEptPointer(EptPointer.of(SHARED.root, accessedDirty));
    Translation soft = new Translation();
    Translation none = new Translation();
    for (int i = 0; i < 200; i++) {
      if (random.nextInt(40) == 0) {
        fillTree(random);
        walker.inveptGlobal();
      }
      @Gpa long gpa = random.nextLong() & indexMask();
      int access = KINDS[random.nextInt(KINDS.length)];
      soft.references = 0;
      none.references = 0;
      long hpa = walker.translate(gpa, 0, access, soft);
      long sum = checksum();
      assertThat(hpa).isEqualTo(plain.translate(gpa, 0, access, none));
      assertThat(checksum()).as("a soft hit left no flag to set").isEqualTo(sum);
      assertThat(soft.references).isEqualTo(none.references);
      if (hpa >= 0) {
        assertThat(soft.pageShift).isEqualTo(none.pageShift);
        assertThat(soft.memoryType).isEqualTo(none.memoryType);
        assertThat(soft.rights).isEqualTo(none.rights);
      }
    }
  }

  /** Guest-physical addresses that use two indices a level, so that the few entries are met often. */
  private static long indexMask() {
    return 1L << 39 | 1L << 30 | 1L << 21 | 1L << 12 | 0xFFF;
  }

  private static @Gpa long randomGpa(Random random) {
    return random.nextLong() & (random.nextInt(16) == 0 ? (1L << 48) - 1 : indexMask());
  }

  /** Tables that may well refer to each other and themselves. */
  private void fillTables(Random random) {
    for (int table = 0; table < TABLES; table++) {
      for (int index = 0; index < 2; index++) {
        memory.write64(SHARED.root + table * 4096L + index * 8L,
            randomEntry(random, SHARED.root + random.nextInt(TANGLED) * 4096L, -1L));
      }
    }
  }

  /** Tables laid out as a binary tree, so that an entry serves one way only. */
  private void fillTree(Random random) {
    for (int table = 0; table < TABLES; table++) {
      for (int index = 0; index < 2; index++) {
        @Hpa long child = SHARED.root + (2 * table + 1 + index) * 4096L;
        memory.write64(SHARED.root + table * 4096L + index * 8L, randomEntry(random, child, ~EptEntry.ADDRESS_MASK));
      }
    }
  }

  /** Usually sound, with one kind of damage at times; sometimes any bits at all, as far as {@code damage} allows. */
  private static long randomEntry(Random random, @Hpa long address, long damage) {
    if (random.nextInt(30) == 0) {
      return random.nextLong() & damage | address & ~damage;
    }
    long entry = address | (random.nextInt(4) > 0 ? 7 : random.nextInt(8));
    entry |= switch (random.nextInt(6)) {
      case 0 -> EptEntry.PAGE_SIZE | (long) random.nextInt(16) << 3;
      case 1 -> (long) (random.nextInt(64) == 0 ? 2 : 6) << 3;
      case 2 -> random.nextLong() & ~0x000F_FFFF_FFFF_FFFFL | random.nextLong() & 0xF00;
      default -> 0;
    };
    if ((entry & EptEntry.PAGE_SIZE) != 0 && random.nextInt(4) > 0) {
      entry &= ~0x3FFF_F000L;
    }
    return entry | (random.nextInt(40) == 0 ? 1L << random.nextInt(64) & damage : 0);
  }

  private long checksum() {
    long sum = 0;
    for (int table = 0; table < TABLES; table++) {
      for (int index = 0; index < 2; index++) {
        sum = sum * 31 + memory.read64(SHARED.root + table * 4096L + index * 8L);
      }
    }
    return sum;
  }
}
