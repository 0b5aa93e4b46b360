package dev.gnomon.vmm.hostile;

import java.io.ByteArrayOutputStream;
import java.util.Random;

/**
 * Random bytes that are executed: some of them any bytes, most of them phrases that reach far into the processor, such
 * as a register write with one bit flipped, a far transfer to some selector, or a store into a descriptor table.
 */
final class HostileCode {
  private static final int[] PORTS = {0x20, 0x21, 0xA0, 0xA1, 0x40, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x92, 0x3F8,
      0x3FD, 0x3D4,
      0x3D5, 0xCF8, 0xCFC, 0x600, 0x608, 0x510, 0x511, 0x514, 0x518, 0xE0, 0xE4, 0x2000, 0x2004};
  private static final int[] MSRS = {0x10, 0x17, 0x1B, 0x3A, 0x8B, 0xFE, 0x174, 0x175, 0x176, 0x179, 0x1A0, 0x1D9,
      0x200, 0x201, 0x250,
      0x277, 0x2FF, 0x6E0, 0x6E1, 0x800, 0x80B, 0x830, 0x832, 0x838, 0x83F, 0xC0000080, 0xC0000080, 0xC0000081,
          0xC0000082, 0xC0000083,
      0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103, 0xDA0};
  /** Instructions without operands, or whose operand may be anything. */
  private static final int[][] PLAIN = {{0xF4}, {0xFA}, {0xFB}, {0x9C}, {0x9D}, {0xCC}, {0xCE}, {0xCF}, {0xCB},
      {0xC3}, {0xC9}, {0xF1}, {0x60},
      {0x61}, {0x0F, 0xA2}, {0x0F, 0x31}, {0x0F, 0x06}, {0x0F, 0x08}, {0x0F, 0x09}, {0x0F, 0x05}, {0x0F, 0x07}, {0x0F,
          0x34}, {0x0F, 0x35},
      {0x0F, 0x01, 0xF8}, {0x0F, 0x01, 0xC1}, {0x0F, 0x01, 0xD0}, {0x0F, 0x01, 0xD1}, {0x0F, 0xAA}, {0x9B, 0xDB,
          0xE3}, {0xDF, 0xE0},
      {0xD9, 0xE8}, {0xDE, 0xF9}, {0xF3, 0xA4}, {0xF3, 0xAB}, {0xF2, 0xAE}, {0xF3, 0xA6}, {0x6C}, {0x6F}, {0xF3,
          0x6D}, {0x0F, 0xC7, 0xF0},
      {0x48, 0xCF}, {0x48, 0xCB}, {0x66, 0xCF}, {0x27}, {0xD4, 0x0A}, {0x37}, {0xD7}, {0x1E}, {0x07}, {0x17}, {0x0F,
          0xA1}, {0x0F, 0xA9},
      {0x0F, 0x77}, {0x0F, 0x01, 0xCA}, {0x0F, 0x01, 0xCB}, {0x0F, 0x01, 0xEE}, {0x0F, 0x01, 0xEF}};

  private final Random random;
  private final int bits;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private HostileCode(Random random, int bits) {
    this.random = random;
    this.bits = bits;
  }

  static byte[] of(Random random, int bits, int length) {
    HostileCode code = new HostileCode(random, bits);
    while (code.out.size() < length) {
      code.phrase();
    }
    return code.out.toByteArray();
  }

  private void phrase() {
    switch (random.nextInt(22)) {
      case 0, 1, 2, 3, 4 -> randomBytes(1 + random.nextInt(4));
      case 5, 6, 7, 8 -> arithmetic();
      case 9, 10 -> bytes(PLAIN[random.nextInt(PLAIN.length)]);
      case 11 -> controlRegister();
      case 12 -> modelRegister();
      case 13 -> farTransfer();
      case 14 -> segmentLoad();
      case 15 -> port();
      case 16, 17 -> store();
      case 18 -> system();
      case 19 -> bytes(0xCD, random.nextInt(3) == 0 ? random.nextInt(256) : random.nextInt(32));
      case 20 -> branch();
      default -> stack();
    }
  }

  private void bytes(int... values) {
    for (int value : values) {
      out.write(value);
    }
  }

  private void randomBytes(int count) {
    for (int i = 0; i < count; i++) {
      out.write(random.nextInt(256));
    }
  }

  private void number(long value, int size) {
    for (int i = 0; i < size; i++) {
      out.write((int) (value >>> 8 * i));
    }
  }

  /** An operation with a 32-bit operand, in code of any size. */
  private void wide(int... opcode) {
    if (bits == 16) {
      out.write(0x66);
    }
    bytes(opcode);
  }

  /** An instruction with a register operand, or one in memory at a base register. */
  private void arithmetic() {
    int[] opcodes = {0x00, 0x01, 0x02, 0x03, 0x28, 0x29, 0x31, 0x38, 0x84, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8D,
        0xD1, 0xD3, 0xF6, 0xF7,
        0xFE, 0x0FAF, 0x0FB1, 0x0FC1, 0x0FA3, 0x0FB6, 0x0FBC, 0x0F10, 0x0F11, 0x0F58, 0x0F6F, 0x0FEF, 0xD8, 0xD9,
            0xDB, 0xDD, 0xDF, 0x0FAE,
        0x0FC7};
    int opcode = opcodes[random.nextInt(opcodes.length)];
    if (random.nextInt(4) == 0) {
      int[] prefixes = {0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x64, 0x65, 0x48, 0x4F};
      out.write(prefixes[random.nextInt(prefixes.length)]);
    }
    if (opcode > 0xFF) {
      out.write(0x0F);
    }
    bytes(opcode & 0xFF, random.nextInt(256));
  }

  private void controlRegister() {
    int number = new int[] {0, 0, 0, 3, 4, 4, 4, 2, 8}[random.nextInt(9)];
    int prefix = number == 8 ? bits == 64 ? 0x44 : 0xF0 : 0;
    if (prefix != 0) {
      out.write(prefix);
    }
    bytes(0x0F, 0x20, 0xC0 | (number & 7) << 3);
    flipBit(number == 3 ? 10 + random.nextInt(22) : random.nextInt(32));
    if (prefix != 0) {
      out.write(prefix);
    }
    bytes(0x0F, 0x22, 0xC0 | (number & 7) << 3);
  }

  /** In EAX, or in RAX in some 64-bit code. */
  private void flipBit(int bit) {
    if (bits == 64 && random.nextInt(4) == 0) {
      bytes(0x48, 0x0F, 0xBA, 0xF8, random.nextInt(64));
    } else {
      wide(0x0F, 0xBA, 0xF8, bit);
    }
  }

  private void modelRegister() {
    int number = random.nextInt(20) == 0 ? random.nextInt() : MSRS[random.nextInt(MSRS.length)];
    wide(0xB9);
    number(number, 4);
    bytes(0x0F, 0x32);
    if (random.nextInt(3) > 0) {
      flipBit(random.nextInt(32));
    } else {
      wide(0x0F, 0xBA, 0xFA, random.nextInt(32));
    }
    bytes(0x0F, 0x30);
  }

  private int selector() {
    int entry = random.nextInt(3) == 0 ? random.nextInt(HostileGuest.DESCRIPTORS + 2) : 1 + random
        .nextInt(HostileGuest.SOUND_DESCRIPTORS);
    return entry << 3 | (random.nextInt(6) == 0 ? 4 : 0) | (random.nextBoolean() ? 0 : random.nextInt(4));
  }

  private long target() {
    return random.nextInt(4) == 0 ? HostileGuest.CODE + random.nextInt(HostileGuest.CODE_BYTES) : random
        .nextInt(HostileGuest.CODE_BYTES);
  }

  private void farTransfer() {
    if (bits == 64) {
      // Through a pointer in memory that the phrase writes itself.
      bytes(0x66, 0xC7, 0x04, 0x25);
      number(HostileGuest.DATA + 4, 4);
      number(selector(), 2);
      bytes(0xC7, 0x04, 0x25);
      number(HostileGuest.DATA, 4);
      number(target(), 4);
      bytes(0xFF, random.nextBoolean() ? 0x2C : 0x1C, 0x25);
      number(HostileGuest.DATA, 4);
      return;
    }
    boolean wide = random.nextInt(4) == 0;
    if (wide) {
      out.write(0x66);
    }
    out.write(random.nextBoolean() ? 0xEA : 0x9A);
    number(target(), bits == 32 ^ wide ? 4 : 2);
    number(selector(), 2);
  }

  private void segmentLoad() {
    if (bits != 16) {
      out.write(0x66);
    }
    out.write(0xB8);
    number(selector(), 2);
    switch (random.nextInt(6)) {
      case 0 -> bytes(0x0F, 0x00, 0xD0);
      case 1 -> bytes(0x0F, 0x00, 0xD8);
      case 2 -> bytes(0x0F, random.nextBoolean() ? 2 : 3, 0xD8);
      default -> bytes(0x8E, 0xC0 | random.nextInt(6) << 3);
    }
  }

  private void port() {
    out.write(bits == 16 ? 0xBA : 0x66);
    if (bits != 16) {
      out.write(0xBA);
    }
    number(random.nextInt(8) == 0 ? random.nextInt(0x10000) : PORTS[random.nextInt(PORTS.length)], 2);
    out.write(new int[] {0xEC, 0xED, 0xEE, 0xEF}[random.nextInt(4)]);
  }

  /** A random word into a descriptor table, a task-state segment, a page table, or the code itself. */
  private void store() {
    long address = switch (random.nextInt(6)) {
      case 0 -> HostileGuest.GDT + random.nextInt(8 * HostileGuest.DESCRIPTORS);
      case 1 -> HostileGuest.IDT + random.nextInt(0x800);
      case 2 -> HostileGuest.TSS + random.nextInt(0x100);
      case 3 -> HostileGuest.LDT + random.nextInt(0x100);
      case 4 -> HostileGuest.TABLES + 8 * random.nextInt(512 * HostileGuest.TABLE_PAGES);
      default -> HostileGuest.CODE + random.nextInt(HostileGuest.CODE_BYTES);
    };
    switch (bits) {
      case 16 -> bytes(0x67, 0xC6, 0x05);
      case 32 -> bytes(0xC6, 0x05);
      default -> bytes(0xC6, 0x04, 0x25);
    }
    number(address, 4);
    out.write(random.nextInt(256));
  }

  private void system() {
    switch (random.nextInt(8)) {
      // LGDT, LIDT, INVLPG and others of their groups, with any operand.
      case 0 -> bytes(0x0F, 0x01, random.nextInt(256));
      case 1 -> bytes(0x0F, 0x00, random.nextInt(256));
      case 2 -> bytes(0x0F, 0x23, 0xC0 | random.nextInt(64));
      case 3 -> bytes(0x0F, 0x21, 0xC0 | random.nextInt(64));
      case 4 -> bytes(0x0F, random.nextBoolean() ? 0x22 : 0x20, 0xC0 | random.nextInt(64));
      case 5 -> bytes(0x66, 0x0F, 0x38, 0x82, random.nextInt(256));
      case 6 -> bytes(0x8E, random.nextInt(256));
      default -> bytes(0x0F, 0xAE, random.nextInt(256));
    }
  }

  private void branch() {
    switch (random.nextInt(4)) {
      case 0 -> bytes(0x70 | random.nextInt(16), random.nextInt(64));
      case 1 -> bytes(0xE0 | random.nextInt(4), random.nextInt(64) - 48 & 0xFF);
      case 2 -> bytes(0xEB, random.nextInt(100));
      default -> {
        out.write(random.nextBoolean() ? 0xE8 : 0xE9);
        number(random.nextInt(2000) - 1000, bits == 16 ? 2 : 4);
      }
    }
  }

  /** Flags, frames of a far return, or a new stack pointer. */
  private void stack() {
    switch (random.nextInt(5)) {
      case 0 -> {
        out.write(0x68);
        number(random.nextInt(0x400000), bits == 16 ? 2 : 4);
        out.write(0x9D);
      }
      case 1, 2 -> {
        int words = random.nextBoolean() ? 5 : 3;
        long[] frame = {selector(), HostileGuest.STACK - 0x100, random.nextInt(0x400000), selector(), target()};
        for (int i = 5 - words; i < 5; i++) {
          out.write(0x68);
          number(frame[i], bits == 16 ? 2 : 4);
        }
        bytes(random.nextBoolean() ? 0xCF : 0xCB);
      }
      case 3 -> {
        wide(0xBC);
        number(random.nextBoolean() ? HostileGuest.STACK - random.nextInt(0x400) : random.nextInt(), 4);
      }
      default -> bytes(0x50 | random.nextInt(16));
    }
  }
}
