package dev.gnomon.workloads.kernel;

/** Ports by which the guest speaks to whoever runs it. */
public final class GuestPorts {
  /**
   * Marks the measured region: a byte, {@link #REGION_BEGIN} or {@link #REGION_END}. No PC device answers this port, so
   * on a machine that does not measure it has no effect.
   */
  public static final int REGION = 0x500;
  public static final int REGION_BEGIN = 1;
  public static final int REGION_END = 2;
  /** isa-debug-exit: ends the run with status {@code value << 1 | 1}. */
  static final int DEBUG_EXIT = 0xF4;

  private GuestPorts() {}
}
