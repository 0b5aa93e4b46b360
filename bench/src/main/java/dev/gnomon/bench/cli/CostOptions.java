package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Options that set modelled cycles. */
final class CostOptions {
  @Option(names = "--cost-profile", paramLabel = "NAME", defaultValue = CostModel.DEFAULT_NAME,
      description = "Cost table to start from: clx-2.5GHz (default), or the same with exit latencies of prescott, "
          + "merom, penryn, nehalem, westmere or "
          + "sandybridge.")
  String profile;

  @Option(names = "--cost-file", paramLabel = "FILE", description = "Lines KEY=CYCLES; # begins a comment.")
  Path file;

  @Option(names = "--cost", paramLabel = "KEY=CYCLES",
      description = "One cost, such as exit.EPT_VIOLATION=3100 or walk.ept-reference=30 (may be repeated).")
  List<String> costs = List.of();

  CostModel model() throws IOException {
    CostModel model = CostModel.named(profile);
    if (file != null) {
      List<String> lines = InputFile.lines(file, "lines KEY=CYCLES");
      for (int i = 0; i < lines.size(); i++) {
        String line = lines.get(i).replaceFirst("#.*", "").strip();
        if (!line.isEmpty()) {
          model = with(model, line, file + ":" + (i + 1) + ": ");
        }
      }
    }
    List<String> all = new ArrayList<>(costs);
    for (String cost : all) {
      model = with(model, cost, "--cost: ");
    }
    return model;
  }

  private static CostModel with(CostModel model, String text, String where) {
    int equals = text.lastIndexOf('=');
    String number = text.substring(equals + 1).strip();
    if (equals <= 0 || !number.matches("[0-9]{1,13}(\\.[0-9]{1,9})?")) {
      throw new IllegalArgumentException(where + "'" + text + "': expected KEY=CYCLES, such as exit.CPUID=1350");
    }
    try {
      return model.with(text.substring(0, equals).strip(), Double.parseDouble(number));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(where + e.getMessage(), e);
    }
  }
}
