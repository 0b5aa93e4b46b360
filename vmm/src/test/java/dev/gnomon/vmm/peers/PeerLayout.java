package dev.gnomon.vmm.peers;

/**
 * Where things lie in the guest that runs here and on other emulators. All of it is below 1 MiB and mapped to itself.
 *
 * <pre>
 * 00000  interrupt vectors of real and virtual-8086 mode
 * 01000  GDT     restored before each case, and compared behind it:
 * 02000  IDT     what a case changed is in its result
 * 03000  task-state segment
 * 04000  LDT
 * 05000  other tasks
 * 06000  page directory, 07000 page table: restored, not compared
 * 08000  engine's variables
 * 0B000  stack of interrupts to ring 0, 0C000 ring 1, 0D000 ring 2, 0E000 ring 3 (tops)
 * 10000  code and data of 16 bits
 * 20000  program
 * </pre>
 */
final class PeerLayout {
  static final int GDT = 0x1000;
  static final int IDT = 0x2000;
  static final int TSS = 0x3000;
  static final int LDT = 0x4000;
  /** A 32-bit task at {@link #TASK32}'s base, a 16-bit one at {@link #TASK16}'s. */
  static final int TSS32 = 0x5000;
  static final int TSS16 = 0x5100;
  /** Words that cases write and whose values are in the result. */
  static final int SCRATCH = 0x5200;
  static final int COMPARED_END = 0x5400;
  static final int DIRECTORY = 0x6000;
  static final int TABLE = 0x7000;
  static final int RESTORED_END = 0x8000;
  static final int VARIABLES = 0x8000;
  static final int STACK0 = 0xA000;
  static final int INNER0 = 0xB000;
  static final int INNER1 = 0xC000;
  static final int INNER2 = 0xD000;
  static final int STACK3 = 0xE000;
  static final int CODE16 = 0x10000;
  static final int PROGRAM = 0x20000;

  // Selectors: flat 32-bit code and data of each ring, and others.
  static final int CODE0 = 0x08;
  static final int DATA0 = 0x10;
  static final int CODE1 = 0x18 | 1;
  static final int DATA1 = 0x20 | 1;
  static final int CODE2 = 0x28 | 2;
  static final int DATA2 = 0x30 | 2;
  static final int CODE3 = 0x38 | 3;
  static final int DATA3 = 0x40 | 3;
  /** 16-bit code and data at {@link #CODE16}, ring 0. */
  static final int CODE16_0 = 0x48;
  static final int DATA16_0 = 0x50;
  static final int TASK = 0x58;
  static final int TASK32 = 0x60;
  static final int TASK16 = 0x68;
  static final int LOCAL = 0x70;
  /** 32-bit code whose base is {@link #PROGRAM}, for gates with offsets of 16 bits. */
  static final int CODE_NEAR = 0x78;
  /** From here on cases put their own descriptors. */
  static final int FREE = 0x80;
  static final int GDT_BYTES = 0x100;

  /** The vector by which a case ends, from any ring. */
  static final int DONE = 0x30;
  /** The vector by which handlers outside ring 0 hand over. */
  static final int HAND_OVER = 0x31;
  /** A vector for cases. */
  static final int USER = 0x20;

  static final int ACCESS_CODE = 0x9B;
  static final int ACCESS_DATA = 0x93;
  static final int FLAT = 0xC;

  private PeerLayout() {}

  static int code(int ring) {
    return CODE0 + 0x10 * ring | ring;
  }

  static int data(int ring) {
    return DATA0 + 0x10 * ring | ring;
  }

  /** Segment descriptor: base, limit in its units, access byte, flags (G, D/B, L, AVL). */
  static long segment(long base, long limit, int access, int flags) {
    return limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (long) access << 40 | (limit >>> 16 & 0xF) << 48
        | (long) flags << 52
        | (base >>> 24 & 0xFF) << 56;
  }

  /** Gate descriptor: target, access byte, parameters. */
  static long gate(int selector, long offset, int access, int count) {
    return offset & 0xFFFF | (long) selector << 16 | (long) count << 32 | (long) access << 40
        | (offset >>> 16 & 0xFFFF) << 48;
  }
}
