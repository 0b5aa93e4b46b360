package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * How a machine gets a device.
 *
 * @param factory makes the device, and again when its process has died; each instance has the same name and windows
 * @param reach how the guest reaches its first window
 * @param polls when it is polled; of no use to a device that is trapped
 * @param domain what it may reach beside its windows
 * @param limits of one step
 * @param irq ISA interrupt line, −1 for none
 * @param doorbell port that wakes it while it sleeps, −1 for none
 */
public record DeviceSetup(Supplier<? extends PolledDevice> factory, Reach reach, PollPolicy polls,
    DmaDomain.Policy domain, StepLimits limits, int irq, int doorbell) {
  /** How the guest reaches the registers. */
  public sealed interface Reach {
    /**
     * As memory that the host polls, at an address or {@link Window#ANYWHERE}, if the device itself does not choose
     * one.
     */
    record Polled(@Gpa long gpa) implements Reach {
      /** Whether the machine chooses the place. */
      @SuppressWarnings("subtyping") // The comparison of addresses is no address.
      public boolean isAnywhere() {
        return gpa == Window.ANYWHERE;
      }
    }

    /** As memory that traps, 4 KiB from an address that is a multiple of 4096. */
    record Mmio(@Gpa long gpa) implements Reach {
      public Mmio {
        if ((gpa & 4095) != 0) {
          throw new IllegalArgumentException("registers at guest-physical 0x" + Long.toHexString(gpa)
              + ": expected a multiple of 4096");
        }
      }
    }

    /** As ports from a base that is a multiple of 8. */
    record Ports(int base) implements Reach {
      public Ports {
        if ((base & 7) != 0) {
          throw new IllegalArgumentException("registers at port 0x" + Integer.toHexString(base)
              + ": expected a multiple of 8");
        }
      }
    }
  }

  public DeviceSetup {
    Objects.requireNonNull(factory);
    Objects.requireNonNull(reach);
    Objects.requireNonNull(polls);
    Objects.requireNonNull(domain);
    Objects.requireNonNull(limits);
    if (irq < -1 || irq > 15) {
      throw new IllegalArgumentException("interrupt line " + irq + ": expected 0 to 15, or -1 for none");
    }
  }

  private static DeviceSetup of(Supplier<? extends PolledDevice> factory, Reach reach, PollPolicy polls) {
    return new DeviceSetup(factory, reach, polls, DmaDomain.Policy.QUEUES_AND_BUFFERS, StepLimits.DEFAULT, -1, -1);
  }

  /** A device whose windows the host polls. */
  public static DeviceSetup polled(Supplier<? extends PolledDevice> factory, PollPolicy polls) {
    return of(factory, new Reach.Polled(Window.ANYWHERE), polls);
  }

  /** The device behind trapped memory at an address. */
  public static DeviceSetup mmio(Supplier<? extends PolledDevice> factory, @Gpa long gpa) {
    return of(factory, new Reach.Mmio(gpa), PollPolicy.never());
  }

  /** The device behind ports. */
  public static DeviceSetup ports(Supplier<? extends PolledDevice> factory, int base) {
    return of(factory, new Reach.Ports(base), PollPolicy.never());
  }

  /** The first window of a polled device at an address, a multiple of 4096, or {@link Window#ANYWHERE}. */
  public DeviceSetup at(@Gpa long gpa) {
    return new DeviceSetup(factory, new Reach.Polled(gpa), polls, domain, limits, irq, doorbell);
  }

  public DeviceSetup withDomain(DmaDomain.Policy value) {
    return new DeviceSetup(factory, reach, polls, value, limits, irq, doorbell);
  }

  public DeviceSetup withLimits(StepLimits value) {
    return new DeviceSetup(factory, reach, polls, domain, value, irq, doorbell);
  }

  public DeviceSetup withIrq(int value) {
    return new DeviceSetup(factory, reach, polls, domain, limits, value, doorbell);
  }

  public DeviceSetup withDoorbell(int value) {
    return new DeviceSetup(factory, reach, polls, domain, limits, irq, value);
  }
}
