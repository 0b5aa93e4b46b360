package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.LocalApicBits.*;

/**
 * A local APIC's interrupt command register: the messages that software sends (SDM vol. 3A, "Issuing Interprocessor
 * Interrupts").
 */
final class InterruptCommand {
  private final LocalApic apic;
  private final ApicBus bus;
  private int low;
  private int high;

  InterruptCommand(LocalApic apic, ApicBus bus) {
    this.apic = apic;
    this.bus = bus;
  }

  /** Puts values into both halves without sending anything. */
  void set(int newLow, int newHigh) {
    low = newLow & ICR_WRITABLE;
    high = newHigh;
  }

  int low() {
    return low;
  }

  /** Writes the lower half, which sends. */
  void setLow(int value) {
    low = value & ICR_WRITABLE;
    send();
  }

  /** The destination; in x2APIC mode all 32 bits. */
  int high() {
    return high;
  }

  void setHigh(int value) {
    high = value;
  }

  /** x2APIC's SELF IPI register. */
  void sendToSelf(int vector) {
    low = SHORTHAND_SELF << ICR_SHORTHAND_SHIFT | vector;
    send();
  }

  private void send() {
    int mode = low >> MODE_SHIFT & MODE;
    int vector = low & VECTOR;
    boolean level = (low & ICR_LEVEL) != 0;
    if ((mode == FIXED || mode == LOWEST_PRIORITY) && vector < FIRST_VECTOR) {
      apic.error(ESR_SENT_VECTOR);
      return;
    }
    if (mode == INIT && level && (low & ICR_ASSERT) == 0) {
      // INIT level de-assert only set arbitration IDs, which there are none of.
      return;
    }
    // IPIs are edge-triggered whatever the trigger mode says, but for INIT.
    switch (low >>> ICR_SHORTHAND_SHIFT & 3) {
      case SHORTHAND_SELF -> {
        if (mode == FIXED) {
          apic.receive(mode, vector, false);
        }
      }
      case SHORTHAND_ALL -> bus.sendToAll(apic, true, mode, vector, false);
      case SHORTHAND_OTHERS -> bus.sendToAll(apic, false, mode, vector, false);
      default -> bus.send(mode, vector, false, apic.x2() ? high : high >>> ID_SHIFT, apic.x2(),
          (low & ICR_LOGICAL) != 0);
    }
  }
}
