package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Bus;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.memory.DeviceAddress;

/**
 * The processor's way to the devices, and the hypervisor's: adds the virtual time. A write that brings a device's
 * deadline nearer stops the processor, so that the deadline is not run over.
 */
final class MachineBus implements Bus {
  /** The processor that runs. */
  private Cpu cpu;
  private final DeviceBus devices;
  private final Runnable coprocessorError;
  /** Virtual time at which the running processor stops anyhow. */
  long runsUntil = Long.MAX_VALUE;
  /** Accesses to devices or to nothing, by port and by memory. */
  long ioAccesses;
  long mmioAccesses;

  /** @param coprocessorError told when the processor asserts FERR# */
  MachineBus(Cpu cpu, DeviceBus devices, Runnable coprocessorError) {
    this.coprocessorError = coprocessorError;
    this.cpu = cpu;
    this.devices = devices;
  }

  /** Another processor runs from now on. */
  void select(Cpu running) {
    cpu = running;
  }

  @Override
  public int in(int port, int size) {
    ioAccesses++;
    int value = devices.in(port, size, cpu.now());
    checkDeadline();
    return value;
  }

  @Override
  public void out(int port, int size, int value) {
    ioAccesses++;
    devices.out(port, size, value, cpu.now());
    checkDeadline();
  }

  @Override
  public long mmioRead(@Hpa long hpa, int size) {
    mmioAccesses++;
    long value = devices.mmioRead(DeviceAddress.gpa(hpa), size, cpu.now());
    checkDeadline();
    return value;
  }

  @Override
  public void mmioWrite(@Hpa long hpa, int size, long value) {
    mmioAccesses++;
    devices.mmioWrite(DeviceAddress.gpa(hpa), size, value, cpu.now());
    checkDeadline();
  }

  @Override
  public void coprocessorError() {
    coprocessorError.run();
    cpu.stopRequested = true;
  }

  /** Stops the processor if something must happen before it would stop anyhow. */
  void checkDeadline() {
    if (devices.nextDeadline() < runsUntil) {
      cpu.stopRequested = true;
    }
  }
}
