package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.memory.Gva;

/** A processor of a real guest as a driver. */
abstract class GuestActor extends Actor {
  final Rig rig;
  final Cpu cpu;

  GuestActor(String name, Rig rig, GuestMachine machine, int processor, int agent) {
    super(name);
    this.rig = rig;
    this.agent = agent;
    this.cpu = machine.cpu(processor);
    cpu.observer = new Observer() {
      @Override
      public void exit(ExitInfo exit, long retired) {
        interrupted();
        rig.witness().exited(machine, cpu, exit);
      }

      @Override
      public void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {
        interrupted();
      }
    };
  }

  @Override
  String call() {
    return name;
  }

  /** The processor has left its guest, or takes an exception or interrupt. */
  abstract void interrupted();

  abstract boolean isFinished();

  /** What it does, for a report. */
  abstract String waiting();

  /** A device has raised its interrupt. */
  abstract void interrupt();

  /** The machine has been reset. */
  abstract void reboot();
}
