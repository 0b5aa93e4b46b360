package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;

/** The one reused detail object of {@link ShadowMmu#handleFault}. */
public final class FaultInfo {
  /** Why an instruction must be emulated. */
  public enum Reason {
    NONE,
    /** No memory slot holds the address: a device, or nothing. */
    MMIO,
    /** Write to a slot that the guest may only read. */
    READ_ONLY_SLOT,
    /** Write to a guest table that has shadows and must stay write-protected. */
    PAGE_TABLE,
    /**
     * Supervisor write with CR0.WP = 0 to a read-only user page while CR4.SMAP = 1: no shadow entry allows this write
     * and still lets SMAP refuse later accesses. KVM maps the page as a supervisor page all the same, and so loses SMAP
     * on it.
     */
    WP_SMAP,
    /**
     * Supervisor write with CR0.WP = 0 to a page whose protection key, or whose read-only mapping under protection
     * keys, lets no shadow entry allow it: the processor runs with WP = 1.
     */
    WP_KEYS
  }

  public @Gva long gva;
  /** Guest-physical address of the access; meaningless after {@link FaultResult#INJECT}. */
  public @Gpa long gpa;
  /** Page-fault error code to inject. */
  public int errorCode;
  public Reason reason = Reason.NONE;
  /**
   * The page written is one of the tables that translate the address itself, so that throwing its shadows away would
   * not let the write through (KVM's {@code write_fault_to_shadow_pgtable}).
   */
  public boolean writesOwnTable;

  void clear(@Gva long gva) {
    this.gva = gva;
    gpa = 0;
    errorCode = 0;
    reason = Reason.NONE;
    writesOwnTable = false;
  }
}
