/**
 * Extended page tables: the hardware that walks them and, apart from it, the software that builds them.
 *
 * <p>Hardware: the formats {@link dev.gnomon.ept.EptPointer}, {@link dev.gnomon.ept.EptEntry},
 * {@link dev.gnomon.ept.SubPageTable}, {@link dev.gnomon.ept.EptViolation} and {@link dev.gnomon.ept.EptMemoryType},
 * the VM-execution controls that concern EPT ({@link dev.gnomon.ept.EptControls}), VMFUNC's
 * {@link dev.gnomon.ept.EptpSwitching}, and {@link dev.gnomon.ept.EptWalker}, the second stage under a guest's page
 * walk, with {@link dev.gnomon.ept.NestedTlb}, the guest-physical mappings that a processor may cache. It decides
 * nothing: what it cannot translate it reports as an EPT violation or misconfiguration.
 *
 * <p>Software: {@link dev.gnomon.ept.EptTables} fills the tables on a violation from the memory slots, and splits,
 * merges, write-protects and unmaps, with rules for single pages; {@link dev.gnomon.ept.SubPageTables} has those of
 * sub-pages. It runs only on an exit and knows the hardware by the formats alone.
 *
 * <p>Source: Intel SDM vol. 3C, "VMX Support for Address Translation", section "The Extended Page Table Mechanism
 * (EPT)"; the software follows the Linux kernel's arch/x86/kvm/mmu.
 */
package dev.gnomon.ept;
