package dev.gnomon.bench;

import dev.gnomon.vmm.DirtyLog;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.VmOptions;

/**
 * How a run logs the pages that its guest writes.
 *
 * @param method how writes are found
 * @param period instructions after which the log is fetched, 0 for once at the end
 */
public record DirtyLogPlan(DirtyLog.Method method, long period) {
  public DirtyLogPlan {
    if (period < 0) {
      throw new IllegalArgumentException("dirty log fetched after " + period + " instructions: expected at least 1");
    }
  }

  /** Whether a machine has the method. @throws IllegalArgumentException if not */
  public void check(VmOptions options) {
    boolean byHardware = method != DirtyLog.Method.WRITE_PROTECTION;
    if (!options.mode().virtual()) {
      throw new IllegalArgumentException("dirty log in mode native: expected ept or shadow");
    }
    if (byHardware && (options.mode() != Mode.EPT || !options.eptAccessedDirty())) {
      throw new IllegalArgumentException("dirty log by " + name(method) + " in mode " + options.mode()
          + ": expected mode ept with accessed and dirty flags, or the method wp");
    }
  }

  /** What comes nearest in another mode: null natively, write-protection where there is nothing else. */
  DirtyLogPlan in(Mode mode) {
    return mode == Mode.NATIVE ? null
        : mode == Mode.SHADOW ? new DirtyLogPlan(DirtyLog.Method.WRITE_PROTECTION, period) : this;
  }

  /** The method of a name. */
  public static DirtyLog.Method method(String name) {
    for (DirtyLog.Method method : DirtyLog.Method.values()) {
      if (name(method).equals(name)) {
        return method;
      }
    }
    throw new IllegalArgumentException("'" + name
        + "': expected wp (write-protection), dbit (D flags) or pml (page-modification log)");
  }

  /** The command line's name of a method. */
  public static String name(DirtyLog.Method method) {
    return switch (method) {
      case WRITE_PROTECTION -> "wp";
      case DIRTY_FLAGS -> "dbit";
      case PAGE_MODIFICATION_LOG -> "pml";
    };
  }
}
