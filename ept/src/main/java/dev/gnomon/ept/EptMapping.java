package dev.gnomon.ept;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Translation;

/**
 * A cached guest-physical mapping, packed. Its A flags are set in memory if EPTP enables them; D is part of the rights,
 * so that a write that must still set D does not fit.
 * <pre>
 *  63:58            57:54  53:51        50:47        46  45:12       11:8  7:0
 *  log2 page size   0      references   IPAT, type   0   HPA frame   0     rights, bits of Translation
 * </pre>
 * References are those of the walk that made it. No mapping is 0.
 */
@SuppressWarnings("subtyping") // A mapping packs a host-physical page with its rights and size.
final class EptMapping {
  static final long NONE = 0;
  static final int RIGHTS_MASK = 0xFF;
  private static final int TYPE_SHIFT = 47;
  private static final int TYPE_MASK = 15;
  private static final int REFERENCES_SHIFT = 51;
  private static final int REFERENCES_MASK = 7;
  private static final int PAGE_SHIFT = 58;
  private static final long FRAME_MASK = (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;

  private EptMapping() {}

  static long pack(@Hpa long page, int shift, int rights, int type, int references) {
    return page | (long) shift << PAGE_SHIFT | (long) references << REFERENCES_SHIFT | (long) type << TYPE_SHIFT
        | rights;
  }

  /** The same mapping of a part of the page. */
  static long withPage(long mapping, @Hpa long page) {
    return mapping & ~FRAME_MASK | page;
  }

  static @Hpa long page(long mapping) {
    return mapping & FRAME_MASK;
  }

  static int shift(long mapping) {
    return (int) (mapping >>> PAGE_SHIFT);
  }

  static int rights(long mapping) {
    return (int) mapping & RIGHTS_MASK;
  }

  static int references(long mapping) {
    return (int) (mapping >>> REFERENCES_SHIFT) & REFERENCES_MASK;
  }

  /** Tells a translation what the mapping is; its references are the caller's business. */
  static void describe(long mapping, Translation out) {
    out.pageShift = shift(mapping);
    out.rights = rights(mapping);
    out.memoryType = (int) (mapping >>> TYPE_SHIFT) & TYPE_MASK;
  }
}
