package dev.gnomon.bench.report;

/** A part of a report as people read it. */
public sealed interface Block permits Block.Heading, Block.Paragraph, Block.Preformatted, Table, Plot {
  /** A heading of the first or second level. */
  record Heading(int level, String text) implements Block {}

  /** Running text, one line. */
  record Paragraph(String text) implements Block {}

  /** Text whose line breaks and columns matter. */
  record Preformatted(String text) implements Block {}
}
