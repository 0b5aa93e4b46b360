package dev.gnomon.shadow;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.shadow.FaultInfo.Reason;

/**
 * A vCPU's software shadow MMU, after Linux KVM's ({@code arch/x86/kvm/mmu}): it keeps tables for the processor that
 * map guest-virtual to host-physical addresses, made from the guest's own tables as the guest uses them. It runs only
 * on exits, and sets the processor's {@link PagingContext}: the shadow root, WP = 1, NXE = 1, SMEP and SMAP as the
 * guest has them while it pages.
 *
 * <p>Every public operation leaves the processor safe to enter: roots that were thrown away are loaded again, and the
 * {@link TlbFlusher}s of all vCPUs have been called if an entry lost rights or changed its frame.
 */
public final class ShadowMmu {
  private static final int PREVIOUS_ROOTS = 3;
  private static final long LEGACY_ADDRESSES = 0xFFFF_FFFFL;

  /** Details of the last {@link #handleFault}. */
  public final FaultInfo fault = new FaultInfo();
  boolean flushPending;

  final ShadowPages pages;
  final GuestPagingState state = new GuestPagingState();
  /** Current root, then the previous ones, most recent first. */
  final ShadowRoot[] roots = new ShadowRoot[1 + PREVIOUS_ROOTS];
  private final PagingContext hardware;
  private final TlbFlusher flusher;
  private final ShadowFill fill;
  private final GuestTableWrites writes;
  private final GuestWalk walk;
  private final ShadowAudit audit;
  /** Of the current root. */
  private final RecentLeaf recent;
  /** Of any root, for a single use, so that the current root's stays. */
  private final RecentLeaf other;

  /**
   * @param pages the machine's shadow pages
   * @param hardware what the processor walks by; written here only
   * @param flusher drops the processor's cached translations
   */
  public ShadowMmu(ShadowPages pages, PagingContext hardware, TlbFlusher flusher) {
    this.pages = pages;
    this.hardware = hardware;
    this.flusher = flusher;
    this.fill = new ShadowFill(pages);
    this.writes = new GuestTableWrites(pages, fill);
    this.walk = new GuestWalk(pages, state, writes, false);
    this.audit = new ShadowAudit(pages);
    this.recent = new RecentLeaf(pages, fill, walk);
    this.other = new RecentLeaf(pages, fill, walk);
    for (int i = 0; i < roots.length; i++) {
      roots[i] = new ShadowRoot();
    }
    pages.vcpus.add(this);
  }

  /** Lets somebody hear what it does. */
  public void setObserver(ShadowObserver observer) {
    pages.setObserver(observer);
  }

  public ShadowStatistics statistics() {
    return pages.statistics;
  }

  /**
   * The guest changed CR0, CR3, CR4, EFER or the PDPTEs, or starts. A root known by CR3 and role is used again;
   * otherwise one is made.
   *
   * @param state the guest's new registers; copied
   * @param flush the guest's instruction flushes the current PCID's translations: any MOV to CR3 without bit 63, and
   *     the changes of CR0 and CR4 that the SDM lists; only a MOV to CR3 with bit 63 and a change that keeps
   *     translations pass false
   * @return what the vCPU must drop from the TLB
   */
  public HardwareFlush loadRoot(GuestPagingState state, boolean flush) {
    this.state.copyFrom(state);
    walk.stateChanged();
    pages.links++;
    int role = Role.root(state);
    long pgd = pgd(state);
    boolean sameRole = roots[0].loaded && roots[0].role == role;
    boolean known = rotateTo(pgd, role);
    if (!known) {
      make(pgd, role);
    }
    // Another role's tables may have missed edits that an INVLPG or CR3 load brought to this one's, so they are
    // synchronised whatever the guest asked.
    if (flush || !sameRole || !known) {
      roots[0].sync(pages);
    }
    if (flush && state.pcide()) {
      dropPreviousRoots(state.pcid());
    }
    boolean otherChecks = setHardware();
    HardwareFlush asked = flush ? HardwareFlush.CURRENT_PCID : HardwareFlush.NONE;
    HardwareFlush result = !sameRole || otherChecks || flushPending ? HardwareFlush.ALL : asked;
    flushPending = false;
    if (result != HardwareFlush.NONE) {
      pages.statistics.tlbFlush++;
    }
    finish();
    return result;
  }

  private static long pgd(GuestPagingState state) {
    return state.paging() ? state.cr3 & ~ControlRegister.CR3_NO_FLUSH : 0;
  }

  /** Brings the cached root to the front; if there is none, the place at the front is free. */
  private boolean rotateTo(long pgd, int role) {
    int at = PREVIOUS_ROOTS;
    boolean known = false;
    for (int i = 0; i <= PREVIOUS_ROOTS && !known; i++) {
      known = roots[i].matches(pgd, role, state);
      at = known || !roots[i].loaded ? i : at;
    }
    ShadowRoot root = roots[at];
    System.arraycopy(roots, 0, roots, 1, at);
    roots[0] = root;
    if (!known) {
      root.unload(pages);
    }
    return known;
  }

  private void make(long pgd, int role) {
    pages.ensureFree();
    roots[0].load(pages, pgd, role, state);
  }

  /** Points the processor at the current root; true if it judges entries otherwise than before. */
  private boolean setHardware() {
    ShadowRoot root = roots[0];
    boolean longMode = Role.level(root.role) >= 4;
    hardware.mode = longMode ? PagingContext.longMode(state.cr4) : PagingContext.PAE;
    hardware.root = !longMode ? 0
        : Addresses.walkedInOneStage(root.parts[0] == null ? pages.emptyTable : root.parts[0].spt);
    for (int i = 0; i < ShadowRoot.PARTS; i++) {
      hardware.pdpte[i] = longMode || root.parts[i] == null ? 0 : Addresses.bits(root.parts[i].spt) | ShadowPte.P;
    }
    hardware.pcid = state.pcid();
    hardware.wp = true;
    hardware.nxe = true;
    hardware.pke = (state.cr4 & ControlRegister.CR4_PKE) != 0;
    hardware.pks = (state.cr4 & ControlRegister.CR4_PKS) != 0;
    hardware.pse = true;
    hardware.pge = false;
    boolean smep = state.paging() && state.smep();
    boolean smap = state.paging() && state.smap();
    boolean changed = hardware.smep != smep || hardware.smap != smap;
    hardware.smep = smep;
    hardware.smap = smap;
    return changed;
  }

  void dropPreviousRoots() {
    for (int i = 1; i < roots.length; i++) {
      roots[i].unload(pages);
    }
  }

  private void dropPreviousRoots(int pcid) {
    for (int i = 1; i < roots.length; i++) {
      if (roots[i].loaded && (roots[i].pgd & ControlRegister.CR3_PCID) == pcid) {
        roots[i].unload(pages);
      }
    }
  }

  /** What every operation ends with, so that the processors may be entered. */
  private void finish() {
    if (pages.unsettled) {
      settle();
    }
    if (pages.options.audit()) {
      audit.check().ifPresent(violation -> {
        throw new IllegalStateException(violation.toString());
      });
    }
  }

  private void settle() {
    pages.unsettled = false;
    for (int i = 0; i < pages.vcpus.size(); i++) {
      pages.vcpus.get(i).reloadInvalidRoots();
    }
    pages.statistics.remoteTlbFlushRequests++;
    for (int i = 0; i < pages.vcpus.size(); i++) {
      pages.vcpus.get(i).flushIfPending();
    }
  }

  private void reloadInvalidRoots() {
    for (int i = 1; i < roots.length; i++) {
      if (roots[i].isInvalid()) {
        roots[i].unload(pages);
      }
    }
    if (roots[0].isInvalid()) {
      reloadRoot();
    }
  }

  private void reloadRoot() {
    long pgd = roots[0].pgd;
    int role = roots[0].role;
    roots[0].unload(pages);
    make(pgd, role);
    roots[0].sync(pages);
    setHardware();
    flushPending = true;
    pages.unsettled = true;
  }

  private void flushIfPending() {
    if (flushPending) {
      flushPending = false;
      pages.statistics.tlbFlush++;
      flusher.flushAll();
    }
  }

  /**
   * Handles a page-fault exit. {@link #fault} tells more.
   *
   * @param gva faulting address
   * @param errorCode the processor's error code, which speaks of the shadow tables
   * @param modifiers {@link Access#IMPLICIT} and {@link Access#SMAP_OVERRIDE} as they hold for the access
   */
  public FaultResult handleFault(@Gva long gva, int errorCode, int modifiers) {
    ShadowStatistics statistics = pages.statistics;
    statistics.pfTaken++;
    fault.clear(gva);
    int request = errorCode & Access.ERROR_CODE_MASK | modifiers & (Access.IMPLICIT | Access.SMAP_OVERRIDE);
    FaultResult result = route(gva, errorCode, request);
    switch (result) {
      case INJECT -> {
        statistics.pfGuest++;
        if (state.paging()) {
          // The guest's #PF drops what it had cached for the address, and an entry that is out of step is such a cache.
          invalidate(roots[0], gva, other);
        }
      }
      case FIXED -> statistics.pfFixed++;
      case EMULATE -> statistics.pfEmulate++;
      case SPURIOUS -> statistics.pfSpurious++;
      case RETRY -> { }
    }
    finish();
    return result;
  }

  private FaultResult route(@Gva long gva, int errorCode, int request) {
    boolean write = (request & Access.WRITE) != 0;
    copyKeyRegisters();
    if ((errorCode & PageFaultCode.RSVD) != 0 && !state.keys() && isKnownMmio(gva, request)) {
      return emulate(Reason.MMIO);
    }
    if (recent.fill(gva, errorCode, request, state)) {
      fault.gpa = walk.gpa;
      return FaultResult.FIXED;
    }
    boolean paging = state.paging();
    if (paging && !walk.walk(roots[0].role, gva, request)) {
      fault.errorCode = walk.errorCode;
      return FaultResult.INJECT;
    }
    fault.gpa = paging ? walk.gpa : Addresses.unpaged(gva & LEGACY_ADDRESSES);
    long gfn = Addresses.frame(fault.gpa);
    if (write) {
      fault.writesOwnTable = paging && walk.passesThrough(gfn);
      int protectedWrite = PageFaultCode.P | PageFaultCode.W;
      if ((errorCode & (protectedWrite | PageFaultCode.RSVD)) == protectedWrite && pages.isWriteTracked(gfn)) {
        clearFloodCounts(gva);
        return emulate(Reason.PAGE_TABLE);
      }
    }
    if (!paging && fastFault(gva, errorCode)) {
      return FaultResult.FIXED;
    }
    int kind = pages.slots.kind(fault.gpa);
    if (kind == SlotMap.READ_ONLY && write) {
      return emulate(Reason.READ_ONLY_SLOT);
    }
    int access = paging ? walk.access : ShadowAccess.ALL;
    boolean supervisorMayWrite = paging && write && kind == SlotMap.RAM && !state.wp() && (request & Access.USER) == 0;
    if (supervisorMayWrite && walk.keyForbidsWrites()) {
      // The processor runs with WP = 1, so that the key would stop the write.
      return emulate(Reason.WP_KEYS);
    }
    if (paging && write && kind == SlotMap.RAM && (access & ShadowAccess.WRITE) == 0) {
      // Only a supervisor with CR0.WP = 0 gets here. The processor runs with WP = 1, so the page becomes a writable
      // supervisor page for now.
      if (state.smap() && (access & ShadowAccess.USER) != 0) {
        return emulate(Reason.WP_SMAP);
      }
      if (state.keys() && (access & ShadowAccess.USER) != 0) {
        // As a supervisor page it would be in the charge of another key register.
        return emulate(Reason.WP_KEYS);
      }
      access = supervisorWritable(access);
    } else if (paging && (kind == SlotMap.RAM || walk.leafLevel > 1) && !state.wp() && (request & Access.USER) == 0
        && (access & ShadowAccess.WRITE) == 0) {
      // Below a large guest page ROM and devices share a table with RAM, which other rights would replace.
      access = keepSupervisorWritable(gva, request, access);
    }
    pages.ensureFree();
    ShadowPage root = roots[0].part(gva);
    if (root == null) {
      // The guest's top table lies in a slot that was added after the root was loaded.
      reloadRoot();
      return FaultResult.RETRY;
    }
    FaultResult result = fill.map(root, gva, paging ? walk : null, gfn, access, kind, write);
    return result == FaultResult.EMULATE ? emulate(kind == SlotMap.NONE ? Reason.MMIO : Reason.PAGE_TABLE) : result;
  }

  /** Brings the walk's copies of PKRU and IA32_PKRS up to date. */
  void copyKeyRegisters() {
    state.pkru = hardware.pkru;
    state.pkrs = hardware.pkrs;
  }

  /** Rights of a read-only page while a supervisor with CR0.WP = 0 writes it. */
  private int supervisorWritable(int access) {
    return access & ~(ShadowAccess.USER | (state.smep() ? ShadowAccess.EXEC : 0)) | ShadowAccess.WRITE;
  }

  /**
   * A supervisor with CR0.WP = 0 reads or fetches where it may also write. Below a large guest page all small mappings
   * have the same rights, so taking W from one that the same instruction writes through would make the two accesses
   * chase each other for ever: the rights stay as a write left them if they allow this access too.
   */
  private int keepSupervisorWritable(@Gva long gva, int request, int access) {
    int writable = supervisorWritable(access);
    boolean dirty = (walk.entry[walk.leafLevel] & GuestPte.D) != 0;
    boolean fetchAllowed = (request & Access.FETCH) == 0 || (writable & ShadowAccess.EXEC) != 0;
    if (!dirty || !fetchAllowed) {
      return access;
    }
    if ((access & ShadowAccess.USER) == 0) {
      return writable;
    }
    ShadowPage page = roots[0].part(gva);
    while (page != null) {
      if (page.direct() && Role.access(page.role) == writable) {
        return writable;
      }
      long spte = pages.read(page, ShadowPte.index(gva, page.level()));
      page = ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level()) ? pages.child(spte) : null;
    }
    return access;
  }

  private FaultResult emulate(Reason reason) {
    fault.reason = reason;
    return FaultResult.EMULATE;
  }

  /** A current marker that grants the access: the guest's tables need no walk. Otherwise the walk decides. */
  private boolean isKnownMmio(@Gva long gva, int request) {
    long spte = leaf(roots[0], gva);
    if (!ShadowPte.isMmio(spte)
        || ShadowPte.mmioGeneration(spte) != (pages.slots.generation() & ShadowPte.GENERATION_MASK)) {
      return false;
    }
    int rights = ShadowPte.access(spte);
    boolean write = (request & Access.WRITE) != 0;
    if (state.paging() && (!walk.permits(rights, request) || write && (rights & ShadowAccess.WRITE) == 0)) {
      return false;
    }
    fault.gpa = ShadowPte.mmioGfn(spte) << 12 | Addresses.offset(gva, 0x1000);
    return true;
  }

  /** Last entry of the shadow walk: a mapping, a marker or a not-present entry of any level. */
  private long leaf(ShadowRoot root, @Gva long gva) {
    ShadowPage page = root.part(gva);
    while (page != null) {
      long spte = pages.read(page, ShadowPte.index(gva, page.level()));
      if (!ShadowPte.isPresent(spte) || ShadowPte.isLeaf(spte, page.level())) {
        return spte;
      }
      page = pages.child(spte);
    }
    return 0;
  }

  private void clearFloodCounts(@Gva long gva) {
    ShadowPage page = roots[0].part(gva);
    while (page != null) {
      page.writeFloodingCount = 0;
      long spte = pages.read(page, ShadowPte.index(gva, page.level()));
      page = ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level()) ? pages.child(spte) : null;
    }
  }

  /** Without paging: gives W back to an entry from which only dirty logging took it. */
  private boolean fastFault(@Gva long gva, int errorCode) {
    if ((errorCode & (PageFaultCode.P | PageFaultCode.W | PageFaultCode.RSVD)) != (PageFaultCode.P | PageFaultCode.W)) {
      return false;
    }
    ShadowPage page = roots[0].part(gva);
    int index = ShadowPte.index(gva, page.level());
    long spte = pages.read(page, index);
    while (ShadowPte.isPresent(spte) && !ShadowPte.isLeaf(spte, page.level())) {
      page = pages.child(spte);
      index = ShadowPte.index(gva, page.level());
      spte = pages.read(page, index);
    }
    // A large page of a logged slot is split by the full path.
    if (!ShadowPte.isWriteLogged(spte) || page.level() > 1 && pages.slots.logged(fault.gpa)) {
      return false;
    }
    pages.slots.markDirty(fault.gpa);
    pages.write(page, index, spte | ShadowPte.W);
    pages.statistics.pfFast++;
    return true;
  }

  /**
   * Memory of the guest was written by other than the guest's own unhindered store: an emulated instruction, a device,
   * the hypervisor. To be called after the bytes are in memory; costs next to nothing if no shadowed table is hit.
   *
   * @param size bytes, any number
   */
  public void guestWrote(@Gpa long gpa, int size) {
    writes.written(gpa, size);
    finish();
  }

  /** {@link #guestWrote} for all but the last of several writes that happened at once. */
  public void guestAlsoWrote(@Gpa long gpa, int size) {
    writes.written(gpa, size);
  }

  /** The guest executed INVLPG. The vCPU drops the address from the TLB. */
  public void invlpg(@Gva long gva) {
    pages.statistics.invlpg++;
    if (recent.isFor(gva)) {
      recent.invalidate(gva);
    } else {
      invalidate(roots[0], gva, recent);
    }
    // Shadow entries are not marked global, and any entry may stand for a global page, so all roots lose it.
    for (int i = 1; i < roots.length; i++) {
      invalidate(roots[i], gva, other);
    }
    finish();
  }

  /** The guest executed INVPCID of type 0 (individual address). The vCPU drops the address from the TLB. */
  public void invpcidAddress(@Gva long gva, int pcid) {
    for (int i = 0; i < roots.length; i++) {
      if (i == 0 ? state.pcid() == pcid : (roots[i].pgd & ControlRegister.CR3_PCID) == pcid) {
        invalidate(roots[i], gva, other);
      }
    }
    finish();
  }

  /** The guest executed INVPCID of type 1 (single context). The vCPU drops the PCID from the TLB. */
  public void invpcidContext(int pcid) {
    if (state.pcid() == pcid) {
      roots[0].sync(pages);
    }
    if (state.pcide()) {
      dropPreviousRoots(pcid);
    }
    pages.statistics.tlbFlush++;
    finish();
  }

  /** The guest flushed all its translations (INVPCID types 2 and 3, CR4.PGE changes). The vCPU empties the TLB. */
  public void flushGuest() {
    dropPreviousRoots();
    roots[0].sync(pages);
    pages.statistics.tlbFlush++;
    finish();
  }

  /** @param leaf remembers the table, if one is out of step */
  private void invalidate(ShadowRoot root, @Gva long gva, RecentLeaf leaf) {
    ShadowPage part = root.loaded ? root.part(gva) : null;
    if (part != null && part.unsyncChildren > 0 && leaf.find(part, gva, isUsedHereOnly(part, gva))) {
      leaf.invalidate(gva);
    }
  }

  /** The processor can have used a top page for no other address or PCID, and no other processor has. */
  private boolean isUsedHereOnly(ShadowPage part, @Gva long gva) {
    if (pages.vcpus.size() > 1 || state.pcide()) {
      return false;
    }
    ShadowRoot current = roots[0];
    int uses = 0;
    for (ShadowPage page : current.parts) {
      uses += page == part ? 1 : 0;
    }
    return uses == 0 || uses == 1 && current.part(gva) == part;
  }

  /**
   * The memory slots changed: MMIO markers of the old generation are void; when its bits in the markers wrap,
   * everything is.
   */
  public void slotsChanged() {
    if ((pages.slots.generation() & ShadowPte.GENERATION_MASK) == 0) {
      pages.zapAll();
    }
    finish();
  }

  /** The guest's walk beside the shadow's, without any effect. */
  public ShadowView peek(@Gva long gva) {
    return ShadowView.of(this, gva);
  }

  /** Throws all shadow pages away. */
  public void zapAll() {
    pages.zapAll();
    finish();
  }

  /** Throws away the shadows of a guest table, because a write to it cannot be emulated; true if there were any. */
  public boolean unprotect(long gfn) {
    boolean zapped = pages.zapTables(gfn);
    finish();
    return zapped;
  }

  /**
   * A guest frame gets other backing or leaves its slot: drops its mappings and, as its contents may change, its
   * shadows.
   */
  public void zapGfn(long gfn) {
    pages.zapMappings(gfn);
    pages.zapTables(gfn);
    finish();
  }

  /** Makes the next write to a guest frame fault, for dirty logging; true if a mapping was writable. */
  public boolean writeProtect(long gfn) {
    boolean changed = pages.writeProtect(gfn, false);
    finish();
    return changed;
  }

  /**
   * {@link #writeProtect(long)} for many frames of a logged slot, of which no larger mapping is left.
   *
   * @param first guest frame of the bitmap's first bit
   * @param frames bit n of word n / 64 selects the n-th frame from there
   */
  public void writeProtect(long first, long[] frames) {
    for (int word = 0; word < frames.length; word++) {
      for (long bits = frames[word]; bits != 0; bits &= bits - 1) {
        long gfn = first + ((long) word << 6 | Long.numberOfTrailingZeros(bits));
        pages.zapLargeMappings(gfn);
        pages.writeProtect(gfn, false);
      }
    }
    finish();
  }
}
