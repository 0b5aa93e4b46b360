package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * Something that goes wrong beside the device: its process dies, the guest is reset or lies, words tear, memory goes away. When, and which, is
 * chosen by the schedule. A fault holds for the schedule into whose rig it is injected.
 */
public final class Fault {
  private final Consumer<Rig> installer;

  private Fault(Consumer<Rig> installer) {
    this.installer = installer;
  }

  void install(Rig rig) {
    installer.accept(rig);
  }

  /** After each step the device is not polled for a while: the least, the greatest or the mean of two times. */
  public static Fault delayPoll(Duration least, Duration greatest) {
    return new Fault(rig -> rig.setDelay(least.toNanos(), greatest.toNanos()));
  }

  /**
   * Bulk writes of devices into a range become visible piece by piece.
   *
   * @param grain bytes of a piece: 1, 2, 4 or 8
   */
  public static Fault tearWrite(@Gpa long gpa, int length, int grain) {
    return new Fault(rig -> rig.setTearing(gpa, length, grain));
  }

  /** A device's store of a flag may become visible before earlier ones, as where a release is missing on a weaker host. */
  public static Fault reorderPublication(@Gpa long flag, int times) {
    return new Fault(rig -> {
      rig.bufferStores();
      rig.fault("reorder 0x" + Long.toHexString(flag), times, () -> rig.overtaker(flag) >= 0, () -> rig.overtake(flag));
    });
  }

  /** Readers of a word of 1, 2, 4 or 8 bytes may see one of its last values, each reader in order. */
  public static Fault staleRead(@Gpa long gpa, int size, int last) {
    return new Fault(rig -> rig.setStale(gpa, size, last));
  }

  /** The process that polls dies at any access, and another takes over. */
  public static Fault crash(int times) {
    return new Fault(rig -> rig.forEachDevice(device -> rig.fault("crash(" + device.name + ")", times, () -> !device.down && !device.crashRequested,
        device::crash)));
  }

  /** The guest is reset with requests in flight: drivers begin again, devices at a step's boundary. */
  public static Fault guestReset(int times) {
    return new Fault(rig -> rig.fault("guest reset", times, () -> rig.innermostStep() == null, rig::resetGuest));
  }

  /** The guest changes a word while the device is in a step that has read it. @param value what it becomes */
  public static Fault mutateBetweenFetches(@Gpa long gpa, int size, long value) {
    return new Fault(rig -> rig.fault("mutate 0x" + Long.toHexString(gpa), 1, () -> rig.anyDeviceHasRead(gpa, size), () -> rig.scribble(gpa, size, value)));
  }

  /** A hostile guest, or for a driver under test a hostile device, writes one of these values at any time. */
  public static Fault scribble(@Gpa long gpa, int size, long... values) {
    return new Fault(rig -> rig.fault("scribble 0x" + Long.toHexString(gpa), 1, () -> true,
        () -> rig.scribble(gpa, size, values[rig.scheduler().number(values.length)])));
  }

  /** A doorbell rings for nothing. */
  public static Fault spuriousKick(int times) {
    return new Fault(rig -> rig.forEachDevice(device -> rig.fault("spurious kick(" + device.name + ")", times, () -> true, () -> device.kicked = true)));
  }

  /** An interrupt comes for nothing. */
  public static Fault spuriousInterrupt(int times) {
    return new Fault(rig -> rig.fault("spurious interrupt", times, () -> true, rig::interruptDrivers));
  }

  /** Interrupts of devices are lost, up to a number of times: what a driver must expect only where its device says so. */
  public static Fault dropInterrupt(int times) {
    return new Fault(rig -> rig.setDroppedInterrupts(times));
  }

  /** The host takes pages away from all devices, as a balloon does, at a step's boundary. */
  public static Fault unmap(@Gpa long gpa, int length) {
    return new Fault(rig -> rig.fault("unmap 0x" + Long.toHexString(gpa), 1, () -> rig.innermostStep() == null,
        () -> rig.forEachDevice(device -> device.host.domain().unmap(gpa, length))));
  }
}
