package dev.gnomon.bench.polled;

import dev.gnomon.bench.CostModel;
import java.util.List;

/**
 * From which rate on a polled back end burns less processor time than a doorbell with interrupt. A doorbell costs λ
 * (E_g + E_h + I): the guest's exit at the bell, the wake-up of the host's thread, and the interrupt with its end. A
 * poller costs a constant c, 1 if it never sleeps, so they cross at λ* = c / (E_g + E_h + I). What an adaptive one
 * costs depends on the rate; its rule in a queue tells ({@link PollQueue}).
 *
 * @param model λ* a second; null if the poller always burns less
 * @param measured where the measured curves cross for the last time, by the rate that the doorbell completed and linear
 *     between the rates beside it; null if the poller burns more, or less, at all rates measured
 */
public record Crossover(String mode, BackEnd backEnd, Double model, Double measured) {
  private static final double NS_PER_S = 1e9;

  /** The parts of the model, nanoseconds. @param rate λ* of a poller that never sleeps, a second */
  public record Model(long bellNs, long wakeNs, long interruptNs, double rate) {
    static Model of(CostModel costs) {
      double port = costs.cost("exit.IO_INSTRUCTION");
      double kick = costs.costs().getOrDefault("exit.EXTERNAL_INTERRUPT", costs.cost("exit.default"));
      long bell = ExitClock.ns(costs, port);
      long wake = ExitClock.ns(costs, costs.cost("host.wake"));
      long interrupt = ExitClock.ns(costs, kick + costs.cost("event.delivery") + port);
      return new Model(bell, wake, interrupt, StreamResult.round(NS_PER_S / Math.max(1, bell + wake + interrupt)));
    }

    /** What it makes of a back end at a rate, null if it has nothing to say of that. */
    StreamResult.Model of(BackEnd backEnd, Polling polling, CostModel costs, int rate) {
      return switch (backEnd) {
        case PORTS, MMIO -> null;
        case DOORBELL -> modelled(roundTripNs(), rate * roundTripNs() / NS_PER_S);
        case SPIN -> modelled(polling.times()[0] / 2.0, 1);
        case PERIOD -> modelled(polling.times()[0] / 2.0, periodCores(polling, costs));
        case ADAPTIVE -> {
          PollQueue queue = PollQueue.of(backEnd, polling, costs, rate);
          yield modelled(queue.latencyNs(), Math.min(1, rate * queue.burntNs() / NS_PER_S));
        }
      };
    }

    private static StreamResult.Model modelled(double latencyNs, double cores) {
      return new StreamResult.Model(StreamResult.round(latencyNs), StreamResult.round(cores));
    }

    private long roundTripNs() {
      return Math.max(1, bellNs + wakeNs + interruptNs);
    }

    private static double periodCores(Polling polling, CostModel costs) {
      return Math.min(1,
          ExitClock.ns(costs, costs.cost("poll.idle") + costs.cost("poll.sleep")) / (double) polling.times()[0]);
    }

    private Double crossover(BackEnd backEnd, Polling polling, CostModel costs) {
      return switch (backEnd) {
        case SPIN -> rate;
        case PERIOD -> StreamResult.round(rate * periodCores(polling, costs));
        case ADAPTIVE -> PollQueue.crossover(backEnd, polling, costs, roundTripNs());
        default -> null;
      };
    }
  }

  static Crossover of(String mode, BackEnd backEnd, Polling polling, CostModel costs, Model model,
      List<StreamResult> results) {
    Double measured = null;
    double rateBefore = 0;
    double leadBefore = 0;
    for (StreamResult polled : results) {
      StreamResult bell = polled.mode().equals(mode) && polled.backEnd() == backEnd
          ? find(results, mode, BackEnd.DOORBELL, polled.rate()) : null;
      if (bell == null) {
        continue;
      }
      double lead = bell.cores() - polled.cores();
      double rate = bell.completedRate();
      if (lead < 0) {
        measured = null;
      } else if (leadBefore < 0) {
        measured = (double) Math.round(rateBefore + (rate - rateBefore) * leadBefore / (leadBefore - lead));
      }
      rateBefore = rate;
      leadBefore = lead;
    }
    return new Crossover(mode, backEnd, model.crossover(backEnd, polling, costs), measured);
  }

  /** The result of a mode, back end and rate, null if there is none. */
  static StreamResult find(List<StreamResult> results, String mode, BackEnd backEnd, int rate) {
    return results.stream().filter(result ->
        result.mode().equals(mode) && result.backEnd() == backEnd && result.rate() == rate).findFirst()
        .orElse(null);
  }
}
