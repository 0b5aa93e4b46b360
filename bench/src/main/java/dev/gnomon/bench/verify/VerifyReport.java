package dev.gnomon.bench.verify;

import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.WalkReport;
import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Report;
import dev.gnomon.bench.report.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The result of {@code gnomon verify}.
 *
 * @param instructions how far each machine ran
 * @param checkpoints comparisons, those at console lines included
 * @param lines console lines at which machines were compared
 * @param end how the first machine's run ended
 * @param difference the first one, null if there is none
 * @param accessedDirty entries of the guest's tables that differ in nothing but A and D
 */
public record VerifyReport(Provenance provenance, String guest, Map<String, String> parameters,
    Map<String, Long> instructions, long checkpoints, long lines, String end, int status, Difference difference,
    List<Flags> accessedDirty) implements Report {
  private static final int SHOWN_FLAGS = 20;

  /**
   * Where machines part.
   *
   * @param machine the one that differs from the first
   * @param instructions retired before the instruction
   * @param rip of the instruction; empty if the difference does not show when the run is stopped before
   * @param bytes of it
   * @param walks of its addresses before it, both machines'
   */
  public record Difference(String machine, long instructions, String rip, String bytes, List<Values> values,
      List<Side> walks) {}

  /** One thing that differs after the instruction. */
  public record Values(String what, String left, String right) {}

  /** One machine's walk of an address. @param walk null if the address cannot be walked, for the reason given */
  public record Side(String machine, String address, WalkReport walk, String problem) {}

  /** An entry. @param instructions when the difference was first seen */
  public record Flags(String machine, String gpa, String left, String right, long instructions) {}

  private String first() {
    return instructions.keySet().iterator().next();
  }

  @Override
  public List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block.Heading(1, guest + " on " + String.join(", ", instructions.keySet())));
    blocks.add(new Block.Paragraph(String.format(Locale.ROOT,
        "%s: %,d comparisons over %,d instructions, %,d of them at console lines; "
        + "the guest's end: %s", difference == null ? "no difference" : "DIFFERENCE", checkpoints,
        instructions.get(first()), lines, end)));
    if (difference != null) {
      difference(blocks);
    }
    if (!accessedDirty.isEmpty()) {
      blocks.add(new Block.Paragraph(String.format(Locale.ROOT,
          "apart from that, %,d entries of the guest's tables differ in A and D "
          + "alone, which happens where a guest edits entries without the flush that the processor asks for",
          accessedDirty.size())));
      Table.Builder table = new Table.Builder(Column.text("machine"), Column.text("entry at gpa"), Column.text(first()),
          Column.text("there"), Column.count("first seen at"));
      accessedDirty.stream().limit(SHOWN_FLAGS)
          .forEach(flags -> table.row(flags.machine, flags.gpa, flags.left, flags.right,
          flags.instructions));
      blocks.add(table.build());
    }
    return blocks;
  }

  private void difference(List<Block> blocks) {
    blocks.add(new Block.Paragraph(String.format(Locale.ROOT, "%s and %s part at instruction %,d%s", first(),
        difference.machine, difference.instructions + 1,
        difference.rip.isEmpty() ? "" : ", rip " + difference.rip + ": " + difference.bytes)));
    Table.Builder table =
        new Table.Builder(Column.text("after it"), Column.text(first()), Column.text(difference.machine));
    difference.values.forEach(one -> table.row(one.what, one.left, one.right));
    blocks.add(table.build());
    for (Side side : difference.walks) {
      blocks.add(new Block.Heading(2, side.machine + ", " + side.address));
      if (side.walk == null) {
        blocks.add(new Block.Paragraph(side.problem));
      } else {
        blocks.addAll(side.walk.blocks());
      }
    }
  }

  @Override
  public Table flat() {
    Table.Builder table = new Table.Builder(Column.text("what"), Column.text("machine"), Column.text("left"),
        Column.text("right"), Column.count("instructions"));
    instructions.forEach((machine, count) -> table.row("run", machine, null, null, count));
    if (difference != null) {
      difference.values.forEach(one ->
          table.row(one.what, difference.machine, one.left, one.right, difference.instructions));
    }
    accessedDirty.forEach(flags ->
        table.row("A/D of entry " + flags.gpa, flags.machine, flags.left, flags.right, flags.instructions));
    return table.build();
  }
}
