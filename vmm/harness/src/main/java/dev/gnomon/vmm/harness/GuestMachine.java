package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.Checkpoint;
import dev.gnomon.vmm.DirtyLog;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import java.util.List;

/** The machine of a real guest, built once; each schedule begins at its checkpoint. */
abstract class GuestMachine {
  /** RAM from 1 MiB on. */
  private static final String LOGGED_SLOT = "RAM";
  private static final int TOP_LEVEL = 4;

  final Vm vm;
  final HarnessPorts ports;
  private Checkpoint start;
  private boolean logs;

  GuestMachine(VmBuilder builder, List<Rig.Device> devices) {
    ports = new HarnessPorts();
    builder.device(ports);
    for (Rig.Device device : devices) {
      builder.polled(Reservation.of(device));
    }
    vm = builder.build();
  }

  /** Lets each schedule begin where the machine is. */
  final void markStart() {
    start = new Checkpoint(vm);
  }

  /** As it was at the start. */
  void reset() {
    if (logs) {
      logs = false;
      vm.dirtyLog().stop(LOGGED_SLOT);
    }
    start.restore();
  }

  /** Whether a hypervisor is there that does not log writes yet. */
  final boolean canLog() {
    return vm.options().mode() != Mode.NATIVE && !logs;
  }

  final void startLog() {
    logs = true;
    vm.dirtyLog().start(LOGGED_SLOT, DirtyLog.Method.WRITE_PROTECTION);
  }

  final Cpu cpu(int processor) {
    return vm.vcpus().get(processor).cpu();
  }

  /** Where 64-bit code's tables of 4 levels lead, −1 if nowhere. */
  @SuppressWarnings("subtyping") // It becomes an index.
  final @Gpa long guestPhysical(Cpu cpu, @Gva long gva) {
    @Gpa long table = cpu.cr3 & PageTableEntry.ADDRESS;
    for (int level = TOP_LEVEL; level >= 1; level--) {
      int shift = PageTableEntry.shift(level);
      long entry = vm.guestMemory().read(table + (Addresses.bits(gva) >>> shift & 511) * 8, 8);
      if ((entry & PageTableEntry.P) == 0) {
        return -1;
      }
      if (level == 1 || (entry & PageTableEntry.PS) != 0) {
        return PageTableEntry.page(entry, level) + Addresses.offset(gva, 1L << shift);
      }
      table = PageTableEntry.page(entry, 1);
    }
    return -1;
  }
}
