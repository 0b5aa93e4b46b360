package dev.gnomon.vmm.polled.dma;

/**
 * Held while a device takes a step, and by whoever changes what it may reach, so that nothing is taken away in the
 * middle of a step. Reentrant. Unlike a lock it can be taken from a thread that will not give it back.
 */
public final class Boundary {
  private Thread holder;
  private int depth;
  private int waiting;

  /** Waits until nobody else holds it. */
  public synchronized void enter() {
    Thread me = Thread.currentThread();
    boolean interrupted = false;
    while (holder != null && holder != me) {
      waiting++;
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      } finally {
        waiting--;
      }
    }
    holder = me;
    depth++;
    if (interrupted) {
      me.interrupt();
    }
  }

  /** Gives it back, unless it was taken away meanwhile. */
  public synchronized void leave() {
    if (holder == Thread.currentThread() && --depth == 0) {
      release();
    }
  }

  /**
   * Takes it from a thread, if that holds it: its device has been given up, or has ended where {@link #leave} was not
   * reached.
   */
  public synchronized void takeFrom(Thread thread) {
    if (holder == thread) {
      depth = 0;
      release();
    }
  }

  private void release() {
    holder = null;
    notifyAll();
  }

  /** Whether somebody waits for it. */
  synchronized boolean isAwaited() {
    return waiting > 0;
  }
}
