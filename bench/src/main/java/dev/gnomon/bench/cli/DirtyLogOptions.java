package dev.gnomon.bench.cli;

import dev.gnomon.bench.DirtyLogPlan;
import dev.gnomon.vmm.DirtyLog;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options that have a run log the pages which its guest writes. */
final class DirtyLogOptions {
  @Option(names = "--dirty-log", paramLabel = "METHOD", converter = MethodConverter.class,
      description = "Log the pages that the guest writes, in its measured region if it marks one: wp "
          + "(write-protection), dbit (D flags of EPT) or pml (page-modification log).")
  private DirtyLog.Method method;

  @Option(names = "--dirty-period", paramLabel = "N", converter = Quantity.Count.class,
      description = "Instructions after which the dirty log is fetched, such as 1M. Default: once, at the end.")
  private Long period;

  /** @return null if nothing is to be logged */
  DirtyLogPlan plan() {
    if (method == null && period != null) {
      throw new IllegalArgumentException("--dirty-period: expected --dirty-log METHOD with it");
    }
    return method == null ? null : new DirtyLogPlan(method, period == null ? 0 : period);
  }

  /** Reads {@code --dirty-log}. */
  static final class MethodConverter implements ITypeConverter<DirtyLog.Method> {
    @Override
    public DirtyLog.Method convert(String text) {
      try {
        return DirtyLogPlan.method(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
