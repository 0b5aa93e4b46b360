package dev.gnomon.vmm.device;

/** One wire from a device to an interrupt controller's input. */
@FunctionalInterface
public interface InterruptLine {
  /** A wire that leads nowhere. */
  InterruptLine NONE = level -> { };

  /** Drives the wire; repeating the level that it already has changes nothing. */
  void set(boolean level);
}
