package dev.gnomon.bench;

import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import dev.gnomon.ept.EptEntry;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The result of {@code gnomon walk}: one address, step by step, without any effect on the machine.
 *
 * @param instructions how far the guest had run
 * @param address linear, in hexadecimal
 * @param indexes the address taken apart
 * @param access read, write or fetch, and by whom
 * @param walks first the processor's own; under shadow paging then the guest's tables as the hypervisor reads them
 * @param grid whether to print the matrix of read numbers too
 */
public record WalkReport(Provenance provenance, String guest, String mode, long instructions, String address,
    String indexes, String access, List<Walk> walks, boolean grid) implements Report {

  /**
   * One walk.
   *
   * @param tables whose tables
   * @param root where they begin
   * @param twoDimensional whether each guest-physical address is walked through EPT
   * @param rows by guest level, the data last
   * @param outcome in a line
   * @param guestReads entries read of the tables that CR3 names
   * @param eptReads entries read of EPT tables
   */
  public record Walk(String tables, String root, boolean twoDimensional, List<Row> rows, String outcome,
      int guestReads, int eptReads) {}

  /**
   * One guest entry, or the data.
   *
   * @param name PML4E to PTE, or data
   * @param gpa guest-physical address of the entry or byte, in hexadecimal; of shadow tables empty
   * @param ept the EPT entries on the way to it, top level first
   * @param hpa where it lies, empty if the walk ended before
   * @param value of the entry, empty for data
   * @param flags of the entry, or the page's size
   * @param firstRead number of the row's first read, from 1
   * @param lastRead number of its last, less than the first if it has none
   */
  public record Row(String name, String gpa, List<EptStep> ept, String hpa, String value, String flags, int firstRead,
      int lastRead) {}

  /**
   * One EPT entry.
   *
   * @param level 4 or 5 to 1
   * @param index in its table
   * @param text its rights if it maps a page, with the page's size if that is not 4K; else how it ends the walk, or
   *     nothing
   */
  public record EptStep(int level, int index, String hpa, String value, String text) {}

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block.Heading(1, String.format(Locale.ROOT, "gva %s = %s, %s, %s under %s after %,d instructions",
        address, indexes, access, guest, mode, instructions)));
    for (Walk walk : walks) {
      blocks.add(new Block.Heading(2, walk.tables() + ", " + walk.root()));
      if (!walk.rows().isEmpty()) {
        blocks.add(walk.twoDimensional() ? nested(walk) : flat(walk));
      }
      blocks.add(new Block.Paragraph(walk.outcome()));
      blocks.add(new Block.Paragraph(reads(walk)));
      if (grid && !walk.rows().isEmpty()) {
        blocks.add(matrix(walk));
      }
    }
    return blocks;
  }

  private static String reads(Walk walk) {
    int all = walk.guestReads() + walk.eptReads();
    return walk.twoDimensional() ? all + " reads (" + walk.eptReads() + " EPT + " + walk.guestReads() + " guest)" : all
        + " reads";
  }

  private static String range(Row row) {
    return row.lastRead() < row.firstRead() ? "" : row.lastRead() == row.firstRead() ? Integer.toString(row.firstRead())
        : row.firstRead() + "-" + row.lastRead();
  }

  private static Table nested(Walk walk) {
    int levels = eptLevels(walk);
    List<Column> columns = new ArrayList<>(List.of(Column.text("entry"), Column.text("gpa")));
    for (int level = levels; level >= 1; level--) {
      columns.add(Column.text(EptEntry.name(level)));
    }
    columns.addAll(List.of(Column.text("at hpa"), Column.text("value"), Column.text("flags"), Column.text("reads")));
    Table.Builder table = new Table.Builder(columns);
    for (Row row : walk.rows()) {
      Object[] ept = new Object[levels];
      Arrays.fill(ept, "");
      for (EptStep step : row.ept()) {
        ept[levels - step.level()] = ("[" + step.index() + "] " + step.text()).strip();
      }
      List<Object> cells = new ArrayList<>(List.of(row.name(), row.gpa()));
      cells.addAll(Arrays.asList(ept));
      cells.addAll(List.of(row.hpa(), row.value(), row.flags(), range(row)));
      table.row(cells.toArray());
    }
    return table.build();
  }

  private static int eptLevels(Walk walk) {
    return walk.rows().stream().flatMap(row -> row.ept().stream()).mapToInt(EptStep::level).max()
        .orElse(EptEntry.LEVELS);
  }

  private static Table flat(Walk walk) {
    boolean gpas = walk.rows().stream().anyMatch(row -> !row.gpa().isEmpty() && !row.gpa().equals(row.hpa()));
    Table.Builder table = gpas ? new Table.Builder(Column.text("entry"), Column.text("gpa"), Column.text("at hpa"),
        Column.text("value"), Column.text("flags"), Column.text("read"))
        : new Table.Builder(Column.text("entry"), Column.text("at hpa"), Column.text("value"), Column.text("flags"),
        Column.text("read"));
    for (Row row : walk.rows()) {
      if (gpas) {
        table.row(row.name(), row.gpa(), row.hpa(), row.value(), row.flags(), range(row));
      } else {
        table.row(row.name(), row.hpa(), row.value(), row.flags(), range(row));
      }
    }
    return table.build();
  }

  /** Numbers of the reads in order: guest levels down, EPT levels across, the guest's entry last. */
  private static Table matrix(Walk walk) {
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("read number"));
    int levels = walk.twoDimensional() ? eptLevels(walk) : 0;
    for (int level = levels; level >= 1; level--) {
      columns.add(Column.count(EptEntry.name(level)));
    }
    columns.add(Column.count("guest entry"));
    Table.Builder table = new Table.Builder(columns);
    for (Row row : walk.rows()) {
      Object[] cells = new Object[columns.size()];
      cells[0] = row.name();
      int read = row.firstRead();
      for (EptStep step : row.ept()) {
        cells[1 + levels - step.level()] = (long) read++;
      }
      if (read == row.lastRead()) {
        cells[cells.length - 1] = (long) read;
      }
      table.row(cells);
    }
    return table.build();
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("tables"), Column.count("read"), Column.text("entry"),
        Column.text("for"), Column.text("gpa"), Column.text("hpa"), Column.text("value"), Column.text("flags"));
    for (Walk walk : walks) {
      for (Row row : walk.rows()) {
        long read = row.firstRead();
        for (EptStep step : row.ept()) {
          table.row(walk.tables(), read++, EptEntry.name(step.level()), row.name(), row.gpa(), step.hpa(),
              step.value(), step.text());
        }
        if (!row.value().isEmpty()) {
          table.row(walk.tables(), read, row.name(), row.name(), row.gpa(), row.hpa(), row.value(), row.flags());
        }
      }
    }
    return table.build();
  }
}
