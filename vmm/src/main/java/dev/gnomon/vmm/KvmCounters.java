package dev.gnomon.vmm;

/** A vCPU's counts by KVM's names in camel case, as far as neither the exit statistics nor the shadow MMU have them. */
final class KvmCounters {
  /** {@code io_exits}: port instructions. */
  long ioExits;
  /** {@code mmio_exits}: instructions emulated because they access a device's memory. */
  long mmioExits;
  /** {@code irq_exits}: host interrupts, here the timers of devices. */
  long irqExits;
  long irqWindowExits;
  /** {@code request_irq_exits}: entries with an interrupt waiting that cannot be taken yet. */
  long requestIrqExits;
  long haltExits;
  long irqInjections;
  long hypercalls;
  /**
   * Events delivered again because an exit interrupted their delivery; KVM has only the tracepoint's
   * {@code [reinjected]}.
   */
  long reinjections;
  // Under EPT; the shadow MMU counts its own.
  long pfTaken;
  long pfFixed;
  long pfEmulate;
  long pfSpurious;
}
