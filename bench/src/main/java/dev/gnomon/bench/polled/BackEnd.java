package dev.gnomon.bench.polled;

import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.workloads.RequestStream;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** A way by which a driver and a device share a ring. */
public enum BackEnd {
  /** Registers behind ports: each access exits, and the write of the producer index lets the device take its step. */
  PORTS("ports"),
  /** Registers behind trapped memory. */
  MMIO("mmio"),
  /** Shared memory; a port write wakes the device's thread, and an interrupt tells of the completion. */
  DOORBELL("doorbell"),
  /** Shared memory that a thread polls without pause. */
  SPIN("polled"),
  /** Shared memory that a thread polls once in a period. */
  PERIOD("polled"),
  /** Shared memory that a thread polls without pause for as long as that pays, else now and then. */
  ADAPTIVE("polled");

  /** A poller whose looks are further apart than this many of its steps has slept between them. */
  private static final int SLEEP_STEPS = 4;

  private final String device;

  BackEnd(String device) {
    this.device = device;
  }

  /** The {@code device} parameter of {@link RequestStream}. */
  String device() {
    return device;
  }

  /** Whether no access of the guest should ever exit. */
  public boolean isPolled() {
    return device.equals("polled");
  }

  /**
   * How a machine gets the ring.
   *
   * @param polling of this back end, if it is polled.
   * @param wakeNs from a doorbell to the step
   */
  DeviceSetup setup(Supplier<? extends PolledDevice> ring, Polling polling, long wakeNs) {
    return switch (this) {
      case PORTS -> DeviceSetup.ports(ring, RequestStream.PORT);
      case MMIO -> DeviceSetup.mmio(ring, RequestStream.MMIO_GPA);
      case DOORBELL -> DeviceSetup.polled(ring, PollPolicy.doorbell(wakeNs)).withIrq(RequestStream.IRQ)
          .withDoorbell(RequestStream.DOORBELL);
      case SPIN, PERIOD, ADAPTIVE -> DeviceSetup.polled(ring, polling.policy(0));
    };
  }

  /** Nanoseconds between two looks of a poller above which it has slept between them. */
  long pauseNs(Polling polling) {
    return switch (this) {
      case ADAPTIVE -> SLEEP_STEPS * (polling.times().length == 0 ? Polling.SPIN_NS : polling.times()[0]);
      case PERIOD -> 0;
      default -> Long.MAX_VALUE;
    };
  }

  /** Of that name. @throws IllegalArgumentException if there is none */
  public static BackEnd parse(String text) {
    for (BackEnd backEnd : values()) {
      if (backEnd.toString().equals(text)) {
        return backEnd;
      }
    }
    throw new IllegalArgumentException("back end '" + text + "': expected one of "
        + String.join(", ", List.of(values()).stream().map(BackEnd::toString).toList()));
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
