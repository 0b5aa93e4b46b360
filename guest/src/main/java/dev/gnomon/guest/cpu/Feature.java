package dev.gnomon.guest.cpu;

import java.util.List;

/**
 * Features of the processor that a {@link CpuModel} may offer or not (SDM vol. 2A, "CPUID"). What a feature brings
 * raises #UD, or is reserved, where it is not offered. All other features that work here are in every model.
 */
public enum Feature {
  SSE3("sse3", 1, Cpuid.ECX, 0),
  SSSE3("ssse3", 1, Cpuid.ECX, 9, SSE3),
  SSE4_1("sse4.1", 1, Cpuid.ECX, 19, SSSE3),
  SSE4_2("sse4.2", 1, Cpuid.ECX, 20, SSE4_1),
  POPCNT("popcnt", 1, Cpuid.ECX, 23),
  XSAVE("xsave", 1, Cpuid.ECX, 26),
  XSAVEOPT("xsaveopt", 0xD, 1, Cpuid.EAX, 0, XSAVE),
  XSAVEC("xsavec", 0xD, 1, Cpuid.EAX, 1, XSAVE),
  XGETBV1("xgetbv1", 0xD, 1, Cpuid.EAX, 2, XSAVE),
  RDRAND("rdrand", 1, Cpuid.ECX, 30),
  VME("vme", 1, Cpuid.EDX, 1),
  MCE("mce", 1, Cpuid.EDX, 7),
  MCA("mca", 1, Cpuid.EDX, 14, MCE),
  LM("lm", 0x8000_0001, Cpuid.EDX, 29),
  NX("nx", 0x8000_0001, Cpuid.EDX, 20),
  SYSCALL("syscall", 0x8000_0001, Cpuid.EDX, 11, LM),
  PDPE1GB("pdpe1gb", 0x8000_0001, Cpuid.EDX, 26, LM),
  RDTSCP("rdtscp", 0x8000_0001, Cpuid.EDX, 27),
  LAHF_LM("lahf-lm", 0x8000_0001, Cpuid.ECX, 0, LM),
  CX16("cx16", 1, Cpuid.ECX, 13, LM),
  PCID("pcid", 1, Cpuid.ECX, 17, LM),
  INVPCID("invpcid", 7, Cpuid.EBX, 10, PCID),
  FSGSBASE("fsgsbase", 7, Cpuid.EBX, 0, LM),
  TSC_ADJUST("tsc-adjust", 7, Cpuid.EBX, 1),
  SMEP("smep", 7, Cpuid.EBX, 7),
  RDSEED("rdseed", 7, Cpuid.EBX, 18),
  SMAP("smap", 7, Cpuid.EBX, 20),
  CLFLUSHOPT("clflushopt", 7, Cpuid.EBX, 23),
  CLWB("clwb", 7, Cpuid.EBX, 24),
  UMIP("umip", 7, Cpuid.ECX, 2),
  PKU("pku", 7, Cpuid.ECX, 3, LM, XSAVE),
  PKS("pks", 7, Cpuid.ECX, 31, LM),
  LA57("la57", 7, Cpuid.ECX, 16, LM),
  RDPID("rdpid", 7, Cpuid.ECX, 22);

  private final String text;
  final int leaf;
  final int subleaf;
  final int register;
  final int bit;
  private final List<Feature> needed;

  Feature(String text, int leaf, int register, int bit, Feature... needed) {
    this(text, leaf, 0, register, bit, needed);
  }

  Feature(String text, int leaf, int subleaf, int register, int bit, Feature... needed) {
    this.text = text;
    this.leaf = leaf;
    this.subleaf = subleaf;
    this.register = register;
    this.bit = 1 << bit;
    this.needed = List.of(needed);
  }

  /** The features without which this one does not exist. */
  public List<Feature> needed() {
    return needed;
  }

  /**
   * The feature of a name as QEMU and Linux spell it: {@code sse4.1}, {@code sse4-1} and {@code sse4_1} are one.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Feature parse(String text) {
    String name = text.equals("pni") ? "sse3" : text.replace('_', '-').replace("sse4-", "sse4.");
    StringBuilder all = new StringBuilder();
    for (Feature feature : values()) {
      if (feature.text.equals(name)) {
        return feature;
      }
      all.append(all.length() == 0 ? "" : ", ").append(feature);
    }
    throw new IllegalArgumentException("processor feature '" + text + "': expected one of " + all);
  }

  @Override
  public String toString() {
    return text;
  }
}
