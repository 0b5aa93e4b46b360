package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gpa;

/**
 * What the walker needs to know of the control registers in force on the hardware. Natively and under EPT they are the
 * guest's own; under shadow paging the hypervisor sets them (root = shadow root, WP = 1, NXE = 1), apart from what the
 * guest sees.
 */
public final class PagingContext {
  /** CR0.PG = 0: linear = physical. */
  public static final int NONE = 0;
  /** 2 levels of 4-byte entries. */
  public static final int LEGACY = 1;
  /** 3 levels, the top one in four registers. */
  public static final int PAE = 2;
  /** 4 levels (IA-32e). */
  public static final int LONG4 = 3;
  /** 4 levels, with protection keys for user or supervisor pages. */
  public static final int LONG4_KEYS = 4;
  /** IA32_PAT after reset: WB, WT, UC−, UC, twice. */
  public static final long PAT_RESET = 0x0007_0406_0007_0406L;

  /** IA-32e mode's paging. @param keys CR4.PKE or CR4.PKS is set */
  public static int longMode(boolean keys) {
    return keys ? LONG4_KEYS : LONG4;
  }

  /** Whether a mode has 8-byte entries with four levels. */
  public static boolean isLong(int mode) {
    return mode >= LONG4;
  }

  /** Whether a mode has protection keys. */
  public static boolean hasKeys(int mode) {
    return mode >= LONG4_KEYS;
  }

  public int mode = NONE;
  /**
   * Physical address of the top table (CR3 without its flags); under EPT a guest-physical, otherwise a host-physical
   * address.
   */
  public @Gpa long root;
  /** PDPTE registers, PAE only. */
  public final long[] pdpte = new long[4];
  /** PCID of the current context, 0 unless CR4.PCIDE. */
  public int pcid;
  public boolean wp;
  public boolean nxe;
  public boolean smep;
  public boolean smap;
  /** CR4.PKE: PKRU limits access to user pages; only in the modes with keys. */
  public boolean pke;
  /** CR4.PKS: IA32_PKRS limits access to supervisor pages; only in the modes with keys. */
  public boolean pks;
  /** PKRU and IA32_PKRS, see {@link ProtectionKeys}; change them by {@link Mmu#setPkru} and {@link Mmu#setPkrs}. */
  public int pkru;
  public int pkrs;
  public boolean pse;
  public boolean pge;
  /** The processor has 1-GiB pages (CPUID 80000001H:EDX.Page1GB). */
  public boolean pages1g = true;
  /** IA32_PAT: eight memory types of one byte. */
  public long pat = PAT_RESET;
  /**
   * Virtual-processor identifier that tags cached translations, 0 to 65535; 0 natively and without VPIDs. Change it by
   * {@link Mmu#setTags}.
   */
  public int vpid;
  /**
   * EP4TA that tags cached translations: bits 51:12 of the EPT pointer, in place; 0 without EPT. Change it by {@link
   * Mmu#setTags}.
   */
  public long ep4ta;
}
