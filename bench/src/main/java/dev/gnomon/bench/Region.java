package dev.gnomon.bench;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.workloads.RegionMarker;
import dev.gnomon.workloads.kernel.GuestPorts;
import java.util.function.Supplier;

/**
 * The measured part of a run: the guest says where it begins and ends, and the counters are read at just these
 * instructions.
 */
public final class Region implements RegionMarker.Listener {
  /** The cause under which the closing mark's own exit is counted. */
  private static final String MARK = "out 0x" + Integer.toHexString(GuestPorts.REGION);

  private Supplier<Counters> source;
  private Counters begin;
  private Counters end;
  private Runnable atBegin = () -> { };
  private Runnable atEnd = () -> { };

  void attach(Supplier<Counters> counters) {
    source = counters;
  }

  /** The guest enters the region; a second time only the last visit counts. */
  @Override
  public void regionBegin() {
    begin = source.get();
    end = null;
    atBegin.run();
  }

  /** The guest leaves the region. */
  @Override
  public void regionEnd() {
    if (begin != null) {
      end = source.get();
      atEnd.run();
    }
  }

  /** Something to do at a mark, from inside the guest's OUT. */
  void at(boolean beginning, Runnable action) {
    if (beginning) {
      atBegin = action;
    } else {
      atEnd = action;
    }
  }

  /** Whether the guest went through it. */
  public boolean complete() {
    return end != null;
  }

  /**
   * What was counted in it, without the closing mark's own exit. @throws IllegalStateException unless it is complete
   */
  Counters counters() {
    if (end == null) {
      throw new IllegalStateException("the guest did not reach the end of its measured region");
    }
    return end.minus(begin).withoutPortExits(ExitReason.name(ExitReason.IO_INSTRUCTION), MARK);
  }
}
