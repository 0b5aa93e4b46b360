package dev.gnomon.guest.cpu;

/**
 * The processor's own way to its local APIC: by MSR and by CR8 (SDM vol. 3A, "Advanced Programmable Interrupt
 * Controller"). Its page of memory is reached over the {@link Bus}.
 */
public interface ApicPort {
  /** Bits of IA32_APIC_BASE: bootstrap processor, x2APIC mode, global enable. */
  long BASE_BSP = 1L << 8;
  long BASE_X2APIC = 1L << 10;
  long BASE_ENABLE = 1L << 11;

  /** IA32_APIC_BASE. */
  long base();

  /**
   * Writes IA32_APIC_BASE; its reserved bits are clear.
   *
   * @return whether the change of mode is legal; if not, nothing changed
   */
  boolean writeBase(long value);

  /** Whether IA32_TSC_DEADLINE, or a register of x2APIC mode (800h to 8FFh), can be read now. */
  boolean readable(int msr);

  /** One that is {@link #readable}. */
  long read(int msr);

  /** @return whether the register exists in this mode, can be written and takes the value; if not, nothing changed */
  boolean write(int msr, long value);

  /** CR8: the task-priority class, 0 to 15. */
  int taskPriority();

  /** @param priorityClass 0 to 15 */
  void setTaskPriority(int priorityClass);
}
