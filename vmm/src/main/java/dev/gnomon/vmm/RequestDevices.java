package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import java.util.List;

/**
 * One device three times, to compare ways of reaching it: polled in a reserved page, trapped behind memory, trapped
 * behind ports.
 *
 * @param polled its page lies at {@link #polledGpa()}
 * @param mmio its page lies at {@link #MMIO_GPA}
 * @param port its ports begin at {@link #PORT}
 */
public record RequestDevices(DeviceHost polled, DeviceHost mmio, DeviceHost port) {
  /** Page of the trapped registers, in the PC's hole below 4 GiB. */
  public static final @Gpa long MMIO_GPA = 0xFEB0_0000L;
  /** First of the trapped ports. */
  public static final int PORT = 0x600;

  private static final long PAGE = 4096;

  /** What a machine with these devices is set up with. @param periodNs virtual nanoseconds between polls, at least 1 */
  static List<DeviceSetup> setups(long periodNs, long seed) {
    return List.of(
        DeviceSetup.polled(() -> new RequestDevice("polled", Window.anywhere(PAGE), seed), PollPolicy.period(periodNs)),
        DeviceSetup.mmio(() -> new RequestDevice("request-mmio", Window.anywhere(PAGE), seed), MMIO_GPA),
        DeviceSetup.ports(() -> new RequestDevice("request-port", Window.anywhere(PAGE), seed), PORT));
  }

  /** Guest-physical address of the polled page: the first 2 MiB boundary at or above the end of RAM. */
  public @Gpa long polledGpa() {
    return polled.window(0).gpa();
  }
}
