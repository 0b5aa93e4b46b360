package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.Window;

/** Hears from a schedule's actors what they do and writes down what the judges want to know. */
final class Witness {
  private final Rig rig;
  private History history = new History();
  private boolean readyNeeded;
  private boolean isReady;

  Witness(Rig rig) {
    this.rig = rig;
  }

  void begin() {
    history = new History();
    readyNeeded = false;
    isReady = false;
  }

  History history() {
    return history;
  }

  void requireReady() {
    readyNeeded = true;
  }

  void ready() {
    isReady = true;
  }

  /** The guest is reset. */
  void reset() {
    isReady = false;
    history.reset();
  }

  void stepDone(DeviceActor device) {
    history.step(device.host.port().stepBytes(), device.host.port().stepAccesses());
    if (device.host.state() == DeviceHost.State.STOPPED) {
      throw new HarnessFailure("device stopped", device.host.failure());
    }
  }

  void deviceAccess(DeviceActor device, @Gpa long gpa, int length, boolean write) {
    if (gpa < rig.ramEnd()) {
      device.bufferBytes += write ? length : 0;
      if (readyNeeded && !isReady) {
        history.violate(history.resets() == 0 ? History.BEFORE_READY : History.AFTER_RESET,
            device.name + (write ? " wrote " : " read ") + length + " bytes at 0x" + Long.toHexString(gpa));
      }
    }
  }

  /** Whether only devices write there: a window that the guest may only read. */
  boolean isOnlyTheDevices(@Gpa long gpa) {
    for (Rig.Device device : rig.devices()) {
      for (Window window : device.windows()) {
        if (!window.guestWritable() && window.contains(gpa)) {
          return true;
        }
      }
    }
    return false;
  }

  void doubleFetch(DeviceActor device, @Gpa long gpa, int length) {
    history.violate(History.DOUBLE_FETCH,
        device.name + " read " + length + " bytes at " + rig.trace().describe(gpa) + " twice in one step");
  }

  void began(long id) {
    history.began(id, rig.scheduler().now);
  }

  void ended(long id) {
    history.ended(id, rig.scheduler().now);
  }

  /** A device says that a request is completed. @param bytes that it says it has written */
  void completed(DeviceActor device, long id, long bytes) {
    history.completed(id);
    rig.trace().say(device, "completes request " + id);
    if (bytes > device.bufferBytes) {
      history.violate(History.LENGTH,
          device.name + " says that it wrote " + bytes + " bytes for request " + id + ", and wrote "
          + device.bufferBytes);
    }
    device.bufferBytes = 0;
  }

  void interrupted() {
    history.interrupted();
  }

  /** A real guest has left to the hypervisor. */
  void exited(GuestMachine machine, Cpu cpu, ExitInfo exit) {
    if (exit.reason == ExitReason.EPT_VIOLATION || exit.reason == ExitReason.EPT_MISCONFIG) {
      history.exit(ExitReason.name(exit.reason), exit.guestPhysical);
      return;
    }
    history.exit(ExitReason.name(exit.reason), -1);
    if (exit.reason == ExitReason.EXCEPTION_NMI && (exit.interruptionInfo & ExitQualification.INFO_VECTOR) == Vector.PF
        && isWindow(machine.guestPhysical(cpu, exit.qualification))) {
      history.windowFill();
    }
  }

  private boolean isWindow(@Gpa long gpa) {
    return rig.devices().stream()
        .anyMatch(device -> device.windows().stream().anyMatch(window -> window.contains(gpa)));
  }

  void rang(DeviceActor device) {
    history.exit(History.DOORBELL, -1);
    device.kicked = true;
  }

  void trapped(@Gpa long gpa) {
    history.exit("trap", gpa);
  }
}
