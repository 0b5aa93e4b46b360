package dev.gnomon.vmm.polled;

import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** The request device behind ports: the registers lie at the same offsets from the base port; 64-bit ones are written by halves. */
public final class PortRequestDevice implements PortDevice {
  private static final int WIDTH = 4;

  private final String name;
  private final int base;
  private final TrappedRegisters registers;

  /** @param base first port, a multiple of 4 */
  public PortRequestDevice(String name, int base, RequestEngine engine) {
    this.name = name;
    this.base = base;
    this.registers = new TrappedRegisters(engine);
  }

  /** The device behind the registers. */
  public RequestEngine engine() {
    return registers.engine();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(base, RequestRegisters.SIZE));
  }

  @Override
  public int portWidth() {
    return WIDTH;
  }

  @Override
  public void reset() {
    registers.reset();
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return (int) registers.guestRead(port - base, size);
  }

  @Override
  public int peek(int port, int size) {
    return (int) registers.guestRead(port - base, size);
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    registers.guestWrite(port - base, size, value & 0xFFFF_FFFFL);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    registers.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    registers.load(in, name);
  }
}
