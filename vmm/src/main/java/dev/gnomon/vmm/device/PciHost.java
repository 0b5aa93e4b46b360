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
 * <p>With a disk there is also the IDE function 82371SB (8086:7010, fixed to the ports of the first PC disk controller,
 * without bus mastering), and with firmware in ROM, which would build no ACPI tables otherwise, the power-management
 * function 82371AB (8086:7113), whose ports are fixed.
 *
 * <p>The host bridge's attribute map at 59h to 5Fh is passed on to {@link MemoryAttributes}; a nibble has read enable
 * in bit 0 and write enable in bit 1:
 *
 * <pre>
 *      7    4   3    0            7    4   3    0            7    4   3    0
 *  59  F0000    -             5B  CC000    C8000         5E  E4000    E0000
 *  5A  C4000    C0000         …                          5F  EC000    E8000
 * </pre>
 *
 * <p>SMRAM control and the interrupt routing registers of the ISA bridge keep what is written, without effect.
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

  private static final int IDE_CLASS = 0x01_0100;
  private static final int IDE_TIMING = 0x40;
  private static final int IDE_TIMING_BYTES = 4;
  /** In each channel's timing register. */
  private static final int IDE_DECODE_ENABLE = 0x8000;
  private static final int POWER_CLASS = 0x06_8000;
  private static final int PM_BASE = 0x40;
  private static final int IO_SPACE = 1;
  private static final int PM_ENABLE = 0x80;
  private static final int INTERRUPT_LINE = 0x3C;
  private static final int INTERRUPT_PIN = 0x3D;
  /** Bit 25 of register 58h: commands to the APM port raise SMIs. */
  private static final int APMC_ENABLE_BYTE = 0x5B;
  private static final int APMC_ENABLE = 0x02;
  private static final int READ_ENABLE = 1;
  private static final int WRITE_ENABLE = 2;

  private static final int IDE_FUNCTION = 9;
  private static final int POWER_FUNCTION = 11;

  /** By device × 8 + function of bus 0. */
  private final PciFunction[] functions = new PciFunction[FUNCTIONS];
  private final MemoryAttributes attributes;
  private final int[] nibbles = new int[MemoryAttributes.SEGMENTS];
  private int address;

  /** A chipset whose attribute map has no effect. */
  public PciHost() {
    this(MemoryAttributes.FIXED);
  }

  /** @param attributes follows the attribute map */
  public PciHost(MemoryAttributes attributes) {
    this.attributes = attributes;
    functions[0] = new PciFunction(INTEL, 0x1237, HOST_BRIDGE_CLASS, 2,
        PciFunction.COMMAND_MASTER | PciFunction.COMMAND_MEMORY, 0).withMemory(PAM, PAM_BYTES).withMemory(SMRAM, 1);
    functions[8] = new PciFunction(INTEL, 0x7000, ISA_BRIDGE_CLASS, 0,
        PciFunction.COMMAND_MASTER | PciFunction.COMMAND_MEMORY | PciFunction.COMMAND_IO, PciFunction.MULTI_FUNCTION)
        .withMemory(PIRQ, PIRQ_BYTES).withMemory(RELEASE, 1);
  }

  /** Adds the disk controller's function. */
  public PciHost withIde() {
    functions[IDE_FUNCTION] = new PciFunction(INTEL, 0x7010, IDE_CLASS, 0, PciFunction.COMMAND_IO, 0)
        .with(IDE_TIMING, 2, IDE_DECODE_ENABLE).withMemory(IDE_TIMING, IDE_TIMING_BYTES)
        .withMemory(PciFunction.COMMAND, 1);
    return this;
  }

  /**
   * Adds the power-management function. It says that its SMIs are in use already, as QEMU does for a processor without
   * system-management mode, so that firmware does not wait for one.
   */
  public PciHost withPowerManagement() {
    functions[POWER_FUNCTION] = new PciFunction(INTEL, 0x7113, POWER_CLASS, 3, PciFunction.COMMAND_IO, 0)
        .with(PM_BASE, 4, AcpiPm.FIRMWARE_PORT | IO_SPACE).with(PM_ENABLE, 1, 1).with(APMC_ENABLE_BYTE, 1, APMC_ENABLE)
        .with(INTERRUPT_PIN, 1, 1).withMemory(PM_ENABLE, 1).withMemory(INTERRUPT_LINE, 1);
    return this;
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
    followAttributes();
  }

  /** Passes changes of the attribute map on. */
  private void followAttributes() {
    for (int segment = 0; segment < MemoryAttributes.SEGMENTS; segment++) {
      int at = segment == MemoryAttributes.LAST ? PAM : PAM + 1 + segment / 2;
      boolean high = segment == MemoryAttributes.LAST || segment % 2 == 1;
      int nibble = functions[0].read(at, 1) >> (high ? 4 : 0) & (READ_ENABLE | WRITE_ENABLE);
      if (nibble != nibbles[segment]) {
        nibbles[segment] = nibble;
        attributes.set(segment, (nibble & READ_ENABLE) != 0, (nibble & WRITE_ENABLE) != 0);
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
      if (function == functions[0]) {
        followAttributes();
      }
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
    followAttributes();
  }
}
