/**
 * Devices that the guest reaches through shared memory which the host polls, and the same device behind traps to compare with.
 *
 * <p>The device itself is a {@link dev.gnomon.vmm.polled.RequestEngine} with one bounded step over its
 * {@link dev.gnomon.vmm.polled.RequestRegisters}. Whether a poll at a virtual time ({@link dev.gnomon.vmm.polled.PolledRequestDevice}), an
 * MMIO write ({@link dev.gnomon.vmm.polled.MmioRequestDevice}) or a port write ({@link dev.gnomon.vmm.polled.PortRequestDevice}) calls the
 * step is the only difference.
 */
package dev.gnomon.vmm.polled;
