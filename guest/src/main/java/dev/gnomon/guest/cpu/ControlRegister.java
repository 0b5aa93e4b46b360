package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.HostMemory;

/**
 * Control-register and EFER bits (SDM vol. 3A, "Control Registers" and "Extended Feature Enable Register").
 * <pre>
 * CR0  31 PG | 30 CD | 29 NW | 18 AM | 16 WP | 5 NE | 4 ET | 3 TS | 2 EM | 1 MP | 0 PE
 * CR4  24 PKS | 22 PKE | 21 SMAP | 20 SMEP | 18 OSXSAVE | 17 PCIDE | 16 FSGSBASE | 12 LA57 | 11 UMIP | 10 OSXMMEXCPT | 9 OSFXSR | 8 PCE | 7 PGE | 6 MCE | 5 PAE | 4 PSE | 3 DE | 2 TSD | 1 PVI | 0 VME
 * EFER 11 NXE | 10 LMA | 8 LME | 0 SCE
 * </pre>
 */
public final class ControlRegister {
  public static final long CR0_PE = 1L;
  public static final long CR0_MP = 1L << 1;
  public static final long CR0_EM = 1L << 2;
  public static final long CR0_TS = 1L << 3;
  public static final long CR0_ET = 1L << 4;
  public static final long CR0_NE = 1L << 5;
  public static final long CR0_WP = 1L << 16;
  public static final long CR0_AM = 1L << 18;
  public static final long CR0_NW = 1L << 29;
  public static final long CR0_CD = 1L << 30;
  public static final long CR0_PG = 1L << 31;
  public static final long CR0_DEFINED = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW
      | CR0_CD | CR0_PG;

  /** MOV to CR3 with CR4.PCIDE: keep the PCID's translations. */
  public static final long CR3_NO_FLUSH = 1L << 63;
  public static final long CR3_PCID = 0xFFFL;
  /** Address of the top table in CR3: 2-level, PAE (32-byte aligned), IA-32e. */
  public static final long CR3_ROOT_LEGACY = 0xFFFF_F000L;
  public static final long CR3_ROOT_PAE = 0xFFFF_FFE0L;
  public static final long CR3_ROOT_LONG = (1L << HostMemory.MAXPHYADDR) - 1 & ~0xFFFL;

  public static final long CR4_VME = 1L;
  public static final long CR4_PVI = 1L << 1;
  public static final long CR4_TSD = 1L << 2;
  public static final long CR4_DE = 1L << 3;
  public static final long CR4_PSE = 1L << 4;
  public static final long CR4_PAE = 1L << 5;
  public static final long CR4_MCE = 1L << 6;
  public static final long CR4_PGE = 1L << 7;
  public static final long CR4_PCE = 1L << 8;
  public static final long CR4_OSFXSR = 1L << 9;
  public static final long CR4_OSXMMEXCPT = 1L << 10;
  public static final long CR4_UMIP = 1L << 11;
  /** 5-level paging in IA-32e mode. */
  public static final long CR4_LA57 = 1L << 12;
  public static final long CR4_FSGSBASE = 1L << 16;
  public static final long CR4_PCIDE = 1L << 17;
  public static final long CR4_OSXSAVE = 1L << 18;
  public static final long CR4_SMEP = 1L << 20;
  public static final long CR4_SMAP = 1L << 21;
  public static final long CR4_PKE = 1L << 22;
  public static final long CR4_PKS = 1L << 24;

  public static final long EFER_SCE = 1L;
  public static final long EFER_LME = 1L << 8;
  public static final long EFER_LMA = 1L << 10;
  public static final long EFER_NXE = 1L << 11;

  private ControlRegister() {}
}
