package dev.gnomon.bench.cli;

import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.memory.BackingSize;
import java.time.LocalDateTime;
import java.time.format.DateTimeParseException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options that say what machine a guest runs on. */
final class MachineOptions {
  private static final List<String> TLB_POLICIES = List.of("stale", "forgetful");

  @Option(names = {"-m", "--memory"}, paramLabel = "SIZE", converter = Quantity.Memory.class,
      description = "Guest memory, such as 8M or 1G; a bare number is MiB. Default: 64M, or what the guest needs.")
  Long memory;

  @Option(names = "--machine", paramLabel = "TYPE", converter = MachineConverter.class, defaultValue = "minimal",
      description = "Devices: minimal (8259, 8254, RTC, COM1, VGA text) or pc (also local and I/O APIC, ACPI, PCI, "
          + "keyboard controller). Default: ${DEFAULT-VALUE}.")
  MachineType machine;

  @Option(names = "--cpu", paramLabel = "MODEL", converter = CpuConverter.class, defaultValue = "default",
      description =
          "Processor: minimal, default, max or one that QEMU knows, such as qemu64, Nehalem or Skylake-Client; "
          + "then features, as in Nehalem,+rdrand,-popcnt; +x2apic is --x2apic. Default: ${DEFAULT-VALUE}.")
  CpuChoice cpu;

  @Option(names = "--cpus", paramLabel = "N", converter = Quantity.Whole.class, defaultValue = "1",
      description = "Virtual processors, 1 to 64; several need machine pc. Default: ${DEFAULT-VALUE}.")
  long cpus;

  @Option(names = "--turn", paramLabel = "N", converter = Quantity.Count.class,
      defaultValue = "" + Processors.DEFAULT_TURN,
      description =
          "Instructions that a virtual processor runs before it is the next one's turn. Default: ${DEFAULT-VALUE}.")
  long turn;

  @Option(names = "--rtc", paramLabel = "DATE", converter = DateConverter.class,
      description = "What the real-time clock shows at the start, as 2024-01-01T00:00:00 (the default).")
  LocalDateTime rtc;

  @Option(names = "--x2apic", description = "The local APIC of machine pc has x2APIC mode.")
  boolean x2Apic;

  @Option(names = "--keyboard", negatable = true,
      description = "A keyboard controller with a keyboard, or none. Default: only machine pc has them.")
  Boolean keyboard;

  @Option(names = "--seed", paramLabel = "N", converter = Quantity.Whole.class,
      description = "Seed of everything random, workloads included.")
  Long seed;

  @Option(names = "--ns-per-instruction", paramLabel = "N", converter = Quantity.Whole.class, defaultValue = "1",
      description = "Virtual nanoseconds that an instruction takes. Default: ${DEFAULT-VALUE}.")
  long nsPerInstruction;

  @Option(names = "--tlb", paramLabel = "PROFILE", converter = TlbConverter.class,
      description = "Counted TLB: skylake (default), nehalem, haswell, icelake, zen2 or none; or, uncounted, stale "
          + "(keeps all that the SDM lets it "
          + "keep) or forgetful (keeps nothing).")
  TlbPolicy tlb;

  @Option(names = "--no-pwc", description = "No paging-structure caches: each walk makes all its references.")
  boolean noPwc;

  @Option(names = "--backing", paramLabel = "SIZE", converter = BackingConverter.class, defaultValue = "2m",
      description = "Pieces in which the host backs guest memory: 4k, 2m or 1g. Default: ${DEFAULT-VALUE}.")
  BackingSize backing;

  @Option(names = "--ept-page", paramLabel = "SIZE", converter = EptPageConverter.class, defaultValue = "1g",
      description = "Largest EPT page: 4k, 2m or 1g. Default: ${DEFAULT-VALUE}.")
  int eptPageShift;

  @Option(names = "--ept", paramLabel = "SWITCH", split = ",",
      description =
          "Form of the EPT tables: levels=4 or 5, mbec (separate execute rights of user and supervisor mode), "
          + "ve (made for virtualization exceptions), views=N (EPT roots among which VMFUNC switches).")
  List<String> ept = List.of();

  @Option(names = "--no-ept-ad", description = "EPT keeps no accessed and dirty flags.")
  boolean noEptAccessedDirty;

  @Option(names = "--shadow", paramLabel = "SWITCH", split = ",",
      description = "Switches of the shadow MMU: no-unsync, no-prefetch, no-large-pages, audit, pages=N (limit of "
          + "shadow pages).")
  List<String> shadow = List.of();

  @Option(names = "--blocks", paramLabel = "N", converter = Quantity.Whole.class, defaultValue = "64",
      description = "Most instructions in a decoded block; results do not depend on it. Default: ${DEFAULT-VALUE}.")
  long blocks;

  /**
   * The machine's options but for the mode.
   *
   * @param countByDefault whether TLBs are counted if {@code --tlb} is not given
   * @param guests may imply a machine
   */
  VmOptions vmOptions(boolean countByDefault, GuestOptions guests) {
    if (guests.firmware.needsPc()) {
      machine = MachineType.PC;
    }
    return vmOptions(countByDefault);
  }

  /** The same for guests that need no certain machine. */
  VmOptions vmOptions(boolean countByDefault) {
    VmOptions options = VmOptions.of(Mode.NATIVE)
        .withNsPerInstruction(nsPerInstruction)
        .withTlb(policy(countByDefault))
        .withBacking(backing)
        .withEptMaxPageShift(eptPageShift)
        .withEptAccessedDirty(!noEptAccessedDirty)
        .withEpt(eptOptions())
        .withShadow(shadowOptions())
        .withPlatform(platform())
        .withBlockLimit((int) Math.max(-1, Math.min(Integer.MAX_VALUE, blocks)));
    if (memory != null) {
      options = options.withMemoryBytes(memory);
    }
    return seed == null ? options : options.withSeed(seed);
  }

  /**
   * @throws IllegalArgumentException if there is no virtual processor of that number, or it was asked for what only the
   *     machine counts
   */
  void checkVcpu(long number, boolean machineOnly) {
    checkVcpu(number);
    if (machineOnly) {
      throw new IllegalArgumentException(
          "--vcpu with --event mmio: expected no --vcpu, device memory is counted for all together");
    }
  }

  /** @throws IllegalArgumentException if there is no virtual processor of that number */
  void checkVcpu(long number) {
    if (number < 0 || number >= cpus) {
      throw new IllegalArgumentException("--vcpu " + number + ": expected 0 to " + (cpus - 1)
          + (cpus == 1 ? ", or more with --cpus" : ""));
    }
  }

  private PlatformOptions platform() {
    if (cpu.deadlineTimer() && machine != MachineType.PC) {
      throw new IllegalArgumentException("--cpu " + cpu.model() + ",+tsc-deadline on machine " + machine
          + ": expected machine pc, which has a local APIC");
    }
    PlatformOptions options = PlatformOptions.DEFAULT.withMachine(machine).withX2Apic(x2Apic || cpu.x2Apic())
        .withCpu(cpu.model())
        .withProcessors(new Processors((int) Math.max(-1, Math.min(Integer.MAX_VALUE, cpus)), turn));
    if (keyboard != null) {
      options = options.withKeyboard(keyboard);
    }
    return rtc == null ? options : options.withRtcStart(rtc);
  }

  private TlbPolicy policy(boolean countByDefault) {
    TlbPolicy policy = tlb != null ? tlb : countByDefault ? TlbPolicy.counted(TlbGeometry.SKYLAKE)
        : TlbPolicy.UNCOUNTED;
    if (policy instanceof TlbPolicy.Counted counted) {
      TlbGeometry geometry = noPwc ? counted.geometry().withoutStructures() : counted.geometry();
      return new TlbPolicy.Counted(geometry, seed == null ? 0 : seed);
    }
    if (noPwc) {
      throw new IllegalArgumentException("--no-pwc: expected a counted TLB with it (--tlb PROFILE)");
    }
    return policy;
  }

  private ShadowOptions shadowOptions() {
    ShadowOptions options = ShadowOptions.defaults();
    for (String word : shadow) {
      options = switch (word) {
        case "no-unsync" -> options.withUnsync(false);
        case "no-prefetch" -> options.withPrefetch(false);
        case "no-large-pages" -> options.withLargePages(false);
        case "audit" -> options.withAudit(true);
        default -> {
          if (word.matches("pages=[0-9]{1,8}")) {
            yield options.withPageLimit(Integer.parseInt(word.substring("pages=".length())));
          }
          throw new IllegalArgumentException("--shadow '" + word
              + "': expected no-unsync, no-prefetch, no-large-pages, audit or pages=N");
        }
      };
    }
    return options;
  }

  private EptOptions eptOptions() {
    EptOptions options = EptOptions.DEFAULT;
    for (String word : ept) {
      options = switch (word) {
        case "levels=4" -> options.withLevels(4);
        case "levels=5" -> options.withLevels(5);
        case "mbec" -> options.withModeBasedExecute(true);
        case "ve" -> options.withExceptions(true);
        default -> {
          if (word.matches("views=[0-9]{1,4}")) {
            yield options.withViews(Integer.parseInt(word.substring("views=".length())));
          }
          throw new IllegalArgumentException("--ept '" + word + "': expected levels=4, levels=5, mbec, ve or views=N");
        }
      };
    }
    return options;
  }

  /** The options by name, for a result's provenance. */
  static Map<String, String> describe(VmOptions options, boolean memoryGiven) {
    Map<String, String> map = new LinkedHashMap<>();
    if (memoryGiven) {
      map.put("memory", Long.toString(options.memoryBytes()));
    }
    map.put("machine", options.platform().machine().toString());
    if (!options.platform().cpu().equals(CpuModel.DEFAULT)) {
      map.put("cpu", options.platform().cpu().toString());
    }
    if (options.platform().processors().count() > 1) {
      map.put("cpus", Integer.toString(options.platform().processors().count()));
      map.put("turn", Long.toString(options.platform().processors().turn()));
    }
    map.put("rtc", options.platform().rtcStart().toString());
    map.put("seed", Long.toString(options.seed()));
    map.put("ns-per-instruction", Long.toString(options.nsPerInstruction()));
    map.put("tlb", describe(options.tlb()));
    map.put("backing", options.backing().toString());
    map.put("ept-page", options.eptMaxPageShift() == 12 ? "4k" : options.eptMaxPageShift() == 21 ? "2m" : "1g");
    map.put("ept-ad", Boolean.toString(options.eptAccessedDirty()));
    if (!options.ept().equals(EptOptions.DEFAULT)) {
      map.put("ept", options.ept().toString());
    }
    ShadowOptions shadow = options.shadow();
    map.put("shadow", (shadow.unsync() ? "" : "no-") + "unsync," + (shadow.prefetch() ? "" : "no-") + "prefetch,"
        + (shadow.largePages() ? "" : "no-") + "large-pages,pages=" + shadow.pageLimit()
        + (shadow.audit() ? ",audit" : ""));
    return map;
  }

  private static String describe(TlbPolicy policy) {
    if (policy instanceof TlbPolicy.Counted counted) {
      boolean pwc = !counted.geometry().structures().equals(TlbGeometry.Structures.NONE);
      return counted.geometry().name() + (pwc ? "" : ",no-pwc");
    }
    return policy instanceof TlbPolicy.Stale ? "stale" : policy instanceof TlbPolicy.Forgetful ? "forgetful"
        : "uncounted";
  }

  /** Reads {@code --machine}. */
  static final class MachineConverter implements ITypeConverter<MachineType> {
    @Override
    public MachineType convert(String text) {
      try {
        return MachineType.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException("'" + text + "': expected minimal or pc");
      }
    }
  }

  /** Reads {@code --cpu}. */
  static final class CpuConverter implements ITypeConverter<CpuChoice> {
    @Override
    public CpuChoice convert(String text) {
      try {
        return CpuChoice.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /** Reads {@code --rtc}. */
  static final class DateConverter implements ITypeConverter<LocalDateTime> {
    @Override
    public LocalDateTime convert(String text) {
      try {
        return LocalDateTime.parse(text);
      } catch (DateTimeParseException e) {
        throw new TypeConversionException("'" + text + "': expected a date as 2024-01-01T00:00:00");
      }
    }
  }

  /** Reads {@code --tlb}. */
  static final class TlbConverter implements ITypeConverter<TlbPolicy> {
    @Override
    public TlbPolicy convert(String text) {
      switch (text) {
        case "stale":
          return TlbPolicy.STALE;
        case "forgetful":
          return TlbPolicy.FORGETFUL;
        default:
          try {
            return TlbPolicy.counted(TlbGeometry.named(text));
          } catch (IllegalArgumentException e) {
            throw new TypeConversionException(e.getMessage() + ", " + String.join(", ", TLB_POLICIES));
          }
      }
    }
  }

  /** Reads {@code --backing}. */
  static final class BackingConverter implements ITypeConverter<BackingSize> {
    @Override
    public BackingSize convert(String text) {
      try {
        return BackingSize.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException("'" + text + "': expected 4k, 2m or 1g");
      }
    }
  }

  /** Reads {@code --ept-page} as log2 of the size. */
  static final class EptPageConverter implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return new BackingConverter().convert(text).shift();
    }
  }
}
