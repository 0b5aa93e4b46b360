package dev.gnomon.vmm.harness;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.Mode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * Drivers of real x86 code, one for each processor of a machine of 8 MiB: 64-bit code from 1 MiB, 64 KiB for each
 * processor, the first 4 GiB mapped to themselves and write-back, stacks below 90000h, RAM from 200000h on free. No
 * interrupts come but those of the devices, which processor 0 gets.
 *
 * @param mode how the guest's memory is virtualized
 * @param codes each processor's code
 */
public record GuestCode(Mode mode, List<byte[]> codes) {
  /** Where the code of processor 0 lies. */
  public static final @Gpa long CODE = 0x100000;
  /** RAM that nobody uses. */
  public static final @Gpa long DATA = 0x200000;
  /** Most processors. */
  public static final int MAX_PROCESSORS = 8;
  static final long MEMORY_BYTES = 8 << 20;
  private static final int CODE_BYTES = 64 << 10;
  private static final long STACK = 0x90000;
  private static final int STACK_BYTES = 16 << 10;

  /** Doorbell of the first device; those of further ones follow at each fourth port. */
  public static final int DOORBELL_PORT = 0x700;
  /** A 32-bit OUT here says that the request of that number begins. */
  public static final int BEGIN_PORT = 0x780;
  /** A 32-bit OUT here says that the request of that number has been found completed. */
  public static final int END_PORT = 0x784;
  /** A 32-bit OUT here says that the driver is ready: devices may touch what it has named from now on. */
  public static final int READY_PORT = 0x788;
  /** Where the guest ends: F4h, as everywhere. */
  private static final int EXIT_PORT = 0xF4;
  /** ISA interrupt of all devices. */
  public static final int IRQ = 5;

  public GuestCode {
    codes = List.copyOf(codes);
    if (codes.isEmpty() || codes.size() > MAX_PROCESSORS) {
      throw new IllegalArgumentException("code for " + codes.size() + " processors: expected 1 to " + MAX_PROCESSORS);
    }
    for (byte[] code : codes) {
      if (code.length > CODE_BYTES) {
        throw new IllegalArgumentException("code of " + code.length + " bytes: expected at most " + CODE_BYTES);
      }
    }
  }

  /** Assembles a driver for each processor. A processor is at its end when its code is. */
  @SafeVarargs
  public static GuestCode of(Mode mode, Consumer<Assembler>... processors) {
    List<byte[]> codes = new ArrayList<>();
    for (Consumer<Assembler> processor : processors) {
      Assembler a = new Assembler(64);
      a.mov(Reg.RSP, STACK - (long) codes.size() * STACK_BYTES);
      processor.accept(a);
      // With whatever is in AL, so that registers stay as the code leaves them.
      a.out(EXIT_PORT, Reg.AL);
      codes.add(a.assemble(Addresses.bits(code(codes.size()))));
    }
    return new GuestCode(mode, codes);
  }

  /** MOV EAX, value; OUT DX, EAX with a port. */
  public static void out(Assembler a, int port, int value) {
    a.mov(Reg.DX, port);
    a.mov(Reg.EAX, value);
    a.out(Reg.DX, Reg.EAX);
  }

  /** Where a processor's code lies. */
  static @Gpa long code(int processor) {
    return CODE + (long) processor * CODE_BYTES;
  }

  /** All code as one image from {@link #CODE} on. */
  byte[] image() {
    byte[] image = new byte[(codes.size() - 1) * CODE_BYTES + codes.get(codes.size() - 1).length];
    for (int i = 0; i < codes.size(); i++) {
      System.arraycopy(codes.get(i), 0, image, i * CODE_BYTES, codes.get(i).length);
    }
    return image;
  }

  /** Whether it is the same guest, though it was assembled again. */
  boolean isSame(GuestCode other) {
    return mode == other.mode && (codes == other.codes || Arrays.deepEquals(codes.toArray(), other.codes.toArray()));
  }
}
