package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.MmioRequestDevice;
import dev.gnomon.vmm.polled.PolledRequestDevice;
import dev.gnomon.vmm.polled.PortRequestDevice;

/**
 * One device three times, to compare ways of reaching it: polled in a reserved page, trapped behind memory, trapped behind ports.
 *
 * @param polled its page lies at {@link #polledGpa()}
 * @param mmio its page lies at {@link #MMIO_GPA}
 * @param port its ports begin at {@link #PORT}
 */
public record RequestDevices(PolledRequestDevice polled, MmioRequestDevice mmio, PortRequestDevice port) {
  /** Page of the trapped registers, in the PC's hole below 4 GiB. */
  public static final @Gpa long MMIO_GPA = 0xFEB0_0000L;
  /** First of the trapped ports. */
  public static final int PORT = 0x600;

  /** Guest-physical address of the polled page: the first 2 MiB boundary at or above the end of RAM. */
  public @Gpa long polledGpa() {
    return polled.slot().gpa();
  }
}
