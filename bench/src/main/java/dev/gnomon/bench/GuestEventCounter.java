package dev.gnomon.bench;

import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gva;

/** Counts {@link GuestEvents} of one machine. */
final class GuestEventCounter implements Observer {
  private long pageFaults;
  private long otherExceptions;
  private long interrupts;
  private long softwareInterrupts;

  @Override
  public void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {
    if (type == Vector.TYPE_EXTERNAL || type == Vector.TYPE_NMI) {
      interrupts++;
    } else if (type == Vector.TYPE_SOFTWARE_INTERRUPT) {
      softwareInterrupts++;
    } else if (vector == Vector.PF) {
      pageFaults++;
    } else {
      otherExceptions++;
    }
  }

  GuestEvents events() {
    return new GuestEvents(pageFaults, otherExceptions, interrupts, softwareInterrupts);
  }
}
