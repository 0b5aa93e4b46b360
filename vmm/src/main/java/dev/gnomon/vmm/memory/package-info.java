/**
 * Guest-physical memory: the slots that make it up, the host memory behind them, and the E820 map that tells the guest
 * of it.
 *
 * <p>A {@link dev.gnomon.vmm.memory.MemoryLayout} is fixed when the machine is built;
 * {@link dev.gnomon.vmm.memory.MemorySlots} gives it backing and answers the questions of the EPT builder, the shadow
 * MMU and the exit dispatcher. Without a hypervisor guest-physical and host-physical addresses are the same, and
 * {@link dev.gnomon.vmm.memory.NativeMemoryMap} stands for the chipset that keeps devices and read-only memory out of
 * RAM.
 */
package dev.gnomon.vmm.memory;
