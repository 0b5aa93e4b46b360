package dev.gnomon.bench;

import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** The result of {@code gnomon compare}. */
public record Comparison(Provenance provenance, List<GuestComparison> guests) implements Report {
  /** Causes of one reason that are printed by name; files have all. */
  private static final int MAX_CAUSES = 5;
  /** How the names of printed counters begin; files have all. */
  private static final List<String> PRINTED =
      List.of("pf_", "mmu_", "insn_emulation", "irq_injections", "tlb_flush", "invlpg");

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    for (GuestComparison guest : guests) {
      blocks.add(new Block.Heading(1, heading(guest)));
      blocks.add(modes(guest));
      Table exits = exits(guest);
      if (!exits.rows().isEmpty()) {
        blocks.add(exits);
      }
      Table kvm = kvm(guest);
      if (!kvm.rows().isEmpty()) {
        blocks.add(kvm);
      }
      if (guest.modes().stream().anyMatch(mode -> mode.dirtyLog() != null)) {
        blocks.add(dirtyLogs(guest));
      }
      if (!guest.why().isEmpty()) {
        blocks.add(new Block.Paragraph("why: " + guest.why()));
      }
      guest.problems().forEach(problem -> blocks.add(new Block.Paragraph("PROBLEM: " + problem)));
      blocks.add(new Block.Paragraph(hostTimes(guest)));
    }
    if (guests.size() > 1) {
      blocks.add(new Block.Heading(1, "summary: modelled cycles relative to the first mode"));
      blocks.add(summary());
    }
    blocks.add(new Block.Heading(1, "cost model " + provenance.costs().name()
        + ", cycles each (--cost KEY=CYCLES overrides)"));
    blocks.add(new Block.Paragraph(costs()));
    blocks.add(
        new Block.Paragraph("counters are exact: same guest, options and seed, same numbers. Cycles are counters x "
            + "costs, not a "
        + "measurement."));
    return blocks;
  }

  private static String heading(GuestComparison guest) {
    StringBuilder text = new StringBuilder(guest.guest());
    guest.parameters().forEach((name, value) -> text.append(' ').append(name).append('=').append(value.contains(" ")
        ? '"' + value + '"' : value));
    return text.append(", ").append(guest.scope()).toString();
  }

  private static Table modes(GuestComparison guest) {
    Table.Builder table = new Table.Builder(Column.text("mode"), Column.count("instructions"),
        Column.count("TLB misses"), Column.count("walk refs"), Column.average("/miss"), Column.count("exits"),
        Column.count("#PF"), Column.count("injected"), Column.count("modelled cycles"), Column.percent("%walks"),
        Column.percent("%exits"), Column.factor("relative"));
    for (ModeResult mode : guest.modes()) {
      Counters c = mode.counters();
      long total = Math.max(1, mode.cycles().total());
      table.row(mode.mode(), c.instructions(), c.tlb().misses(), c.tlb().references(), c.tlb().referencesPerMiss(),
          c.exitTotal(), c.guestEvents().pageFaults(), c.injectedFaults(), mode.cycles().total(),
          100.0 * mode.cycles().walks() / total, 100.0 * mode.cycles().exits() / total, mode.relative());
    }
    return table.build();
  }

  /** The hypervisor's counters by KVM's names that are other than 0 in some mode, but for those that count exits. */
  private static Table kvm(GuestComparison guest) {
    List<ModeResult> virtual = guest.modes().stream().filter(mode -> !mode.mode().equals("native")).toList();
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("counters by KVM's names"));
    virtual.forEach(mode -> columns.add(Column.count(mode.mode())));
    Table.Builder table = new Table.Builder(columns);
    Set<String> names = new LinkedHashSet<>();
    virtual.forEach(mode -> names.addAll(mode.counters().kvm().keySet()));
    for (String name : names) {
      boolean any = virtual.stream().anyMatch(mode -> mode.counters().kvm().getOrDefault(name, 0L) != 0);
      if (any && PRINTED.stream().anyMatch(name::startsWith)) {
        table.row(cells(name, virtual, counters -> counters.kvm().getOrDefault(name, 0L)));
      }
    }
    return table.build();
  }

  /** Reasons with their causes indented, one column a mode. */
  private static Table exits(GuestComparison guest) {
    List<ModeResult> virtual = guest.modes().stream().filter(mode -> !mode.mode().equals("native")).toList();
    Map<String, Set<String>> causes = new LinkedHashMap<>();
    for (ModeResult mode : virtual) {
      for (ExitCount exit : mode.counters().exits()) {
        causes.computeIfAbsent(exit.reason(), reason -> new LinkedHashSet<>()).add(exit.cause());
      }
    }
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("exits by reason"));
    virtual.forEach(mode -> columns.add(Column.count(mode.mode())));
    Table.Builder table = new Table.Builder(columns);
    causes.forEach((reason, set) -> {
      table.row(cells(reason, virtual, c -> c.exitsOf(reason)));
      List<String> named = set.stream().filter(cause -> !cause.isEmpty()).toList();
      for (String cause : named.subList(0, Math.min(MAX_CAUSES, named.size()))) {
        table.row(cells("  " + cause, virtual, c -> exitsOf(c, reason, List.of(cause))));
      }
      if (named.size() > MAX_CAUSES) {
        List<String> rest = named.subList(MAX_CAUSES, named.size());
        table.row(cells("  " + rest.size() + " other causes", virtual, c -> exitsOf(c, reason, rest)));
      }
    });
    return table.build();
  }

  private static Table dirtyLogs(GuestComparison guest) {
    Table.Builder table = new Table.Builder(Column.text("dirty log"), Column.text("method"),
        Column.count("pages written"), Column.count("periods"), Column.count("pages fetched"),
        Column.average("a period"));
    for (ModeResult mode : guest.modes()) {
      DirtyPageReport log = mode.dirtyLog();
      if (log != null) {
        int periods = log.periods().size();
        table.row(mode.mode(), log.method(), log.written(), (long) periods, log.fetched(),
            (double) log.fetched() / Math.max(1, periods));
      }
    }
    return table.build();
  }

  private static long exitsOf(Counters c, String reason, List<String> causes) {
    return c.exits().stream().filter(exit -> exit.reason().equals(reason) && causes.contains(exit.cause()))
        .mapToLong(ExitCount::count).sum();
  }

  private static Object[] cells(String name, List<ModeResult> modes,
      java.util.function.ToLongFunction<Counters> count) {
    Object[] cells = new Object[modes.size() + 1];
    cells[0] = name;
    for (int i = 0; i < modes.size(); i++) {
      cells[i + 1] = count.applyAsLong(modes.get(i).counters());
    }
    return cells;
  }

  private static String hostTimes(GuestComparison guest) {
    List<String> times = guest.modes().stream()
        .map(mode -> String.format(Locale.ROOT, "%s %.2f s", mode.mode(), mode.host().seconds()))
        .toList();
    return "host time, whole run, noisy: " + String.join(", ", times);
  }

  private Table summary() {
    Set<String> modes = new LinkedHashSet<>();
    guests.forEach(guest -> guest.modes().forEach(mode -> modes.add(mode.mode())));
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("guest"));
    modes.forEach(mode -> columns.add(Column.factor(mode)));
    columns.add(Column.text("winner"));
    Table.Builder table = new Table.Builder(columns);
    for (GuestComparison guest : guests) {
      List<Object> row = new ArrayList<>();
      row.add(guest.guest());
      for (String mode : modes) {
        row.add(guest.modes().stream().filter(result -> result.mode().equals(mode))
            .map(result -> (Object) result.relative()).findFirst().orElse(null));
      }
      row.add(guest.winner());
      table.row(row.toArray());
    }
    return table.build();
  }

  private String costs() {
    return String.join(" · ", provenance.costs().costs().entrySet().stream()
        .map(cost -> cost.getKey() + " " + plain(cost.getValue())).toList());
  }

  static String plain(double cycles) {
    return cycles == Math.rint(cycles) ? Long.toString((long) cycles) : Double.toString(cycles);
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("guest"), Column.text("mode"), Column.text("end"),
        Column.count("instructions"), Column.count("virtual_ns"), Column.count("tlb_misses"),
        Column.count("walk_references"), Column.count("guest_references"), Column.count("ept_references"),
        Column.average("references_per_miss"), Column.count("exits"), Column.count("guest_page_faults"),
        Column.count("injected_faults"), Column.count("modelled_cycles"), Column.count("cycles_execution"),
        Column.count("cycles_walks"), Column.count("cycles_delivery"), Column.count("cycles_flushes"),
        Column.count("cycles_exits"), Column.count("cycles_host_memory"), Column.factor("relative"),
        Column.factor("host_seconds"));
    for (GuestComparison guest : guests) {
      for (ModeResult mode : guest.modes()) {
        Counters c = mode.counters();
        Cycles cycles = mode.cycles();
        table.row(guest.guest(), mode.mode(), mode.end(), c.instructions(), c.virtualNs(), c.tlb().misses(),
            c.tlb().references(), c.tlb().guestReferences(), c.tlb().eptReferences(), c.tlb().referencesPerMiss(),
            c.exitTotal(), c.guestEvents().pageFaults(), c.injectedFaults(), cycles.total(), cycles.execution(),
            cycles.walks(), cycles.delivery(), cycles.flushes(), cycles.exits(), cycles.hostMemory(), mode.relative(),
            mode.host().seconds());
      }
    }
    return table.build();
  }
}
