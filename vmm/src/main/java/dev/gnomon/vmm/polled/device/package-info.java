/**
 * The devices that come with the machine, each an engine that runs polled and trapped alike: requests through a
 * register file ({@link dev.gnomon.vmm.polled.device.RequestDevice}), a ring with one producer and one consumer
 * ({@link dev.gnomon.vmm.polled.device.SharedRing}), and a clock ({@link dev.gnomon.vmm.polled.device.TimerPage}).
 */
package dev.gnomon.vmm.polled.device;
