package dev.gnomon.bench.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Plots in an HTML page, drawn by Chart.js, whose script goes into the page. */
final class PlotScript {
  /** Names the library's file: a WebJar's has its version in it, which the build takes from the top pom. */
  private static final String LIBRARY = "chartjs.path";
  /** Paul Tol's bright scheme, which people who see colours differently can tell apart. */
  private static final String[] COLOURS = {"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"};
  private static final String[] POINTS = {"circle", "rect", "triangle", "rectRot", "cross", "star"};
  private static final String DRAW = """
      const dark = matchMedia('(prefers-color-scheme: dark)').matches;
      Chart.defaults.color = dark ? '#ccc' : '#333';
      Chart.defaults.borderColor = dark ? '#fff3' : '#0002';
      Chart.defaults.animation = false;
      const tick = v => v >= 1e6 ? v / 1e6 + 'M' : v >= 1e3 ? v / 1e3 + 'k' : String(v);
      const axis = title => ({type: 'logarithmic', title: {display: true, text: title},
        ticks: {autoSkip: false, maxRotation: 0,
          callback: v => [1, 2, 5].some(d => Math.abs(v / 10 ** Math.floor(Math.log10(v) + 1e-9) - d) < 1e-6) ? tick(v) : ''}});
      for (const plot of plots) {
        new Chart(document.getElementById(plot.id), {type: 'line',
          data: {datasets: plot.curves},
          options: {aspectRatio: 2, interaction: {mode: 'nearest', intersect: false},
            scales: {x: axis(plot.x), y: axis(plot.y)},
            plugins: {legend: {position: 'right', labels: {usePointStyle: true}}}}});
      }
      """;

  private PlotScript() {}

  /** The scripts that fill canvases {@code plot0}, {@code plot1} and so on. */
  static String of(List<Plot> plots) {
    List<Map<String, Object>> data = new ArrayList<>();
    for (Plot plot : plots) {
      List<Map<String, Object>> curves = new ArrayList<>();
      for (Plot.Curve curve : plot.curves()) {
        int index = curves.size();
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("label", curve.name());
        one.put("data", curve.points().stream().filter(point -> point.x() > 0 && point.y() > 0).toList());
        one.put("borderColor", COLOURS[index % COLOURS.length]);
        one.put("backgroundColor", COLOURS[index % COLOURS.length]);
        one.put("pointStyle", POINTS[index % POINTS.length]);
        one.put("pointRadius", 4);
        curves.add(one);
      }
      data.add(Map.of("id", "plot" + data.size(), "x", plot.xTitle(), "y", plot.yTitle(), "curves", curves));
    }
    try {
      // A slash behind "<" would end the script.
      String json = new ObjectMapper().writeValueAsString(data).replace("</", "<\\/");
      String library = read(read(LIBRARY).strip()).replaceAll("(?m)^//# sourceMappingURL=.*$", "");
      return "<script>\n" + library + "\n</script>\n<script>\nconst plots = " + json + ";\n" + DRAW + "</script>\n";
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(String resource) {
    try (InputStream in = PlotScript.class.getResourceAsStream(resource)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
