package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.vmm.device.AddressLine20;

/**
 * A virtual processor behind an {@link AddressLine20}. Hardware with VMX has no such line in non-root operation (SDM
 * vol. 3C, "Restrictions on VMX Operation"), so while it is closed the hypervisor runs the guest an instruction at a
 * time through its own walk of the guest's tables, which masks addresses; instructions that exit do so as ever. While
 * it is open, this is the core itself.
 */
final class MaskedCore implements GuestCore {
  private final GuestCore core;
  private final Cpu cpu;
  private final AddressLine20 line;
  /** Set once the emulator is there, which needs this core. */
  private Emulator emulator;

  MaskedCore(GuestCore core, Cpu cpu, AddressLine20 line) {
    this.core = core;
    this.cpu = cpu;
    this.line = line;
  }

  void setEmulator(Emulator emulator) {
    this.emulator = emulator;
  }

  @Override
  public int run(long limit) {
    return line.open() ? core.run(limit) : runMasked(limit);
  }

  private int runMasked(long limit) {
    while (true) {
      long before = cpu.retired;
      int reason = emulator.step(core, Math.min(limit, before + 1));
      boolean goesOn = reason == ExitReason.BUDGET && cpu.retired != before && cpu.retired < limit
          && !cpu.stopRequested;
      if (!goesOn) {
        return reason;
      }
    }
  }

  @Override
  public int emulateOne(Translator port) {
    return core.emulateOne(port);
  }

  @Override
  public void queue(int vector, int type, boolean hasErrorCode, int errorCode, int length) {
    core.queue(vector, type, hasErrorCode, errorCode, length);
  }

  @Override
  public int raise() {
    return core.raise();
  }

  @Override
  public int deliverThrough(Translator port) {
    return core.deliverThrough(port);
  }
}
