package dev.gnomon.bench;

/**
 * Time that a whole run took on the host, start of the guest included: noisy, and apart from everything modelled.
 *
 * @param seconds by the wall clock
 * @param nsPerInstruction the same over all retired instructions
 */
public record HostTime(double seconds, double nsPerInstruction) {
  static HostTime of(GuestRun run) {
    long retired = run.vm().retired();
    return new HostTime(round(run.hostNs() / 1e9, 1e3), retired == 0 ? 0 : round((double) run.hostNs() / retired, 1e2));
  }

  private static double round(double value, double unit) {
    return Math.round(value * unit) / unit;
  }
}
