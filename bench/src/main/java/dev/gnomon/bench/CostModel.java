package dev.gnomon.bench;

import dev.gnomon.guest.cpu.ExitReason;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Modelled cycles of each thing that is counted. Cycles are counters × costs and nothing else, so a recorded run can be
 * priced again; they rank modes and say where the time goes, and are no measurement.
 *
 * <p>Keys: {@code instruction}; {@code tlb.l2-hit}; {@code walk.guest-reference}, {@code walk.ept-reference}; {@code
 * tlb.flush} and {@code tlb.invlpg}, charged where the guest does them itself (an exit's cost holds its own); {@code
 * event.delivery} of an exception or interrupt through the guest's IDT; {@code host.back}, a piece of host memory on
 * first touch; of polled devices {@code host.wake}, from a doorbell to the first instruction of the thread that it
 * wakes, {@code poll.idle} and {@code poll.busy}, a look that finds nothing and one that serves a request, and
 * {@code poll.sleep}, going to sleep between looks; {@code exit.REASON} with KVM's reason name,
 * {@code exit.REASON/cause} for one cause, {@code exit.default} for reasons that are not named. The most specific key
 * counts: for a port read {@code exit.IO_INSTRUCTION/in-0x3f8}, then {@code exit.IO_INSTRUCTION/in}, then
 * {@code exit.IO_INSTRUCTION}, then {@code exit.default}.
 *
 * <p>The default profile {@code clx-2.5GHz} (Cascade Lake at 2.5 GHz) takes round trips in KVM from PVM (SOSP 2023:
 * null hypercall 0.46 µs, CPUID 0.54 µs, MSR 0.87 µs, reflected #UD 1.66 µs). Exits that it lacks are scaled from CPUID
 * by the ratios of published per-exit averages of KVM with and without EPT: CR3 loads 1.7, INVLPG 2.0, EPT violations
 * 2.3, INVPCID 4.3, MMIO 5.0; reads of CR3 cost what CPUID does. Shadow page faults are split so that the three of a
 * demand-zero page (reflected fault 3000, emulated table write 4000, hidden fill 2500) give PVM's 9500 cycles. A walk
 * reference is the 184.5 cycles of a measured 2-D walk (DMT, GUPS on 4K pages) over the 4.4 references that it makes on
 * average (Park et al., ASPLOS 2022). INVLPG and CR3 loads without exit: published microbenchmarks. Event delivery,
 * host memory and the second-level TLB hit beside them are assumptions of the right order (7 cycles: Intel's event
 * description for STLB hits), and so are the costs of polling (a futex or timer wake-up takes one to three
 * microseconds, a look some cache misses).
 *
 * @param name of the profile, with {@code +} behind it once a cost was overridden
 * @param megahertz of the processor, to give cycles as time
 * @param costs cycles by key, sorted
 */
public record CostModel(String name, int megahertz, Map<String, Double> costs) {
  public static final String DEFAULT_NAME = "clx-2.5GHz";
  private static final String EXIT = "exit.";
  private static final String EXIT_DEFAULT = "exit.default";
  private static final double MAX_COST = 1e12;
  /**
   * Bare exit and entry on Cascade Lake, cycles (PVM, SOSP 2023); the other profiles differ from it by this part of
   * each exit.
   */
  private static final int CASCADE_LAKE_ROUND_TRIP = 525;

  /** Bare exit-and-entry round trips in cycles by processor (VMware's and others' published measurements). */
  private enum Latency {
    PRESCOTT(3963),
    MEROM(1579),
    PENRYN(1266),
    NEHALEM(1009),
    WESTMERE(761),
    SANDYBRIDGE(784);

    private final int cycles;

    Latency(int cycles) {
      this.cycles = cycles;
    }
  }

  public CostModel {
    costs = Collections.unmodifiableMap(new TreeMap<>(costs));
  }

  /** The default profile, {@value #DEFAULT_NAME}. */
  public static CostModel cascadeLake() {
    Map<String, Double> costs = new TreeMap<>();
    costs.put("instruction", 1.0);
    costs.put("tlb.l2-hit", 7.0);
    costs.put("walk.guest-reference", 42.0);
    costs.put("walk.ept-reference", 42.0);
    costs.put("tlb.flush", 300.0);
    costs.put("tlb.invlpg", 200.0);
    costs.put("event.delivery", 150.0);
    costs.put("host.back", 2500.0);
    costs.put("host.wake", 5000.0);
    costs.put("poll.busy", 500.0);
    costs.put("poll.idle", 100.0);
    costs.put("poll.sleep", 2500.0);
    costs.put(EXIT_DEFAULT, 1150.0);
    costs.put("exit.CPUID", 1350.0);
    costs.put("exit.MSR_READ", 2175.0);
    costs.put("exit.MSR_WRITE", 2175.0);
    costs.put("exit.IO_INSTRUCTION", 1350.0);
    costs.put("exit.CR_ACCESS", 2350.0);
    costs.put("exit.CR_ACCESS/cr3-read", 1350.0);
    costs.put("exit.INVLPG", 2750.0);
    costs.put("exit.INVPCID", 5800.0);
    costs.put("exit.EPT_VIOLATION", 3100.0);
    costs.put("exit.EPT_VIOLATION/mmio", 6800.0);
    costs.put("exit.EPT_MISCONFIG", 6800.0);
    costs.put("exit.EXCEPTION_NMI", 4150.0);
    costs.put("exit.EXCEPTION_NMI/guest-fault", 3000.0);
    costs.put("exit.EXCEPTION_NMI/hidden", 2500.0);
    costs.put("exit.EXCEPTION_NMI/spurious", 2500.0);
    costs.put("exit.EXCEPTION_NMI/pt-write", 4000.0);
    costs.put("exit.EXCEPTION_NMI/mmio", 6800.0);
    return new CostModel(DEFAULT_NAME, 2500, costs);
  }

  /** Names of all profiles, the default first. */
  public static List<String> names() {
    List<String> names = new ArrayList<>();
    names.add(DEFAULT_NAME);
    for (Latency latency : Latency.values()) {
      names.add(latency.name().toLowerCase(java.util.Locale.ROOT));
    }
    return names;
  }

  /** The profile of that name. @throws IllegalArgumentException if there is none; the message lists them */
  public static CostModel named(String name) {
    CostModel base = cascadeLake();
    if (name.equalsIgnoreCase(DEFAULT_NAME)) {
      return base;
    }
    for (Latency latency : Latency.values()) {
      if (latency.name().equalsIgnoreCase(name)) {
        Map<String, Double> costs = new TreeMap<>(base.costs);
        costs.replaceAll((key, cost) -> key.startsWith(EXIT) ? cost + latency.cycles - CASCADE_LAKE_ROUND_TRIP : cost);
        return new CostModel(name.toLowerCase(java.util.Locale.ROOT), base.megahertz, costs);
      }
    }
    throw new IllegalArgumentException("cost profile '" + name + "' is unknown: expected one of "
        + String.join(", ", names()));
  }

  /**
   * The model with one cost replaced or added.
   *
   * @throws IllegalArgumentException if the key names nothing that is counted, or the cost is no number of cycles
   */
  public CostModel with(String key, double cycles) {
    if (!costs.containsKey(key) && !isExitKey(key)) {
      List<String> others = costs.keySet().stream().filter(name -> !name.startsWith(EXIT)).toList();
      throw new IllegalArgumentException("cost key '" + key + "' is unknown: expected one of "
          + String.join(", ", others) + ", exit.default, or exit.REASON[/cause] with KVM's name of an exit reason");
    }
    if (!(cycles >= 0 && cycles <= MAX_COST)) {
      throw new IllegalArgumentException("cost " + key + "=" + cycles + ": expected 0 to 1e12 cycles");
    }
    Map<String, Double> changed = new TreeMap<>(costs);
    changed.put(key, cycles);
    return new CostModel(name.endsWith("+") ? name : name + "+", megahertz, changed);
  }

  private static boolean isExitKey(String key) {
    if (!key.startsWith(EXIT)) {
      return false;
    }
    int slash = key.indexOf('/');
    String reason = key.substring(EXIT.length(), slash < 0 ? key.length() : slash);
    for (int number = 0; number < ExitReason.BUDGET; number++) {
      if (ExitReason.name(number).equals(reason) && !reason.startsWith("REASON_")) {
        return slash != key.length() - 1;
      }
    }
    return false;
  }

  /** Cycles of one event. */
  public double cost(String key) {
    return costs.getOrDefault(key, 0.0);
  }

  /** Cycles of one exit of that reason and cause. */
  public double exitCost(ExitCount exit) {
    String key = EXIT + exit.key();
    while (!costs.containsKey(key)) {
      int cut = Math.max(key.lastIndexOf("-0x"), key.lastIndexOf('/'));
      if (cut < 0) {
        return cost(EXIT_DEFAULT);
      }
      key = key.substring(0, cut);
    }
    return costs.get(key);
  }

  /**
   * Prices what was counted.
   *
   * @param exitsOnTlbControl whether the guest's own flushes exit, so that their cost is in the exits (shadow paging)
   */
  public Cycles price(Counters c, boolean exitsOnTlbControl) {
    TlbCounters tlb = c.tlb();
    double flushes = exitsOnTlbControl ? 0 : tlb.flushes() * cost("tlb.flush") + tlb.invlpg() * cost("tlb.invlpg");
    double exits = c.exits().stream().mapToDouble(exit -> exit.count() * exitCost(exit)).sum();
    return new Cycles(
        Math.round(c.instructions() * cost("instruction") + tlb.secondLevelHits() * cost("tlb.l2-hit")),
        Math.round(tlb.guestReferences() * cost("walk.guest-reference")
        + tlb.eptReferences() * cost("walk.ept-reference")),
        Math.round(c.guestEvents().total() * cost("event.delivery")), Math.round(flushes),
        Math.round(exits),
        Math.round(c.backedPieces() * cost("host.back")));
  }
}
