package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Translation;

/**
 * Where statistics, traces, watchpoints and reports hang. All methods do nothing by default; a machine without an
 * observer calls none.
 */
public interface Observer {
  /** A TLB was filled after a miss; {@code walk} holds the translation. */
  default void tlbFill(@Gva long gva, int access, Translation walk) {}

  /** Linear translations were dropped: one address, or all if {@code all}. */
  default void tlbFlush(@Gva long gva, boolean all) {}

  /** A VM exit left the guest. */
  default void exit(ExitInfo exit, long retired) {}

  /** The hypervisor has handled the last exit and is about to enter the guest again, or to give up. */
  default void exitHandled(long retired) {}

  /** A VM entry. */
  default void entry(@Gva long rip, long retired) {}

  /**
   * The hypervisor makes an event pending, which the next entry delivers.
   *
   * @param type as in interruption information
   * @param again whether its delivery had begun and was interrupted by the last exit
   */
  default void injected(int vector, int type, boolean hasErrorCode, int errorCode, boolean again) {}

  /** The hypervisor emulates the instruction at RIP. */
  default void emulating(@Gva long rip) {}

  /** An event was delivered through the guest's IDT. */
  default void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {}

  /** A store to a watched frame. */
  default void watchedWrite(@Hpa long hpa, int size, long retired) {}
}
