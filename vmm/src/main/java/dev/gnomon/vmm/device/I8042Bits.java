package dev.gnomon.vmm.device;

/**
 * The keyboard controller's status and command byte, its commands and the keyboard's (IBM PS/2 Hardware Interface
 * Technical Reference, "Keyboard and Auxiliary Device Controller").
 *
 * <pre>
 *                 7      6      5      4      3     2     1     0
 *  status        PARE  TIMEO   AUXB   KEYL   CMD   SYS   IBF   OBF
 *  command byte   0    XLATE   AUXD   KBDD    0    SYS   AUXI  KBDI     D: disabled, I: interrupt
 * </pre>
 */
final class I8042Bits {
  static final int STATUS_OBF = 1 << 0;
  static final int STATUS_SYS = 1 << 2;
  static final int STATUS_CMD = 1 << 3;
  /** Set: the keyboard is not locked. */
  static final int STATUS_KEYL = 1 << 4;

  static final int KEYBOARD_INTERRUPT = 1 << 0;
  static final int SYSTEM = 1 << 2;
  static final int KEYBOARD_DISABLED = 1 << 4;
  static final int AUX_DISABLED = 1 << 5;
  static final int TRANSLATE = 1 << 6;

  static final int READ_RAM = 0x20;
  static final int WRITE_RAM = 0x60;
  static final int RAM = 0x1F;
  static final int AUX_TEST = 0xA9;
  static final int SELF_TEST = 0xAA;
  static final int KEYBOARD_TEST = 0xAB;
  static final int DISABLE_KEYBOARD = 0xAD;
  static final int ENABLE_KEYBOARD = 0xAE;
  static final int READ_INPUT = 0xC0;
  static final int READ_OUTPUT = 0xD0;
  static final int WRITE_OUTPUT = 0xD1;
  static final int WRITE_KEYBOARD_BUFFER = 0xD2;
  static final int WRITE_AUX_BUFFER = 0xD3;
  static final int WRITE_AUX = 0xD4;
  static final int DISABLE_A20 = 0xDD;
  static final int ENABLE_A20 = 0xDF;
  static final int PULSE = 0xF0;

  static final int SELF_TEST_PASSED = 0x55;
  static final int TEST_PASSED = 0x00;
  static final int TEST_CLOCK_HIGH = 0x02;
  static final int INPUT_NOT_LOCKED = 0x80;
  /** Output port: the processor's reset line, active low; A20; output buffer full. */
  static final int OUTPUT_RESET = 1 << 0;
  static final int OUTPUT_A20 = 1 << 1;
  static final int OUTPUT_OBF = 1 << 4;

  static final int KBD_SET_LEDS = 0xED;
  static final int KBD_ECHO = 0xEE;
  static final int KBD_SCAN_CODES = 0xF0;
  static final int KBD_IDENTIFY = 0xF2;
  static final int KBD_RATE = 0xF3;
  static final int KBD_ENABLE = 0xF4;
  static final int KBD_DISABLE = 0xF5;
  static final int KBD_DEFAULTS = 0xF6;
  static final int KBD_RESEND = 0xFE;
  static final int KBD_RESET = 0xFF;
  static final int KBD_ACK = 0xFA;
  static final int KBD_TEST_PASSED = 0xAA;
  static final int KBD_ID1 = 0xAB;
  static final int KBD_ID2 = 0x83;
  /** The second ID byte as translation makes it. */
  static final int KBD_ID2_TRANSLATED = 0x41;

  private I8042Bits() {
  }
}
