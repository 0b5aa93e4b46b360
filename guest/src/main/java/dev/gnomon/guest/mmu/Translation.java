package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;

/**
 * Reused result of one translation. After success the first group is valid; after {@link Status#FAULT} the code and
 * {@code gva}; after {@link Status#EXIT} the exit group.
 */
public final class Translation {
  /** R/W over all levels of the guest's (or shadow) tables. Rights are combined over all levels. */
  public static final int WRITABLE = 1;
  public static final int USER = 2;
  public static final int EXECUTABLE = 4;
  public static final int GLOBAL = 8;
  /** D is set wherever a write would set it, so that a write needs no further walk. */
  public static final int DIRTY = 16;
  /** Reads are allowed; clear only for execute-only EPT mappings. */
  public static final int READABLE = 32;
  /**
   * The second stage allows writes (always so without one); {@link #WRITABLE} is the guest's R/W alone, which CR0.WP =
   * 0 can overrule.
   */
  public static final int STAGE_WRITABLE = 64;
  /**
   * Only from a second stage under mode-based execute control: code of user-mode linear addresses may be executed, and
   * {@link #EXECUTABLE} is for those of supervisor mode.
   */
  public static final int USER_EXECUTABLE = 128;

  /** Protection key of the guest's page. */
  public static final int KEY_SHIFT = 8;
  public static final int KEY = 15 << KEY_SHIFT;

  public @Gva long gva;
  /** Host-physical address of the byte. */
  public @Hpa long hpa;
  /**
   * Guest-physical address of the byte (equal to {@code hpa} natively); −1 if a modelled TLB answered, which does not
   * hold it.
   */
  public @Gpa long gpa;
  /** log2 of the largest page for which the translation holds (smaller of guest and host page): 12, 21, 22 or 30. */
  public int pageShift;
  public int rights;
  /**
   * log2 of the guest's own page, larger than {@code pageShift} if a second stage splinters it: 12, 21, 22 or 30; 12
   * without paging.
   */
  public int guestPageShift;
  /** Memory type, PAT encoding (0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC−); under a second stage that of its mapping. */
  public int memoryType;
  /**
   * Paging-structure references made by this walk, guest and EPT together; 0 if a TLB answered. Valid after a fault or
   * exit too.
   */
  public int references;
  /** Of {@code references} those to the guest's (or shadow) tables. */
  public int guestReferences;

  /** Page-fault error code (see {@link PageFaultCode}). */
  public int errorCode;

  /** VMX basic exit reason: 48 EPT violation, 49 EPT misconfiguration. */
  public int exitReason;
  public long exitQualification;
  /** Guest-physical address that the exit reports. */
  public @Gpa long exitGpa;
  /**
   * The exit is an EPT violation that may become a virtualization exception (SDM vol. 3C, "Convertible EPT
   * Violations").
   */
  public boolean convertible;
}
