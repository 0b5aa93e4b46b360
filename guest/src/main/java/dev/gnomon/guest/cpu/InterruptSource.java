package dev.gnomon.guest.cpu;

/** The processor's view of its interrupt controller. */
public interface InterruptSource {
  /** State of the INTR line. */
  boolean pending();

  /** INTA cycle: the vector, 0 to 255; a spurious one if the request went away. */
  int acknowledge();
}
