package dev.gnomon.ept;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.VmFunctions;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * VM function 0, EPTP switching (SDM vol. 3C, "EPTP Switching"): the guest chooses among the EPT pointers of a list
 * that the hypervisor made, without an exit. What is cached of other pointers' tables stays, told apart by EP4TA; PDPTE
 * registers stay too.
 */
public final class EptpSwitching implements VmFunctions {
  /** Pointers in the list, 8 bytes each. */
  public static final int LIST_ENTRIES = 512;

  private final HostMemory memory;
  private final EptWalker walker;
  private final Cpu cpu;
  private final @Hpa long list;

  /** @param list page of {@link #LIST_ENTRIES} pointers */
  public EptpSwitching(EptWalker walker, Cpu cpu, @Hpa long list) {
    this.memory = cpu.memory;
    this.walker = walker;
    this.cpu = cpu;
    this.list = list;
  }

  @Override
  public boolean invoke(int function, int argument) {
    if (function != EPTP_SWITCHING || Integer.compareUnsigned(argument, LIST_ENTRIES) >= 0) {
      return false;
    }
    long pointer = memory.read64(list + 8L * argument);
    if (!EptPointer.isValid(pointer, walker.capabilities())) {
      return false;
    }
    walker.setEptPointer(pointer);
    cpu.mmu.setTags(cpu.mmu.paging.vpid, EptPointer.ep4ta(pointer));
    cpu.intercepts.eptpIndex = argument;
    return true;
  }
}
