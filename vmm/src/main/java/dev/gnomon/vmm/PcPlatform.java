package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.InterruptSource;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.DebugConsole;
import dev.gnomon.vmm.device.DebugExit;
import dev.gnomon.vmm.device.DelayPort;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.device.ExitRequest;
import dev.gnomon.vmm.device.I8042Absent;
import dev.gnomon.vmm.device.Mc146818;
import dev.gnomon.vmm.device.Pic8259;
import dev.gnomon.vmm.device.Pit8254;
import dev.gnomon.vmm.device.ResetPort;
import dev.gnomon.vmm.device.ResetRequest;
import dev.gnomon.vmm.device.Uart16550;
import dev.gnomon.vmm.device.VgaText;

/**
 * The devices of the modelled PC, wired and on their bus: two 8259, an 8254, a real-time clock, COM1, VGA text, no keyboard controller, reset, delay and
 * debug ports.
 */
public final class PcPlatform {
  private final DeviceBus bus = new DeviceBus();
  private final Pic8259 pic = new Pic8259();
  private final Uart16550 serial;
  private final VgaText screen = new VgaText();
  private final Pit8254 pit;

  private final Mc146818 rtc;

  PcPlatform(PlatformOptions options, ByteSink console, ByteSink debugConsole, ExitRequest exit, ResetRequest reset) {
    pit = new Pit8254(pic.line(0));
    serial = new Uart16550("com1", Uart16550.COM1_PORT, pic.line(Uart16550.COM1_IRQ), console);
    rtc = new Mc146818(pic.line(Mc146818.IRQ), options.rtcStart());
    bus.register(pic);
    bus.register(pit);
    bus.register(rtc);
    bus.register(serial);
    bus.register(screen);
    bus.register(new I8042Absent(reset));
    bus.register(new ResetPort(reset));
    bus.register(new DelayPort(ByteSink.DISCARD));
    bus.register(new DebugConsole(debugConsole));
    bus.register(new DebugExit(exit));
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

  /** The interrupt controller as the processor's pins see it. */
  InterruptSource interrupts() {
    return new InterruptSource() {
      @Override
      public boolean pending() {
        return pic.pending();
      }

      @Override
      public int acknowledge() {
        return pic.acknowledge();
      }
    };
  }
}
