package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The chipset's reset registers: reset control at CF9h and system control port A at 92h (Intel 82371, reset control;
 * IBM PS/2, port 92h).
 *
 * <pre>
 *         7 … 4   3      2        1        0
 *  CF9    0       0   RST_CPU  SYS_RST     0        RST_CPU 0 → 1 resets: hard with SYS_RST, processor INIT without
 *  92h    - (kept)                A20   FAST_RESET  FAST_RESET 0 → 1 resets the processor
 * </pre>
 *
 * <p>CF9h lies inside the PCI configuration address register CF8h to CFBh, which is written as a double word. This
 * device claims all four ports, so that only a byte access reaches reset control and a configuration address never
 * resets the machine. A double word goes to the {@link PciHost} if there is one; every other access finds no PCI bus:
 * reads give all ones. The A20 bit reads back what was
 * written here; the gate itself is {@link AddressLine20}, which the keyboard controller drives too.
 */
public final class ResetPort implements PortDevice {
  private static final int VERSION = 2;
  private static final int PORT_CONFIG_ADDRESS = 0xCF8;
  private static final int PORT_RESET_CONTROL = 0xCF9;
  private static final int PORT_A = 0x92;
  private static final int SYS_RST = 1 << 1;
  private static final int RST_CPU = 1 << 2;
  private static final int RESET_CONTROL_WRITABLE = SYS_RST | RST_CPU;
  private static final int FAST_RESET = 1 << 0;
  private static final int A20 = 1 << 1;

  private final ResetRequest request;
  /** Null if there is no PCI bus. */
  private final PciHost pci;
  private final AddressLine20 line;
  private int resetControl;
  private int portA;

  /** Without a PCI bus. @param request told when a guest asks for a reset */
  public ResetPort(ResetRequest request) {
    this(request, null, new AddressLine20());
  }

  /**
   * With or without a PCI bus.
   *
   * @param request told when a guest asks for a reset
   * @param pci takes configuration addresses; null if there is no PCI bus
   * @param line the gate of address line 20
   */
  public ResetPort(ResetRequest request, PciHost pci, AddressLine20 line) {
    this.line = line;
    this.request = request;
    this.pci = pci;
    reset();
  }

  @Override
  public String name() {
    return "reset";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_A, 1), new PortRange(PORT_CONFIG_ADDRESS, 4));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
    resetControl = 0;
    portA = A20;
    line.set(true);
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    if (port == PORT_A) {
      return portA;
    }
    if (port == PORT_RESET_CONTROL && size == 1) {
      return resetControl;
    }
    boolean address = port == PORT_CONFIG_ADDRESS && size == 4 && pci != null;
    return address ? pci.address() : -1 >>> 32 - 8 * size;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == PORT_A) {
      boolean rises = (value & ~portA & FAST_RESET) != 0;
      portA = value & 0xFF;
      line.set((value & A20) != 0);
      if (rises) {
        request.reset(ResetRequest.Source.PORT_92);
      }
    } else if (port == PORT_RESET_CONTROL && size == 1) {
      boolean rises = (value & ~resetControl & RST_CPU) != 0;
      resetControl = value & RESET_CONTROL_WRITABLE;
      if (rises) {
        boolean hard = (value & SYS_RST) != 0;
        request.reset(hard ? ResetRequest.Source.CF9_HARD : ResetRequest.Source.CF9_SOFT);
      }
    } else if (port == PORT_CONFIG_ADDRESS && size == 4 && pci != null) {
      pci.setAddress(value);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeByte(resetControl);
    out.writeByte(portA);
    out.writeBoolean(line.open());
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    resetControl = in.readUnsignedByte() & RESET_CONTROL_WRITABLE;
    portA = in.readUnsignedByte();
    line.set(in.readBoolean());
  }
}
