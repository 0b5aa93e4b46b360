package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.Window;
import java.util.List;

/** A device of one page, for tests to extend by its step. */
abstract class OnePageDevice implements PolledDevice {
  DeviceContext context;
  @Gpa long page;

  @Override
  public String name() {
    return "device";
  }

  @Override
  public List<Window> windows() {
    return List.of(Window.anywhere(4096));
  }

  @Override
  public void attach(DeviceContext given) {
    context = given;
    page = given.window(0).gpa();
  }
}
