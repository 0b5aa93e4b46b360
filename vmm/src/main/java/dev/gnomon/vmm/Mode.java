package dev.gnomon.vmm;

import java.util.Locale;

/** How the machine translates memory. */
public enum Mode {
  /** No hypervisor: the processor walks the guest's tables. */
  NATIVE,
  /** Nested paging: the processor walks the guest's tables and, for each of their addresses, the EPT tables. */
  EPT,
  /** Shadow paging: the processor walks tables that the hypervisor derives from the guest's. */
  SHADOW;

  /** The mode of that name in either case. */
  public static Mode parse(String text) {
    for (Mode mode : values()) {
      if (mode.name().equalsIgnoreCase(text)) {
        return mode;
      }
    }
    throw new IllegalArgumentException("mode \"" + text + "\": expected native, ept or shadow");
  }

  /** Whether a hypervisor runs the guest. */
  public boolean virtual() {
    return this != NATIVE;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
