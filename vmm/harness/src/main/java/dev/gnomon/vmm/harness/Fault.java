package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * Something that goes wrong beside the device: its process dies, the guest is reset or lies, words tear, memory goes
 * away. When, and which, is chosen by the schedule. A fault holds for the schedule into whose rig it is injected.
 */
public final class Fault {
  private final Consumer<Mischief> installer;

  private Fault(Consumer<Mischief> installer) {
    this.installer = installer;
  }

  void install(Mischief mischief) {
    installer.accept(mischief);
  }

  /** After each step the device is not polled for a while: the least, the greatest or the mean of two times. */
  public static Fault delayPoll(Duration least, Duration greatest) {
    return new Fault(it -> it.setDelay(least.toNanos(), greatest.toNanos()));
  }

  /**
   * Bulk writes of devices into a range become visible piece by piece.
   *
   * @param grain bytes of a piece: 1, 2, 4 or 8
   */
  public static Fault tearWrite(@Gpa long gpa, int length, int grain) {
    return new Fault(it -> it.setTearing(gpa, length, grain));
  }

  /**
   * A device's store of a flag may become visible before earlier ones, as where a release is missing on a weaker host.
   */
  public static Fault reorderPublication(@Gpa long flag, int times) {
    return new Fault(it -> {
      it.bufferStores();
      it.add("reorder " + hex(flag), times, () -> it.overtaker(flag) >= 0, () -> it.overtake(flag));
    });
  }

  /**
   * Readers of a word of 1, 2, 4 or 8 bytes may see one of its last values, each reader in order. A real guest's own
   * loads see the newest.
   */
  public static Fault staleRead(@Gpa long gpa, int size, int last) {
    return new Fault(it -> it.setStale(gpa, size, last));
  }

  /** The process that polls dies at any access, and another takes over. */
  public static Fault crash(int times) {
    return crash(times, Duration.ZERO);
  }

  /** The process that polls dies at any access, and another takes over after at least a virtual time. */
  public static Fault crash(int times, Duration restartIn) {
    return new Fault(it -> it.forEachDevice(device -> it.add("crash(" + device.name + ")", times,
        () -> !device.down && !device.crashRequested,
        () -> device.crash(restartIn.toNanos()))));
  }

  /** The guest is reset with requests in flight: drivers begin again, devices at a step's boundary. */
  public static Fault guestReset(int times) {
    return new Fault(it -> it.add("guest reset", times, it::betweenSteps, it::resetGuest));
  }

  /** The guest changes a word while the device is in a step that has read it. @param value what it becomes */
  public static Fault mutateBetweenFetches(@Gpa long gpa, int size, long value) {
    return new Fault(it -> it.add("mutate " + hex(gpa), 1, () -> it.anyDeviceHasRead(gpa, size),
        () -> it.scribble(gpa, size, value)));
  }

  /** A hostile guest, or for a driver under test a hostile device, writes one of these values at any time. */
  public static Fault scribble(@Gpa long gpa, int size, long... values) {
    return new Fault(it -> it.addScribble(gpa, size, values));
  }

  /**
   * The index of a ring, 4 bytes, as a hostile side writes it: one more than fits ahead of 0, behind it, and the ends
   * of the range.
   */
  public static Fault hostileIndex(@Gpa long gpa, int entries) {
    return scribble(gpa, 4, entries + 1, 2L * entries + 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE);
  }

  /**
   * A length, 4 bytes, as a hostile side writes it: none, the largest, negative, and such as end just behind a page or
   * all RAM.
   */
  public static Fault hostileLength(@Gpa long gpa) {
    return scribble(gpa, 4, 0, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 4097, Rig.RAM_BYTES + 1);
  }

  /**
   * A buffer's address, 8 bytes, as a hostile side writes it: such as wrap or are no addresses, the end of RAM, a hole,
   * the local APIC, a BIOS's ROM, and every window of every device.
   */
  public static Fault hostileAddress(@Gpa long gpa) {
    return new Fault(it -> it.addScribble(gpa, 8, it.hostileAddresses()));
  }

  /** A doorbell rings for nothing. */
  public static Fault spuriousKick(int times) {
    return new Fault(it ->
        it.forEachDevice(device -> it.add("spurious kick(" + device.name + ")", times, () -> true,
        () -> device.kicked = true)));
  }

  /** An interrupt comes for nothing. */
  public static Fault spuriousInterrupt(int times) {
    return new Fault(it -> it.add("spurious interrupt", times, () -> true, it::interruptDrivers));
  }

  /**
   * Interrupts of devices are lost, up to a number of times: what a driver must expect only where its device says so.
   */
  public static Fault dropInterrupt(int times) {
    return new Fault(it -> it.setDroppedInterrupts(times));
  }

  /** The host takes pages away from all devices, as a balloon does, at a step's boundary. */
  public static Fault unmap(@Gpa long gpa, int length) {
    return new Fault(it -> it.add("unmap " + hex(gpa), 1, it::betweenSteps, () -> it.unmap(gpa, length)));
  }

  /**
   * The host moves pages of RAM at a step's boundary: devices and processors lose what they hold of their translations,
   * and must find them again without noticing.
   */
  public static Fault remap(@Gpa long gpa, int length) {
    return new Fault(it -> it.add("remap " + hex(gpa), 1, it::betweenSteps, () -> it.remap(gpa, length)));
  }

  /**
   * The hypervisor begins to log which pages of a real guest's RAM are written, by write protection, as for a live
   * migration. Windows must stay free of exits. Nothing happens to mock drivers and natively.
   */
  public static Fault dirtyLog() {
    return new Fault(it -> it.add("dirty log", 1, it::canLog, it::startLog));
  }

  private static String hex(@Gpa long gpa) {
    return "0x" + Long.toHexString(gpa);
  }
}
