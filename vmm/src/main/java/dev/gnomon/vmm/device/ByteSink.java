package dev.gnomon.vmm.device;

/** Where a device's output bytes go: a terminal, a file, a test. */
@FunctionalInterface
public interface ByteSink {
  /** A sink that drops everything. */
  ByteSink DISCARD = value -> { };

  /** Takes one byte, 0 to 255. */
  void accept(int value);
}
