package dev.gnomon.shadow;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * One table that the processor walks, and what the hypervisor knows of it: which guest table (or, direct, which
 * guest-physical range) it stands for. Its 512 entries lie in the modelled host memory; here are KVM's {@code struct
 * kvm_mmu_page} fields.
 */
public final class ShadowPage {
  /** No location: the end of a chain. */
  static final int NONE = -1;

  final @Hpa long spt;
  /** Number of the table's frame in the tables region. */
  final int id;
  final long gfn;
  final int role;
  /** Value of the MMU's generation when the page was made. */
  final int generation;
  /**
   * Of a level-1 page that is not direct: where the guest's entries lie for which its own stand. Of others, anything.
   */
  final @Gpa long guestTable;
  final @Hpa long guestTableHpa;
  /** Guest frame of each leaf entry and the rights that the guest grants it; {@code null} if direct. */
  final long[] gfns;
  final byte[] access;
  /**
   * Chains of entry locations: a leaf entry is in the reverse map's chain of its frame, a link in its child's chain of
   * parents.
   */
  final int[] next = new int[ShadowPte.ENTRIES];
  final int[] prev = new int[ShadowPte.ENTRIES];

  /** Head of the chain of links to this page. */
  int parents = NONE;
  int parentCount;
  /** Level 1 only: the guest may write the table without an exit, so that entries may be out of date. */
  boolean unsync;
  /** Entries below which there may be an unsynchronised page: how many, and which. */
  int unsyncChildren;
  final long[] unsyncChildBitmap;
  /** Emulated writes since a fault last went through the page. */
  int writeFloodingCount;
  /** Cached roots that are this page. */
  int rootCount;
  /** Thrown away, but still a root of some vCPU. */
  boolean invalid;
  /** Next page with the same guest frame. */
  ShadowPage sameGfn;
  ShadowPage older;
  ShadowPage newer;

  ShadowPage(@Hpa long spt, int id, long gfn, int role, int generation, @Hpa long guestTableHpa) {
    this.spt = spt;
    this.id = id;
    this.gfn = gfn;
    this.role = role;
    this.generation = generation;
    boolean direct = Role.direct(role);
    this.guestTable = guestTable(gfn, role);
    this.guestTableHpa = guestTableHpa;
    this.gfns = direct ? null : new long[ShadowPte.ENTRIES];
    this.access = direct ? null : new byte[ShadowPte.ENTRIES];
    this.unsyncChildBitmap = Role.level(role) > 1 ? new long[ShadowPte.ENTRIES / Long.SIZE] : null;
  }

  /** Where the guest's entries lie for which those of a level-1 page stand that is not direct. */
  static @Gpa long guestTable(long gfn, int role) {
    return (gfn << 12) + Role.quadrant(role) * ShadowPte.ENTRIES * GuestPte.size(role);
  }

  /** Host-physical address of the table. */
  public @Hpa long spt() {
    return spt;
  }

  /** Guest frame of the table that is shadowed; of the first byte mapped if direct. */
  public long gfn() {
    return gfn;
  }

  /** Packed as {@link Role} tells. */
  public int role() {
    return role;
  }

  public int level() {
    return Role.level(role);
  }

  public boolean direct() {
    return Role.direct(role);
  }

  public boolean unsync() {
    return unsync;
  }

  int location(int index) {
    return id * ShadowPte.ENTRIES + index;
  }

  @Hpa long entryHpa(int index) {
    return spt + 8L * index;
  }

  /** The guest's entry behind one of a level-1 page that is not direct. */
  long readGuestEntry(HostMemory memory, int index) {
    int size = GuestPte.size(role);
    @Hpa long hpa = guestTableHpa + index * size;
    return size == 8 ? memory.read64(hpa) : memory.read32(hpa);
  }

  /** Guest frame that a leaf entry maps. */
  public long leafGfn(int index) {
    return gfns == null ? gfn + index * ShadowPte.framesPerEntry(level()) : gfns[index];
  }

  boolean mayHaveUnsyncBelow(int index) {
    return (unsyncChildBitmap[index >>> 6] & 1L << index) != 0;
  }

  /** KVM's form, {@code sp gen 0 gfn 1a l1 8-byte q0 wux nxe root 0 sync}. */
  @Override
  public String toString() {
    return "sp gen " + generation + " gfn " + Long.toHexString(gfn) + " " + Role.toString(role)
        + (invalid ? " invalid" : "") + " root " + rootCount
        + (unsync ? " unsync" : " sync");
  }
}
