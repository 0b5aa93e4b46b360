/**
 * The hypervisor and the machine around the processor: {@link dev.gnomon.vmm.VmBuilder} assembles a
 * {@link dev.gnomon.vmm.Vm} from {@link dev.gnomon.vmm.VmOptions}, its {@link dev.gnomon.vmm.Vcpu} runs it,
 * {@link dev.gnomon.vmm.ExitDispatcher} handles what leaves the guest. Policy follows Linux KVM on Intel processors,
 * and so do the names.
 */
package dev.gnomon.vmm;
