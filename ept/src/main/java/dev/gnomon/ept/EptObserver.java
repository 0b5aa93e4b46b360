package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;

/**
 * Hears how the hypervisor fills EPT tables, as KVM's {@code kvmmmu} tracepoints tell it. All methods do nothing by
 * default.
 */
public interface EptObserver {
  /** {@code kvm_mmu_spte_requested}: a fault wants a page mapped. @param gpa first address of the page */
  default void requested(@Gpa long gpa, @Hpa long hpa, int level) {}

  /**
   * {@code kvm_tdp_mmu_spte_changed} and {@code kvm_mmu_set_spte}: an entry was written for a fault or in advance.
   *
   * @param gpa first address that the entry maps
   * @param at where the entry lies
   */
  default void changed(@Gpa long gpa, int level, long old, long entry, @Hpa long at) {}

  /** {@code kvm_mmu_split_huge_page}. */
  default void split(@Gpa long gpa, int level, long entry) {}

  /** {@code kvm_mmu_zap_all_fast}. */
  default void zapAll() {}
}
