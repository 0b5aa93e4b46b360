package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.AcpiPm;
import dev.gnomon.vmm.device.Hpet;
import dev.gnomon.vmm.device.IoApic;
import dev.gnomon.vmm.device.LocalApic;

/**
 * The ACPI tables of a PC (ACPI specification 6, "ACPI System Description Tables"): RSDP, RSDT, XSDT, FADT, FACS, MADT,
 * HPET and the {@link Dsdt}, one behind the other.
 */
final class AcpiTables {
  static final int HEADER_BYTES = 36;
  private static final int HEADER_CHECKSUM = 9;
  private static final String OEM = "GNOMON";
  private static final String OEM_TABLE = "GNOMONPC";
  private static final String CREATOR = "GNMN";

  private static final int RSDP_BYTES = 36;
  /** Of the part that ACPI 1.0 defines. */
  private static final int RSDP_V1_BYTES = 20;
  private static final int RSDP_CHECKSUM = 8;
  private static final int RSDP_EXTENDED_CHECKSUM = 32;
  private static final int FACS_BYTES = 64;
  private static final int ALIGNMENT = 64;

  private static final int FADT_REVISION = 3;
  private static final int PROFILE_DESKTOP = 1;
  /** C2 and C3 latencies that say these states are not there. */
  private static final int NO_C2 = 101;
  private static final int NO_C3 = 1001;
  private static final int CENTURY = 0x32;
  private static final int BOOT_LEGACY_DEVICES = 1;
  private static final int BOOT_8042 = 2;
  /**
   * WBINVD works, C1 works, there is no sleep button as fixed hardware, no wake by RTC as fixed hardware, and there is
   * a reset register.
   */
  private static final int FADT_FLAGS = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 10;
  private static final int SPACE_IO = 1;
  private static final int GENERIC_ADDRESS_BYTES = 12;
  private static final int RESET_PORT = 0xCF9;
  private static final int RESET_HARD = 6;

  private static final int MADT_PC_COMPATIBLE = 1;
  /** Active high, level-triggered. */
  private static final int HIGH_LEVEL = 0xD;
  private static final int FIRST_LEVEL_IRQ = AcpiPm.SCI;
  private static final int LAST_LEVEL_IRQ = 11;

  /** 1.28 µs. */
  private static final int HPET_MIN_TICKS = 128;

  private final TableBytes out = new TableBytes();
  private final @Gpa long base;

  private AcpiTables(@Gpa long base) {
    this.base = base;
  }

  /**
   * The tables for an address; the RSDP comes first.
   *
   * @param base a multiple of 64 below 4 GiB
   * @param processors how many there are
   * @param keyboard whether there is a keyboard controller
   */
  static byte[] at(@Gpa long base, int processors, boolean keyboard) {
    return new AcpiTables(base).build(processors, keyboard);
  }

  private byte[] build(int processors, boolean keyboard) {
    out.padTo(ALIGNMENT);
    long facs = add(facs());
    long dsdt = add(table("DSDT", 2, Dsdt.body(processors, keyboard)));
    long fadt = add(table("FACP", FADT_REVISION, fadt(facs, dsdt, keyboard)));
    long madt = add(table("APIC", FADT_REVISION, madt(processors)));
    long hpet = add(table("HPET", 1, hpet()));
    long rsdt = add(table("RSDT", 1, new TableBytes().u32(fadt).u32(madt).u32(hpet).toArray()));
    long xsdt = add(table("XSDT", 1, new TableBytes().u64(fadt).u64(madt).u64(hpet).toArray()));
    byte[] tables = out.toArray();
    System.arraycopy(rsdp(rsdt, xsdt), 0, tables, 0, RSDP_BYTES);
    return tables;
  }

  /** @return the table's guest-physical address */
  private long add(byte[] table) {
    long address = Addresses.bits(base) + out.size();
    out.bytes(table).padTo(out.size() + ALIGNMENT - 1 & -ALIGNMENT);
    return address;
  }

  private static byte[] table(String signature, int revision, byte[] body) {
    byte[] table = new TableBytes().text(signature).u32(HEADER_BYTES + body.length).u8(revision).u8(0).text(OEM)
        .text(OEM_TABLE).u32(1).text(CREATOR).u32(1).bytes(body).toArray();
    TableBytes.checksum(table, HEADER_CHECKSUM, table.length);
    return table;
  }

  private static byte[] rsdp(long rsdt, long xsdt) {
    byte[] table = new TableBytes().text("RSD PTR ").u8(0).text(OEM).u8(2).u32(rsdt).u32(RSDP_BYTES).u64(xsdt).u32(0)
        .toArray();
    TableBytes.checksum(table, RSDP_CHECKSUM, RSDP_V1_BYTES);
    TableBytes.checksum(table, RSDP_EXTENDED_CHECKSUM, RSDP_BYTES);
    return table;
  }

  private static byte[] facs() {
    return new TableBytes().text("FACS").u32(FACS_BYTES).u32(0).u32(0).u32(0).u32(0).u64(0).u8(1).padTo(FACS_BYTES)
        .toArray();
  }

  private static byte[] fadt(long facs, long dsdt, boolean keyboard) {
    TableBytes t = new TableBytes();
    t.u32(facs).u32(dsdt).u8(0).u8(PROFILE_DESKTOP).u16(AcpiPm.SCI);
    // No SMI command port: always in ACPI mode.
    t.u32(0).u32(0);
    t.u32(AcpiPm.PM1_EVENT).u32(0).u32(AcpiPm.PM1_CONTROL).u32(0).u32(0).u32(AcpiPm.PM_TIMER).u32(0).u32(0);
    t.u8(4).u8(2).u8(0).u8(4).u8(0).u8(0).u8(0).u8(0);
    t.u16(NO_C2).u16(NO_C3).u16(0).u16(0).u8(0).u8(0);
    t.u8(0).u8(0).u8(CENTURY).u16(BOOT_LEGACY_DEVICES | (keyboard ? BOOT_8042 : 0)).u8(0).u32(FADT_FLAGS);
    port(t, RESET_PORT, 1, 1).u8(RESET_HARD).u8(0).u8(0).u8(0);
    // Only one of the two FACS addresses may be given.
    t.u64(0).u64(dsdt);
    port(t, AcpiPm.PM1_EVENT, 4, 2);
    none(t);
    port(t, AcpiPm.PM1_CONTROL, 2, 2);
    none(t);
    none(t);
    port(t, AcpiPm.PM_TIMER, 4, 4);
    none(t);
    none(t);
    return t.toArray();
  }

  /** A generic address: ports of so many bytes, to be accessed 1, 2 or 4 at a time. */
  private static TableBytes port(TableBytes t, int port, int bytes, int access) {
    return t.u8(SPACE_IO).u8(8L * bytes).u8(0).u8(1 + Integer.numberOfTrailingZeros(access)).u64(port);
  }

  private static void none(TableBytes t) {
    t.padTo(t.size() + GENERIC_ADDRESS_BYTES);
  }

  private static byte[] madt(int processors) {
    TableBytes t = new TableBytes().u32(Addresses.bits(LocalApic.BASE)).u32(MADT_PC_COMPATIBLE);
    for (int id = 0; id < processors; id++) {
      // Processor, local APIC, enabled.
      t.u8(0).u8(8).u8(id).u8(id).u32(1);
    }
    t.u8(1).u8(12).u8(Firmware.ioApicId(processors)).u8(0).u32(Addresses.bits(IoApic.BASE)).u32(0);
    override(t, 0, Firmware.TIMER_GSI, 0);
    for (int irq = FIRST_LEVEL_IRQ; irq <= LAST_LEVEL_IRQ; irq++) {
      override(t, irq, irq, HIGH_LEVEL);
    }
    // NMI at LINT1 of all processors.
    t.u8(4).u8(6).u8(0xFF).u16(0).u8(1);
    return t.toArray();
  }

  /** IA-PC HPET specification, "The HPET ACPI Description Table (HPET)". */
  private static byte[] hpet() {
    TableBytes t = new TableBytes().u32(Hpet.CAPABILITIES & 0xFFFF_FFFFL);
    // Memory, 64 bits wide.
    t.u8(0).u8(Long.SIZE).u8(0).u8(0).u64(Addresses.bits(Hpet.GPA));
    // Number 0; the fewest ticks between periodic interrupts that a guest keeps up with; no guarantee for the rest of
    // the page.
    return t.u8(0).u16(HPET_MIN_TICKS).u8(0).toArray();
  }

  private static void override(TableBytes t, int irq, int gsi, int flags) {
    t.u8(2).u8(10).u8(0).u8(irq).u32(gsi).u16(flags);
  }
}
