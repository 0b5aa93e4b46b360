package dev.gnomon.vmm;

import dev.gnomon.guest.exec.Processor;
import dev.gnomon.guest.mmu.Translator;

/** The processor as its vCPU drives it; a seam for tests that script exits. */
interface GuestCore {
  /** See {@link Processor#run}. */
  int run(long limit);

  /** See {@link Processor#emulateOne}. */
  int emulateOne(Translator port);

  /** Makes an event pending, see {@link dev.gnomon.guest.exec.EventDelivery#queue}. */
  void queue(int vector, int type, boolean hasErrorCode, int errorCode, int length);

  /**
   * Makes the exception in the fault fields pending, see {@link dev.gnomon.guest.exec.EventDelivery#raise}; intercepts
   * do not apply.
   *
   * @return status
   */
  int raise();

  /**
   * Delivers the pending event through another port, see {@link dev.gnomon.guest.exec.EventDelivery#dispatch};
   * intercepts do not apply.
   */
  int deliverThrough(Translator port);

  /** The real processor. */
  static GuestCore of(Processor processor) {
    return new ProcessorCore(processor);
  }
}
