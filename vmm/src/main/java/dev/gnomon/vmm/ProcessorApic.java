package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ApicPort;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.vmm.device.LocalApic;

/** A processor's way to its local APIC: adds the virtual time, and keeps CPUID in step with IA32_APIC_BASE. */
final class ProcessorApic implements ApicPort {
  private final Cpu cpu;
  private final LocalApic apic;
  private final MachineBus bus;

  ProcessorApic(Cpu cpu, LocalApic apic, MachineBus bus) {
    this.cpu = cpu;
    this.apic = apic;
    this.bus = bus;
  }

  @Override
  public long base() {
    return apic.base();
  }

  @Override
  public boolean writeBase(long value) {
    boolean legal = apic.writeBase(value, cpu.now());
    cpu.cpuid.showLocalApic((apic.base() & BASE_ENABLE) != 0);
    bus.checkDeadline();
    return legal;
  }

  @Override
  public boolean readable(int msr) {
    return apic.readable(msr);
  }

  @Override
  public long read(int msr) {
    return apic.readMsr(msr, cpu.now());
  }

  @Override
  public boolean write(int msr, long value) {
    boolean taken = apic.writeMsr(msr, value, cpu.now());
    bus.checkDeadline();
    return taken;
  }

  @Override
  public int taskPriority() {
    return apic.taskPriority();
  }

  @Override
  public void setTaskPriority(int priorityClass) {
    apic.setTaskPriority(priorityClass);
  }
}
