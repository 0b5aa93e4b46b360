package dev.gnomon.guest.mmu;

import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;

/**
 * The processor's address-translation unit: soft TLBs for speed, the modelled TLB if counting is on, and the mode's {@link Translator} behind them.
 */
public final class Mmu {
  public final HostMemory memory;
  /** Control registers in force on the hardware. */
  public final PagingContext paging = new PagingContext();
  /** {@link #paging} mirrors the guest's control registers; off once a hypervisor sets it instead (shadow paging). */
  public boolean pagingFollowsGuest = true;
  /** Data accesses are not cached in the soft TLBs, because each must be seen (debug registers). */
  public boolean bypassSoftData;
  /** Details of the last translation. */
  public final Translation walk = new Translation();
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
  private Translator translator;
  private Translator port;
  private boolean user;
  private boolean ac;

  public Mmu(HostMemory memory) {
    this.memory = memory;
    select(false, false);
  }

  public void setTranslator(Translator translator) {
    this.translator = translator;
    softFlush();
  }

  public Translator translator() {
    return translator;
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
   * Translates one access, through the TLBs. On success the byte's address; on {@link Status#FAULT} or {@link Status#EXIT} {@link #walk} has the details.
   *
   * @param access bits of {@link Access}, mode included
   */
  public long translate(@Gva long gva, int access) {
    walk.gva = gva;
    if (port != null) {
      return port.translate(gva, access, walk);
    }
    long hpa = translator.translate(gva, access, walk);
    if (hpa < 0) {
      invlpg(gva);
      return hpa;
    }
    fillSoft(gva, access, hpa);
    return hpa;
  }

  /**
   * Lets all accesses go through another translator, past every TLB and uncounted, until called with null: the hypervisor's port for emulating one
   * instruction.
   */
  public void usePort(Translator port) {
    this.port = port;
    fetchGeneration++;
    select(user, ac);
  }

  private void fillSoft(@Gva long gva, int access, long hpa) {
    int offset = memory.offset(hpa & -HostMemory.FRAME_SIZE);
    if (offset < 0) {
      return;
    }
    boolean user = (access & Access.USER) != 0;
    if ((access & Access.FETCH) != 0) {
      (user ? userFetch : supervisorFetch).fill(gva, offset, 0);
      return;
    }
    if (bypassSoftData) {
      return;
    }
    int rights = walk.rights;
    boolean writable = (rights & Translation.STAGE_WRITABLE) != 0 && (rights & Translation.DIRTY) != 0
        && ((rights & Translation.WRITABLE) != 0 || !user && !paging.wp)
        && memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) == 0;
    int deny = (writable ? 0 : SoftTlb.DENY_STORE) | ((rights & Translation.READABLE) != 0 ? 0 : SoftTlb.DENY_LOAD);
    (user ? userData : (access & Access.SMAP_OVERRIDE) != 0 ? supervisorAcData : supervisorData).fill(gva, offset, deny);
  }

  /**
   * Loads the PDPTE registers of PAE paging from the table that CR3 names (SDM vol. 3A, "PDPTE Registers").
   *
   * @return OK; {@link Status#FAULT} if a present entry has a reserved bit, #GP(0) for the instruction; {@link Status#EXIT} with details in {@link #walk}
   */
  public int loadPdptes(long cr3) {
    walk.gva = 0;
    return translator.loadPdptes(cr3, paging.pdpte, walk);
  }

  /** INVLPG: the current PCID's and all global translations of the page. */
  public void invlpg(@Gva long gva) {
    supervisorData.drop(gva);
    supervisorAcData.drop(gva);
    userData.drop(gva);
    supervisorFetch.drop(gva);
    userFetch.drop(gva);
    translator.flushAddress(gva, paging.pcid);
    fetchGeneration++;
  }

  /** Control registers changed so that cached rights no longer fit; the modelled TLB may keep its entries. */
  public void softFlush() {
    supervisorData.flush();
    supervisorAcData.flush();
    userData.flush();
    supervisorFetch.flush();
    userFetch.flush();
    fetchGeneration++;
  }

  /** Everything, global pages too (MOV to CR4 that changes PGE, PAE …; MOV to CR0 that changes PG). */
  public void flushAll() {
    softFlush();
    translator.flushLinear(-1);
  }

  /** All but global pages (MOV to CR3) of one PCID. */
  public void flushPcid(int pcid) {
    softFlush();
    translator.flushLinear(pcid);
  }

  /** A frame is no longer plain memory: stores to it must take the slow path. */
  public void denyStores(int offset) {
    supervisorData.denyStores(offset);
    supervisorAcData.denyStores(offset);
    userData.denyStores(offset);
  }
}
