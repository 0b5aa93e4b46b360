package dev.gnomon.guest.mmu;

/**
 * Negative results of a translation or of a step of an instruction; zero and above is success (for a translation: the
 * address).
 */
public final class Status {
  public static final int OK = 0;
  /**
   * A guest exception is due; translation: a #PF, its code and address in {@link Translation}; instruction: in the
   * CPU's fault fields.
   */
  public static final int FAULT = -1;
  /**
   * Leave the guest: EPT violation or misconfiguration or another VM exit, details in {@link Translation} or the exit
   * record.
   */
  public static final int EXIT = -2;
  /** Nothing was done: do the instruction again, alone in its block (code changed under it, or it touches a device). */
  public static final int RESTART = -3;

  private Status() {}
}
