package dev.gnomon.guest.mmu;

import java.util.List;

/**
 * Sizes of the modelled TLBs and paging-structure caches of one kind of processor.
 *
 * <p>A first level that holds no entries for a page size keeps such a page in pieces of the next smaller size that it
 * does hold; a second level leaves it out. Pages of 4 MiB are kept as pieces of 2 MiB. Several arrays may serve one
 * level, each for sizes of its own.
 *
 * <p>Figures come from the sources named at each profile; sizes that the source does not name are not modelled rather
 * than guessed.
 *
 * @param name of the profile
 * @param data first level for data
 * @param instruction first level for instruction fetches
 * @param second second level for data, and for instructions if {@code secondInstruction} is empty
 * @param secondInstruction second level for instructions, if it is separate
 * @param structures paging-structure caches
 * @param replacement which entry of a full set goes
 */
public record TlbGeometry(String name, List<Array> data, List<Array> instruction, List<Array> second,
    List<Array> secondInstruction, Structures structures, Replacement replacement) {
  public static final int SIZE_4K = 1;
  public static final int SIZE_2M = 2;
  public static final int SIZE_1G = 4;
  private static final int ALL_SIZES = SIZE_4K | SIZE_2M | SIZE_1G;

  /** Replacement that a hit does not influence, so that hits need not be seen one by one. */
  public enum Replacement {
    /** The oldest entry of the set. */
    FIFO,
    /** A seeded pseudo-random one. */
    RANDOM
  }

  /**
   * One array.
   *
   * @param sizes page sizes that it holds, SIZE bits
   * @param entries in all
   * @param ways of each set; {@code entries} if fully associative
   */
  public record Array(int sizes, int entries, int ways) {
    /** @throws IllegalArgumentException if the number of sets is not a power of two or a number is out of range */
    public Array {
      boolean inRange = sizes >= 1 && sizes <= ALL_SIZES && ways >= 1 && entries >= ways && entries <= 1 << 16;
      if (!inRange || entries % ways != 0 || Integer.bitCount(entries / ways) != 1) {
        throw new IllegalArgumentException("TLB of " + entries + " entries in " + ways + " ways for sizes " + sizes
            + ": expected 1 to 65536 entries in a power of two of sets, and sizes 1 to 7");
      }
    }

    int sets() {
      return entries / ways;
    }
  }

  /**
   * Paging-structure caches, entries and ways of each; 0 entries is none.
   */
  public record Structures(int pml4Entries, int pml4Ways, int pdptEntries, int pdptWays, int pdEntries, int pdWays) {
    public static final Structures NONE = new Structures(0, 0, 0, 0, 0, 0);

    public Structures {
      check(pml4Entries, pml4Ways);
      check(pdptEntries, pdptWays);
      check(pdEntries, pdWays);
    }

    private static void check(int entries, int ways) {
      if (entries != 0) {
        new Array(SIZE_4K, entries, ways);
      }
    }

    boolean isNone() {
      return pml4Entries + pdptEntries + pdEntries == 0;
    }
  }

  /** @throws IllegalArgumentException if a size has two arrays at one level */
  public TlbGeometry {
    data = checked(data);
    instruction = checked(instruction);
    second = checked(second);
    secondInstruction = checked(secondInstruction);
    if (!instruction.isEmpty() && !holds(instruction, SIZE_4K) || !data.isEmpty() && !holds(data, SIZE_4K)) {
      throw new IllegalArgumentException("TLB geometry " + name + ": a first level must hold 4K pages");
    }
  }

  /**
   * Skylake and Cascade Lake, the default. TLBs: Intel 64 and IA-32 Architectures Optimization Reference Manual, cache
   * and TLB parameters of Skylake; the 2M and second-level 1G figures are common knowledge without a source at hand.
   * Paging-structure caches: the configuration of the Victima simulator (MICRO 2023); Intel does not publish them.
   */
  public static final TlbGeometry SKYLAKE = new TlbGeometry("skylake",
      List.of(new Array(SIZE_4K, 64, 4), new Array(SIZE_2M, 32, 4), new Array(SIZE_1G, 4, 4)),
      List.of(new Array(SIZE_4K, 128, 8), new Array(SIZE_2M, 8, 8)),
      List.of(new Array(SIZE_4K | SIZE_2M, 1536, 12), new Array(SIZE_1G, 16, 4)), List.of(),
      new Structures(16, 4, 16, 4, 32, 4), Replacement.FIFO);

  /**
   * Nehalem: the Sniper simulator's nehalem.cfg and Hennessy and Patterson, 5th edition; the second level holds 4K
   * pages only. Paging-structure caches: PDPTE measured by the RevAnC authors (2017), the others common knowledge.
   */
  public static final TlbGeometry NEHALEM = new TlbGeometry("nehalem",
      List.of(new Array(SIZE_4K, 64, 4), new Array(SIZE_2M, 32, 4)),
      List.of(new Array(SIZE_4K, 128, 4)),
      List.of(new Array(SIZE_4K, 512, 4)), List.of(),
      new Structures(4, 4, 4, 4, 32, 4), Replacement.FIFO);

  /** Haswell: published measurements of the data TLB; instruction TLB and second level are common knowledge. */
  public static final TlbGeometry HASWELL = new TlbGeometry("haswell",
      List.of(new Array(SIZE_4K, 64, 4), new Array(SIZE_2M, 32, 4), new Array(SIZE_1G, 4, 4)),
      List.of(new Array(SIZE_4K, 128, 4), new Array(SIZE_2M, 8, 8)),
      List.of(new Array(SIZE_4K | SIZE_2M, 1024, 8)), List.of(),
      new Structures(0, 0, 4, 4, 32, 4), Replacement.FIFO);

  /** Ice Lake: common knowledge, without a source at hand; paging-structure caches as {@link #SKYLAKE}. */
  public static final TlbGeometry ICELAKE = new TlbGeometry("icelake",
      List.of(new Array(SIZE_4K, 64, 4), new Array(SIZE_2M, 32, 4), new Array(SIZE_1G, 8, 8)),
      List.of(new Array(SIZE_4K, 128, 8), new Array(SIZE_2M, 8, 8)),
      List.of(new Array(SIZE_4K | SIZE_2M, 2048, 16)), List.of(),
      new Structures(16, 4, 16, 4, 32, 4), Replacement.FIFO);

  /**
   * Zen 2: first levels of 64 entries for all sizes, separate second levels (WikiChip; the data side as 16-way, since
   * 2048 entries do not divide into the 12 ways of its text). The processor keeps PDEs in its second-level TLB;
   * modelled as the 64-entry PDE cache of Zen.
   */
  public static final TlbGeometry ZEN2 = new TlbGeometry("zen2",
      List.of(new Array(SIZE_4K | SIZE_2M | SIZE_1G, 64, 64)),
      List.of(new Array(SIZE_4K | SIZE_2M | SIZE_1G, 64, 64)),
      List.of(new Array(SIZE_4K | SIZE_2M, 2048, 16)), List.of(new Array(SIZE_4K | SIZE_2M, 512, 8)),
      new Structures(0, 0, 0, 0, 64, 4), Replacement.FIFO);

  /**
   * No TLB: every data access walks, and every fetch from another page than the one before, whose translation the fetch
   * buffer holds.
   */
  public static final TlbGeometry NONE = new TlbGeometry("none", List.of(), List.of(new Array(SIZE_4K, 1, 1)),
      List.of(), List.of(), Structures.NONE, Replacement.FIFO);

  /** The named profiles, the default first. */
  public static List<TlbGeometry> profiles() {
    return List.of(SKYLAKE, NEHALEM, HASWELL, ICELAKE, ZEN2, NONE);
  }

  /** @throws IllegalArgumentException if there is no profile of that name; the message lists them */
  public static TlbGeometry named(String name) {
    for (TlbGeometry profile : profiles()) {
      if (profile.name.equals(name)) {
        return profile;
      }
    }
    throw new IllegalArgumentException("TLB profile '" + name + "' is unknown: expected one of "
        + String.join(", ", profiles().stream().map(TlbGeometry::name).toList()));
  }

  /** The same TLBs with no paging-structure caches, so that each walk makes all of its references. */
  public TlbGeometry withoutStructures() {
    return new TlbGeometry(name, data, instruction, second, secondInstruction, Structures.NONE, replacement);
  }

  public TlbGeometry withReplacement(Replacement other) {
    return new TlbGeometry(name, data, instruction, second, secondInstruction, structures, other);
  }

  private static List<Array> checked(List<Array> arrays) {
    int seen = 0;
    for (Array array : arrays) {
      if ((seen & array.sizes) != 0) {
        throw new IllegalArgumentException("TLB geometry: two arrays of one level hold the same page size");
      }
      seen |= array.sizes;
    }
    return List.copyOf(arrays);
  }

  private static boolean holds(List<Array> arrays, int size) {
    return arrays.stream().anyMatch(array -> (array.sizes & size) != 0);
  }
}
