package dev.gnomon.guest.mmu;

import dev.gnomon.guest.cpu.ControlRegister;
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
  /** 5 levels (CR4.LA57), without and with protection keys. */
  public static final int LONG5 = 5;
  public static final int LONG5_KEYS = 6;
  /** IA32_PAT after reset: WB, WT, UC−, UC, twice. */
  public static final long PAT_RESET = 0x0007_0406_0007_0406L;

  /** IA-32e mode's paging by CR4: LA57, PKE and PKS. */
  public static int longMode(long cr4) {
    boolean keys = (cr4 & (ControlRegister.CR4_PKE | ControlRegister.CR4_PKS)) != 0;
    return ((cr4 & ControlRegister.CR4_LA57) != 0 ? LONG5 : LONG4) + (keys ? 1 : 0);
  }

  /** Levels of tables in memory; 0 without paging. */
  public static int levels(int mode) {
    return mode >= LONG5 ? 5 : mode >= LONG4 ? 4 : mode == NONE ? 0 : 2;
  }

  /** Whether a mode is one of IA-32e mode. */
  public static boolean isLong(int mode) {
    return mode >= LONG4;
  }

  /** Whether a mode has protection keys. */
  public static boolean hasKeys(int mode) {
    return mode == LONG4_KEYS || mode == LONG5_KEYS;
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
