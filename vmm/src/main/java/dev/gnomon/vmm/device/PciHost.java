package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * PCI configuration space by mechanism #1 (PCI Local Bus Specification 3.0, "Software Generation of Configuration
 * Transactions"): the data ports CFCh to CFFh, and the address register for which {@link ResetPort} holds the ports
 * CF8h to CFBh. On bus 0 are the functions of an Intel 440FX chipset, a host bridge (82441FX, 8086:1237) and an ISA
 * bridge (82371SB, 8086:7000); every other function reads all ones.
 *
 * <pre>
 *  31       30    24  23  16  15    11  10      8  7      2  1  0
 *  enable   0         bus     device    function   register  0  0
 * </pre>
 *
 * <p>Attribute registers of the host bridge and interrupt routing registers of the ISA bridge keep what is written,
 * without effect.
 */
public final class PciHost implements PortDevice {
  private static final int FORMAT = 1;
  private static final int PORT_DATA = 0xCFC;
  private static final int PORTS = 4;
  private static final int ENABLE = 1 << 31;
  private static final int ADDRESS_WRITABLE = ENABLE | 0xFF_FFFC;
  private static final int FUNCTIONS = 256;
  private static final int FUNCTION_SHIFT = 8;
  private static final int BUS_AND_FUNCTION = 0xFFFF;
  private static final int REGISTER = 0xFC;

  private static final int INTEL = 0x8086;
  private static final int HOST_BRIDGE_CLASS = 0x06_0000;
  private static final int ISA_BRIDGE_CLASS = 0x06_0100;
  /** 82441FX: programmable attribute map and SMRAM control. */
  private static final int PAM = 0x59;
  private static final int PAM_BYTES = 7;
  private static final int SMRAM = 0x72;
  /** 82371SB: routing of the four PCI interrupts to IRQs, and passive release. */
  private static final int PIRQ = 0x60;
  private static final int PIRQ_BYTES = 4;
  private static final int RELEASE = 0x82;

  /** By device × 8 + function of bus 0. */
  private final PciFunction[] functions = new PciFunction[FUNCTIONS];
  private int address;

  public PciHost() {
    functions[0] = new PciFunction(INTEL, 0x1237, HOST_BRIDGE_CLASS, 2,
        PciFunction.COMMAND_MASTER | PciFunction.COMMAND_MEMORY, 0).withMemory(PAM, PAM_BYTES).withMemory(SMRAM, 1);
    functions[8] = new PciFunction(INTEL, 0x7000, ISA_BRIDGE_CLASS, 0,
        PciFunction.COMMAND_MASTER | PciFunction.COMMAND_MEMORY | PciFunction.COMMAND_IO, PciFunction.MULTI_FUNCTION)
        .withMemory(PIRQ, PIRQ_BYTES).withMemory(RELEASE, 1);
  }

  @Override
  public String name() {
    return "pci";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_DATA, PORTS));
  }

  @Override
  public int portWidth() {
    return 4;
  }

  @Override
  public void reset() {
    address = 0;
    for (PciFunction function : functions) {
      if (function != null) {
        function.reset();
      }
    }
  }

  int address() {
    return address;
  }

  void setAddress(int value) {
    address = value & ADDRESS_WRITABLE;
  }

  /** The function that is addressed, null if there is none. */
  private PciFunction function() {
    int number = address >>> FUNCTION_SHIFT & BUS_AND_FUNCTION;
    return (address & ENABLE) != 0 && number < FUNCTIONS ? functions[number] : null;
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return peek(port, size);
  }

  @Override
  public int peek(int port, int size) {
    PciFunction function = function();
    return function == null ? -1 >>> 32 - 8 * size : function.read(address & REGISTER | port - PORT_DATA, size);
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    PciFunction function = function();
    if (function != null) {
      function.write(address & REGISTER | port - PORT_DATA, size, value);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(FORMAT);
    out.writeInt(address);
    for (PciFunction function : functions) {
      if (function != null) {
        function.save(out);
      }
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), FORMAT);
    setAddress(in.readInt());
    for (PciFunction function : functions) {
      if (function != null) {
        function.load(in);
      }
    }
  }
}
