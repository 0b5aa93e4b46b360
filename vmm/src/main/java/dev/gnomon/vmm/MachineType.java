package dev.gnomon.vmm;

import java.util.Locale;

/** What devices a machine has. */
public enum MachineType {
  /**
   * Two 8259, an 8254, a real-time clock, COM1, VGA text; no local APIC, ACPI or PCI, so that a kernel starts quickly.
   */
  MINIMAL,
  /**
   * All that an operating system finds on a PC with a 440FX chipset: also local APIC, I/O APIC, ACPI, PCI configuration
   * space, keyboard controller, MTRRs.
   */
  PC;

  /** The type of a name such as {@code pc}. @throws IllegalArgumentException if there is none */
  public static MachineType parse(String text) {
    for (MachineType type : values()) {
      if (type.name().equalsIgnoreCase(text)) {
        return type;
      }
    }
    throw new IllegalArgumentException("machine '" + text + "': expected minimal or pc");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
