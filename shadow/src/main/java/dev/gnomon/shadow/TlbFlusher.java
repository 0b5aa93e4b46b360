package dev.gnomon.shadow;

/** The vCPU's hold on its processor's TLB. */
@FunctionalInterface
public interface TlbFlusher {
  /**
   * Drops all translations of the guest, of all PCIDs: a shadow entry lost rights or changed its frame, and any address
   * may have used it.
   */
  void flushAll();
}
