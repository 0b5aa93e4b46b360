package dev.gnomon.guest.cpu;

/** What the VMFUNC instruction does without an exit (SDM vol. 3C, "VM Functions"). */
public interface VmFunctions {
  /** Function 0, in EAX: load the EPT pointer at an index, in ECX, of the EPTP list. */
  int EPTP_SWITCHING = 0;

  /**
   * Does a function.
   *
   * @param function EAX
   * @param argument ECX
   * @return false, with nothing done, if the instruction exits with {@link ExitReason#VMFUNC}
   */
  boolean invoke(int function, int argument);
}
