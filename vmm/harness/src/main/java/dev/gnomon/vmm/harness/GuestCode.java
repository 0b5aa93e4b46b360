package dev.gnomon.vmm.harness;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.vmm.Mode;
import java.util.function.Consumer;

/**
 * A driver of real x86 code: 64-bit code at 1 MiB in a machine of 8 MiB, the first 4 GiB mapped to themselves, a stack below 90000h, RAM from
 * 200000h on free. It is alone with the devices; no other interrupt comes.
 *
 * @param mode how the guest's memory is virtualized
 * @param bytes the code
 */
public record GuestCode(Mode mode, byte[] bytes) {
  /** Where the code lies. */
  public static final long CODE = 0x100000;
  /** RAM that nobody uses. */
  public static final long DATA = 0x200000;
  static final long MEMORY_BYTES = 8 << 20;
  private static final long STACK = 0x90000;

  /** Doorbell of the first device; those of further ones follow at each fourth port. */
  public static final int DOORBELL_PORT = 0x700;
  /** A 32-bit OUT here says that the request of that number begins. */
  public static final int BEGIN_PORT = 0x780;
  /** A 32-bit OUT here says that the request of that number has been found completed. */
  public static final int END_PORT = 0x784;
  /** Where the guest ends: F4h, as everywhere. */
  private static final int EXIT_PORT = 0xF4;
  /** ISA interrupt of all devices. */
  public static final int IRQ = 5;

  /** Assembles a driver. It is at its end when the code is. */
  public static GuestCode of(Mode mode, Consumer<Assembler> code) {
    Assembler a = new Assembler(64);
    a.mov(Reg.RSP, STACK);
    code.accept(a);
    a.mov(Reg.AL, 0);
    a.out(EXIT_PORT, Reg.AL);
    return new GuestCode(mode, a.assemble(CODE));
  }

  /** MOV EAX, value; OUT DX, EAX with a port. */
  public static void out(Assembler a, int port, int value) {
    a.mov(Reg.DX, port);
    a.mov(Reg.EAX, value);
    a.out(Reg.DX, Reg.EAX);
  }
}
