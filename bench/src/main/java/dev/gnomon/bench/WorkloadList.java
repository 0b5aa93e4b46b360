package dev.gnomon.bench;

import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import dev.gnomon.workloads.Parameter;
import dev.gnomon.workloads.Workload;
import dev.gnomon.workloads.WorkloadCatalog;
import dev.gnomon.workloads.linux.LinuxWorkload;
import java.util.ArrayList;
import java.util.List;

/** The result of {@code gnomon workloads}. */
public record WorkloadList(List<Entry> workloads) implements Report {
  /** A workload. */
  public record Entry(String name, String description, List<Setting> parameters) {}

  /**
   * A parameter.
   *
   * @param value its default
   * @param range what may be given
   */
  public record Setting(String name, String value, String range, String description) {}

  /** The workloads of these names, or all if there are none. */
  public static WorkloadList of(List<String> names) {
    List<Entry> entries = new ArrayList<>();
    if (names.isEmpty()) {
      WorkloadCatalog.all().forEach(workload -> entries.add(entry(workload)));
      LinuxWorkload.all().forEach(workload -> entries.add(entry(workload)));
    }
    for (String name : names) {
      entries.add(LinuxWorkload.isName(name) ? entry(LinuxWorkload.parse(name)) : entry(WorkloadCatalog.find(name)));
    }
    return new WorkloadList(entries);
  }

  private static Entry entry(LinuxWorkload workload) {
    return new Entry(LinuxWorkload.PREFIX + workload.name(), workload.description(),
        workload.count().isEmpty() ? List.of()
        : List.of(new Setting("count", Integer.toString(workload.repetitions()), "1 to 10000000", workload.count())));
  }

  private static Entry entry(Workload workload) {
    List<Setting> settings = new ArrayList<>();
    for (Parameter parameter : workload.parameters()) {
      settings.add(new Setting(parameter.name(), parameter.format(parameter.defaultValue()), parameter.range(),
          parameter.description()));
    }
    return new Entry(workload.name(), workload.description(), settings);
  }

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    for (Entry entry : workloads) {
      blocks.add(new Block.Heading(1, entry.name() + ": " + entry.description()));
      if (!entry.parameters().isEmpty()) {
        Table.Builder table = new Table.Builder(Column.text("parameter"), Column.text("default"), Column.text("range"),
            Column.text("meaning"));
        entry.parameters().forEach(setting -> table.row(setting.name(), setting.value(), setting.range(),
            setting.description()));
        blocks.add(table.build());
      }
    }
    blocks.add(new Block.Paragraph("Parameters go behind the name: gups:size=64M,page=2m, linux:fork,count=500; "
        + "those of Linux need --kernel FILE and --busybox FILE"));
    return blocks;
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("workload"), Column.text("parameter"), Column.text("default"),
        Column.text("range"), Column.text("meaning"));
    for (Entry entry : workloads) {
      entry.parameters().forEach(setting -> table.row(entry.name(), setting.name(), setting.value(), setting.range(),
          setting.description()));
    }
    return table.build();
  }
}
