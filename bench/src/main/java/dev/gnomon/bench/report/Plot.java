package dev.gnomon.bench.report;

import java.util.List;

/**
 * Curves over one axis; only HTML shows them, since the tables have the numbers. Both axes are logarithmic.
 *
 * @param title above it
 * @param xTitle of the horizontal axis
 * @param yTitle of the vertical axis
 */
public record Plot(String title, String xTitle, String yTitle, List<Curve> curves) implements Block {
  /** A curve through points in order of x; those of which a coordinate is not positive are left out. */
  public record Curve(String name, List<Point> points) {}

  /** A point. */
  public record Point(double x, double y) {}
}
