package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.polled.DeviceHost;
import java.util.List;

/**
 * What devices and drivers did, over one schedule or many.
 *
 * @param steps of devices
 * @param idleSteps those that found nothing
 * @param completions requests that devices say they have completed
 * @param accesses of devices to memory, bulk transfers counted page by page
 * @param bytes moved by them
 * @param translationMisses accesses whose translation a device had to look up in its domain's tables
 * @param fences of devices and mock drivers: fences and compare-and-swaps
 * @param doorbells rung
 * @param interrupts that reached drivers
 * @param exits doorbells, trapped accesses, and all exits of real guests
 */
public record Work(long steps, long idleSteps, long completions, long accesses, long bytes, long translationMisses,
    long fences, long doorbells, long interrupts, long exits) {
  static final Work NONE = new Work(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

  static Work of(List<DeviceHost> hosts, History history) {
    Work sum = new Work(0, 0, 0, 0, 0, 0, history.fences(),
        history.exits().stream().filter(exit -> exit.reason().equals(History.DOORBELL)).count(),
        history.interrupts(), history.exits().size());
    for (DeviceHost host : hosts) {
      sum = sum.plus(new Work(host.steps(), host.idleSteps(), host.completed(), host.port().accesses(),
          host.port().bytes(), host.port().misses(), host.port().fences(), 0, 0, 0));
    }
    return sum;
  }

  Work plus(Work other) {
    return new Work(steps + other.steps, idleSteps + other.idleSteps, completions + other.completions,
        accesses + other.accesses, bytes + other.bytes, translationMisses + other.translationMisses,
        fences + other.fences, doorbells + other.doorbells, interrupts + other.interrupts, exits + other.exits);
  }

  /** Polls that each completion took; 0 without any. */
  public double stepsPerCompletion() {
    return completions == 0 ? 0 : (double) steps / completions;
  }

  /** In two lines. */
  @Override
  public String toString() {
    return completions + " completions in " + steps + " steps (" + idleSteps + " idle), " + accesses + " accesses of "
        + bytes + " bytes, "
        + translationMisses + " translation misses,\n  " + fences + " fences, " + doorbells + " doorbells, "
        + interrupts + " interrupts, " + exits + " exits";
  }
}
