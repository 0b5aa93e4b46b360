package dev.gnomon.bench.report;

import java.util.List;

/**
 * A command's result: a record, which is also its JSON, with the same numbers as blocks for people and as one flat
 * table for programs.
 */
public interface Report {
  /** For text and Markdown. */
  List<Block> blocks();

  /** All numbers, one row a measured thing, for CSV. */
  Table flat();
}
