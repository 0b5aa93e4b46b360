package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.gnomon.bench.report.Block;
import dev.gnomon.bench.report.Column;
import dev.gnomon.bench.report.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Which pages a guest wrote, as a dirty log tells it.
 *
 * @param method wp, dbit or pml
 * @param scope what of the run was logged, in words
 * @param periodInstructions between fetches, 0 for one at the end
 * @param slots each of RAM
 * @param periods in order; none if the guest never reached its measured region
 */
public record DirtyPageReport(String method, String scope, long periodInstructions, List<Slot> slots,
    List<Period> periods) {
  static final int PAGE_BYTES = 4096;
  /** Periods that are printed; files have all. */
  private static final int MAX_PERIODS = 20;
  private static final double PER_MIB = 256;

  /**
   * A memory slot.
   *
   * @param pages of 4 KiB that it has
   * @param written of these, in any period
   */
  public record Slot(String name, long pages, long written) {}

  /**
   * What one fetch gave.
   *
   * @param begin instructions retired before it
   * @param end and behind it
   * @param pages written in it
   * @param first of these, in no period before
   */
  public record Period(long begin, long end, long pages, long first) {}

  /** Pages written at all. */
  @JsonProperty
  public long written() {
    return slots.stream().mapToLong(Slot::written).sum();
  }

  /** Pages that all fetches gave together: what live migration by these periods would copy. */
  @JsonProperty
  public long fetched() {
    return periods.stream().mapToLong(Period::pages).sum();
  }

  List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    long pages = slots.stream().mapToLong(Slot::pages).sum();
    blocks.add(new Block.Heading(2,
        String.format(Locale.ROOT, "dirty log by %s, %s: %,d of %,d pages written (%.1f MiB)", method, scope,
        written(), pages, written() / PER_MIB)));
    if (periods.isEmpty()) {
      blocks.add(new Block.Paragraph("the guest did not reach its measured region"));
      return blocks;
    }
    Table.Builder bySlot = new Table.Builder(Column.text("slot"), Column.count("pages"), Column.count("written"));
    slots.forEach(slot -> bySlot.row(slot.name(), slot.pages(), slot.written()));
    blocks.add(bySlot.build());
    if (periods.size() > 1) {
      Table.Builder table = new Table.Builder(Column.count("from instruction"), Column.count("to"),
          Column.count("pages written"), Column.count("for the first time"));
      periods.stream().limit(MAX_PERIODS)
          .forEach(period -> table.row(period.begin(), period.end(), period.pages(), period.first()));
      blocks.add(table.build());
      String rest = periods.size() > MAX_PERIODS
          ? String.format(Locale.ROOT, "; the first %d are shown, --out json:FILE has all",
          MAX_PERIODS) : "";
      blocks.add(new Block.Paragraph(String.format(Locale.ROOT, "%,d periods, %,d pages fetched, %.1f a period%s",
          periods.size(), fetched(), (double) fetched() / periods.size(), rest)));
    }
    return blocks;
  }
}
