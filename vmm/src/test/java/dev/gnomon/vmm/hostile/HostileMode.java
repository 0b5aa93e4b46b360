package dev.gnomon.vmm.hostile;

/** The modes in which a hostile guest may start. */
enum HostileMode {
  REAL(16, false), PROTECTED_16(16, true), PROTECTED_32(32, true), VIRTUAL_8086(16, true), COMPATIBILITY(32, true),
  LONG(64, true);

  /** Default size of operands. */
  final int bits;
  final boolean isProtected;

  HostileMode(int bits, boolean isProtected) {
    this.bits = bits;
    this.isProtected = isProtected;
  }

  /** Whether interrupts go through gates of 16 bytes and stacks are 64 bits wide. */
  boolean ia32e() {
    return this == COMPATIBILITY || this == LONG;
  }
}
