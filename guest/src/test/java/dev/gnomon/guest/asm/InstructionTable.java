package dev.gnomon.guest.asm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * Instructions with the text that a disassembler must give for each. Texts that differ between versions of the
 * disassembler stand side by side, with {@code |} between them; {@code $} is the row's own offset.
 */
final class InstructionTable {

  private record Row(int start, int end, String text) {
  }

  private final int bits;
  private final Assembler assembler;
  private final List<Row> rows = new ArrayList<>();

  InstructionTable(int bits) {
    this.bits = bits;
    this.assembler = new Assembler(bits);
  }

  InstructionTable row(String text, Consumer<Assembler> instruction) {
    int start = assembler.offset();
    instruction.accept(assembler);
    rows.add(new Row(start, assembler.offset(), text));
    return this;
  }

  /** One test for each row. */
  Stream<DynamicTest> tests() {
    Map<Integer, String> actual = HostTool.disassemble(assembler.assemble(0), bits);
    return rows.stream().map(row -> DynamicTest.dynamicTest(bits + "-bit " + row.text, () -> check(row, actual)));
  }

  /** All rows at once, for tables of thousands. */
  void checkAll() {
    Map<Integer, String> actual = HostTool.disassemble(assembler.assemble(0), bits);
    rows.forEach(row -> check(row, actual));
  }

  /** A row's text, and that it is one instruction which ends where the next row starts. */
  private static void check(Row row, Map<Integer, String> actual) {
    String text = row.text.replace("$", "0x" + Integer.toHexString(row.start));
    assertThat(actual.get(row.start)).isIn((Object[]) text.split("\\|"));
    for (int offset = row.start + 1; offset < row.end; offset++) {
      assertThat(actual).doesNotContainKey(offset);
    }
  }
}
