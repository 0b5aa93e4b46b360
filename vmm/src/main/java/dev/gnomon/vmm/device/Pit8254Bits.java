package dev.gnomon.vmm.device;

/**
 * Control words and status of the 8254, and system control port B (61h), by the names of the data sheets.
 *
 * <pre>
 *                  7     6     5     4     3     2     1     0
 *  control word   [counter ]  [access ]   [   mode      ]   BCD     counter 3: read-back; access 0: latch the count
 *  read-back       1     1    CNT#  STA#  CNT2  CNT1  CNT0   0      CNT# and STA#: 0 = latch
 *  status         OUT   NULL  [access ]   [   mode      ]   BCD
 *  port 61h        0     0    OUT2  REF   IOCK  PAR   SPK  GATE2    bits 0 to 3 are written
 * </pre>
 */
final class Pit8254Bits {
  static final int CONTROL_COUNTER_SHIFT = 6;
  static final int CONTROL_READ_BACK = 3;
  static final int CONTROL_ACCESS_SHIFT = 4;
  static final int CONTROL_ACCESS = 3;
  static final int ACCESS_LATCH = 0;
  static final int ACCESS_LOW = 1;
  static final int ACCESS_HIGH = 2;
  static final int ACCESS_BOTH = 3;
  static final int CONTROL_MODE_SHIFT = 1;
  static final int CONTROL_MODE = 7;
  static final int CONTROL_BCD = 1 << 0;
  /** What a status byte repeats of the control word. */
  static final int CONTROL_REPEATED = 0x3F;

  static final int READ_BACK_NO_COUNT = 1 << 5;
  static final int READ_BACK_NO_STATUS = 1 << 4;
  static final int READ_BACK_COUNTER_SHIFT = 1;

  static final int STATUS_OUT = 1 << 7;
  static final int STATUS_NULL_COUNT = 1 << 6;

  static final int PORT_B_GATE2 = 1 << 0;
  static final int PORT_B_WRITABLE = 0x0F;
  static final int PORT_B_REFRESH = 1 << 4;
  static final int PORT_B_OUT2 = 1 << 5;

  private Pit8254Bits() {
  }
}
