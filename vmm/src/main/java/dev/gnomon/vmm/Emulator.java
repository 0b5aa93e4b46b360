package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.shadow.ShadowMmu;

/**
 * Emulates the one instruction that exited, or the delivery of an event that exited, on the processor's own interpreter
 * through the {@link EmulationPort}; and skips instructions whose effect the dispatcher has had already.
 */
final class Emulator {
  /** The instruction is done, or an event that it raised is pending: enter the guest again. */
  static final int DONE = 0;
  /** A triple fault. */
  static final int SHUTDOWN = 1;
  /** The port has no answer. */
  static final int FAILED = 2;

  private static final int DR7_ENABLES = 0xFF;
  /** A locked instruction whose bytes another writer changed is tried again. */
  private static final int ATTEMPTS = 3;
  private static final int LONG_ENTRY = 8;
  private static final int LEGACY_ENTRY = 4;
  /** Doublewords that one write may change. */
  private static final int CHANGEABLE = 4;

  private final Cpu cpu;
  private final GuestCore core;
  private final EmulationPort port;
  /** Null under EPT. */
  private final ShadowMmu shadow;
  private final Translation operand = new Translation();
  /** KVM's {@code insn_emulation} and {@code insn_emulation_fail}. */
  long emulated;
  long failed;

  Emulator(Cpu cpu, GuestCore core, EmulationPort port, ShadowMmu shadow) {
    this.cpu = cpu;
    this.core = core;
    this.port = port;
    this.shadow = shadow;
  }

  /**
   * Debugging is on in the guest, so that the end of an instruction has consequences that only the interpreter knows.
   */
  boolean stepping() {
    return (cpu.systemFlags & (Rflags.TF | Rflags.RF)) != 0 || ((int) cpu.dr[7] & DR7_ENABLES) != 0
        || cpu.pendingDebug != 0;
  }

  /** Retires the instruction at RIP, whose effect has been had. Not while {@link #stepping}. */
  void skip(int length) {
    cpu.rip += length;
    if (!cpu.code64()) {
      cpu.rip &= 0xFFFF_FFFFL;
    }
    cpu.retired++;
    cpu.blockedBySti = false;
    cpu.blockedByMovSs = false;
  }

  /** Emulates the instruction at RIP; one iteration if it repeats. @return DONE, SHUTDOWN or FAILED */
  int instruction() {
    emulated++;
    if (cpu.observer != null) {
      cpu.observer.emulating(cpu.rip);
    }
    port.prepare();
    int status = core.emulateOne(port);
    for (int i = 1; i < ATTEMPTS && status == Status.RESTART; i++) {
      status = core.emulateOne(port);
    }
    return finish(status);
  }

  /**
   * Runs the guest through the port up to a count of retired instructions, exits and all.
   *
   * @return as {@link GuestCore#run}
   */
  int step(GuestCore guest, long limit) {
    port.prepare();
    cpu.mmu.usePort(port);
    int reason = guest.run(limit);
    cpu.mmu.usePort(null);
    if (shadow != null) {
      tellShadow();
    }
    return reason;
  }

  /** Delivers the pending event by software, because its delivery touches what the processor cannot. */
  int delivery() {
    emulated++;
    port.prepare();
    return finish(core.deliverThrough(port));
  }

  private int finish(int status) {
    if (shadow != null) {
      tellShadow();
    }
    if (status != Status.EXIT) {
      return DONE;
    }
    if (cpu.exit.reason == ExitReason.TRIPLE_FAULT) {
      return SHUTDOWN;
    }
    failed++;
    return FAILED;
  }

  /**
   * Tells the shadow MMU of what was written. The port knows where a write began but not how long it was, so one of the
   * size of a guest entry is assumed as far as alignment allows; the shadow MMU reads the entry itself. Where more
   * entries have changed, the write was longer.
   */
  private void tellShadow() {
    for (int i = 0; i < port.stage.writeCount(); i++) {
      @Gpa long gpa = port.stage.write(i);
      int entry = cpu.longMode() || (cpu.cr4 & ControlRegister.CR4_PAE) != 0 ? LONG_ENTRY : LEGACY_ENTRY;
      int size = (int) Math.min(entry, Long.lowestOneBit(Addresses.bits(gpa) | entry));
      long first = Addresses.bits(gpa) & -entry;
      @Gpa long word = gpa & -Long.BYTES;
      for (int doubleword = 0; doubleword < CHANGEABLE; doubleword++) {
        @Gpa long at = word + 4L * doubleword;
        if ((Addresses.bits(at) & -entry) != first && port.stage.changed(i, doubleword)) {
          shadow.guestAlsoWrote(at, LEGACY_ENTRY);
        }
      }
      if (i < port.stage.writeCount() - 1) {
        shadow.guestAlsoWrote(gpa, size);
      } else {
        shadow.guestWrote(gpa, size);
      }
    }
  }

  /**
   * Reads 8 bytes of an instruction's operand again; all ones if they cannot be read, which the instruction itself has
   * found they can.
   */
  long read64(@Gva long gva) {
    long value = 0;
    for (int i = 0; i < Long.BYTES; i++) {
      long hpa = port.translate(gva + i, Access.READ, operand);
      value |= (hpa < 0 ? 0xFF : cpu.memory.read(hpa, 1)) << 8 * i;
    }
    return value;
  }

  /** Makes an exception pending, merged with an event whose delivery was interrupted. @return DONE or SHUTDOWN */
  int inject(int vector, int errorCode, long address) {
    cpu.faultVector = vector;
    cpu.faultErrorCode = errorCode;
    cpu.faultAddress = address;
    if (cpu.observer != null) {
      cpu.observer.injected(vector, Vector.TYPE_HARDWARE_EXCEPTION, Vector.hasErrorCode(vector), errorCode, false);
    }
    return core.raise() == Status.EXIT ? SHUTDOWN : DONE;
  }

  /** {@link #inject} of #GP(0). */
  int injectGp() {
    return inject(Vector.GP, 0, 0);
  }
}
