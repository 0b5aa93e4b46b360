package dev.gnomon.vmm.device;

/**
 * Registers of the local APIC and their bits, by the names of the SDM (vol. 3A, "Local APIC Register Address Map").
 * Offsets are those in the page; the MSR of x2APIC mode is {@code 800h + offset / 16}.
 *
 * <pre>
 *  ICR low     DSH 19..18   TM 15   L 14   DS 12   DM 11   delivery mode 10..8   vector 7..0
 *  ICR high    destination 31..24 (x2APIC: all 32 bits)
 *  LVT timer   mode 18..17 (0 one-shot, 1 periodic, 2 TSC-deadline)   M 16   DS 12   vector 7..0
 *  LVT LINTn   M 16   TM 15   RIRR 14   IIPP 13   DS 12   delivery mode 10..8   vector 7..0
 *  SVR         FPC 9   enable 8   vector 7..0
 *  DCR         divider: bits 3, 1, 0 (000: 2 … 110: 128, 111: 1)
 *  ESR         register 7   received vector 6   sent vector 5   redirectable IPI 4
 * </pre>
 */
final class LocalApicBits {
  static final int ID = 0x020;
  static final int VERSION = 0x030;
  static final int TPR = 0x080;
  static final int APR = 0x090;
  static final int PPR = 0x0A0;
  static final int EOI = 0x0B0;
  static final int RRD = 0x0C0;
  static final int LDR = 0x0D0;
  static final int DFR = 0x0E0;
  static final int SVR = 0x0F0;
  static final int ISR = 0x100;
  static final int TMR = 0x180;
  static final int IRR = 0x200;
  static final int ESR = 0x280;
  static final int ICR_LOW = 0x300;
  static final int ICR_HIGH = 0x310;
  static final int LVT_TIMER = 0x320;
  static final int LVT_THERMAL = 0x330;
  static final int LVT_PERFORMANCE = 0x340;
  static final int LVT_LINT0 = 0x350;
  static final int LVT_LINT1 = 0x360;
  static final int LVT_ERROR = 0x370;
  static final int INITIAL_COUNT = 0x380;
  static final int CURRENT_COUNT = 0x390;
  static final int DIVIDE = 0x3E0;
  /** In x2APIC mode only. */
  static final int SELF_IPI = 0x3F0;
  static final int STEP = 0x10;

  static final int LVTS = 6;
  /** Version 14h, an integrated APIC; the number of LVT entries less one in bits 23 to 16. */
  static final int VERSION_VALUE = (LVTS - 1) << 16 | 0x14;

  static final int VECTOR = 0xFF;
  /** Vectors below are reserved for exceptions. */
  static final int FIRST_VECTOR = 16;
  static final int MODE_SHIFT = 8;
  static final int MODE = 7;
  static final int FIXED = 0;
  static final int LOWEST_PRIORITY = 1;
  static final int SMI = 2;
  static final int NMI = 4;
  static final int INIT = 5;
  /** In the ICR: start-up IPI. */
  static final int STARTUP = 6;
  /** In LVT and I/O APIC: an 8259 gives the vector. */
  static final int EXTINT = 7;

  static final int ICR_LOGICAL = 1 << 11;
  static final int ICR_ASSERT = 1 << 14;
  static final int ICR_LEVEL = 1 << 15;
  static final int ICR_SHORTHAND_SHIFT = 18;
  static final int SHORTHAND_SELF = 1;
  static final int SHORTHAND_ALL = 2;
  static final int SHORTHAND_OTHERS = 3;
  static final int ICR_WRITABLE = 0xC_CFFF;

  static final int LVT_MASKED = 1 << 16;
  static final int LVT_LEVEL = 1 << 15;
  static final int TIMER_MODE_SHIFT = 17;
  static final int TIMER_MODE = 3;
  static final int TIMER_PERIODIC = 1;
  static final int TIMER_TSC_DEADLINE = 2;
  static final int TIMER_WRITABLE = TIMER_MODE << TIMER_MODE_SHIFT | LVT_MASKED | VECTOR;
  static final int SOURCE_WRITABLE = LVT_MASKED | MODE << MODE_SHIFT | VECTOR;
  static final int LINT_WRITABLE = SOURCE_WRITABLE | LVT_LEVEL | 1 << 13;
  static final int ERROR_WRITABLE = LVT_MASKED | VECTOR;

  static final int SVR_ENABLE = 1 << 8;
  static final int SVR_WRITABLE = 0x3FF;
  static final int SVR_RESET = 0xFF;

  static final int PRIORITY_CLASS = 0xF0;
  static final int DFR_FLAT = 0xF;
  static final int DFR_SHIFT = 28;
  static final int ID_SHIFT = 24;
  static final int BROADCAST = 0xFF;
  static final int X2_BROADCAST = -1;

  static final int ESR_SENT_VECTOR = 1 << 5;
  static final int ESR_RECEIVED_VECTOR = 1 << 6;
  static final int ESR_REGISTER = 1 << 7;

  private LocalApicBits() {
  }
}
