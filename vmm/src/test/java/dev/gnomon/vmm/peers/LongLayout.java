package dev.gnomon.vmm.peers;

/**
 * Where things lie in the guest of 64-bit mode, besides what it shares with {@link PeerLayout}: tables, selectors of
 * rings, program, vectors.
 *
 * <pre>
 * 01000  GDT, 02000 IDT, 03000 task-state segment, 04000 LDT, 05200 scratch: restored and compared
 * 06000  PML4, 07000 PDPT, 08000 page directory, 09000 page table: restored
 * 0A000  engine's variables
 * 0B000  stack of ring 0; 0C000, 0D000, 0E000 of interrupts to ring 0 to 2, 10000 of cases by ring (tops)
 * 10000  interrupt stacks, 400h bytes each
 * 18000  code of 16 and 32 bits
 * 100000 a page for cases
 * 1FF000 what lies at the edges of the canonical halves, too
 * </pre>
 *
 * The first 4 MiB are mapped to themselves for everybody, at FFFF8000_00000000 too, and the page at 1FF000 also at
 * 00007FFF_FFFFF000 and FFFFFFFF_FFFFF000.
 */
final class LongLayout {
  static final int PML4 = 0x6000;
  static final int PDPT = 0x7000;
  static final int DIRECTORY = 0x8000;
  static final int TABLE = 0x9000;
  static final int RESTORED_END = 0xA000;
  static final int VARIABLES = 0xA000;
  static final int STACK0 = 0xB000;
  static final int INNER0 = 0xC000;
  static final int INNER1 = 0xD000;
  static final int INNER2 = 0xE000;
  static final int STACK3 = 0x1_0000;
  static final int CODE32 = 0x18000;
  static final int PAGE = 0x10_0000;
  static final int EDGE = 0x1F_F000;
  /** First address that is not canonical, and where its hole ends. */
  static final long HOLE = 0x0000_8000_0000_0000L;
  static final long HIGH = 0xFFFF_8000_0000_0000L;

  /** Code of 32 bits in rings 0 and 3, of 16 bits in ring 3. */
  static final int CODE32_0 = 0x48;
  static final int CODE32_3 = 0x50 | 3;
  static final int CODE16_3 = 0x78 | 3;
  /** 16-byte descriptors. */
  static final int TASK = 0x58;
  static final int LOCAL = 0x68;

  static final int FLAT64 = 0xA;
  /** Interrupt stack by which a case ends. */
  static final int IST_DONE = 7;
  /** Offset of the first in the task-state segment. */
  static final int TSS_RSP0 = 4;
  static final int TSS_IST1 = 36;

  private LongLayout() {}

  /** Top of an interrupt stack, 1 to 7. */
  static int ist(int number) {
    return 0x1_0000 + 0x400 * number;
  }

  /** Address of the pointer to an interrupt stack, 1 to 7. */
  static int istPointer(int number) {
    return PeerLayout.TSS + TSS_IST1 + 8 * (number - 1);
  }
}
