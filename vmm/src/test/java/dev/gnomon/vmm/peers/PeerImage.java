package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** What the ROMs have in common: the way from the reset vector to the program, hexadecimal output, and the end. */
final class PeerImage {
  static final int DEBUG_PORT = 0xE9;
  /** In place of an error code where there is none. */
  static final int NO_ERROR_CODE = 0xEEEE_EEEE;
  private static final int EXIT_PORT = 0xF4;
  /** Bochs ends when the word "Shutdown" comes here. */
  private static final int BOCHS_SHUTDOWN_PORT = 0x8900;
  private static final int PROGRAM_END = 0xA0000;
  private static final int BLOCK = 0x10000;
  private static final int BOOT16 = 0xE000;
  private static final int BOOT32 = 0xE080;
  private static final int BOOT_GDT = 0xE100;
  private static final int RESET_VECTOR = 0xFFF0;

  private PeerImage() {}

  /** Whether a vector's exception pushes an error code. */
  static boolean hasErrorCode(int vector) {
    return vector == 8 || vector >= 10 && vector <= 14 || vector == 17;
  }

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

  /** Masks both interrupt controllers. */
  static void maskInterrupts(Assembler a) {
    a.mov(AL, 0xFF);
    a.out(0x21, AL);
    a.out(0xA1, AL);
  }

  /** A routine that writes EAX or RAX with a blank behind it, without leading zeros; changes RAX, RCX, RDX. */
  static void printHex(Assembler a, int bytes) {
    Reg copy = EDX.as(bytes);
    a.mov(copy, EAX.as(bytes));
    a.mov(ECX, 2 * bytes);
    Label skip = a.here();
    a.rol(copy, 4);
    a.test(DL, 0xF);
    Label digits = new Label();
    a.jnz(digits);
    a.dec(ECX);
    a.jnz(skip);
    a.inc(ECX);
    a.bind(digits);
    Label digit = a.here();
    a.mov(AL, DL);
    a.and(AL, 0xF);
    a.add(AL, '0');
    a.cmp(AL, '9');
    Label decimal = new Label();
    a.jbe(decimal);
    a.add(AL, 'a' - '9' - 1);
    a.bind(decimal);
    a.out(DEBUG_PORT, AL);
    a.rol(copy, 4);
    a.dec(ECX);
    a.jnz(digit);
    a.mov(AL, ' ');
    a.out(DEBUG_PORT, AL);
    a.ret();
  }

  /** Ends the machine, whichever it is. */
  static void end(Assembler a) {
    a.mov(AL, 0);
    a.out(EXIT_PORT, AL);
    a.mov(EDX, BOCHS_SHUTDOWN_PORT);
    for (char c : "Shutdown".toCharArray()) {
      a.mov(AL, c);
      a.out(DX, AL);
    }
    Label halt = a.here();
    a.cli();
    a.hlt();
    a.jmp(halt);
  }
}
