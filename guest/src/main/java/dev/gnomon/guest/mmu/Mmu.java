package dev.gnomon.guest.mmu;

import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * The processor's address-translation unit: soft TLBs for speed, the modelled TLBs if the {@link TlbPolicy} has any,
 * and the mode's {@link Translator} behind them. Invalidations follow SDM vol. 3A, "Invalidation of TLBs and
 * Paging-Structure Caches", and vol. 3C, "Invalidating Cached Translation Information".
 *
 * <p>What a soft TLB holds, the first level of the modelled TLB holds too; and what a caller remembers of a fetch while
 * {@link #fetchGeneration} stays the same, the fetch soft TLB holds. So every count is independent of both.
 */
public final class Mmu {
  /** Types of INVPCID and, but for the last, INVVPID. */
  public static final int INDIVIDUAL_ADDRESS = 0;
  public static final int SINGLE_CONTEXT = 1;
  public static final int ALL_CONTEXTS = 2;
  /** INVPCID: all contexts but for globals; INVVPID: single context but for globals. */
  public static final int RETAIN_GLOBALS = 3;
  private static final int INVEPT_SINGLE = 1;
  private static final int INVEPT_GLOBAL = 2;
  private static final int MAX_VPID = 0xFFFF;

  public final HostMemory memory;
  /** Control registers in force on the hardware, and the tags of cached translations ({@link #setTags}). */
  public final PagingContext paging = new PagingContext();
  /** {@link #paging} mirrors the guest's control registers; off once a hypervisor sets it instead (shadow paging). */
  public boolean pagingFollowsGuest = true;
  /** Data accesses are not cached in the soft TLBs, because each must be seen (debug registers). */
  public boolean bypassSoftData;
  /** Details of the last translation. */
  public final Translation walk = new Translation();
  public final TlbStatistics statistics = new TlbStatistics();
  /** Hears of fills and flushes; null if nobody looks. */
  public Observer observer;
  /** Grows when a fetch translation may have changed; whoever remembers one checks it. */
  public int fetchGeneration;
  /** Data soft TLB in force: for user mode, supervisor mode, or supervisor mode with EFLAGS.AC. */
  public SoftTlb data;
  public SoftTlb fetch;
  /** Access bits of an explicit data access in the current mode. */
  public int dataAccess;

  private final SoftTlb supervisorData = new SoftTlb();
  private final SoftTlb supervisorAcData = new SoftTlb();
  private final SoftTlb userData = new SoftTlb();
  private final SoftTlb supervisorFetch = new SoftTlb();
  private final SoftTlb userFetch = new SoftTlb();
  private final SoftTlb never = new SoftTlb();
  private final SoftTlbGroup softData = new SoftTlbGroup(supervisorData, supervisorAcData, userData);
  private final SoftTlbGroup softFetch = new SoftTlbGroup(supervisorFetch, userFetch);
  private Translator translator;
  private Translator port;
  private boolean user;
  private boolean ac;
  private TlbPolicy policy = TlbPolicy.UNCOUNTED;
  /** Modelled TLBs; null if the policy has none. */
  private Tlb tlb;
  /** Null if the policy has none. */
  private PagingStructureCache structures;
  private boolean forgetful;

  public Mmu(HostMemory memory) {
    this.memory = memory;
    select(false, false);
  }

  public void setTranslator(Translator translator) {
    this.translator = translator;
    setPolicy(policy);
  }

  public Translator translator() {
    return translator;
  }

  /** Chooses what is cached; whatever was cached is dropped. */
  public void setPolicy(TlbPolicy policy) {
    this.policy = policy;
    tlb = null;
    structures = null;
    forgetful = policy instanceof TlbPolicy.Forgetful;
    if (policy instanceof TlbPolicy.Counted counted) {
      TlbGeometry geometry = counted.geometry();
      tlb = Tlb.counted(this, geometry, counted.seed());
      structures = geometry.structures().isNone() ? null
          : new PagingStructureCache(geometry.structures(), geometry.replacement(), counted.seed(), statistics);
    } else if (policy instanceof TlbPolicy.Stale) {
      tlb = Tlb.stale(this);
      structures = PagingStructureCache.stale();
    }
    if (translator != null) {
      translator.setStructureCache(structures);
    }
    softFlush();
  }

  public TlbPolicy policy() {
    return policy;
  }

  /** Chooses the soft TLBs for a privilege level and EFLAGS.AC. */
  public void select(boolean user, boolean ac) {
    this.user = user;
    this.ac = ac;
    data = port != null ? never : user ? userData : ac ? supervisorAcData : supervisorData;
    fetch = port != null ? never : user ? userFetch : supervisorFetch;
    dataAccess = user ? Access.USER : ac ? Access.SMAP_OVERRIDE : 0;
  }

  /**
   * Translates one access, through the TLBs. On success the byte's address; on {@link Status#FAULT} or {@link
   * Status#EXIT} {@link #walk} has the details.
   *
   * @param gva canonical
   * @param access bits of {@link Access}, mode included
   */
  public @Hpa long translate(@Gva long gva, int access) {
    walk.gva = gva;
    if (port != null) {
      return port.translate(gva, access, walk);
    }
    Tlb modelled = tlb;
    if (modelled != null) {
      long hpa = modelled.lookup(gva, access, walk);
      if (hpa >= 0) {
        fillSoft(gva, access, hpa);
        return hpa;
      }
      if (hpa == Status.FAULT) {
        dropFailed(gva);
        return hpa;
      }
    }
    long hpa = translator.translate(gva, access, walk);
    boolean held = modelled == null ? !forgetful : isIdentity() ? hpa >= 0 : modelled.walked(gva, access, hpa, walk);
    if (hpa < 0) {
      dropFailed(gva);
      return hpa;
    }
    if (held) {
      fillSoft(gva, access, hpa);
    } else if (forgetful) {
      fetchGeneration++;
    }
    if (observer != null) {
      observer.tlbFill(gva, access, walk);
    }
    return hpa;
  }

  /** Translates without any effect: no A or D bit, no TLB, no counter. @param steps may be null */
  public @Hpa long peek(@Gva long gva, int access, Translation out, WalkObserver steps) {
    return translator.peek(gva, access, out, steps);
  }

  /** Linear addresses are physical ones: no walk, so no TLB and nothing to count. */
  private boolean isIdentity() {
    return paging.mode == PagingContext.NONE && !translator.twoDimensional();
  }

  /**
   * Lets all accesses go through another translator, past every TLB and uncounted, until called with null: the
   * hypervisor's port for emulating one instruction.
   */
  public void usePort(Translator port) {
    this.port = port;
    fetchGeneration++;
    select(user, ac);
  }

  private void fillSoft(@Gva long gva, int access, @Hpa long hpa) {
    int offset = memory.offset(hpa & -HostMemory.FRAME_SIZE);
    boolean isFetch = (access & Access.FETCH) != 0;
    if (offset < 0 || bypassSoftData && !isFetch) {
      return;
    }
    int shift = Math.max(walk.guestPageShift, walk.pageShift);
    if (shift > HostMemory.FRAME_SHIFT) {
      (isFetch ? softFetch : softData).record(gva, shift);
    }
    boolean byUser = (access & Access.USER) != 0;
    if (isFetch) {
      if ((byUser ? userFetch : supervisorFetch).fill(gva, offset, 0)) {
        fetchGeneration++;
      }
      return;
    }
    int rights = walk.rights;
    boolean writable = (rights & Translation.STAGE_WRITABLE) != 0 && (rights & Translation.DIRTY) != 0
        && ((rights & Translation.WRITABLE) != 0 || !byUser && !paging.wp)
        && memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) == 0;
    if (PagingContext.hasKeys(paging.mode)) {
      boolean limited = (ProtectionKeys.limits(rights, paging) & ProtectionKeys.WRITE_DISABLE) != 0;
      writable &= !limited || !byUser && !paging.wp;
    }
    int deny = (writable ? 0 : SoftTlb.DENY_STORE) | ((rights & Translation.READABLE) != 0 ? 0 : SoftTlb.DENY_LOAD);
    boolean overrides = (access & (Access.SMAP_OVERRIDE | Access.IMPLICIT)) == Access.SMAP_OVERRIDE;
    (byUser ? userData : overrides ? supervisorAcData : supervisorData).fill(gva, offset, deny);
  }

  /**
   * After a page fault or an EPT violation: the processor drops what it holds for the address, linear and combined (the
   * second stage drops the guest-physical part itself).
   */
  private void dropFailed(@Gva long gva) {
    dropSoft(gva);
    if (tlb != null) {
      tlb.dropAddress(gva, paging.vpid, paging.pcid, true);
    }
    translator.flushAddress(gva, paging.pcid);
  }

  /**
   * Loads the PDPTE registers of PAE paging from the table that CR3 names (SDM vol. 3A, "PDPTE Registers").
   *
   * @return OK; {@link Status#FAULT} if a present entry has a reserved bit, #GP(0) for the instruction; {@link
   *     Status#EXIT} with details in {@link #walk}
   */
  public int loadPdptes(long cr3) {
    walk.gva = 0;
    return (port != null ? port : translator).loadPdptes(cr3, paging.pdpte, walk);
  }

  /**
   * Sets the tags of cached translations, as VM entry does.
   *
   * @param vpid 0 to 65535; 0 without VPIDs
   * @param ep4ta bits 51:12 of the EPT pointer, in place; 0 without EPT
   */
  public void setTags(int vpid, long ep4ta) {
    if (vpid != paging.vpid || ep4ta != paging.ep4ta) {
      paging.vpid = vpid;
      paging.ep4ta = ep4ta;
      softFlush();
    }
  }

  /**
   * INVLPG: the current PCID's and all global translations of the page, which are dropped in all their pieces if it is
   * large; and the PCID's paging-structure caches.
   */
  public void invlpg(@Gva long gva) {
    statistics.invlpg++;
    dropSoft(gva);
    if (tlb != null) {
      tlb.dropAddress(gva, paging.vpid, paging.pcid, true);
    }
    translator.flushLinear(paging.pcid);
    heard(gva, false);
  }

  /**
   * INVPCID with operands that the instruction has checked.
   *
   * @param type INDIVIDUAL_ADDRESS, SINGLE_CONTEXT, ALL_CONTEXTS or RETAIN_GLOBALS
   */
  public void invpcid(int type, int pcid, @Gva long gva) {
    switch (type) {
      case INDIVIDUAL_ADDRESS -> {
        statistics.invlpg++;
        dropSoft(gva);
        if (tlb != null) {
          tlb.dropAddress(gva, paging.vpid, pcid, false);
        }
        translator.flushLinear(pcid);
        heard(gva, false);
      }
      case SINGLE_CONTEXT -> flushPcid(pcid);
      case ALL_CONTEXTS -> flushAll();
      default -> flushNonGlobal();
    }
  }

  /** Control registers changed so that cached rights no longer fit; the modelled TLBs keep their entries. */
  public void softFlush() {
    softData.flush();
    softFetch.flush();
    fetchGeneration++;
  }

  /**
   * Everything of the current VPID, global pages too (MOV to CR4 that changes PGE, PAE …; MOV to CR0 that changes PG;
   * INVPCID type 2).
   */
  public void flushAll() {
    statistics.flushAll++;
    flushContext(paging.vpid, TaggedArray.ANY, true);
  }

  /** All PCIDs of the current VPID but for global pages (INVPCID type 3). */
  public void flushNonGlobal() {
    statistics.flushNonGlobal++;
    flushContext(paging.vpid, TaggedArray.ANY, false);
  }

  /** All but global pages of one PCID (MOV to CR3, INVPCID type 1). */
  public void flushPcid(int pcid) {
    statistics.flushPcid++;
    flushContext(paging.vpid, pcid, false);
  }

  /**
   * INVVPID: linear and combined mappings.
   *
   * @param type INDIVIDUAL_ADDRESS, SINGLE_CONTEXT, ALL_CONTEXTS (all VPIDs but 0) or RETAIN_GLOBALS
   * @return false if the operands make it fail (VMfail with error 28) and nothing was done
   */
  public boolean invvpid(int type, int vpid, @Gva long gva) {
    int above = paging.mode >= PagingContext.LONG5 ? 7 : 16;
    boolean canonical = gva << above >> above == gva;
    if (type < INDIVIDUAL_ADDRESS || type > RETAIN_GLOBALS || vpid < 0 || vpid > MAX_VPID
        || vpid == 0 && type != ALL_CONTEXTS || type == INDIVIDUAL_ADDRESS && !canonical) {
      return false;
    }
    statistics.invvpid++;
    if (type != INDIVIDUAL_ADDRESS) {
      flushContext(type == ALL_CONTEXTS ? TaggedArray.NONZERO : vpid, TaggedArray.ANY, type != RETAIN_GLOBALS);
      return true;
    }
    dropSoft(gva);
    if (tlb != null) {
      tlb.dropAddress(gva, vpid, TaggedArray.ANY, true);
    }
    if (structures != null) {
      structures.flushContext(vpid, TaggedArray.ANY);
    }
    heard(gva, false);
    return true;
  }

  /**
   * INVEPT: combined mappings of one EPT or of all. The guest-physical ones are the second stage's, whose own
   * invalidation the caller does too.
   *
   * @param type 1 single context, 2 global
   * @return false if the type makes it fail (VMfail with error 28)
   */
  public boolean invept(int type, long ep4ta) {
    if (type != INVEPT_SINGLE && type != INVEPT_GLOBAL) {
      return false;
    }
    statistics.invept++;
    long space = type == INVEPT_SINGLE ? ep4ta : TaggedArray.ANY;
    softFlush();
    if (tlb != null) {
      tlb.dropSpace(space);
    }
    if (structures != null) {
      structures.flushSpace(space);
    }
    heard(0, true);
    return true;
  }

  /** VM entry or exit: without a VPID it drops all linear and combined mappings of VPID 0. */
  public void vmTransition() {
    if (paging.vpid == 0) {
      statistics.flushTransition++;
      flushContext(0, TaggedArray.ANY, true);
    }
  }

  /** WRPKRU: takes effect with the next data access, also where a translation is cached. */
  public void setPkru(int pkru) {
    if (pkru != paging.pkru) {
      paging.pkru = pkru;
      softData.flush();
    }
  }

  /** WRMSR to IA32_PKRS. */
  public void setPkrs(int pkrs) {
    paging.pkrs = pkrs;
    softData.flush();
  }

  /** A frame is no longer plain memory: stores to it must take the slow path. */
  public void denyStores(int offset) {
    softData.denyStores(offset);
  }

  private void flushContext(int vpid, int pcid, boolean globals) {
    softFlush();
    if (tlb != null) {
      tlb.dropContext(vpid, pcid, globals);
    }
    if (structures != null) {
      structures.flushContext(vpid, pcid);
    }
    heard(0, true);
  }

  private void heard(@Gva long gva, boolean all) {
    if (observer != null) {
      observer.tlbFlush(gva, all);
    }
  }

  private void dropSoft(@Gva long gva) {
    dropSoftPage(gva, false);
    dropSoftPage(gva, true);
  }

  /** Drops the soft copies of the page at an address. */
  void dropSoftPage(@Gva long gva, boolean isFetch) {
    if (!isFetch) {
      softData.dropPage(gva);
    } else if (softFetch.dropPage(gva) || forgetful) {
      fetchGeneration++;
    }
  }

  /** Drops the soft copies of one entry of the modelled TLB that covers 2^{@code shift} bytes. */
  void dropSoftCopies(@Gva long gva, int shift, boolean isFetch) {
    SoftTlbGroup group = isFetch ? softFetch : softData;
    boolean dropped = true;
    if (shift == HostMemory.FRAME_SHIFT) {
      dropped = group.dropPiece(gva);
    } else if (shift == SoftTlbGroup.REGION_SHIFT) {
      dropped = group.dropRegion(gva);
    } else {
      group.flush();
    }
    if (isFetch && dropped) {
      fetchGeneration++;
    }
  }
}
