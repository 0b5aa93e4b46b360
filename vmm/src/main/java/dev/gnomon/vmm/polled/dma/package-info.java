/**
 * How devices reach memory, as VT-d has it: each device belongs to a {@link dev.gnomon.vmm.polled.dma.DmaDomain} with
 * second-level tables of its own ({@link dev.gnomon.vmm.polled.dma.SecondLevelTable}), nothing is mapped that was not
 * granted, and what is refused is recorded ({@link dev.gnomon.vmm.polled.dma.DmaFault}). There is no IOMMU for the
 * guest to program, so the addresses that a device uses are guest-physical.
 */
package dev.gnomon.vmm.polled.dma;
