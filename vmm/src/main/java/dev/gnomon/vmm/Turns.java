package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.vmm.device.LocalApicPage;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * Lets the vCPUs of a machine run one after the other on one host thread, each for a fixed number of instructions, so
 * that equal machines run equally.
 *
 * <p>There is one clock. It advances with every instruction that any processor retires, so N busy processors are each a
 * N-th as fast as one, and it never goes back from one turn to the next. A turn ends at an exact instruction count,
 * when the processor sleeps, or behind a PAUSE, by which a processor says that it waits for another one. The next one
 * to run is the next in the order of numbers that does not sleep. An event whose delivery has begun belongs to the turn
 * in which it did.
 */
final class Turns {
  private static final int VERSION = 1;

  private final Vcpu[] vcpus;
  private final long length;
  private final MachineBus bus;
  /** Null with one vCPU. */
  private final LocalApicPage localApics;
  private Vcpu current;
  /** Retired-instruction count of the current vCPU at which its turn ends. */
  private long turnEnd = Long.MAX_VALUE;
  /** Instructions that all others have retired. */
  private long othersRetired;

  /** @param length instructions of a turn; without effect if there is only one vCPU */
  Turns(List<Vcpu> vcpus, long length, MachineBus bus, LocalApicPage localApics) {
    this.vcpus = vcpus.toArray(new Vcpu[0]);
    this.length = length;
    this.bus = bus;
    this.localApics = localApics;
    this.current = this.vcpus[0];
    if (this.vcpus.length > 1) {
      turnEnd = length;
    }
  }

  /** Whose turn it is. */
  Vcpu current() {
    return current;
  }

  /**
   * Retired-instruction count at which the current vCPU must stop: the end of its turn, or when all together have
   * retired so many.
   */
  long limit(long allRetired) {
    return Math.min(turnEnd, allRetired - othersRetired);
  }

  /** Instructions that all vCPUs have retired. */
  long retired() {
    return othersRetired + current.cpu().retired;
  }

  /**
   * Goes on with the current vCPU or to another one.
   *
   * @param wasInGuest whether the current one was running the guest until now
   * @return false if all of them sleep
   */
  boolean choose(boolean wasInGuest) {
    current.takeApicEvents();
    Cpu cpu = current.cpu();
    if (current.runnable() && (cpu.eventPending || cpu.retired < turnEnd && !cpu.paused)) {
      return true;
    }
    cpu.paused = false;
    if (vcpus.length == 1) {
      return false;
    }
    boolean inGuest = wasInGuest && !current.cpu().halted;
    for (int i = 1; i <= vcpus.length; i++) {
      Vcpu next = vcpus[(current.index() + i) % vcpus.length];
      next.takeApicEvents();
      if (next.runnable()) {
        switchTo(next, inGuest);
        return true;
      }
    }
    return false;
  }

  /** Makes it a vCPU's turn, whoever's it was. */
  void take(Vcpu vcpu) {
    vcpu.cpu().paused = false;
    if (vcpu != current) {
      switchTo(vcpu, !current.cpu().halted);
    }
  }

  private void switchTo(Vcpu next, boolean wasInGuest) {
    if (next != current) {
      long now = current.cpu().now();
      othersRetired += current.cpu().retired - next.cpu().retired;
      current.suspend(wasInGuest);
      current = next;
      next.cpu().skippedNs = now - next.cpu().retired * next.cpu().nsPerInstruction;
      bus.select(next.cpu());
      localApics.select(next.index());
      next.resume();
    }
    turnEnd = next.cpu().retired + length;
  }

  /** Writes whose turn it is and how long; the processors' own states are theirs. */
  void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(vcpus.length);
    out.writeInt(current.index());
    out.writeLong(turnEnd);
    for (Vcpu vcpu : vcpus) {
      vcpu.saveTurn(out);
    }
  }

  /**
   * Reads what {@link #save} wrote, once the processors' states are loaded.
   *
   * @throws IOException if it is of another number of processors or damaged
   */
  void load(DataInput in) throws IOException {
    int version = in.readInt();
    int count = in.readInt();
    int number = in.readInt();
    if (version != VERSION || count != vcpus.length || number < 0 || number >= count) {
      throw new IOException("turns: saved state has version " + version + " and processor " + number + " of " + count
          + ", expected version "
          + VERSION + " and one of " + vcpus.length);
    }
    current = vcpus[number];
    turnEnd = in.readLong();
    othersRetired = 0;
    for (Vcpu vcpu : vcpus) {
      vcpu.loadTurn(in);
      othersRetired += vcpu == current ? 0 : vcpu.cpu().retired;
    }
    bus.select(current.cpu());
    if (localApics != null) {
      localApics.select(number);
    }
  }

  /** Whether any vCPU would run. */
  boolean anyRunnable() {
    for (Vcpu vcpu : vcpus) {
      vcpu.takeApicEvents();
      if (vcpu.runnable()) {
        return true;
      }
    }
    return false;
  }

  /** Whether all vCPUs sleep with interrupts off. */
  boolean allDeaf() {
    for (Vcpu vcpu : vcpus) {
      if (!vcpu.deaf()) {
        return false;
      }
    }
    return true;
  }
}
