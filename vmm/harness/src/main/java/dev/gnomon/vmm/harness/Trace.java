package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.Window;

/**
 * Writes a schedule's timeline, with addresses by the windows that they lie in; writes nothing if nobody will read it.
 */
final class Trace {
  private final Rig rig;
  /** Null if nobody will read it. */
  private Timeline timeline;

  Trace(Rig rig) {
    this.rig = rig;
  }

  void begin(boolean wanted) {
    timeline = wanted ? new Timeline() : null;
  }

  String render() {
    return timeline.render();
  }

  void say(String actor, String text) {
    if (timeline != null) {
      timeline.add(rig.scheduler().now, actor, text);
    }
  }

  void say(Actor actor, String text) {
    say(actor.name, text);
  }

  void access(Actor actor, String kind, @Gpa long gpa, int size, long value) {
    if (timeline != null) {
      say(actor, kind + " " + describe(gpa)
          + (size > 8 ? " " + size + " bytes" : "/" + size + " = 0x" + Long.toHexString(value)));
    }
  }

  /** The bytes of a real guest's next instruction. */
  void instruction(Actor actor, CodeMachine machine, int processor) {
    if (timeline != null) {
      StringBuilder text = new StringBuilder("rip 0x" + Long.toHexString(machine.cpu(processor).rip) + ":");
      for (byte b : machine.nextBytes(processor)) {
        text.append(String.format(" %02x", b));
      }
      say(actor, text.toString());
    }
  }

  /** A store of a real guest by where it lies in host memory. */
  void hostStore(Actor actor, String kind, int offset, int size, long value) {
    if (timeline != null) {
      for (Rig.Device device : rig.devices()) {
        for (Window window : device.windows()) {
          int start = rig.memory().offset(window.gpa());
          if (offset >= start && offset < start + window.bytes()) {
            access(actor, kind, window.gpa() + (offset - start), size, value);
            return;
          }
        }
      }
      say(actor, kind + " somewhere else");
    }
  }

  /** An address by the window that it lies in. */
  String describe(@Gpa long gpa) {
    for (Rig.Device device : rig.devices()) {
      for (int i = 0; i < device.windows().size(); i++) {
        if (device.windows().get(i).contains(gpa)) {
          return device.name() + (i == 0 ? "" : "-" + (i + 1)) + "+0x"
              + Long.toHexString(Addresses.bits(gpa - device.window(i)));
        }
      }
    }
    return "0x" + Long.toHexString(gpa);
  }
}
