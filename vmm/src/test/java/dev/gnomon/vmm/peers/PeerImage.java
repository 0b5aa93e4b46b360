package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A ROM's image: a program and the way to it from the reset vector. */
final class PeerImage {
  private static final int PROGRAM_END = 0xA0000;
  private static final int BLOCK = 0x10000;
  private static final int BOOT16 = 0xE000;
  private static final int BOOT32 = 0xE080;
  private static final int BOOT_GDT = 0xE100;
  private static final int RESET_VECTOR = 0xFFF0;

  private PeerImage() {}

  /** A ROM of whole blocks of 64 KiB that copies a program to {@link PeerLayout#PROGRAM} and enters it in ring 0. */
  static byte[] of(byte[] program) {
    if (PROGRAM + program.length > PROGRAM_END) {
      throw new IllegalArgumentException("program of " + program.length + " bytes: expected room for it below A0000h");
    }
    byte[] rom = new byte[(program.length + BLOCK - 1) / BLOCK * BLOCK + BLOCK];
    System.arraycopy(program, 0, rom, 0, program.length);
    boot(rom, program.length);
    return rom;
  }

  private static void boot(byte[] rom, int programBytes) {
    Assembler boot = new Assembler(16);
    boot.cli();
    boot.cld();
    Mem gdtr = Mem.abs(BOOT_GDT - 6);
    boot.seg(CS).encode(0x0F01, 4, 2, gdtr);
    boot.mov(EAX, CR0);
    boot.or(AL, 1);
    boot.mov(CR0, EAX);
    boot.jmpFar(CODE0, 0xF0000L + BOOT32, 4);
    put(rom, BOOT16, boot.assemble(BOOT16));
    Assembler flat = new Assembler(32);
    flat.mov(EAX, DATA0);
    for (Reg segment : new Reg[] {DS, ES, SS}) {
      flat.mov(segment, AX);
    }
    flat.mov(ESP, STACK0);
    flat.mov(ESI, -rom.length);
    flat.mov(EDI, PROGRAM);
    flat.mov(ECX, (programBytes + 3) / 4);
    flat.rep().movsd();
    flat.mov(EAX, PROGRAM);
    flat.jmp(EAX);
    put(rom, BOOT32, flat.assemble(0xF0000 + BOOT32));
    ByteBuffer tables = ByteBuffer.allocate(6 + 24).order(ByteOrder.LITTLE_ENDIAN);
    tables.putShort((short) 23).putInt(0xF0000 + BOOT_GDT).putLong(0).putLong(segment(0, 0xFFFFF, ACCESS_CODE, FLAT))
        .putLong(segment(0, 0xFFFFF, ACCESS_DATA, FLAT));
    put(rom, BOOT_GDT - 6, tables.array());
    Assembler vector = new Assembler(16);
    vector.jmpFar(0xF000, BOOT16, 2);
    put(rom, RESET_VECTOR, vector.assemble(RESET_VECTOR));
  }

  private static void put(byte[] rom, int at, byte[] bytes) {
    System.arraycopy(bytes, 0, rom, rom.length - BLOCK + at, bytes.length);
  }
}
