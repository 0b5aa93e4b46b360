package dev.gnomon.vmm.polled.device;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.Window;
import java.io.DataInput;
import java.io.IOException;
import java.util.List;

/** What devices with one window have in common. */
abstract class OneWindowDevice implements PolledDevice {
  private final String name;
  private final Window window;
  DeviceContext context;
  /** Where the window lies. */
  @Gpa long base;

  OneWindowDevice(String name, Window window) {
    this.name = name;
    this.window = window;
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final List<Window> windows() {
    return List.of(window);
  }

  @Override
  public final void attach(DeviceContext given) {
    context = given;
    base = given.window(0).gpa();
  }

  /** Reads the version that saved state begins with. @throws IOException if it is another than expected */
  final void checkVersion(DataInput in, int expected) throws IOException {
    int version = in.readInt();
    if (version != expected) {
      throw new IOException(name + ": saved state has version " + version + ", expected " + expected);
    }
  }
}
