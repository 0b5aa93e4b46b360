package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** What the {@link Fault}s of one schedule are about to do, and how they do it. */
final class Mischief {
  private static final long LOCAL_APIC = 0xFEE0_0000L;
  private static final long ROM = 0xF_0000;

  private final Rig rig;
  private final List<FaultActor> actors = new ArrayList<>();
  private StaleValues stale;
  private boolean storesAreBuffered;
  private long delayLeast;
  private long delayGreatest;
  private @Gpa long tearStart;
  private int tearLength;
  private int tearGrain;
  private int droppedInterrupts;

  Mischief(Rig rig) {
    this.rig = rig;
  }

  /** Begins a schedule without faults. */
  void begin() {
    actors.clear();
    stale = null;
    storesAreBuffered = false;
    delayGreatest = 0;
    tearLength = 0;
    droppedInterrupts = 0;
  }

  /** A fault that happens at any choice, up to a number of times. */
  void add(String name, int times, BooleanSupplier possible, Runnable effect) {
    FaultActor[] self = new FaultActor[1];
    self[0] = new FaultActor(name, times, possible, () -> {
      rig.trace().say(self[0], "happens");
      effect.run();
    });
    actors.add(self[0]);
  }

  /** Somebody writes one of these values at any time. */
  void addScribble(@Gpa long gpa, int size, long[] values) {
    add("scribble 0x" + Long.toHexString(gpa), 1, () -> true,
        () -> scribble(gpa, size, values[rig.scheduler().number(values.length)]));
  }

  List<FaultActor> actors() {
    return actors;
  }

  void forEachDevice(Consumer<DeviceActor> action) {
    rig.devices().forEach(device -> action.accept(device.actor()));
  }

  void setDelay(long least, long greatest) {
    delayLeast = least;
    delayGreatest = greatest;
  }

  /** Virtual time before which a device that has just been polled is not polled again, 0 if any. */
  long delay() {
    return delayGreatest == 0 ? 0
        : rig.scheduler().now + delayLeast + (delayGreatest - delayLeast) * rig.scheduler().number(3) / 2;
  }

  void setTearing(@Gpa long gpa, int length, int grain) {
    tearStart = gpa;
    tearLength = length;
    tearGrain = grain;
  }

  /** Bytes that a bulk write may tear into; more than a word if it is whole. */
  int tearing(@Gpa long gpa, int length) {
    return gpa < tearStart + tearLength && tearStart < gpa + length ? tearGrain : Integer.MAX_VALUE;
  }

  /** Stores wait in buffers, whatever the memory model. */
  void bufferStores() {
    storesAreBuffered = true;
  }

  boolean storesAreBuffered() {
    return storesAreBuffered;
  }

  void setStale(@Gpa long gpa, int size, int last) {
    stale = new StaleValues(rig.memory().offset(gpa), size, last, rig.agents(), rig.scheduler());
  }

  /** Null if all readers see the newest value. */
  StaleValues stale() {
    return stale;
  }

  void setDroppedInterrupts(int times) {
    droppedInterrupts = times;
  }

  /** Whether the interrupt that is being raised is lost. */
  boolean dropsInterrupt() {
    if (droppedInterrupts > 0 && rig.scheduler().number(2) == 1) {
      droppedInterrupts--;
      return true;
    }
    return false;
  }

  /** The device's store buffer in which a flag waits behind others, −1 if none. */
  int overtaker(@Gpa long flag) {
    for (Rig.Device device : rig.devices()) {
      StoreBuffer buffer = rig.memory().buffer(device.actor().agent);
      for (int i = 1; i < buffer.count; i++) {
        if (buffer.gpas[i] == flag) {
          return device.actor().agent;
        }
      }
    }
    return -1;
  }

  void overtake(@Gpa long flag) {
    int agent = overtaker(flag);
    StoreBuffer buffer = rig.memory().buffer(agent);
    for (int i = 1; i < buffer.count; i++) {
      if (buffer.gpas[i] == flag) {
        rig.memory().flush(agent, i);
        return;
      }
    }
  }

  /** No device is in the middle of a step. */
  boolean betweenSteps() {
    return rig.innermostStep() == null;
  }

  void resetGuest() {
    rig.resetGuest();
  }

  void interruptDrivers() {
    rig.interruptDrivers();
  }

  void unmap(@Gpa long gpa, int length) {
    rig.machinery().domainsLose(gpa, length);
    forEachDevice(device -> device.host.domain().unmap(gpa, length));
  }

  void remap(@Gpa long gpa, int length) {
    forEachDevice(device -> device.host.domain().remap(gpa, length));
    if (rig.machinery().machine() != null) {
      rig.machinery().machine().vm.dropTranslations(gpa, length);
    }
  }

  /** Whether a hypervisor runs a guest whose writes are not logged yet. */
  boolean canLog() {
    return rig.machinery().machine() != null && rig.machinery().machine().canLog();
  }

  void startLog() {
    rig.machinery().machine().startLog();
  }

  /** Where no device may write, or not for a guest's buffer. */
  @SuppressWarnings("subtyping") // They are written into memory as numbers.
  long[] hostileAddresses() {
    List<Long> addresses =
        new ArrayList<>(List.of(-1L, -8L, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 46, LOCAL_APIC, ROM, Rig.RAM_BYTES - 1,
        Rig.RAM_BYTES));
    for (Rig.Device device : rig.devices()) {
      device.windows().forEach(window -> addresses.add(window.gpa()));
    }
    return addresses.stream().mapToLong(Long::longValue).toArray();
  }

  boolean anyDeviceHasRead(@Gpa long gpa, int size) {
    for (Rig.Device device : rig.devices()) {
      if (device.actor().hasRead(gpa, size)) {
        return true;
      }
    }
    return false;
  }

  void scribble(@Gpa long gpa, int size, long value) {
    int offset = rig.memory().offset(gpa);
    if (offset >= 0) {
      rig.trace().say("hostile guest", "store of " + Long.toHexString(value) + " to " + rig.trace().describe(gpa));
      rig.memory().commit(-1, gpa, offset, size, value);
    }
  }
}
