package dev.gnomon.vmm.polled;

/**
 * What a device that is not trusted passes on its way to its host, one thread at a time. Once it is shut nothing
 * passes, and whoever has shut it knows that nothing is under way behind it.
 */
final class Gate {
  private volatile Thread owner;
  private volatile boolean inside;
  private volatile boolean shut;

  /** Names the one thread that may pass. To be called while no other is inside. */
  void setOwner(Thread thread) {
    owner = thread;
    inside = false;
  }

  Thread owner() {
    return owner;
  }

  /** Passes it, unless it is shut; then nothing is to be done. */
  boolean tryEnter() {
    // Both are volatile: either shut() sees this thread inside, or this thread sees that it is shut.
    inside = true;
    if (shut) {
      inside = false;
      return false;
    }
    return true;
  }

  /** Passes it for a call of the device. @throws IllegalStateException if the thread may not or the gate is shut */
  void enter() {
    if (Thread.currentThread() != owner) {
      throw new IllegalStateException("expected calls only by the thread that calls the device, in its steps");
    }
    if (!tryEnter()) {
      throw new IllegalStateException("the device was stopped: expected no call any more");
    }
  }

  void leave() {
    inside = false;
  }

  boolean isShut() {
    return shut;
  }

  /** Shuts it and waits until nobody is inside. @param meanwhile what whoever is inside may wait for */
  void shut(Runnable meanwhile) {
    shut = true;
    while (inside) {
      meanwhile.run();
      Thread.onSpinWait();
    }
  }
}
