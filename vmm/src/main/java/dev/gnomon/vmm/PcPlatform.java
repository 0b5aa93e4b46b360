package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.InterruptSource;
import dev.gnomon.vmm.device.AcpiPm;
import dev.gnomon.vmm.device.AddressLine20;
import dev.gnomon.vmm.device.ApicBus;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.CoprocessorError;
import dev.gnomon.vmm.device.DebugConsole;
import dev.gnomon.vmm.device.DebugExit;
import dev.gnomon.vmm.device.DelayPort;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.device.DiskImage;
import dev.gnomon.vmm.device.ExitRequest;
import dev.gnomon.vmm.device.FwCfg;
import dev.gnomon.vmm.device.Hpet;
import dev.gnomon.vmm.device.I8042;
import dev.gnomon.vmm.device.I8042Absent;
import dev.gnomon.vmm.device.IdeChannel;
import dev.gnomon.vmm.device.InterruptLine;
import dev.gnomon.vmm.device.IoApic;
import dev.gnomon.vmm.device.LocalApic;
import dev.gnomon.vmm.device.LocalApicPage;
import dev.gnomon.vmm.device.Mc146818;
import dev.gnomon.vmm.device.PcTestDevice;
import dev.gnomon.vmm.device.PciHost;
import dev.gnomon.vmm.device.Pic8259;
import dev.gnomon.vmm.device.Pit8254;
import dev.gnomon.vmm.device.PowerRequest;
import dev.gnomon.vmm.device.ResetPort;
import dev.gnomon.vmm.device.ResetRequest;
import dev.gnomon.vmm.device.Uart16550;
import dev.gnomon.vmm.device.VgaText;
import dev.gnomon.vmm.firmware.Firmware;
import java.util.ArrayList;
import java.util.List;

/**
 * The devices of the modelled PC, wired and on their bus. Each interrupt line of a machine with APICs goes to the 8259
 * pair and to the I/O APIC, to the input of its own number but for IRQ 0, which is global system interrupt 2 as on a
 * PC.
 */
public final class PcPlatform {

  /** IRQs 9 to 11: SCI and PCI interrupts. */
  private static final int LEVEL_IRQS = 0xE00;
  private static final int ISA_IRQS = 16;
  /** The input at which the second 8259 hangs. */
  private static final int CASCADE = 2;

  private final DeviceBus bus = new DeviceBus();
  private final Pic8259 pic;
  private final Uart16550 serial;
  private final VgaText screen = new VgaText();
  private final Pit8254 pit;
  private final Mc146818 rtc;
  /** Null on a minimal machine, as are I/O APIC, power management and high-precision timers. */
  private final LocalApic localApic;
  /** By processor; empty on a minimal machine. */
  private final List<LocalApic> localApics = new ArrayList<>();
  /** Null with one processor. */
  private final LocalApicPage localApicPage;
  private final IoApic ioApic;
  private final AcpiPm acpi;
  private final Hpet hpet;
  /** Null if there is none. */
  private final I8042 keyboard;
  private final CoprocessorError coprocessorError;
  private final AddressLine20 addressLine20 = new AddressLine20();

  /**
   * What a machine with a 440FX has beside its options; null or nothing without.
   *
   * @param shadowRam behind the attribute map
   * @param fwCfg filled already
   * @param disks of the first IDE channel, which is not there without
   * @param firmware whether the machine starts with firmware in ROM, and so in the state of a reset
   */
  record Chipset(ShadowRam shadowRam, FwCfg fwCfg, List<DiskImage> disks, boolean firmware) {
    static final Chipset NONE = new Chipset(null, null, List.of(), false);
  }

  PcPlatform(PlatformOptions options, List<Cpu> cpus, Chipset chipset, ByteSink console, ByteSink debugConsole,
      ExitRequest exit, ResetRequest reset, PowerRequest power) {
    if (options.machine() == MachineType.PC) {
      ApicBus apicBus = new ApicBus();
      for (Cpu cpu : cpus) {
        LocalApic apic =
            new LocalApic(localApics.size(), apicBus, () -> cpu.tscOffset, () -> signalNmi(cpu), options.x2Apic());
        apic.setStartupListener(() -> cpu.stopRequested = true);
        localApics.add(apic);
      }
      localApic = localApics.get(0);
      localApicPage = localApics.size() == 1 ? null : new LocalApicPage(localApics, bus);
      if (!chipset.firmware()) {
        localApic.setAsFirmware();
      }
      ioApic = new IoApic(apicBus);
      ioApic.setId(Firmware.ioApicId(cpus.size()));
      pic = new Pic8259(localApic::setLint0);
    } else {
      localApic = null;
      localApicPage = null;
      ioApic = null;
      pic = new Pic8259();
    }
    hpet = options.machine() == MachineType.PC ? new Hpet(this::gsi) : null;
    pit = new Pit8254(unlessReplaced(line(Pit8254.IRQ)));
    rtc = new Mc146818(unlessReplaced(line(Mc146818.IRQ)), options.rtcStart());
    // Teaching systems never set OUT2, as QEMU does not ask for it.
    boolean gated = options.machine() != MachineType.PC;
    serial = new Uart16550("com1", Uart16550.COM1_PORT, line(Uart16550.COM1_IRQ), console, gated);
    bus.register(pic);
    bus.register(pit);
    bus.register(rtc);
    bus.register(serial);
    bus.register(screen);
    keyboard = options.keyboard() ? new I8042(line(I8042.IRQ), reset, addressLine20) : null;
    bus.register(keyboard != null ? keyboard : new I8042Absent(reset));
    if (options.machine() == MachineType.PC) {
      PciHost pci = new PciHost(chipset.shadowRam());
      if (!chipset.disks().isEmpty()) {
        pci.withIde();
        bus.register(new IdeChannel(line(IdeChannel.IRQ), chipset.disks()));
      }
      if (chipset.firmware()) {
        pci.withPowerManagement();
      }
      bus.register(chipset.shadowRam());
      bus.register(chipset.fwCfg());
      bus.register(hpet);
      bus.register(new PcTestDevice(this::gsi));
      acpi = new AcpiPm(chipset.firmware() ? AcpiPm.FIRMWARE_PORT : AcpiPm.PORT, line(AcpiPm.SCI), power);
      bus.register(new ResetPort(reset, pci, addressLine20));
      bus.register(pci);
      bus.register(acpi);
      if (!chipset.firmware()) {
        pic.setLevelTriggered(LEVEL_IRQS);
      }
    } else {
      acpi = null;
      bus.register(new ResetPort(reset, null, addressLine20));
    }
    coprocessorError =
        new CoprocessorError(line(CoprocessorError.IRQ), () -> cpus.get(0).ignoresCoprocessorError = true);
    bus.register(coprocessorError);
    bus.register(new DelayPort(ByteSink.DISCARD));
    bus.register(new DebugConsole(debugConsole));
    bus.register(new DebugExit(exit));
    if (localApic != null) {
      bus.register(localApicPage != null ? localApicPage : localApic);
      if (localApicPage == null) {
        localApic.setPageListener(() -> bus.move(localApic, localApic.page()));
      }
      bus.register(ioApic);
    }
  }

  private static void signalNmi(Cpu cpu) {
    cpu.nmiPending = true;
    cpu.stopRequested = true;
  }

  private InterruptLine line(int irq) {
    InterruptLine toPic = pic.line(irq);
    if (ioApic == null) {
      return toPic;
    }
    InterruptLine toIoApic = ioApic.line(irq == Pit8254.IRQ ? Firmware.TIMER_GSI : irq);
    return level -> {
      toPic.set(level);
      toIoApic.set(level);
    };
  }

  /** A wire that carries nothing while a high-precision timer has taken its device's place. */
  private InterruptLine unlessReplaced(InterruptLine line) {
    return hpet == null ? line : level -> {
      if (!hpet.replacesLegacy()) {
        line.set(level);
      }
    };
  }

  /** The wire of an ISA interrupt, for a device that is not of this platform. */
  InterruptLine irq(int number) {
    return line(number);
  }

  /** The wire of a global system interrupt, 0 to 23: the I/O APIC's, and the 8259's where there is one of it. */
  private InterruptLine gsi(int number) {
    boolean isa = number < ISA_IRQS && number != CASCADE;
    return number == Firmware.TIMER_GSI ? line(Pit8254.IRQ) : isa ? line(number) : ioApic.line(number);
  }

  public DeviceBus bus() {
    return bus;
  }

  public Pic8259 pic() {
    return pic;
  }

  public Pit8254 pit() {
    return pit;
  }

  public Mc146818 rtc() {
    return rtc;
  }

  /** COM1. */
  public Uart16550 serial() {
    return serial;
  }

  public VgaText screen() {
    return screen;
  }

  /** The bootstrap processor's local APIC, null if it has none. */
  public LocalApic localApic() {
    return localApic;
  }

  /** The local APICs by processor; empty if there are none. */
  public List<LocalApic> localApics() {
    return List.copyOf(localApics);
  }

  LocalApicPage localApicPage() {
    return localApicPage;
  }

  /** Null if there is none. */
  public IoApic ioApic() {
    return ioApic;
  }

  /** ACPI's registers, null if there are none. */
  public AcpiPm acpi() {
    return acpi;
  }

  /** The latch of IRQ 13. */
  CoprocessorError coprocessorError() {
    return coprocessorError;
  }

  /** The gate that port 92h and the keyboard controller open and close. */
  public AddressLine20 addressLine20() {
    return addressLine20;
  }

  /** Null if there is none. */
  public I8042 keyboard() {
    return keyboard;
  }

  /** The interrupt controllers as a processor sees them; the 8259's interrupts reach the bootstrap processor alone. */
  InterruptSource interrupts(int processor) {
    return processor == 0 ? new InterruptController(pic, localApic)
        : new InterruptController(null, localApics.get(processor));
  }
}
