package dev.gnomon.vmm;

import dev.gnomon.ept.EptPointer;
import dev.gnomon.ept.EptTables;
import dev.gnomon.ept.EptWalker;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;

/** A vCPU's hold on its VM's EPT tables: routes exits to them and does the INVEPT that they ask for. */
final class EptMemory {
  private static final int INVEPT_SINGLE = 1;

  final EptTables tables;
  private final EptWalker walker;
  private final Cpu cpu;
  /** KVM's {@code tlb_flush}. */
  long tlbFlushes;

  EptMemory(EptTables tables, EptWalker walker, Cpu cpu) {
    this.tables = tables;
    this.walker = walker;
    this.cpu = cpu;
  }

  /** @return a result of {@link EptTables#violation} */
  int violation(@Gpa long gpa, long qualification) {
    return settle(tables.violation(gpa, qualification));
  }

  /** @return a result of {@link EptTables#misconfiguration} */
  int misconfiguration(@Gpa long gpa) {
    return settle(tables.misconfiguration(gpa));
  }

  /** Maps a range in advance. @throws IllegalArgumentException if the tables do not fit */
  void mapInAdvance(@Gpa long gpa, long length) {
    if (settle(tables.eagerMap(gpa, length)) != EptTables.FIXED) {
      throw new IllegalArgumentException("no frame left for EPT tables of guest-physical 0x" + Long.toHexString(gpa) + " + " + length
          + " bytes");
    }
  }

  private int settle(int result) {
    if ((result & EptTables.INVEPT) != 0) {
      flush();
    }
    return EptTables.result(result);
  }

  /** INVEPT of the VM's context: guest-physical mappings and the combined ones made from them. */
  void flush() {
    tlbFlushes++;
    walker.inveptSingle(walker.eptPointer());
    cpu.mmu.invept(INVEPT_SINGLE, walker.eptPointer() & EptPointer.ADDRESS_MASK);
  }
}
