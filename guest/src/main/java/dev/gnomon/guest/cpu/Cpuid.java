package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.HostMemory;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * CPUID leaves of the processor (SDM vol. 2A, "CPUID"): a GenuineIntel that offers what its {@link CpuModel} has of
 * what works here. It has no hypervisor bit; local APIC and MTRRs if the machine has them. The same in
 * every mode of the machine.
 *
 * <p>A leaf is four registers, EAX, EBX, ECX, EDX. Leaves above the highest basic one give that one's data, as on Intel
 * processors.
 */
public final class Cpuid {
  public static final int EAX = 0;
  public static final int EBX = 1;
  public static final int ECX = 2;
  public static final int EDX = 3;

  /** Highest basic leaf without and with XSAVE. */
  private static final int MAX_BASIC = 0xB;
  private static final int MAX_BASIC_XSAVE = 0xD;
  private static final int EXTENDED = 0x8000_0000;
  private static final int MAX_EXTENDED = 8;
  private static final int MAX_SUBLEAVES = 16;
  private static final int LINEAR_BITS_SHIFT = 8;
  private static final String BRAND = "Gnomon virtual processor";
  private static final int BRAND_BYTES = 48;

  // Leaf 1.
  private static final int CLFLUSH_LINE = 8 << 8;
  private static final int LOGICAL_PROCESSORS_SHIFT = 16;
  private static final int ONE_LOGICAL_PROCESSOR = 1 << LOGICAL_PROCESSORS_SHIFT;
  private static final int APIC_ID_SHIFT = 24;
  private static final int ECX_X2APIC = 1 << 21;
  private static final int ECX_TSC_DEADLINE = 1 << 24;
  private static final int ECX_OSXSAVE = 1 << 27;
  private static final int EDX_FPU = 1;
  private static final int EDX_DE = 1 << 2;
  private static final int EDX_PSE = 1 << 3;
  private static final int EDX_TSC = 1 << 4;
  private static final int EDX_MSR = 1 << 5;
  private static final int EDX_PAE = 1 << 6;
  private static final int EDX_CX8 = 1 << 8;
  private static final int EDX_APIC = 1 << 9;
  private static final int EDX_SEP = 1 << 11;
  private static final int EDX_MTRR = 1 << 12;
  private static final int EDX_PGE = 1 << 13;
  private static final int EDX_CMOV = 1 << 15;
  private static final int EDX_PAT = 1 << 16;
  private static final int EDX_PSE36 = 1 << 17;
  private static final int EDX_CLFSH = 1 << 19;
  private static final int EDX_MMX = 1 << 23;
  private static final int EDX_FXSR = 1 << 24;
  private static final int EDX_SSE = 1 << 25;
  private static final int EDX_SSE2 = 1 << 26;
  private static final int EDX_HTT = 1 << 28;
  // Leaf 6: the APIC timer runs in all sleep states.
  private static final int EAX_ARAT = 1 << 2;
  // Leaf 7.
  private static final int EBX_NO_FPU_SELECTORS = 1 << 13;
  private static final int ECX_OSPKE = 1 << 4;
  // Leaf 80000007H.
  private static final int EDX_INVARIANT_TSC = 1 << 8;

  /**
   * Leaf 2 descriptors: 32 entries for large data pages, 64 for small ones, caches in leaf 4, and the count 1 that the
   * first byte is.
   */
  private static final int TLB_DESCRIPTORS = 0x5A03_FF01;
  /** Leaf 2 descriptors: second-level TLB of 512 entries, 64 entries for small code pages. */
  private static final int MORE_TLB_DESCRIPTORS = 0xCAB2;
  /** Leaf 80000006H: L2 of 256 KiB, 8 ways, 64-byte lines. */
  private static final int L2_CACHE = 256 << 16 | 6 << 12 | 64;

  private static final int DATA_CACHE = 1;
  private static final int CODE_CACHE = 2;
  private static final int UNIFIED_CACHE = 3;
  private static final int CACHE_LINE = 64;
  /** Leaf 4: most IDs of processors that share the cache less 1, and most IDs of cores in the package less 1. */
  private static final int SHARING_SHIFT = 14;
  private static final int CORES_SHIFT = 26;
  /** Leaf 4, subleaf of the cache that all cores share. */
  private static final int SHARED_CACHE = 3;
  private static final int CACHES = 4;

  private static final int LEAF_TOPOLOGY = 0xB;
  private static final int LEAF_XSAVE = 0xD;
  /** Leaf BH: the subleaf that was asked for, whichever it is. */
  private static final int ECX_SUBLEAF = 0xFF;
  /** Linear-address bits that leaf 80000008H gives where there is no IA-32e mode. */
  private static final int LEGACY_LINEAR_BITS = 32;

  private final int[][][] basic = new int[MAX_BASIC_XSAVE + 1][MAX_SUBLEAVES][4];
  private final int[][] extended = new int[MAX_EXTENDED + 1][4];
  private int maxBasic = MAX_BASIC;

  /** {@link CpuModel#DEFAULT}. */
  public Cpuid() {
    byte[] vendor = "GenuineIntel".getBytes(StandardCharsets.US_ASCII);
    all(0, MAX_BASIC, word(vendor, 0), word(vendor, 8), word(vendor, 4));
    all(1, 0, CLFLUSH_LINE | ONE_LOGICAL_PROCESSOR, 0,
        EDX_FPU | EDX_DE | EDX_PSE | EDX_TSC | EDX_MSR | EDX_PAE | EDX_CX8 | EDX_SEP | EDX_PGE | EDX_CMOV | EDX_PAT
        | EDX_PSE36 | EDX_CLFSH
            | EDX_MMX | EDX_FXSR | EDX_SSE | EDX_SSE2);
    all(2, TLB_DESCRIPTORS, 0, 0, MORE_TLB_DESCRIPTORS);
    cache(0, DATA_CACHE, 1, 8, 64);
    cache(1, CODE_CACHE, 1, 8, 64);
    cache(2, UNIFIED_CACHE, 2, 8, 512);
    cache(3, UNIFIED_CACHE, 3, 16, 8192);
    set(7, 0, 0, EBX_NO_FPU_SELECTORS, 0, 0);
    // One thread, one core: level types 1 and 2 in ECX[15:8], the level number below.
    set(LEAF_TOPOLOGY, 0, 0, 1, 1 << 8, 0);
    set(LEAF_TOPOLOGY, 1, 0, 1, 2 << 8 | 1, 0);
    set(EXTENDED, 0, EXTENDED + MAX_EXTENDED, 0, 0, 0);
    byte[] brand = Arrays.copyOf(BRAND.getBytes(StandardCharsets.US_ASCII), BRAND_BYTES);
    for (int i = 0; i < 3; i++) {
      set(EXTENDED + 2 + i, 0, word(brand, 16 * i), word(brand, 16 * i + 4), word(brand, 16 * i + 8),
          word(brand, 16 * i + 12));
    }
    set(EXTENDED + 6, 0, 0, 0, L2_CACHE, 0);
    set(EXTENDED + 7, 0, 0, 0, 0, EDX_INVARIANT_TSC);
    select(CpuModel.DEFAULT);
  }

  /** Becomes another model; to be called before the processor runs, since decoded code depends on it. */
  public void select(CpuModel model) {
    for (int[] registers : basic[1]) {
      registers[EAX] = model.signature();
    }
    for (Feature feature : Feature.values()) {
      offer(feature, model.features().contains(feature));
    }
  }

  /** Offers one feature, or no longer; to be called before the processor runs. */
  public void offer(Feature feature, boolean offered) {
    int subleaves = feature.leaf == 1 ? MAX_SUBLEAVES : 1;
    for (int sub = 0; sub < subleaves; sub++) {
      int[] registers = feature.leaf >= 0 ? basic[feature.leaf][feature.subleaf + sub]
          : extended[feature.leaf - EXTENDED];
      registers[feature.register] = offered ? registers[feature.register] | feature.bit
          : registers[feature.register] & ~feature.bit;
    }
    maxBasic = offers(Feature.XSAVE) ? MAX_BASIC_XSAVE : MAX_BASIC;
    for (int[] registers : basic[0]) {
      registers[EAX] = maxBasic;
    }
    int linear = offers(Feature.LM) ? linearAddressBits() : LEGACY_LINEAR_BITS;
    extended[8][EAX] = linear << LINEAR_BITS_SHIFT | HostMemory.MAXPHYADDR;
    describeExtendedState();
  }

  public boolean offers(Feature feature) {
    int[] registers = feature.leaf >= 0 ? basic[feature.leaf][feature.subleaf] : extended[feature.leaf - EXTENDED];
    return (registers[feature.register] & feature.bit) != 0;
  }

  /** State components that XSAVE manages: the bits that XCR0 may have, 0 without XSAVE. */
  public long stateComponents() {
    return !offers(Feature.XSAVE) ? 0
        : ExtendedStateLayout.X87 | ExtendedStateLayout.SSE | (offers(Feature.PKU) ? ExtendedStateLayout.PKRU : 0);
  }

  /** Leaf DH as after reset, XCR0 being 1. */
  private void describeExtendedState() {
    long components = stateComponents();
    int[] pkru = basic[LEAF_XSAVE][ExtendedStateLayout.PKRU_COMPONENT];
    boolean hasPkru = (components & ExtendedStateLayout.PKRU) != 0;
    pkru[EAX] = hasPkru ? ExtendedStateLayout.PKRU_BYTES : 0;
    pkru[EBX] = hasPkru ? ExtendedStateLayout.PKRU_OFFSET : 0;
    basic[LEAF_XSAVE][0][EAX] = (int) components;
    basic[LEAF_XSAVE][0][ECX] = components == 0 ? 0 : ExtendedStateLayout.standardBytes(components);
    showExtendedState(false, ExtendedStateLayout.X87);
  }

  /** CPUID.1:ECX.OSXSAVE follows CR4.OSXSAVE, and the sizes in leaf DH follow XCR0. */
  public void showExtendedState(boolean enabled, long xcr0) {
    for (int[] registers : basic[1]) {
      registers[ECX] = enabled ? registers[ECX] | ECX_OSXSAVE : registers[ECX] & ~ECX_OSXSAVE;
    }
    basic[LEAF_XSAVE][0][EBX] = offers(Feature.XSAVE) ? ExtendedStateLayout.standardBytes(xcr0) : 0;
    basic[LEAF_XSAVE][1][EBX] = offers(Feature.XSAVEC) ? ExtendedStateLayout.compactedBytes(xcr0) : 0;
  }

  /**
   * The four registers of a leaf: a shared array, not to be changed, which holds until the next query.
   *
   * @param leaf EAX
   * @param subleaf ECX
   */
  public int[] query(int leaf, int subleaf) {
    if (leaf < 0 && Integer.compareUnsigned(leaf, EXTENDED + MAX_EXTENDED) <= 0) {
      return extended[leaf - EXTENDED];
    }
    int number = leaf >= 0 && leaf <= maxBasic ? leaf : maxBasic;
    int[] registers = basic[number][Integer.compareUnsigned(subleaf, MAX_SUBLEAVES) < 0 ? subleaf : MAX_SUBLEAVES - 1];
    if (number == LEAF_TOPOLOGY) {
      registers[ECX] = registers[ECX] & ~ECX_SUBLEAF | subleaf & ECX_SUBLEAF;
    }
    return registers;
  }

  /**
   * Replaces one leaf of the model.
   *
   * @throws IllegalArgumentException if the model has no such leaf
   */
  public void set(int leaf, int subleaf, int eax, int ebx, int ecx, int edx) {
    boolean high = leaf < 0 && Integer.compareUnsigned(leaf, EXTENDED + MAX_EXTENDED) <= 0;
    if (!high && (leaf < 0 || leaf > MAX_BASIC_XSAVE) || subleaf < 0 || subleaf >= MAX_SUBLEAVES) {
      throw new IllegalArgumentException("CPUID leaf " + Integer.toHexString(leaf) + "H." + subleaf
          + ": expected 0H to DH or 80000000H to 80000008H");
    }
    int[] registers = high ? extended[leaf - EXTENDED] : basic[leaf][subleaf];
    registers[EAX] = eax;
    registers[EBX] = ebx;
    registers[ECX] = ecx;
    registers[EDX] = edx;
  }

  /**
   * Says which processor of how many it is: cores of one thread each in one package, which share the last cache.
   *
   * @param apicId ID of its local APIC
   * @param processors at least 1
   */
  public void setTopology(int apicId, int processors) {
    int idBits = Integer.SIZE - Integer.numberOfLeadingZeros(processors - 1);
    int lastId = (1 << idBits) - 1;
    for (int[] registers : basic[1]) {
      registers[EBX] = CLFLUSH_LINE | processors << LOGICAL_PROCESSORS_SHIFT | apicId << APIC_ID_SHIFT;
      registers[EDX] = processors > 1 ? registers[EDX] | EDX_HTT : registers[EDX] & ~EDX_HTT;
    }
    for (int sub = 0; sub < CACHES; sub++) {
      basic[4][sub][EAX] |= lastId << CORES_SHIFT | (sub == SHARED_CACHE ? lastId << SHARING_SHIFT : 0);
    }
    for (int[] registers : basic[LEAF_TOPOLOGY]) {
      registers[EDX] = apicId;
    }
    basic[LEAF_TOPOLOGY][1][EAX] = idBits;
    basic[LEAF_TOPOLOGY][1][EBX] = processors;
  }

  /** Whether there are others beside this processor. */
  public boolean severalProcessors() {
    return (basic[1][0][EDX] & EDX_HTT) != 0;
  }

  /** Says that there is a local APIC with TSC-deadline timer, and whether it has x2APIC mode. */
  public void offerLocalApic(boolean x2Apic) {
    offer(1, ECX, ECX_TSC_DEADLINE | (x2Apic ? ECX_X2APIC : 0));
    offer(6, EAX, EAX_ARAT);
    showLocalApic(true);
  }

  /** CPUID.1:EDX.APIC follows the global enable in IA32_APIC_BASE. */
  public void showLocalApic(boolean enabled) {
    for (int[] registers : basic[1]) {
      registers[EDX] = enabled ? registers[EDX] | EDX_APIC : registers[EDX] & ~EDX_APIC;
    }
  }

  /** Says that there are {@link Mtrrs}. */
  public void offerMtrrs() {
    offer(1, EDX, EDX_MTRR);
  }

  /** Bits of a linear address, 48 or 57. */
  public int linearAddressBits() {
    return offers(Feature.LA57) ? Cpu.LINEAR_BITS_5_LEVEL : Cpu.LINEAR_BITS;
  }

  /** CPUID.7:ECX.OSPKE follows CR4.PKE. */
  public void showProtectionKeys(boolean enabled) {
    basic[7][0][ECX] = enabled ? basic[7][0][ECX] | ECX_OSPKE : basic[7][0][ECX] & ~ECX_OSPKE;
  }

  private void offer(int leaf, int register, int bits) {
    for (int[] registers : basic[leaf]) {
      registers[register] |= bits;
    }
  }

  private void all(int leaf, int eax, int ebx, int ecx, int edx) {
    for (int sub = 0; sub < MAX_SUBLEAVES; sub++) {
      set(leaf, sub, eax, ebx, ecx, edx);
    }
  }

  /** Leaf 4: one cache, in deterministic cache parameters. */
  private void cache(int sub, int type, int level, int ways, int sets) {
    int selfInitializing = 1 << 8;
    set(4, sub, type | level << 5 | selfInitializing, CACHE_LINE - 1 | ways - 1 << 22, sets - 1, 0);
  }

  private static int word(byte[] text, int at) {
    return text[at] & 0xFF | (text[at + 1] & 0xFF) << 8 | (text[at + 2] & 0xFF) << 16 | (text[at + 3] & 0xFF) << 24;
  }

  /**
   * CR4 bits that may be set. As under KVM, MCE and PCE may be set though their feature is not offered, because much
   * start-up code does not ask.
   */
  public long cr4Bits() {
    long bits = ControlRegister.CR4_TSD | ControlRegister.CR4_DE | ControlRegister.CR4_PSE | ControlRegister.CR4_PAE
        | ControlRegister.CR4_MCE
        | ControlRegister.CR4_PGE | ControlRegister.CR4_PCE | ControlRegister.CR4_OSFXSR
        | ControlRegister.CR4_OSXMMEXCPT;
    return bits | bit(Feature.PCID, ControlRegister.CR4_PCIDE) | bit(Feature.SMEP, ControlRegister.CR4_SMEP)
        | bit(Feature.SMAP, ControlRegister.CR4_SMAP) | bit(Feature.UMIP, ControlRegister.CR4_UMIP)
        | bit(Feature.FSGSBASE, ControlRegister.CR4_FSGSBASE) | bit(Feature.PKU, ControlRegister.CR4_PKE)
        | bit(Feature.PKS, ControlRegister.CR4_PKS) | bit(Feature.LA57, ControlRegister.CR4_LA57)
        | bit(Feature.XSAVE, ControlRegister.CR4_OSXSAVE)
        | bit(Feature.VME, ControlRegister.CR4_VME | ControlRegister.CR4_PVI);
  }

  /** EFER bits that may be set by software; LMA is the processor's. */
  public long eferBits() {
    return bit(Feature.SYSCALL, ControlRegister.EFER_SCE) | bit(Feature.LM, ControlRegister.EFER_LME)
        | bit(Feature.NX, ControlRegister.EFER_NXE);
  }

  private long bit(Feature feature, long bit) {
    return offers(feature) ? bit : 0;
  }
}
