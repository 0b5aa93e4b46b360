package dev.gnomon.bench.polled;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.gnomon.bench.ExitCount;
import java.util.List;
import org.HdrHistogram.Histogram;

/**
 * What one back end did with the stream at one rate in one mode. All of it is modelled: equal runs have equal ones.
 *
 * @param rate requests that fall due a second
 * @param completedRate requests completed a second, less than {@code rate} if the back end cannot keep up
 * @param virtualNs length of the measured region in virtual nanoseconds, in which exits take their time
 * @param exits of the region by reason and cause
 * @param deviceExits those of them that are the device's: its registers, doorbell, interrupt and end of interrupt
 * @param exitsAvoided device exits of the doorbell with interrupt on the same stream less these; null if that was not
 *     run
 * @param model what the model makes of it; null if it has nothing to say of the back end
 * @param latency from the time that a request was due to the guest's having the answer, nanoseconds; a request that
 *     waited for the one before it counts its wait, so that coordinated omission hides nothing
 * @param service from the submission to the answer, nanoseconds
 * @param polls steps of the device
 * @param emptyPolls those that found nothing
 * @param exitCores processors kept busy by the device's exits and interrupts
 * @param pollerCores processors kept busy by the thread that polls or serves, its wake-ups included
 */
public record StreamResult(String mode, BackEnd backEnd, int rate, double completedRate, int requests, long virtualNs,
    List<ExitCount> exits, long deviceExits, Long exitsAvoided, Model model, Percentiles latency, Percentiles service,
    long polls, long emptyPolls, double exitCores, double pollerCores) {
  private static final double SCALE = 1e6;

  /** A distribution of times in nanoseconds, with a precision of three digits. */
  public record Percentiles(long p50, long p90, long p99, long p999, long max, double mean) {
    static Percentiles of(Histogram histogram) {
      return new Percentiles(histogram.getValueAtPercentile(50), histogram.getValueAtPercentile(90),
          histogram.getValueAtPercentile(99), histogram.getValueAtPercentile(99.9), histogram.getMaxValue(),
          round(histogram.getMean()));
    }
  }

  /**
   * The model's view, in which no request waits for the one before it but in a poller that learns.
   *
   * @param latencyNs mean latency
   * @param cores processors kept busy
   */
  public record Model(double latencyNs, double cores) {
  }

  static double round(double value) {
    return Math.round(value * SCALE) / SCALE;
  }

  /** Steps of the device a request. */
  @JsonProperty
  public double pollsPerCompletion() {
    return round((double) polls / requests);
  }

  /** Processors kept busy, the guest's own work and waiting apart. */
  @JsonProperty
  public double cores() {
    return round(exitCores + pollerCores);
  }

  /** Processor time burnt a request, in nanoseconds; the guest's own work and waiting apart. */
  @JsonProperty
  public double burntNsPerCompletion() {
    return round(cores() * virtualNs / requests);
  }

  /** @param doorbell the same stream there, null if it was not run */
  StreamResult beside(StreamResult doorbell, Model modelled) {
    return new StreamResult(mode, backEnd, rate, completedRate, requests, virtualNs, exits, deviceExits,
        doorbell == null ? null : doorbell.deviceExits - deviceExits, modelled, latency, service, polls, emptyPolls,
        exitCores, pollerCores);
  }
}
