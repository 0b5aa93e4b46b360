package dev.gnomon.guest.cpu;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;

/**
 * A named processor model: what CPUID tells of family, model, stepping and features. The names are QEMU's; such a model
 * has of its namesake's features those that work here, so there is neither AES nor AVX. The vendor is GenuineIntel in
 * all of them, as under KVM on an Intel processor.
 *
 * @param name as given, such as {@code Nehalem,+rdrand}
 * @param signature EAX of CPUID leaf 1
 * @param features that are offered besides those of every model; not to be changed
 * @throws IllegalArgumentException if a feature is offered without the one that it needs
 */
public record CpuModel(String name, int signature, Set<Feature> features) {
  /** What came with x86-64. */
  private static final Set<Feature> LONG_MODE = EnumSet.of(Feature.LM, Feature.NX, Feature.SYSCALL);
  private static final String EXPECTED =
      "minimal, default, max, qemu32, qemu64, Conroe, Penryn, Nehalem, Westmere, SandyBridge, "
      + "IvyBridge, Haswell, Broadwell, Skylake-Client, Skylake-Server or Icelake-Server";
  private static final String FEATURES = ",\\s*";
  private static final int OWN_MODEL = 15;
  private static final int OWN_STEPPING = 11;

  /** Family 6, model 15, stepping 11: what all published numbers were measured on. */
  public static final CpuModel DEFAULT = parse("default");

  public CpuModel {
    Objects.requireNonNull(name);
    for (Feature feature : features) {
      for (Feature needed : feature.needed()) {
        if (!features.contains(needed)) {
          throw new IllegalArgumentException("processor '" + name + "': " + feature + " needs " + needed
              + ", which it does not have");
        }
      }
    }
    EnumSet<Feature> copy = EnumSet.noneOf(Feature.class);
    copy.addAll(features);
    features = Collections.unmodifiableSet(copy);
  }

  /**
   * Reads {@code MODEL[,+FEATURE][,-FEATURE]…}.
   *
   * @throws IllegalArgumentException if there is no such model or feature, or a feature lacks the one that it needs
   */
  public static CpuModel parse(String text) {
    String[] words = text.split(FEATURES, -1);
    CpuModel base = named(words[0]);
    EnumSet<Feature> features = EnumSet.noneOf(Feature.class);
    features.addAll(base.features);
    for (int i = 1; i < words.length; i++) {
      boolean add = words[i].startsWith("+");
      if (!add && !words[i].startsWith("-")) {
        throw new IllegalArgumentException("processor '" + text + "': expected MODEL, then +FEATURE or -FEATURE, not '"
            + words[i] + "'");
      }
      Feature feature = Feature.parse(words[i].substring(1));
      if (add) {
        features.add(feature);
      } else {
        features.remove(feature);
      }
    }
    return new CpuModel(text, base.signature, features);
  }

  private static CpuModel named(String name) {
    return switch (name) {
      case "minimal" -> own(name, with(LONG_MODE, Feature.PDPE1GB));
      case "default" -> own(name, with(LONG_MODE, Feature.PDPE1GB, Feature.CX16, Feature.PCID, Feature.SMEP,
          Feature.INVPCID, Feature.SMAP, Feature.LAHF_LM, Feature.RDTSCP));
      case "max" -> own(name, EnumSet.allOf(Feature.class));
      case "qemu32" -> new CpuModel(name, signature(6, 6, 3), EnumSet.of(Feature.MCE, Feature.MCA, Feature.SSE3));
      case "qemu64" -> new CpuModel(name, signature(15, 107, 1),
          with(LONG_MODE, Feature.MCE, Feature.MCA, Feature.SSE3, Feature.CX16, Feature.LAHF_LM));
      default -> intel(name);
    };
  }

  private static CpuModel own(String name, EnumSet<Feature> features) {
    return new CpuModel(name, signature(6, OWN_MODEL, OWN_STEPPING), features);
  }

  private static EnumSet<Feature> with(Set<Feature> features, Feature... more) {
    EnumSet<Feature> all = EnumSet.copyOf(features);
    Collections.addAll(all, more);
    return all;
  }

  /** Intel's generations, each with all that the one before has. */
  private static CpuModel intel(String name) {
    EnumSet<Feature> features =
        with(LONG_MODE, Feature.MCE, Feature.MCA, Feature.SSE3, Feature.SSSE3, Feature.LAHF_LM, Feature.VME);
    if (name.equals("Conroe")) {
      return new CpuModel(name, signature(6, 15, 3), features);
    }
    Collections.addAll(features, Feature.SSE4_1, Feature.CX16);
    if (name.equals("Penryn")) {
      return new CpuModel(name, signature(6, 23, 3), features);
    }
    Collections.addAll(features, Feature.SSE4_2, Feature.POPCNT);
    if (name.equals("Nehalem")) {
      return new CpuModel(name, signature(6, 26, 3), features);
    }
    if (name.equals("Westmere")) {
      return new CpuModel(name, signature(6, 44, 1), features);
    }
    Collections.addAll(features, Feature.RDTSCP, Feature.XSAVE, Feature.XSAVEOPT);
    if (name.equals("SandyBridge")) {
      return new CpuModel(name, signature(6, 42, 1), features);
    }
    Collections.addAll(features, Feature.RDRAND, Feature.FSGSBASE, Feature.SMEP);
    if (name.equals("IvyBridge")) {
      return new CpuModel(name, signature(6, 58, 9), features);
    }
    Collections.addAll(features, Feature.PCID, Feature.INVPCID);
    if (name.equals("Haswell")) {
      return new CpuModel(name, signature(6, 60, 4), features);
    }
    Collections.addAll(features, Feature.RDSEED, Feature.SMAP);
    if (name.equals("Broadwell")) {
      return new CpuModel(name, signature(6, 61, 2), features);
    }
    Collections.addAll(features, Feature.XSAVEC, Feature.XGETBV1);
    if (name.equals("Skylake-Client")) {
      return new CpuModel(name, signature(6, 94, 3), features);
    }
    Collections.addAll(features, Feature.CLFLUSHOPT, Feature.CLWB, Feature.PKU, Feature.PDPE1GB);
    if (name.equals("Skylake-Server")) {
      return new CpuModel(name, signature(6, 85, 4), features);
    }
    Collections.addAll(features, Feature.UMIP, Feature.RDPID, Feature.LA57);
    if (name.equals("Icelake-Server")) {
      return new CpuModel(name, signature(6, 106, 0), features);
    }
    throw new IllegalArgumentException("processor '" + name + "': expected " + EXPECTED);
  }

  /** EAX of leaf 1: extended model 19:16, family 11:8, model 7:4, stepping 3:0. */
  private static int signature(int family, int model, int stepping) {
    return model >> 4 << 16 | family << 8 | (model & 15) << 4 | stepping;
  }

  @Override
  public String toString() {
    return name;
  }
}
