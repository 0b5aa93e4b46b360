package dev.gnomon.bench.polled;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Counters;
import dev.gnomon.bench.ExitCount;
import dev.gnomon.bench.ForwardingGuest;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.Region;
import dev.gnomon.bench.WorkloadGuest;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.workloads.GuestProgram;
import dev.gnomon.workloads.Parameters;
import dev.gnomon.workloads.RegionMarker;
import dev.gnomon.workloads.RequestStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import org.HdrHistogram.Histogram;

/** One stream of requests through one back end. */
public final class StreamRun {
  /** End-of-interrupt port of the first interrupt controller. */
  private static final int EOI_PORT = 0x20;
  private static final int PRECISION = 3;
  private static final double NS_PER_S = 1e9;

  private final BackEnd backEnd;
  private final int rate;
  private final int requests;
  private final CostModel costs;
  private final GuestProgram program;
  private final StreamGuest guest;
  private final GuestRun run;

  /** The program on a machine with the ring, whose polls are those of the measured region. */
  private static final class StreamGuest extends ForwardingGuest implements RegionMarker.Listener {
    private final BackEnd backEnd;
    private final Polling polling;
    private final CostModel costs;
    private final WatchedRing ring;
    private Region region;
    private WatchedRing.Polls begin;
    private WatchedRing.Polls polls;

    StreamGuest(GuestProgram program, BackEnd backEnd, Polling polling, CostModel costs) {
      super(new WorkloadGuest(program));
      this.backEnd = backEnd;
      this.polling = polling;
      this.costs = costs;
      this.ring = new WatchedRing(backEnd.pauseNs(polling));
    }

    @Override
    public void equip(VmBuilder builder, Region measured) {
      region = measured;
      builder.device(new RegionMarker(this));
      builder.polled(backEnd.setup(() -> ring, polling, ExitClock.ns(costs, costs.cost("host.wake"))));
    }

    @Override
    public void regionBegin() {
      region.regionBegin();
      begin = ring.polls();
    }

    @Override
    public void regionEnd() {
      region.regionEnd();
      polls = ring.polls().minus(begin);
    }
  }

  /**
   * Builds the machine.
   *
   * @param polling of a polled back end
   * @param rate requests a second of virtual time
   */
  public StreamRun(BackEnd backEnd, Polling polling, int rate, int requests, VmOptions options, boolean memoryGiven,
      CostModel costs, Interruption interruption) {
    this.backEnd = backEnd;
    this.rate = rate;
    this.requests = requests;
    this.costs = costs;
    RequestStream stream = new RequestStream();
    program = stream.build(Parameters.parse(stream,
        "device=" + backEnd.device() + ",requests=" + requests + ",rate=" + rate + ",seed="
        + options.seed()));
    guest = new StreamGuest(program, backEnd, polling, costs);
    run = new GuestRun(guest, options, memoryGiven, ByteSink.DISCARD, interruption);
    ExitClock.install(run.vm(), costs);
  }

  /** Runs it. @return null unless the guest comes to its end with the right answers */
  public StreamResult run(long maxInstructions, LongConsumer progress) {
    RunResult end = run.run(maxInstructions, progress);
    boolean good = end.end() == RunResult.End.GUEST_EXIT && guest.verdict(end.status()) == Guest.Verdict.SUCCESS
        && run.region().complete();
    return good ? result() : null;
  }

  /** How the run ended, for a message. */
  public String problem() {
    RunResult end = run.result();
    String why = switch (end.end()) {
      case GUEST_EXIT -> "the guest's answers are wrong, exit status " + end.status();
      case BUDGET -> "instruction budget used up before the last request";
      default -> end.detail();
    };
    return run.vm().options().mode() + " " + backEnd + " at " + rate + "/s: " + why;
  }

  /** Why the run ended. */
  public RunResult end() {
    return run.result();
  }

  /** Nanoseconds of host time that it took. */
  public long hostNs() {
    return run.hostNs();
  }

  private StreamResult result() {
    Counters counters = run.measured();
    Histogram latency = new Histogram(PRECISION);
    Histogram service = new Histogram(PRECISION);
    @Gpa long samples = run.vm().guestMemory().read(RequestStream.samplesVariable(program), Long.BYTES);
    int length = requests * RequestStream.SAMPLE_BYTES;
    byte[] bytes = run.vm().guestMemory().read(samples, length, length);
    ByteBuffer words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long first = words.getLong(0);
    long last = 0;
    for (int i = 0; i < requests; i++) {
      long due = words.getLong();
      long submitted = words.getLong();
      last = words.getLong();
      latency.recordValue(last - due);
      service.recordValue(last - submitted);
    }
    long deviceExits = 0;
    double exitCycles = counters.guestEvents().interrupts() * costs.cost("event.delivery");
    for (ExitCount exit : counters.exits()) {
      if (isDevices(exit)) {
        deviceExits += exit.count();
        exitCycles += exit.count() * costs.exitCost(exit);
      }
    }
    double regionCycles = Math.max(1, counters.virtualNs()) * costs.megahertz() / 1000.0;
    return new StreamResult(run.vm().options().mode().toString(), backEnd, rate,
        StreamResult.round(requests * NS_PER_S / Math.max(1, last - first)), requests, counters.virtualNs(),
        folded(counters.exits()), deviceExits, null, null, StreamResult.Percentiles.of(latency),
        StreamResult.Percentiles.of(service), guest.polls.all(), guest.polls.empty(),
        StreamResult.round(exitCycles / regionCycles), StreamResult.round(Math.min(1, pollerCycles() / regionCycles)));
  }

  /** A thread burns no more than its processor. */
  private double pollerCycles() {
    WatchedRing.Polls polls = guest.polls;
    long wakes = backEnd == BackEnd.DOORBELL ? polls.all() : 0;
    return wakes * costs.cost("host.wake") + polls.empty() * costs.cost("poll.idle")
        + (polls.all() - polls.empty()) * costs.cost("poll.busy")
        + polls.slept() * costs.cost("poll.sleep");
  }

  /** The ring's many ports as one. */
  private static List<ExitCount> folded(List<ExitCount> exits) {
    Map<String, ExitCount> sums = new LinkedHashMap<>();
    for (ExitCount exit : exits) {
      boolean ring = exit.reason().equals("IO_INSTRUCTION") && isRing(port(exit));
      String cause = ring ? exit.cause().substring(0, exit.cause().indexOf(' ')) + " ring" : exit.cause();
      sums.merge(exit.reason() + cause, new ExitCount(exit.reason(), cause, exit.count()),
          (a, b) -> new ExitCount(a.reason(), a.cause(), a.count() + b.count()));
    }
    return List.copyOf(sums.values());
  }

  private static int port(ExitCount exit) {
    return Integer.parseInt(exit.cause().substring(exit.cause().indexOf("0x") + 2), 16);
  }

  private static boolean isRing(int port) {
    return port >= RequestStream.PORT && port < RequestStream.PORT + SharedRing.SIZE;
  }

  /** Whether an exit is the device's: its registers, its bell, its interrupt or the interrupt's end. */
  static boolean isDevices(ExitCount exit) {
    return switch (exit.reason()) {
      case "IO_INSTRUCTION" -> exit.cause().endsWith(" ring") || port(exit) == EOI_PORT
          || port(exit) == RequestStream.DOORBELL || isRing(port(exit));
      case "INTERRUPT_WINDOW" -> true;
      default -> exit.cause().equals("mmio") || exit.cause().equals("device interrupt");
    };
  }
}
