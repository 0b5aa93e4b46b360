/**
 * Shadow paging: the hypervisor's tables that map guest-virtual to host-physical addresses, kept in step with the
 * guest's own by write-protection, by emulation and, for leaf tables, by reading them again when the guest flushes its
 * TLB. The algorithm is Linux KVM's ({@code arch/x86/kvm/mmu/mmu.c}, {@code paging_tmpl.h},
 * {@code Documentation/virt/kvm/x86/mmu.rst}); the code is not. It runs only on exits; what walks the tables is the
 * processor's own walker.
 *
 * <p>Where it differs from KVM: roots of 32-bit guests are cached as well; each page's role tells 4-MiB pages and long
 * mode apart; a supervisor's write to a read-only user page with CR0.WP = 0 and CR4.SMAP = 1 is emulated; a cached root
 * of another role is synchronised before use; INVLPG drops more than its own address from the TLB only if another
 * address can use the entry; the walker's A and D flags reach shadows of the other entry size; after an emulated write
 * of a leaf entry, its shadow is made again at once, as older KVMs did, if prefetching is on.
 */
package dev.gnomon.shadow;
