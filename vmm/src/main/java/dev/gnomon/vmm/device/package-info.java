/**
 * The device bus and the trapped devices of a PC, free of any other part of the machine.
 *
 * <p>Every device has one shape, {@link dev.gnomon.vmm.device.Device}: registers that a trap reads and writes, a {@code
 * peek} twin that changes nothing, a deadline in virtual time, and one versioned section of saved state. Time is
 * virtual, in nanoseconds since the machine was switched on, and comes in with each access; a device keeps no clock of
 * its own and never asks the host for the time.
 *
 * <p>Nothing here is safe for several threads: the thread that runs the vCPUs is the only caller. What arrives from
 * outside (console input, modem lines) is handed over by that thread too. No register access throws, whatever the guest
 * writes.
 */
package dev.gnomon.vmm.device;
