package dev.gnomon.vmm.device;

/**
 * Registers of the MC146818 real-time clock and their bits, by the names of the data sheet.
 *
 * <pre>
 *  00 seconds  01 seconds alarm  02 minutes  03 minutes alarm  04 hours  05 hours alarm
 *  06 day of week (1 = Sunday)   07 day of month   08 month   09 year   0A to 0D registers A to D   0E to 7F memory
 *
 *         7     6     5     4     3     2     1     0
 *  A     UIP  [      DV        ]  [        RS         ]     DV 010: 32768 Hz; 11x: divider in reset
 *  B     SET   PIE   AIE   UIE  SQWE   DM   24/12  DSE      DM 1: binary, 0: BCD
 *  C    IRQF   PF    AF    UF    0     0     0     0        a read clears it
 *  D     VRT    0     0     0    0     0     0     0
 *
 *  hours in 12-hour mode: bit 7 is PM      alarm bytes C0h to FFh match anything
 * </pre>
 */
final class Mc146818Bits {
  static final int SECONDS = 0x00;
  static final int SECONDS_ALARM = 0x01;
  static final int MINUTES = 0x02;
  static final int MINUTES_ALARM = 0x03;
  static final int HOURS = 0x04;
  static final int HOURS_ALARM = 0x05;
  static final int DAY_OF_WEEK = 0x06;
  static final int DAY_OF_MONTH = 0x07;
  static final int MONTH = 0x08;
  static final int YEAR = 0x09;
  static final int REG_A = 0x0A;
  static final int REG_B = 0x0B;
  static final int REG_C = 0x0C;
  static final int REG_D = 0x0D;
  /** Memory byte that firmware and ACPI take for the century. */
  static final int CENTURY = 0x32;

  static final int A_UIP = 1 << 7;
  static final int A_DV_SHIFT = 4;
  static final int A_DV_RESET = 6;
  static final int A_RS = 0x0F;
  static final int A_WRITABLE = 0x7F;

  static final int B_SET = 1 << 7;
  static final int B_PIE = 1 << 6;
  static final int B_AIE = 1 << 5;
  static final int B_UIE = 1 << 4;
  static final int B_SQWE = 1 << 3;
  static final int B_DM = 1 << 2;
  static final int B_24 = 1 << 1;

  static final int C_IRQF = 1 << 7;
  static final int C_PF = 1 << 6;
  static final int C_AF = 1 << 5;
  static final int C_UF = 1 << 4;
  /** The flags lie where their enable bits lie in register B. */
  static final int C_FLAGS = C_PF | C_AF | C_UF;

  static final int D_VRT = 1 << 7;

  static final int HOURS_PM = 1 << 7;
  static final int ALARM_ANY = 0xC0;

  private Mc146818Bits() {
  }
}
