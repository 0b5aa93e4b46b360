package dev.gnomon.ept;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Translation;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * Random edits and accesses. Walkers that cache, told to invalidate only when the tables ask for it, must agree with
 * one that caches nothing: so the tables ask often enough.
 */
class EptTablesRandomTest {
  private static final @Hpa long BACKING = 1L << 32;
  private static final long GIB = 1L << 30;
  private static final long MIB2 = 1L << 21;
  private static final int[] ACCESSES = {Access.READ, Access.WRITE, Access.FETCH, SecondStage.TABLE};
  private static final HostMemory MEMORY = new HostMemory(HostMemory.VM_DRAM_BASE, 4096, 24 * 4096);

  private final FakeSlots slots = new FakeSlots().add(0, 2 * GIB, SlotMap.RAM, BACKING, 30)
      .add(3 * GIB, 2 * MIB2, SlotMap.READ_ONLY, BACKING, 21)
      .add(4 * GIB, GIB, SlotMap.RAM, BACKING, 12);

  @Property(tries = 400)
  void shouldInvalidateWheneverCachedTranslationsWouldBeWrong(@ForAll long seed) {
    Random random = new Random(seed);
    TableFrames frames = new TableFrames(MEMORY);
    EptTables tables = new EptTables(MEMORY, frames, slots, EptCapabilities.ALL, EptFixture.SHIFTS[random.nextInt(3)]);
    long eptp = tables.eptPointer(random.nextBoolean());
    EptWalker plain = walker(null, false, eptp);
    EptWalker[] caching = {walker(null, true, eptp), walker(new NestedTlb(), false, eptp),
        walker(new NestedTlb(2048, 8), false, eptp)};
    assertThat(EptTables.result(tables.eagerMap(0x9000, 0x2000))).isEqualTo(EptTables.FIXED);
    for (int i = 0; i < 150; i++) {
      boolean invept;
      if (random.nextInt(3) == 0) {
        invept = edit(tables, random);
      } else {
        invept = access(tables, plain, caching, randomPage(random) + random.nextInt(4096), ACCESSES[random.nextInt(4)]);
      }
      if (invept) {
        for (EptWalker walker : caching) {
          if (random.nextBoolean()) {
            walker.inveptGlobal();
          } else {
            walker.inveptSingle(eptp);
          }
        }
      }
      audit(tables, frames);
    }
    tables.dispose();
    assertThat(frames.available()).isEqualTo(24);
  }

  private static EptWalker walker(NestedTlb nested, boolean soft, long eptp) {
    EptWalker walker = new EptWalker(MEMORY, EptCapabilities.ALL, nested, soft);
    walker.setEptPointer(eptp);
    return walker;
  }

  private static @Gpa long randomPage(Random random) {
    long page = random.nextInt(6) * GIB + random.nextInt(2) * MIB2 + random.nextInt(4) * 4096L;
    return random.nextInt(3) == 0 ? 0x9000 + random.nextInt(2) * 4096L : page;
  }

  private static boolean edit(EptTables tables, Random random) {
    @Gpa long gpa = randomPage(random);
    long length = 1 + (random.nextBoolean() ? random.nextInt(3 * 4096) : random.nextInt(2) == 0
        ? random.nextInt((int) (2 * MIB2)) : random.nextLong(2 * GIB));
    return switch (random.nextInt(9)) {
      case 0 -> tables.unmap(gpa, length);
      case 1 -> tables.writeProtect(gpa, length);
      case 2 -> tables.clearDirty(gpa, length);
      case 3 -> tables.clearAccessed(gpa, length);
      case 4 -> tables.split(gpa, random.nextBoolean() ? 12 : 21);
      case 5, 6 -> tables.collapse(gpa, length);
      case 7 -> {
        tables.setMaxPageShift(EptFixture.SHIFTS[random.nextInt(3)]);
        yield false;
      }
      default -> random.nextInt(4) == 0 && tables.zapAll();
    };
  }

  /** One access of each processor, handled once; true if the tables asked for INVEPT. */
  private boolean access(EptTables tables, EptWalker plain, EptWalker[] caching, @Gpa long gpa, int access) {
    Translation expected = new Translation();
    Translation out = new Translation();
    long[] results = new long[caching.length];
    long peeked = plain.peek(gpa, 0, access, expected, null);
    for (int i = 0; i < caching.length; i++) {
      out.references = 0;
      results[i] = caching[i].translate(gpa, 0, access, out);
      assertThat(results[i]).as("walker " + i).isEqualTo(peeked);
      if (peeked < 0) {
        assertThat(out.exitReason).isEqualTo(expected.exitReason);
        assertThat(out.exitQualification).isEqualTo(expected.exitQualification);
      } else {
        assertThat(out.pageShift).isEqualTo(expected.pageShift);
        if (i == 0) {
          assertThat(out.references).isEqualTo(expected.references);
        }
      }
    }
    if (peeked >= 0) {
      assertThat(peeked).isEqualTo(slots.back(gpa));
      Translation again = new Translation();
      assertThat(plain.translate(gpa, 0, access, again)).isEqualTo(peeked);
      return false;
    }
    int result = expected.exitReason == ExitReason.EPT_MISCONFIG ? tables.misconfiguration(gpa)
        : tables.violation(gpa, expected.exitQualification);
    int kind = slots.kind(gpa);
    boolean write = access == Access.WRITE || (expected.exitQualification & EptViolation.ACC_WRITE) != 0;
    int wanted = kind == SlotMap.NONE ? EptTables.MMIO : kind == SlotMap.READ_ONLY && write ? EptTables.READ_ONLY
        : EptTables.FIXED;
    assertThat(EptTables.result(result)).isEqualTo(wanted);
    if (wanted == EptTables.FIXED) {
      assertThat(plain.peek(gpa, 0, access, out, null)).isEqualTo(slots.back(gpa));
    }
    return (result & EptTables.INVEPT) != 0;
  }

  /** Counts what the root reaches and compares it with what the tables say. */
  private static void audit(EptTables tables, TableFrames frames) {
    long[] found = new long[5];
    count(EptPointer.root(tables.eptPointer(false)), 4, found);
    assertThat(new long[] {tables.pages4k(), tables.pages2m(), tables.pages1g(), tables.tables()})
        .containsExactly(found[1], found[2], found[3], found[0]);
    assertThat(frames.available()).as("no frame is lost").isEqualTo(24 - found[0]);
  }

  private static void count(@Hpa long table, int level, long[] found) {
    found[0]++;
    for (int i = 0; i < 512; i++) {
      long entry = MEMORY.read64(table + 8L * i);
      if ((entry & 7) == 0 || MmioMarker.isMarker(entry)) {
        continue;
      }
      if (level > 1 && (entry & EptEntry.PAGE_SIZE) == 0) {
        count(EptEntry.address(entry), level - 1, found);
      } else {
        found[level]++;
      }
    }
  }
}
