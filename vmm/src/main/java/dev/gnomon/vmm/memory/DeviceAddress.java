package dev.gnomon.vmm.memory;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * Host-physical addresses that stand for a place on the device bus. Where translation ends at a device, or at a write
 * to read-only memory, the result is the guest-physical address with one more bit, which no memory backs; the bus takes
 * the bit off again.
 * <pre>
 *  63   47   46       45                   0
 *  0         device   guest-physical address
 * </pre>
 * The bit is the first above {@link HostMemory#MAXPHYADDR}, so a guest cannot form such an address.
 */
public final class DeviceAddress {
  private static final long DEVICE = 1L << HostMemory.MAXPHYADDR;

  private DeviceAddress() {}

  /** The bus address of a guest-physical one. */
  @SuppressWarnings("subtyping") // The conversion is what the method is for.
  public static @Hpa long of(@Gpa long gpa) {
    return gpa | DEVICE;
  }

  /** The guest-physical address behind a bus address; of any other address itself, which is what it means natively. */
  @SuppressWarnings("subtyping") // The conversion is what the method is for.
  public static @Gpa long gpa(@Hpa long hpa) {
    return hpa & ~DEVICE;
  }

  /** Whether the address stands for a place on the device bus. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public static boolean is(@Hpa long hpa) {
    return (hpa & DEVICE) != 0 && hpa >= 0;
  }
}
