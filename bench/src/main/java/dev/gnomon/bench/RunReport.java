package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.device.AccessCount;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The result of {@code gnomon run}.
 *
 * @param counters of the whole run
 * @param region of the measured region, null if the guest went through none
 * @param cycles modelled, of the whole run
 * @param devices accesses by device
 * @param dirtyLog the pages written, null if they were not logged
 * @param notReproducible why the same run cannot be had again, null if it can
 */
public record RunReport(Provenance provenance, String guest, Map<String, String> parameters, String mode, String end,
    String detail, int status, Counters counters, Counters region, Cycles cycles, List<AccessCount> devices,
    @JsonInclude(JsonInclude.Include.NON_NULL) DirtyPageReport dirtyLog,
    @JsonInclude(JsonInclude.Include.NON_NULL) String notReproducible, HostTime host) implements Report {
  private static final int VCPU_COLUMNS = 8;

  /** What a finished run gives. */
  public static RunReport of(GuestRun run, Provenance provenance, CostModel costs) {
    RunResult result = run.result();
    Counters counters = run.counters();
    Mode mode = run.vm().options().mode();
    return new RunReport(provenance, run.guest().name(), run.guest().parameters(), mode.toString(),
        result.end().name(), result.detail(), result.status(), counters, run.region().complete()
        ? run.region().counters() : null, costs.price(counters, mode == Mode.SHADOW),
        run.vm().platform().bus().accessCounts(), run.dirtyPages(), run.notReproducible(), HostTime.of(run));
  }

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block.Heading(1, guest + " under " + mode + ": " + end + (detail.isEmpty() ? "" : ", " + detail)));
    if (notReproducible != null) {
      blocks.add(new Block.Paragraph("not reproducible: " + notReproducible));
    }
    blocks.add(numbers());
    if (!counters.exits().isEmpty()) {
      blocks.add(exits());
    }
    if (!counters.vcpus().isEmpty()) {
      Table.Builder vcpus = new Table.Builder(Column.text("vcpu"), Column.count("instructions"), Column.count("exits"));
      counters.vcpus().forEach(vcpu -> vcpus.row(Integer.toString(vcpu.vcpu()), vcpu.instructions(), vcpu.exitTotal()));
      blocks.add(vcpus.build());
    }
    Table.Builder bus = new Table.Builder(Column.text("device"), Column.count("reads"), Column.count("writes"));
    devices.stream().filter(device -> device.reads() + device.writes() > 0)
        .forEach(device -> bus.row(device.device(), device.reads(), device.writes()));
    blocks.add(bus.build());
    blocks.addAll(dirtyBlocks());
    blocks.add(new Block.Paragraph(String.format(Locale.ROOT, "host time, noisy: %.2f s, %.1f ns an instruction",
        host.seconds(), host.nsPerInstruction())));
    return blocks;
  }

  /** The part of {@link #blocks} on written pages; empty if they were not logged. */
  public List<Block> dirtyBlocks() {
    return dirtyLog == null ? List.of() : dirtyLog.blocks();
  }

  /** By reason and cause; of each processor too if there are not too many for a line. */
  private Table exits() {
    List<VcpuCounters> vcpus = counters.vcpus().size() <= VCPU_COLUMNS ? counters.vcpus() : List.of();
    List<Column> columns = new ArrayList<>(List.of(Column.text("exit"), Column.text("cause"), Column.count("count")));
    vcpus.forEach(vcpu -> columns.add(Column.count("vcpu" + vcpu.vcpu())));
    Table.Builder exits = new Table.Builder(columns);
    for (ExitCount exit : counters.exits()) {
      List<Object> row = new ArrayList<>(List.of(exit.reason(), exit.cause(), exit.count()));
      vcpus.forEach(vcpu -> row.add(vcpu.count(exit)));
      exits.row(row.toArray());
    }
    return exits.build();
  }

  private Table numbers() {
    Table.Builder table = new Table.Builder(region == null ? List.of(Column.text("counter"), Column.count("run"))
        : List.of(Column.text("counter"), Column.count("run"), Column.count("region")));
    row(table, "instructions", counters.instructions(), region == null ? null : region.instructions());
    row(table, "virtual ns", counters.virtualNs(), region == null ? null : region.virtualNs());
    row(table, "modelled cycles", cycles.total(), null);
    row(table, "TLB misses", counters.tlb().misses(), region == null ? null : region.tlb().misses());
    row(table, "second-level TLB hits", counters.tlb().secondLevelHits(), region == null ? null
        : region.tlb().secondLevelHits());
    row(table, "walk references, guest tables", counters.tlb().guestReferences(), region == null ? null
        : region.tlb().guestReferences());
    row(table, "walk references, EPT", counters.tlb().eptReferences(), region == null ? null
        : region.tlb().eptReferences());
    row(table, "TLB flushes", counters.tlb().flushes(), region == null ? null : region.tlb().flushes());
    row(table, "guest page faults", counters.guestEvents().pageFaults(), region == null ? null
        : region.guestEvents().pageFaults());
    row(table, "guest interrupts", counters.guestEvents().interrupts(), region == null ? null
        : region.guestEvents().interrupts());
    counters.kvm().forEach((name, value) -> row(table, name, value, region == null ? null : region.kvm().get(name)));
    return table.build();
  }

  private void row(Table.Builder table, String name, Long run, Long inRegion) {
    if (region == null) {
      table.row(name, run);
    } else {
      table.row(name, run, inRegion);
    }
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("counter"), Column.count("run"), Column.count("region"));
    Table numbers = numbers();
    for (List<Object> row : numbers.rows()) {
      table.row(row.get(0), row.get(1), row.size() > 2 ? row.get(2) : null);
    }
    counters.exits().forEach(exit -> table.row("exit." + exit.key(), exit.count(), region == null ? null
        : region.exits().stream().filter(other -> other.key().equals(exit.key())).mapToLong(ExitCount::count).sum()));
    for (VcpuCounters vcpu : counters.vcpus()) {
      table.row("vcpu" + vcpu.vcpu() + ".instructions", vcpu.instructions(),
          region == null ? null : region.vcpus().get(vcpu.vcpu()).instructions());
      table.row("vcpu" + vcpu.vcpu() + ".exits", vcpu.exitTotal(),
          region == null ? null : region.vcpus().get(vcpu.vcpu()).exitTotal());
    }
    return table.build();
  }
}
