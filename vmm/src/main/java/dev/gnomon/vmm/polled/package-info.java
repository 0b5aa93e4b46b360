/**
 * Devices that the guest reaches through shared memory which the host polls, and the same devices behind traps to
 * compare with.
 *
 * <p>A device is a {@link dev.gnomon.vmm.polled.PolledDevice}: one bounded step over windows of shared memory, which it
 * reaches by a port that lets it touch nothing else. Its {@link dev.gnomon.vmm.polled.DeviceHost} is the hypervisor's
 * side. Whether a poll at a virtual time, a write of trapped memory ({@link dev.gnomon.vmm.polled.MmioFront}) or of a
 * port ({@link dev.gnomon.vmm.polled.PortFront}) calls the step is the only difference.
 */
package dev.gnomon.vmm.polled;
