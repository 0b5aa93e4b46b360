package dev.gnomon.vmm.firmware;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.Mc146818;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;

/**
 * Puts the tables of a PC into its ROM, where operating systems look for them: MP tables at F0000h, ACPI tables at
 * F1000h. The rest of the ROM reads all ones.
 */
public final class Firmware {
  /** Where the RSDP lies. */
  public static final @Gpa long RSDP = 0xF1000;
  /** Global system interrupt of IRQ 0. */
  public static final int TIMER_GSI = 2;

  private static final @Gpa long MP_TABLE = 0xF0000;

  // Words of the clock's memory: KiB below and above 1 MiB, and units of 64 KiB above 16 MiB.
  private static final int CMOS_BASE_KIB = 0x15;
  private static final int CMOS_EXTENDED_KIB = 0x17;
  private static final int CMOS_EXTENDED_KIB_AGAIN = 0x30;
  private static final int CMOS_ABOVE_16M = 0x34;
  private static final long BASE_KIB = 640;
  private static final long HIGH_KIB = 1024;
  private static final long KIB_16M = 16 * 1024;
  private static final long WORD = 0xFFFF;

  /** IDs of I/O APICs have four bits. */
  private static final int IO_APIC_IDS = 16;

  private Firmware() {}

  /**
   * The I/O APIC's ID, different from any local APIC's where its width allows that.
   *
   * @param processors how many there are
   */
  public static int ioApicId(int processors) {
    return processors < IO_APIC_IDS ? processors : 0;
  }

  /**
   * Tells the real-time clock's memory how much RAM there is, as setup programs did.
   *
   * @param ramEnd where RAM ends
   */
  public static void describeMemory(Mc146818 rtc, @Gpa long ramEnd) {
    long kib = Addresses.bits(ramEnd) >> 10;
    word(rtc, CMOS_BASE_KIB, Math.min(kib, BASE_KIB));
    long extended = Math.min(Math.max(0, kib - HIGH_KIB), WORD);
    word(rtc, CMOS_EXTENDED_KIB, extended);
    word(rtc, CMOS_EXTENDED_KIB_AGAIN, extended);
    word(rtc, CMOS_ABOVE_16M, Math.min(Math.max(0, kib - KIB_16M) >> 6, WORD));
  }

  private static void word(Mc146818 rtc, int at, long value) {
    rtc.setMemory(at, (int) value & 0xFF);
    rtc.setMemory(at + 1, (int) (value >> 8));
  }

  /**
   * Writes the tables.
   *
   * @param cpuid of the bootstrap processor
   * @param processors how many there are
   * @param keyboard whether there is a keyboard controller
   */
  public static void install(GuestPhysicalMemory memory, Cpuid cpuid, int processors, boolean keyboard) {
    int[] features = cpuid.query(1, 0);
    memory.write(MP_TABLE, MpTable.at(MP_TABLE, features[Cpuid.EAX], features[Cpuid.EDX], processors));
    memory.write(RSDP, AcpiTables.at(RSDP, processors, keyboard));
  }
}
