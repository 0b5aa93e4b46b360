package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;

/** Lets another thread end the run in hand, for Ctrl-C. */
public final class Interruption {
  private volatile boolean requested;
  private volatile Vm running;

  /** Ends the run in hand soon, and keeps others from starting. From any thread. */
  public void request() {
    requested = true;
    Vm vm = running;
    if (vm != null) {
      vm.requestStop();
    }
  }

  /** Whether someone asked. */
  public boolean requested() {
    return requested;
  }

  /** Somebody asked to stop before anything was done. */
  public static final class Interrupted extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /** @throws Interrupted if someone asked */
  public void check() {
    if (requested) {
      throw new Interrupted();
    }
  }

  void running(Vm vm) {
    running = vm;
    if (requested && vm != null) {
      vm.requestStop();
    }
  }
}
