package dev.gnomon.bench;

/**
 * What reached the guest through its IDT.
 *
 * @param pageFaults page faults, however they came
 * @param otherExceptions other exceptions
 * @param interrupts external interrupts and NMIs
 * @param softwareInterrupts INT n
 */
public record GuestEvents(long pageFaults, long otherExceptions, long interrupts, long softwareInterrupts) {
  GuestEvents minus(GuestEvents o) {
    return new GuestEvents(pageFaults - o.pageFaults, otherExceptions - o.otherExceptions, interrupts - o.interrupts,
        softwareInterrupts - o.softwareInterrupts);
  }

  long total() {
    return pageFaults + otherExceptions + interrupts + softwareInterrupts;
  }
}
