package dev.gnomon.vmm.device;

/**
 * Command words of the 8259A, by the names of its data sheet. A0 is the low address bit: 0 for 20h and A0h, 1 for 21h
 * and A1h.
 *
 * <pre>
 *         A0   7    6    5    4    3    2    1    0
 *  ICW1   0    -    -    -    1   LTIM ADI  SNGL IC4
 *  ICW2   1   [ vector base         ]  -    -    -
 *  ICW3   1   master: inputs with a slave; slave: its own number
 *  ICW4   1    0    0    0   SFNM BUF  M/S  AEOI uPM
 *  OCW1   1   interrupt mask
 *  OCW2   0    R    SL   EOI  0    0   [ level    ]
 *  OCW3   0    0   ESMM SMM   0    1    P    RR   RIS
 *  poll        I    0    0    0    0   [ level    ]
 * </pre>
 */
final class Pic8259Bits {
  static final int ICW1 = 1 << 4;
  static final int ICW1_IC4 = 1 << 0;
  static final int ICW1_SNGL = 1 << 1;
  static final int ICW2_BASE = 0xF8;
  static final int ICW4_AEOI = 1 << 1;
  static final int ICW4_SFNM = 1 << 4;

  static final int OCW3 = 1 << 3;
  static final int OCW3_RIS = 1 << 0;
  static final int OCW3_RR = 1 << 1;
  static final int OCW3_POLL = 1 << 2;
  static final int OCW3_SMM = 1 << 5;
  static final int OCW3_ESMM = 1 << 6;

  static final int OCW2_COMMAND_SHIFT = 5;
  static final int OCW2_LEVEL = 7;
  static final int CLEAR_ROTATE_ON_AUTO_EOI = 0;
  static final int NON_SPECIFIC_EOI = 1;
  static final int SPECIFIC_EOI = 3;
  static final int SET_ROTATE_ON_AUTO_EOI = 4;
  static final int ROTATE_ON_NON_SPECIFIC_EOI = 5;
  static final int SET_PRIORITY = 6;
  static final int ROTATE_ON_SPECIFIC_EOI = 7;

  static final int POLL_INTERRUPT = 1 << 7;

  private Pic8259Bits() {
  }
}
