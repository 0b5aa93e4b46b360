package dev.gnomon.workloads.kernel;

/**
 * A process as the kernel keeps it, offsets in bytes:
 * <pre>
 *  00 state | 08 number, from 1 | 10 parent (linear) | 18 exit code
 *  20 PML4 (physical) | 28 PML4 of user mode (physical) | 30 CR3 to load in the kernel | 38 CR3 to load for user mode
 *  40 kernel stack (physical) | 48 its pointer while the process waits (linear)
 *  50 fault handler in user mode, 0 if none | 58 count of areas | 60 areas of 18h bytes
 *  300 frame interrupted by the fault handler
 * </pre>
 * An area: 00 first address | 08 address behind the last | 10 flags, see {@link Areas}.
 */
final class ProcessRecord {
  static final int STATE = 0x00;
  static final int NUMBER = 0x08;
  static final int PARENT = 0x10;
  static final int EXIT_CODE = 0x18;
  static final int PML4 = 0x20;
  static final int USER_PML4 = 0x28;
  static final int CR3 = 0x30;
  static final int USER_CR3 = 0x38;
  static final int KERNEL_STACK = 0x40;
  static final int STACK_POINTER = 0x48;
  static final int FAULT_HANDLER = 0x50;
  static final int AREA_COUNT = 0x58;
  static final int AREAS = 0x60;
  static final int SAVED_FRAME = 0x300;
  static final int SIZE = 0x400;

  static final int AREA_START = 0x00;
  static final int AREA_END = 0x08;
  static final int AREA_FLAGS = 0x10;
  static final int AREA_SIZE = 0x18;
  static final int MAX_AREAS = (SAVED_FRAME - AREAS) / AREA_SIZE;

  static final int FREE = 0;
  static final int RUNNABLE = 1;
  /** Ended, and its parent has not asked yet. */
  static final int ZOMBIE = 2;

  /** Most processes at a time. */
  static final int COUNT = 32;

  private ProcessRecord() {}
}
