package dev.gnomon.vmm.device;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Recorders at the far ends of the devices, and saving and loading in memory. */
final class DeviceFixtures {
  private DeviceFixtures() {
  }

  /** An interrupt line that knows its level and how often it rose. */
  static final class RecordingLine implements InterruptLine {
    boolean level;
    int rises;

    @Override
    public void set(boolean value) {
      rises += value && !level ? 1 : 0;
      level = value;
    }
  }

  /** A sink that keeps everything. */
  static final class RecordingSink implements ByteSink {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    @Override
    public void accept(int value) {
      bytes.write(value);
    }

    String text() {
      return bytes.toString(StandardCharsets.ISO_8859_1);
    }
  }

  /** Port accesses of one byte at a time that the test sets. */
  static final class Ports {
    private final DeviceBus bus = new DeviceBus();
    long now;

    Ports(Device... devices) {
      for (Device device : devices) {
        bus.register(device);
      }
    }

    int inb(int port) {
      return bus.in(port, 1, now);
    }

    Ports outb(int value, int port) {
      bus.out(port, 1, value, now);
      return this;
    }

    /** Moves time on, stopping at each deadline on the way. */
    void runTo(long ns) {
      while (bus.nextDeadline() <= ns) {
        now = Math.max(now, bus.nextDeadline());
        bus.advanceTo(now);
      }
      now = ns;
      bus.advanceTo(now);
    }

    DeviceBus bus() {
      return bus;
    }
  }

  static byte[] save(Device device) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      device.save(new DataOutputStream(bytes));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  static void load(Device device, byte[] section) throws IOException {
    device.load(new DataInputStream(new ByteArrayInputStream(section)));
  }
}
