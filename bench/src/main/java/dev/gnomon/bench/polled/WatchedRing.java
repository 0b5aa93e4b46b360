package dev.gnomon.bench.polled;

import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.RegisterFile;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.List;

/** A shared ring whose steps are counted by kind. */
final class WatchedRing implements PolledDevice {
  /**
   * What there has been of each kind so far.
   *
   * @param slept polls that came so long after the last that the poller slept between them
   */
  record Polls(long all, long empty, long slept) {
    Polls minus(Polls o) {
      return new Polls(all - o.all, empty - o.empty, slept - o.slept);
    }
  }

  private final SharedRing ring = new SharedRing();
  private final long pauseNs;
  private long all;
  private long empty;
  private long slept;
  private long last;

  /** @param pauseNs distance of polls above which the poller sleeps between them */
  WatchedRing(long pauseNs) {
    this.pauseNs = pauseNs;
  }

  Polls polls() {
    return new Polls(all, empty, slept);
  }

  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    Poll result = ring.step(memory, clock);
    all++;
    empty += result == Poll.IDLE ? 1 : 0;
    slept += clock.nanos() - last > pauseNs ? 1 : 0;
    last = clock.nanos();
    return result;
  }

  @Override
  public String name() {
    return ring.name();
  }

  @Override
  public List<Window> windows() {
    return ring.windows();
  }

  @Override
  public RegisterFile registers() {
    return ring.registers();
  }

  @Override
  public void attach(DeviceContext context) {
    ring.attach(context);
  }

  @Override
  public void reset() {
    ring.reset();
  }
}
