package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;

/**
 * Descriptor tables of a 64-bit guest: flat segments for rings 0 and 3, a TSS with a stack for ring 0, and interrupt
 * gates.
 *
 * <pre>
 *  GPA 380000  IDT, 381000 GDT, 382000 TSS
 * </pre>
 */
final class LongModeDescriptors {
  static final @Gpa long IDT = 0x380000;
  static final int IDT_LIMIT = 0xFFF;
  static final @Gpa long GDT = 0x381000;
  static final int GDT_LIMIT = 0x3F;
  static final @Gva long KERNEL_STACK = 0x90000;
  static final int KERNEL_CODE = 0x08;
  static final int KERNEL_DATA = 0x10;
  static final int USER_DATA = 0x1B;
  static final int USER_CODE = 0x23;
  static final int TSS_SELECTOR = 0x28;
  /** 32-bit code of ring 3: compatibility mode. */
  static final int COMPATIBILITY_CODE = 0x3B;
  private static final @Gpa long TSS = 0x382000;
  private static final int RPL = 3;

  private LongModeDescriptors() {}

  static void poke(GuestProgram.Poke memory) {
    memory.write64(GDT + KERNEL_CODE, 0x00AF9B000000FFFFL);
    memory.write64(GDT + KERNEL_DATA, 0x00CF93000000FFFFL);
    memory.write64(GDT + (USER_DATA & ~RPL), 0x00CFF3000000FFFFL);
    memory.write64(GDT + (USER_CODE & ~RPL), 0x00AFFB000000FFFFL);
    memory.write64(GDT + (COMPATIBILITY_CODE & ~RPL), 0x00CFFB000000FFFFL);
    memory.write64(GDT + TSS_SELECTOR, 0x0000890000000067L | (TSS & 0xFFFFFF) << 16 | (TSS >>> 24) << 56);
    memory.write64(GDT + TSS_SELECTOR + 8, 0);
    // RSP0 lies at offset 4, across two aligned words.
    memory.write64(TSS, KERNEL_STACK << 32);
    memory.write64(TSS + 8, KERNEL_STACK >>> 32);
  }

  /** @param userMayCall ring 3 may use INT with the vector */
  static void pokeGate(GuestProgram.Poke memory, int vector, @Gva long target, boolean userMayCall) {
    long rights = userMayCall ? 0xEE00 : 0x8E00;
    memory.write64(IDT + 16L * vector,
        target & 0xFFFF | KERNEL_CODE << 16 | rights << 32 | (target >>> 16 & 0xFFFF) << 48);
    memory.write64(IDT + 16L * vector + 8, target >>> 32);
  }
}
