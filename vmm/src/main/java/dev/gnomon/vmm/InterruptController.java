package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.InterruptSource;
import dev.gnomon.vmm.device.LocalApic;
import dev.gnomon.vmm.device.Pic8259;

/**
 * A processor's acknowledge path: the 8259 pair where there is no local APIC or it is disabled; otherwise the local
 * APIC, and before it the 8259 pair if LINT0 takes ExtINT. As in Linux KVM (arch/x86/kvm/irq.c) ExtINT comes first and
 * no priority holds it back.
 */
final class InterruptController implements InterruptSource {
  /** Null if its interrupts reach another processor. */
  private final Pic8259 pic;
  /** Null if there is none. */
  private final LocalApic apic;

  InterruptController(Pic8259 pic, LocalApic apic) {
    this.pic = pic;
    this.apic = apic;
  }

  @Override
  public boolean pending() {
    return apic != null && apic.pending() || externalPending();
  }

  @Override
  public int acknowledge() {
    return apic == null || externalPending() ? pic.acknowledge() : apic.acknowledge();
  }

  private boolean externalPending() {
    return pic != null && pic.pending() && (apic == null || apic.acceptsExtInt());
  }
}
