package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;

/**
 * Puts the tables of a PC into its ROM, where operating systems look for them: MP tables at F0000h, ACPI tables at
 * F1000h. The rest of the ROM reads all ones.
 */
public final class Firmware {
  /** Where the RSDP lies. */
  public static final @Gpa long RSDP = 0xF1000;
  /** The I/O APIC's ID, different from any local APIC's. */
  public static final int IO_APIC_ID = 1;
  /** Global system interrupt of IRQ 0. */
  public static final int TIMER_GSI = 2;

  private static final @Gpa long MP_TABLE = 0xF0000;

  private Firmware() {}

  /**
   * Writes the tables.
   *
   * @param cpuid of the processor
   * @param keyboard whether there is a keyboard controller
   */
  public static void install(GuestPhysicalMemory memory, Cpuid cpuid, boolean keyboard) {
    int[] features = cpuid.query(1, 0);
    memory.write(MP_TABLE, MpTable.at(MP_TABLE, features[Cpuid.EAX], features[Cpuid.EDX]));
    memory.write(RSDP, AcpiTables.at(RSDP, keyboard));
  }
}
