package dev.gnomon.vmm;

import java.util.List;

/**
 * Counts the flushes of other processors' translations that the hypervisor asks for, and gets their vCPUs out of the
 * guest for it (KVM: {@code kvm_flush_remote_tlbs}). EPT and shadow pages belong to the VM, TLBs and roots to a vCPU,
 * so each of these flushes all vCPUs:
 * <ul>
 * <li>EPT: a right or an address is taken away, a page is split, merged, logged or unmapped, a D flag is cleared for
 * the dirty log, everything is zapped (INVEPT);</li>
 * <li>shadow paging: an entry loses rights or changes its frame or key, a guest table is write-protected, a shadow page
 *   is thrown away or a root replaced, a page is logged, an entry that may be cached for another address is
 *   synchronised (all translations of the VPID);</li>
 * <li>all modes, on the part of the model itself: a frame becomes code, so that no soft TLB may store to it.</li>
 * </ul>
 * All vCPUs share the host's thread and only one is in the guest, so that a flush is complete when it has been asked
 * for.
 */
final class RemoteFlushes {
  private final List<Vcpu> vcpus;
  /** KVM's {@code remote_tlb_flush_requests} under EPT; the shadow MMU counts its own. */
  long requests;
  /** KVM's {@code remote_tlb_flush}: requests for which a vCPU had to be interrupted. */
  long interrupting;
  private long lastRequest;

  RemoteFlushes(List<Vcpu> vcpus) {
    this.vcpus = vcpus;
  }

  /** A vCPU's translations were dropped. @param request number of the request, from 1 on */
  void flushed(int vcpu, long request) {
    if (vcpus.get(vcpu).kick() && request != lastRequest) {
      lastRequest = request;
      interrupting++;
    }
  }
}
