package dev.gnomon.shadow;

/** Which translations the vCPU must drop from the processor's TLB after the guest changed a control register. */
public enum HardwareFlush {
  NONE,
  /** Those of the current PCID (shadow entries are never global). */
  CURRENT_PCID,
  ALL
}
