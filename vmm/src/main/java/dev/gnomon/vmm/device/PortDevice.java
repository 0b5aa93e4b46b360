package dev.gnomon.vmm.device;

import java.util.List;

/**
 * A device behind I/O ports. Values are unsigned in the low {@code 8 * size} bits of an {@code int}; higher bits are
 * ignored or zero.
 */
public interface PortDevice extends Device {
  /** The ports that the device answers, constant for its life. */
  List<PortRange> ports();

  /**
   * The widest access in bytes (1, 2 or 4) that reaches the device whole; the bus splits wider or unaligned ones into
   * bytes.
   */
  default int portWidth() {
    return 1;
  }

  /**
   * Reads {@code size} bytes (1 up to {@link #portWidth()}) at a port in {@link #ports()}, with the side effects of a
   * guest's IN.
   */
  int in(int port, int size, long nowNs);

  /** Writes {@code size} bytes (1 up to {@link #portWidth()}) at a port in {@link #ports()}. */
  void out(int port, int size, int value, long nowNs);

  /** What {@link #in} would return at the latest time the device has seen, without its side effects. */
  int peek(int port, int size);
}
