package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Translation;

/** Where statistics, traces, watchpoints and reports hang. All methods do nothing by default; a machine without an observer calls none. */
public interface Observer {
  /** A TLB was filled after a miss; {@code walk} holds the translation. */
  default void tlbFill(@Gva long gva, int access, Translation walk) {}

  /** Linear translations were dropped: one address, or all if {@code all}. */
  default void tlbFlush(@Gva long gva, boolean all) {}

  /** A VM exit left the guest. */
  default void exit(ExitInfo exit, long retired) {}

  /** An event was delivered through the guest's IDT. */
  default void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {}

  /** A store to a watched frame. */
  default void watchedWrite(@Hpa long hpa, int size, long retired) {}
}
