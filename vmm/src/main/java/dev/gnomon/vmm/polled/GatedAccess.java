package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.dma.DmaFault;
import dev.gnomon.vmm.polled.dma.DmaPort;

/** All that a device which is not trusted has of its host, behind a {@link Gate}. */
final class GatedAccess implements DmaPort, DeviceContext, VirtualClock {
  private final Gate gate;
  private final DmaPort port;
  private final DeviceHost host;
  private final DurableState durable;

  GatedAccess(Gate gate, DmaPort port, DeviceHost host) {
    this.gate = gate;
    this.port = port;
    this.host = host;
    this.durable = host.durable();
  }

  @Override
  public long load(@Gpa long gpa, int size) {
    gate.enter();
    try {
      return port.load(gpa, size);
    } finally {
      gate.leave();
    }
  }

  @Override
  public int poll32(@Gpa long gpa) {
    gate.enter();
    try {
      return port.poll32(gpa);
    } finally {
      gate.leave();
    }
  }

  @Override
  public long poll64(@Gpa long gpa) {
    gate.enter();
    try {
      return port.poll64(gpa);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void store(@Gpa long gpa, int size, long value) {
    gate.enter();
    try {
      port.store(gpa, size, value);
    } finally {
      gate.leave();
    }
  }

  @Override
  public boolean read(@Gpa long gpa, byte[] into, int from, int length) {
    gate.enter();
    try {
      return port.read(gpa, into, from, length);
    } finally {
      gate.leave();
    }
  }

  @Override
  public boolean write(@Gpa long gpa, byte[] bytes, int from, int length) {
    gate.enter();
    try {
      return port.write(gpa, bytes, from, length);
    } finally {
      gate.leave();
    }
  }

  @Override
  public byte[] snapshot(@Gpa long gpa, int length) {
    gate.enter();
    try {
      return port.snapshot(gpa, length);
    } finally {
      gate.leave();
    }
  }

  @Override
  public boolean cas32(@Gpa long gpa, int expected, int value) {
    gate.enter();
    try {
      return port.cas32(gpa, expected, value);
    } finally {
      gate.leave();
    }
  }

  @Override
  public boolean cas64(@Gpa long gpa, long expected, long value) {
    gate.enter();
    try {
      return port.cas64(gpa, expected, value);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void fence() {
    gate.enter();
    try {
      port.fence();
    } finally {
      gate.leave();
    }
  }

  @Override
  public DmaFault takeFault() {
    gate.enter();
    try {
      return port.takeFault();
    } finally {
      gate.leave();
    }
  }

  @Override
  public Window window(int index) {
    return host.window(index);
  }

  @Override
  public InterruptSink interrupt() {
    InterruptSink sink = host.interrupt();
    return () -> {
      gate.enter();
      try {
        sink.raise();
      } finally {
        gate.leave();
      }
    };
  }

  /** The host goes on with a copy once the gate is shut. */
  @Override
  public DurableState durable() {
    return durable;
  }

  @Override
  public boolean pin(@Gpa long gpa, long length, boolean write) {
    gate.enter();
    try {
      return host.pin(gpa, length, write);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void unpin(@Gpa long gpa, long length, boolean write) {
    gate.enter();
    try {
      host.unpin(gpa, length, write);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void completed(long id, long written) {
    gate.enter();
    try {
      host.completed(id, written);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void fail(String reason) {
    gate.enter();
    try {
      host.fail(reason);
    } finally {
      gate.leave();
    }
  }

  @Override
  public long nanos() {
    return host.nanos();
  }

  @Override
  public long tsc() {
    return host.tsc();
  }

  @Override
  public void sleepUntil(long ns) {
    gate.enter();
    try {
      host.sleepUntil(ns);
    } finally {
      gate.leave();
    }
  }
}
