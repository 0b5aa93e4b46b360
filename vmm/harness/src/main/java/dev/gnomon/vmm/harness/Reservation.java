package dev.gnomon.vmm.harness;

import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.List;

/** The windows of a device in the machine of a real guest, without the device: that one the harness lets run itself. */
record Reservation(String name, List<Window> windows) implements PolledDevice {
  static DeviceSetup of(Rig.Device device) {
    return DeviceSetup.polled(() -> new Reservation(device.name(), device.windows()), PollPolicy.never());
  }

  @Override
  public void attach(DeviceContext context) {}

  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    return Poll.SLEEP;
  }
}
