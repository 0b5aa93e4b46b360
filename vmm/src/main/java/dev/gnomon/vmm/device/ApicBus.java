package dev.gnomon.vmm.device;

import java.util.Arrays;

/**
 * What interrupt messages travel on between I/O APIC and local APICs (SDM vol. 3A, "Determining IPI Destination").
 * Delivery takes no time.
 *
 * <p>A lowest-priority message goes to the destination with the lowest processor priority, the first among equals.
 */
public final class ApicBus {
  private LocalApic[] locals = new LocalApic[0];
  private IoApic io;

  void add(LocalApic apic) {
    locals = Arrays.copyOf(locals, locals.length + 1);
    locals[locals.length - 1] = apic;
  }

  void add(IoApic apic) {
    io = apic;
  }

  /**
   * Sends a message from the I/O APIC or with an explicit destination.
   *
   * @param mode delivery mode
   * @param level trigger mode
   * @param destination 8 bits, or 32 from an x2APIC
   * @param x2 whether it is 32 bits
   * @param logical destination mode
   * @return whether a local APIC took it
   */
  boolean send(int mode, int vector, boolean level, int destination, boolean x2, boolean logical) {
    LocalApic lowest = null;
    boolean taken = false;
    for (LocalApic apic : locals) {
      if (!apic.isDestination(destination, x2, logical)) {
        continue;
      }
      if (mode != LocalApicBits.LOWEST_PRIORITY) {
        taken |= apic.receive(mode, vector, level);
      } else if (apic.accepts() && (lowest == null || apic.priority() < lowest.priority())) {
        lowest = apic;
      }
    }
    return lowest != null ? lowest.receive(LocalApicBits.FIXED, vector, level) : taken;
  }

  /** Sends an IPI by shorthand; one of lowest priority to one of the processors. */
  void sendToAll(LocalApic sender, boolean self, int mode, int vector, boolean level) {
    LocalApic lowest = null;
    for (LocalApic apic : locals) {
      if (!self && apic == sender || !apic.globallyEnabled()) {
        continue;
      }
      if (mode != LocalApicBits.LOWEST_PRIORITY) {
        apic.receive(mode, vector, level);
      } else if (apic.accepts() && (lowest == null || apic.priority() < lowest.priority())) {
        lowest = apic;
      }
    }
    if (lowest != null) {
      lowest.receive(LocalApicBits.FIXED, vector, level);
    }
  }

  /** A local APIC tells of the end of a level-triggered interrupt. */
  void endOfInterrupt(int vector) {
    if (io != null) {
      io.endOfInterrupt(vector);
    }
  }
}
