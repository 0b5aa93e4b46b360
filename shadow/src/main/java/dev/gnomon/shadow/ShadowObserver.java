package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;

/** Hears what KVM's {@code kvmmmu} tracepoints tell; all methods do nothing by default. */
public interface ShadowObserver {
  /** {@code kvm_mmu_pagetable_walk}: a walk of the guest's tables by software begins. @param errorCode of the access */
  default void pagetableWalk(@Gva long gva, int errorCode) {}

  /** {@code kvm_mmu_paging_element}: that walk read an entry. */
  default void pagingElement(long gpte, int level) {}

  /** {@code kvm_mmu_walker_error}: that walk found the access not allowed. */
  default void walkerError(int errorCode) {}

  /** {@code kvm_mmu_get_page}: a shadow page was looked up and found, or made. */
  default void getPage(ShadowPage page, boolean created) {}

  /** {@code kvm_mmu_sync_page}. */
  default void syncPage(ShadowPage page) {}

  /** {@code kvm_mmu_unsync_page}. */
  default void unsyncPage(ShadowPage page) {}

  /** {@code kvm_mmu_prepare_zap_page}. */
  default void zapPage(ShadowPage page) {}

  /** {@code kvm_mmu_set_spte} and {@code mark_mmio_spte}. */
  default void setSpte(ShadowPage page, int index, long spte) {}

  /** {@code kvm_mmu_set_accessed_bit}, {@code kvm_mmu_set_dirty_bit}: the guest's entry at that address got A or D. */
  default void setAccessedOrDirty(@Gpa long gpa, long gpte) {}
}
