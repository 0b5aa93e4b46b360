package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.vmm.device.AcpiPm;
import dev.gnomon.vmm.device.IoApic;
import dev.gnomon.vmm.device.LocalApic;
import dev.gnomon.vmm.memory.MemoryLayout;

/**
 * The machine in AML: the processors, the PCI root bridge with its windows and interrupt routing, the ISA devices
 * behind it, and soft off. There are no methods but {@code _PIC}, which notes whether APICs are in use, and
 * {@code _PRT}, which routes accordingly.
 */
final class Dsdt {
  /** Global system interrupts of the four PCI interrupt lines, from here on; IRQs when the 8259 is in use. */
  static final int PCI_GSI = 16;
  private static final int[] PCI_IRQS = {10, 11, 10, 11};
  private static final int PINS = 4;
  private static final int DEVICES = 32;
  private static final int ANY_FUNCTION = 0xFFFF;

  private static final int LAST_PORT = 0xFFFF;
  private static final int CONFIG_PORT = 0xCF8;
  private static final int CONFIG_PORTS = 8;
  private static final long PAGE = 4096;
  /** Names have four characters. */
  private static final int ONE_DIGIT = 16;

  private Dsdt() {}

  /** The table's body, behind its header. */
  static byte[] body(int processors, boolean keyboard) {
    byte[] s5 = Aml.packageOf(Aml.integer(AcpiPm.SLEEP_TYPE_S5), Aml.integer(AcpiPm.SLEEP_TYPE_S5), Aml.integer(0),
        Aml.integer(0));
    return Aml.join(
        Aml.name("PICF", Aml.integer(0)),
        Aml.method("_PIC", 1, Aml.store(Aml.argument0(), Aml.path("PICF"))),
        Aml.name("_S5", s5),
        Aml.scope("\\_SB", processors(processors), bridge(keyboard)));
  }

  private static byte[] processors(int count) {
    byte[][] devices = new byte[count][];
    for (int id = 0; id < count; id++) {
      String name = String.format(id < ONE_DIGIT ? "CPU%X" : "CP%02X", id);
      devices[id] = Aml.device(name, Aml.name("_HID", Aml.string("ACPI0007")), Aml.name("_UID", Aml.integer(id)));
    }
    return Aml.join(devices);
  }

  private static byte[] bridge(boolean keyboard) {
    Resources windows = new Resources().buses(0, 0xFF).ports(CONFIG_PORT, CONFIG_PORTS).bridgedPorts(0, CONFIG_PORT - 1)
        .bridgedPorts(CONFIG_PORT + CONFIG_PORTS, LAST_PORT)
        .bridgedMemory(Addresses.bits(MemoryLayout.HOLE_START), Addresses.bits(MemoryLayout.ROM_START) - 1)
        .bridgedMemory(Addresses.bits(MemoryLayout.DEVICE_START), Addresses.bits(IoApic.BASE) - 1);
    return Aml.device("PCI0",
        Aml.name("_HID", Aml.eisaId("PNP0A03")),
        Aml.name("_UID", Aml.integer(0)),
        Aml.name("_CRS", windows.toAml()),
        Aml.name("PRTA", routing(true)),
        Aml.name("PRTP", routing(false)),
        Aml.method("_PRT", 0,
            Aml.ifTrue(Aml.path("PICF"), Aml.returnValue(Aml.path("PRTA"))),
            Aml.returnValue(Aml.path("PRTP"))),
        isaBridge(keyboard));
  }

  /** Interrupt lines rotate from device to device, as on a PC's slots. */
  private static byte[] routing(boolean apic) {
    byte[][] routes = new byte[(DEVICES - 1) * PINS][];
    for (int i = 0; i < routes.length; i++) {
      int device = 1 + i / PINS;
      int pin = i % PINS;
      int line = (device + pin) % PINS;
      routes[i] = Aml.packageOf(Aml.integer((long) device << 16 | ANY_FUNCTION), Aml.integer(pin), Aml.integer(0),
          Aml.integer(apic ? PCI_GSI + line : PCI_IRQS[line]));
    }
    return Aml.packageOf(routes);
  }

  private static byte[] isaBridge(boolean keyboard) {
    return Aml.device("ISA",
        Aml.name("_ADR", Aml.integer(1 << 16)),
        isaDevice("PIC", "PNP0000", new Resources().ports(0x20, 2).ports(0xA0, 2).ports(0x4D0, 2).irq(2)),
        isaDevice("TIMR", "PNP0100", new Resources().ports(0x40, 4).irq(0)),
        isaDevice("RTC", "PNP0B00", new Resources().ports(0x70, 2).irq(8)),
        isaDevice("COM1", "PNP0501", new Resources().ports(0x3F8, 8).irq(4)),
        keyboard ? isaDevice("KBD", "PNP0303", new Resources().ports(0x60, 1).ports(0x64, 1).irq(1)) : new byte[0],
        // The rest, so that nothing is put there.
        isaDevice("MBRD", "PNP0C02", new Resources().ports(0x61, 1).ports(0x80, 1).ports(0x92, 1).ports(AcpiPm.PORT, 12)
            .memory(Addresses.bits(IoApic.BASE), PAGE).memory(Addresses.bits(LocalApic.BASE), PAGE)));
  }

  private static byte[] isaDevice(String name, String id, Resources resources) {
    return Aml.device(name, Aml.name("_HID", Aml.eisaId(id)), Aml.name("_UID", Aml.integer(1)),
        Aml.name("_CRS", resources.toAml()));
  }
}
