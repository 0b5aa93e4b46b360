package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.AcpiPm;
import dev.gnomon.vmm.device.IoApic;
import dev.gnomon.vmm.device.LocalApic;

/**
 * The tables of the Intel MultiProcessor Specification 1.4 for guests that know no ACPI: the floating pointer structure
 * and behind it the configuration table of processors, ISA and PCI bus, I/O APIC and the interrupt wires. The
 * machine starts in virtual wire mode and has no IMCR.
 */
final class MpTable {
  private static final int POINTER_BYTES = 16;
  private static final int POINTER_CHECKSUM = 10;
  private static final int HEADER_LENGTH = 4;
  private static final int HEADER_CHECKSUM = 7;
  private static final int HEADER_COUNT = 34;
  private static final int REVISION = 4;

  private static final int PROCESSOR = 0;
  private static final int BUS = 1;
  private static final int IO_APIC = 2;
  private static final int IO_INTERRUPT = 3;
  private static final int LOCAL_INTERRUPT = 4;
  private static final int ENABLED = 1;
  private static final int BOOTSTRAP = 2;
  private static final int LOCAL_VERSION = 0x14;
  private static final int IO_VERSION = 0x11;
  private static final int PCI_BUS = 0;
  private static final int ISA_BUS = 1;
  private static final int INT = 0;
  private static final int NMI = 1;
  private static final int EXTINT = 3;
  private static final int ISA_IRQS = 16;
  private static final int CASCADE = 2;
  /** Active high, level-triggered. */
  private static final int HIGH_LEVEL = 0xD;
  private static final int ALL_APICS = 0xFF;

  private MpTable() {}

  /**
   * The tables for an address.
   *
   * @param signature CPUID.1:EAX
   * @param features CPUID.1:EDX
   * @param processors how many there are
   */
  static byte[] at(@Gpa long base, int signature, int features, int processors) {
    byte[] pointer = new TableBytes().text("_MP_").u32(Addresses.bits(base) + POINTER_BYTES).u8(1).u8(REVISION).u8(0)
        .padTo(POINTER_BYTES).toArray();
    TableBytes.checksum(pointer, POINTER_CHECKSUM, POINTER_BYTES);

    TableBytes t = new TableBytes();
    t.text("PCMP").u16(0).u8(REVISION).u8(0).text("GNOMON", 8, ' ').text("PC", 12, ' ').u32(0).u16(0).u16(0)
        .u32(Addresses.bits(LocalApic.BASE)).u32(0);
    for (int id = 0; id < processors; id++) {
      t.u8(PROCESSOR).u8(id).u8(LOCAL_VERSION).u8(id == 0 ? ENABLED | BOOTSTRAP : ENABLED).u32(signature)
          .u32(features).u64(0);
    }
    int ioApic = Firmware.ioApicId(processors);
    t.u8(BUS).u8(PCI_BUS).text("PCI   ");
    t.u8(BUS).u8(ISA_BUS).text("ISA   ");
    t.u8(IO_APIC).u8(ioApic).u8(IO_VERSION).u8(ENABLED).u32(Addresses.bits(IoApic.BASE));
    int count = processors + 3;
    for (int irq = 0; irq < ISA_IRQS; irq++) {
      if (irq != CASCADE) {
        int flags = irq == AcpiPm.SCI ? HIGH_LEVEL : 0;
        int input = irq == 0 ? Firmware.TIMER_GSI : irq;
        t.u8(IO_INTERRUPT).u8(INT).u16(flags).u8(ISA_BUS).u8(irq).u8(ioApic).u8(input);
        count++;
      }
    }
    t.u8(LOCAL_INTERRUPT).u8(EXTINT).u16(0).u8(ISA_BUS).u8(0).u8(0).u8(0);
    t.u8(LOCAL_INTERRUPT).u8(NMI).u16(0).u8(ISA_BUS).u8(0).u8(ALL_APICS).u8(1);
    count += 2;
    byte[] table = t.toArray();
    table[HEADER_LENGTH] = (byte) table.length;
    table[HEADER_LENGTH + 1] = (byte) (table.length >> 8);
    table[HEADER_COUNT] = (byte) count;
    TableBytes.checksum(table, HEADER_CHECKSUM, table.length);
    return new TableBytes().bytes(pointer).bytes(table).toArray();
  }
}
