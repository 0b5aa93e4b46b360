package dev.gnomon.workloads.kernel;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.DebugExit;

/** Ports and addresses by which the guest speaks to whoever runs it. */
public final class GuestPorts {
  /**
   * Marks the measured region: a byte, {@link #REGION_BEGIN} or {@link #REGION_END}. No PC device answers this port, so
   * on a machine that does not measure it has no effect.
   */
  public static final int REGION = 0x500;
  public static final int REGION_BEGIN = 1;
  public static final int REGION_END = 2;
  /**
   * Guest-physical address at which a store of the same bytes marks the region too, for a guest whose user programs
   * reach memory but no ports, such as Linux with {@code busybox devmem}. A page of its own in the hole below 4 GiB
   * that no PC device uses.
   */
  public static final @Gpa long REGION_GPA = 0xFEDE_1000L;
  /** Guest-physical address at which a store of a status ends the run, as port F4h does. */
  public static final @Gpa long EXIT_GPA = DebugExit.GPA;
  /** isa-debug-exit: ends the run with status {@code value << 1 | 1}. */
  static final int DEBUG_EXIT = 0xF4;

  private GuestPorts() {}
}
