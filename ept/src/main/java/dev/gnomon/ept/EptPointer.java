package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.HostMemory;

/**
 * Extended-page-table pointer, a VMCS field (SDM vol. 3C, "Extended-Page-Table Pointer (EPTP)").
 * <pre>
 *  63:46      45:12                          11:8       7               6            5:3               2:0
 *  reserved   HPA of the top EPT table       reserved   SSS, reserved   enable A/D   walk length − 1   type of the tables
 * </pre>
 * The walk has 4 levels, or 5 where the processor has them.
 *
 * <p>Bit 7 (supervisor shadow stack) is reserved because the modelled processor has none.
 */
public final class EptPointer {
  public static final long TYPE_MASK = 7L;
  public static final long WALK_LENGTH_MASK = 7L << 3;
  /** Field value of a 4-level walk. */
  public static final long WALK_LENGTH_4 = 3L << 3;
  public static final long WALK_LENGTH_5 = 4L << 3;
  public static final long ENABLE_AD = 1L << 6;
  public static final long SUPERVISOR_SHADOW_STACK = 1L << 7;
  public static final long ADDRESS_MASK = (1L << HostMemory.MAXPHYADDR) - HostMemory.FRAME_SIZE;
  /** Bits that must be 0 whatever the capabilities are. */
  public static final long RESERVED = ~(TYPE_MASK | WALK_LENGTH_MASK | ENABLE_AD | ADDRESS_MASK);

  private EptPointer() {}

  /** Pointer to a write-back, 4-level table. */
  public static long of(@Hpa long root, boolean accessedDirty) {
    return of(root, accessedDirty, EptEntry.LEVELS);
  }

  /** Pointer to a write-back table of 4 or 5 levels. */
  public static long of(@Hpa long root, boolean accessedDirty, int levels) {
    return Addresses.bits(root) | EptMemoryType.WB | (levels == EptEntry.MAX_LEVELS ? WALK_LENGTH_5 : WALK_LENGTH_4)
        | (accessedDirty ? ENABLE_AD : 0);
  }

  /** Levels of the walk. */
  public static int levels(long eptp) {
    return (int) ((eptp & WALK_LENGTH_MASK) >>> 3) + 1;
  }

  public static @Hpa long root(long eptp) {
    return eptp & ADDRESS_MASK;
  }

  /** EP4TA, the tag of what is cached from these tables: bits 51:12, in place. */
  public static long ep4ta(long eptp) {
    return eptp & ADDRESS_MASK;
  }

  public static boolean isValid(long eptp, EptCapabilities capabilities) {
    return invalidReason(eptp, capabilities) == null;
  }

  /**
   * Why VM entry with this pointer fails and INVEPT of it reports error 28.
   *
   * @return a phrase, or null if the pointer is valid
   */
  public static String invalidReason(long eptp, EptCapabilities capabilities) {
    long type = eptp & TYPE_MASK;
    if (type != EptMemoryType.UC && type != EptMemoryType.WB) {
      return "memory type " + type + " in bits 2:0, expected 0 (UC) or 6 (WB)";
    }
    long length = eptp & WALK_LENGTH_MASK;
    if (length != WALK_LENGTH_4 && (length != WALK_LENGTH_5 || !capabilities.fiveLevels())) {
      return "walk length field " + (length >>> 3) + " in bits 5:3, expected 3 (4 levels)"
          + (capabilities.fiveLevels() ? " or 4 (5 levels)" : "");
    }
    if ((eptp & ENABLE_AD) != 0 && !capabilities.accessedDirty()) {
      return "bit 6 enables accessed and dirty flags, which this processor does not have";
    }
    if ((eptp & RESERVED) != 0) {
      return "reserved bits 0x" + Long.toHexString(eptp & RESERVED) + " are set, expected 0";
    }
    return null;
  }
}
