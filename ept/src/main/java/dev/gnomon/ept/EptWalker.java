package dev.gnomon.ept;

import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver;

/**
 * The processor's EPT walk: the second stage of a two-dimensional page walk (SDM vol. 3C, "EPT Translation Mechanism",
 * "EPT-Induced VM Exits", "Accessed and Dirty Flags for EPT", "Caching Translation Information"). One belongs to each
 * vCPU.
 *
 * <p>What the SDM fixes and where it leaves a choice:
 * <ul>
 * <li>At each level, from the top: a not-present entry is a violation whatever else it holds; then the entry is checked
 *   for misconfiguration; rights are the AND over all levels and are checked once the leaf is reached. A guest-physical
 *   address wider than the levels translate (48 bits, 57 with 5 levels) is a violation that reads no entry.</li>
 * <li>With A and D flags enabled, an access to a guest paging-structure entry ({@link #TABLE}) is a write, for rights
 *   and for D; the load of the PDPTE registers ({@link #NO_LINEAR}) stays a read.</li>
 * <li>A is set in each entry used and D in the leaf, only when the walk has succeeded, by compare-and-set; if an entry
 *   changed meanwhile, the walk starts again. The flags are never cleared.</li>
 * <li>An update of a guest entry ({@link #TABLE_UPDATE}) uses the translation that the walk has in hand: it checks
 *   rights and may exit, but counts no references and no cache hit.</li>
 * <li>With the page-modification log on ("Page-Modification Logging"), a walk that must set A or D while the log is
 *   full exits with {@link ExitReason#PML_FULL} and sets nothing; one that has set D writes the guest-physical page to
 *   the log.</li>
 * <li>Under mode-based execute control a fetch needs XU if the guest's tables say that its linear address is a
 *   user-mode one (as all are without paging), otherwise X. Such a machine takes no short way through
 *   {@link #remembered}, so that the others are not asked.</li>
 * <li>Sub-page permissions ("Sub-Page Write Permissions for EPT") are asked for a final write that only W forbids, in a
 *   4-KiB leaf with SPP that may be read. What they grant is a write (A, D, the log), but no mapping that they made is
 *   writable, so that every write asks again.</li>
 * <li>A violation is {@link Translation#convertible} while the #VE control is on and the entry that ended the walk, the
 *   one not present or the leaf, has suppress #VE clear. One that read no entry is not.</li>
 * <li>Nothing is cached from a walk that fails. A violation drops what is cached for its address.</li>
 * </ul>
 *
 * <p>Exit-qualification bits 11:9 describe the guest's own translation. For the final access (neither {@link #TABLE}
 * nor {@link #NO_LINEAR}) the guest's walker passes it in {@code out.rights}: USER, WRITABLE and EXECUTABLE as combined
 * over the guest's tables, all three set if the guest does not page. Bit 12 is the run loop's.
 *
 * <p>{@code out.memoryType} is the leaf's type and IPAT in the encoding of {@link EptMemoryType}. {@code out.rights}
 * holds READABLE, STAGE_WRITABLE, EXECUTABLE, and DIRTY if a write needs no further walk: D is set or the flags are
 * off.
 */
public final class EptWalker implements SecondStage {
  private static final int WRITE_NEEDS = Translation.STAGE_WRITABLE | Translation.DIRTY;
  private static final int ALL_RIGHTS = (int) EptEntry.RIGHTS;
  /** Place of the combined rights in a trail; entry addresses and values of level n are at 2n and 2n + 1. */
  private static final int TRAIL_RIGHTS = 0;
  /** Place of the number of entries read. */
  private static final int TRAIL_REFERENCES = 1;
  private static final int TRAIL_SIZE = 2 * EptEntry.MAX_LEVELS + 2;

  /** Entries of the page-modification log, 8 bytes each. */
  public static final int PML_ENTRIES = 512;
  private static final int PML_INDEX_MASK = 0xFFFF;
  private static final int PML_OFF = -1;
  private static final int SUB_PAGES_OFF = -1;
  private static final int USER_EXECUTE_TO_RIGHT = 3;

  private final HostMemory memory;
  private final EptCapabilities capabilities;
  private final int allowedRights;
  /** Bits of an entry that are rights: X W R, and XU under mode-based execute control. */
  private int rightsMask = ALL_RIGHTS;
  /** By 2 × level + (leaf ? 1 : 0). */
  private final long[] reserved = new long[TRAIL_SIZE];
  private final long[] trail = new long[TRAIL_SIZE];
  private final NestedTlb nested;
  private final NestedSoftTlb allSoft;
  /** What {@link #remembered} may use: {@link #allSoft}, or null under mode-based execute control. */
  private NestedSoftTlb soft;
  private boolean modeBased;
  private boolean violationExceptions;
  private @Hpa long subPageTable = SUB_PAGES_OFF;
  private long eptp;
  private @Hpa long root;
  private long ep4ta;
  private int levels = EptEntry.LEVELS;
  private int gpaBits = EptEntry.GPA_BITS;
  private boolean accessedDirty;
  /** VMCS fields "PML address" and "PML index"; the address is {@link #PML_OFF} while the control is off. */
  private @Hpa long pmlAddress = PML_OFF;
  private int pmlIndex;

  /** A walker that models no nested TLB, with the soft one on. */
  public EptWalker(HostMemory memory, EptCapabilities capabilities) {
    this(memory, capabilities, null, true);
  }

  /**
   * A walker without a root: {@link #setEptPointer} comes first.
   *
   * @param nested the counted nested TLB, or null for none
   * @param soft whether walks may be remembered for host speed; has no effect on any result, and none at all beside a
   *     counted nested TLB
   */
  public EptWalker(HostMemory memory, EptCapabilities capabilities, NestedTlb nested, boolean soft) {
    this.memory = memory;
    this.capabilities = capabilities;
    this.allowedRights = EptEntry.allowedRights(capabilities);
    this.nested = nested;
    this.allSoft = soft && nested == null ? new NestedSoftTlb() : null;
    this.soft = allSoft;
    for (int level = 1; level <= EptEntry.MAX_LEVELS; level++) {
      reserved[2 * level] = EptEntry.reserved(level, false, capabilities);
      reserved[2 * level + 1] = EptEntry.reserved(level, true, capabilities);
    }
  }

  /**
   * Loads the EPT pointer, as VM entry does. Guest-physical mappings of other EP4TAs stay cached.
   *
   * @throws IllegalArgumentException if VM entry would fail, see {@link EptPointer#invalidReason}
   */
  public void setEptPointer(long eptp) {
    String reason = EptPointer.invalidReason(eptp, capabilities);
    if (reason != null) {
      throw new IllegalArgumentException("EPT pointer 0x" + Long.toHexString(eptp) + ": " + reason);
    }
    if (allSoft != null && eptp != this.eptp) {
      allSoft.flush();
    }
    this.eptp = eptp;
    this.root = EptPointer.root(eptp);
    this.ep4ta = EptPointer.ep4ta(eptp);
    this.levels = EptPointer.levels(eptp);
    this.gpaBits = EptEntry.gpaBits(levels);
    this.accessedDirty = (eptp & EptPointer.ENABLE_AD) != 0;
  }

  /**
   * Loads the pointer and the controls of mode-based execution, sub-page permissions and virtualization exceptions, as
   * VM entry does; the log is {@link #startPml}'s. What is cached is dropped, because no tag tells these controls
   * apart.
   *
   * @throws IllegalArgumentException if VM entry would fail, see {@link EptControls#invalidReason}
   */
  public void setControls(EptControls controls) {
    String reason = controls.invalidReason(capabilities);
    if (reason != null) {
      throw new IllegalArgumentException(reason);
    }
    inveptGlobal();
    setEptPointer(controls.eptPointer());
    modeBased = controls.has(SecondaryControls.MODE_BASED_EXECUTE);
    rightsMask = (int) (modeBased ? EptEntry.RIGHTS_BY_MODE : EptEntry.RIGHTS);
    soft = modeBased ? null : allSoft;
    subPageTable = controls.has(SecondaryControls.SUB_PAGE_WRITE) ? controls.subPageTable() : SUB_PAGES_OFF;
    violationExceptions = controls.has(SecondaryControls.EPT_VIOLATION_VE);
  }

  /**
   * Turns page-modification logging on, the log being empty. It logs only while the EPT pointer enables A and D flags.
   *
   * @param page host-physical address of the log's 4-KiB page
   */
  public void startPml(@Hpa long page) {
    pmlAddress = page;
    pmlIndex = PML_ENTRIES - 1;
  }

  public void stopPml() {
    pmlAddress = PML_OFF;
  }

  /** VMCS field "PML index": entry that is written next, from 511 down; above 511 the log is full. */
  public int pmlIndex() {
    return pmlIndex;
  }

  public void setPmlIndex(int index) {
    pmlIndex = index;
  }

  public long eptPointer() {
    return eptp;
  }

  public EptCapabilities capabilities() {
    return capabilities;
  }

  /** The counted nested TLB, or null. */
  public NestedTlb nestedTlb() {
    return nested;
  }

  /**
   * INVEPT of one context: drops the guest-physical mappings of the pointer's EP4TA. The combined mappings of linear
   * addresses are in the vCPU's TLB; the caller drops those too.
   */
  public void inveptSingle(long eptp) {
    if (nested != null) {
      nested.flush(EptPointer.ep4ta(eptp));
    }
    if (allSoft != null && EptPointer.ep4ta(eptp) == ep4ta) {
      allSoft.flush();
    }
  }

  /** INVEPT of all contexts. */
  public void inveptGlobal() {
    if (nested != null) {
      nested.flushAll();
    }
    if (allSoft != null) {
      allSoft.flush();
    }
  }

  /** The same as {@link #inveptGlobal}: all that this walker caches is guest-physical. */
  @Override
  public void flush() {
    inveptGlobal();
  }

  @Override
  public @Hpa long translate(@Gpa long gpa, @Gva long gva, int access, Translation out) {
    @Hpa long hpa = remembered(gpa, access, out);
    if (hpa >= 0) {
      return hpa;
    }
    if (modeBased) {
      return translateByMode(gpa, gva, access, out);
    }
    return translateSlowly(gpa, gva, access, needs(access), out);
  }

  private @Hpa long translateSlowly(@Gpa long gpa, @Gva long gva, int access, int needs, Translation out) {
    if (nested != null && caches(access)) {
      return translateNested(gpa, gva, access, needs, out);
    }
    long mapping = walk(gpa, gva, access, needs, out);
    if (mapping < 0) {
      return mapping;
    }
    if (allSoft != null) {
      allSoft.fill(gpa, mapping);
    }
    return deliver(mapping, gpa, out);
  }

  /**
   * Under mode-based execute control: the answer's EXECUTABLE is for the kind of linear address that is behind the
   * access.
   */
  private @Hpa long translateByMode(@Gpa long gpa, @Gva long gva, int access, Translation out) {
    boolean user = isUserMode(access, out);
    int needs = needs(access, user);
    @Hpa long hpa = allSoft == null ? -1 : recall(allSoft, gpa, access, needs, out);
    if (hpa < 0) {
      hpa = translateSlowly(gpa, gva, access, needs, out);
    }
    return hpa < 0 ? hpa : forMode(hpa, user, out);
  }

  /** Whether the access is to the translation of a user-mode linear address. */
  private static boolean isUserMode(int access, Translation out) {
    return (access & TABLE) == 0 && (out.rights & Translation.USER) != 0;
  }

  private static @Hpa long forMode(@Hpa long hpa, boolean user, Translation out) {
    if (user) {
      boolean executable = (out.rights & Translation.USER_EXECUTABLE) != 0;
      out.rights = out.rights & ~Translation.EXECUTABLE | (executable ? Translation.EXECUTABLE : 0);
    }
    return hpa;
  }

  @Override
  public @Hpa long remembered(@Gpa long gpa, int access, Translation out) {
    return soft == null ? -1 : recall(soft, gpa, access, needs(access), out);
  }

  private static @Hpa long recall(NestedSoftTlb soft, @Gpa long gpa, int access, int needs, Translation out) {
    long mapping = soft.lookup(gpa);
    if ((mapping & needs) != needs) {
      return -1;
    }
    int shift = EptMapping.shift(mapping);
    if ((access & TABLE_UPDATE) == 0) {
      out.references += EptMapping.references(mapping);
    }
    EptMapping.describe(mapping, out);
    return EptMapping.page(mapping)
        | Addresses.offset(gpa, shift == EptEntry.SHIFT_4K ? 1L << EptEntry.SHIFT_4K : 1L << EptEntry.SHIFT_2M);
  }

  private @Hpa long translateNested(@Gpa long gpa, @Gva long gva, int access, int needs, Translation out) {
    boolean update = (access & TABLE_UPDATE) != 0;
    long mapping = nested.lookup(ep4ta, gpa);
    if ((mapping & needs) == needs) {
      if (!update) {
        nested.countHit();
        out.references += nested.countHitReferences ? EptMapping.references(mapping) : 0;
      }
      return deliver(mapping, gpa, out);
    }
    int missing = needs & ~Translation.DIRTY;
    if (mapping != EptMapping.NONE && (mapping & missing) != missing && nested.reportCachedRights
        && subPageTable == SUB_PAGES_OFF) {
      return violation(gpa, gva, access, entryRights(EptMapping.rights(mapping)), out);
    }
    if (!update) {
      nested.countMiss();
    }
    mapping = walk(gpa, gva, access, needs, out);
    if (mapping < 0) {
      return mapping;
    }
    nested.fill(ep4ta, gpa, mapping);
    return deliver(mapping, gpa, out);
  }

  @Override
  public @Hpa long peek(@Gpa long gpa, @Gva long gva, int access, Translation out, WalkObserver steps) {
    long[] ownTrail = new long[TRAIL_SIZE];
    int level = resolve(gpa, ownTrail, steps);
    out.references += (access & TABLE_UPDATE) == 0 ? (int) ownTrail[TRAIL_REFERENCES] : 0;
    int rights = (int) ownTrail[TRAIL_RIGHTS];
    if (level <= 0) {
      return level == 0 ? describeViolation(gpa, gva, access, rights, out) : misconfiguration(gpa, gva, out);
    }
    boolean user = modeBased && isUserMode(access, out);
    int needs = needs(access, user);
    if (!allows(rights, needs)) {
      int lookup = asksSubPages(ownTrail, level, access, needs) ? SubPageTable.lookup(memory, subPageTable, gpa) : 0;
      int subPage = SubPageTable.result(lookup);
      out.references += SubPageTable.reads(lookup);
      if (subPage > SubPageTable.GRANTED) {
        return subPageExit(gpa, gva, subPage, out);
      }
      if (subPage == SubPageTable.DENIED) {
        return describeViolation(gpa, gva, access, rights, out);
      }
    }
    return forMode(deliver(mapping(ownTrail, level), gpa, out), user, out);
  }

  private boolean caches(int access) {
    return !nested.tablesOnly || (access & TABLE) != 0;
  }

  private boolean isWrite(int access) {
    return (access & Access.WRITE) != 0 || accessedDirty && (access & (TABLE | NO_LINEAR)) == TABLE;
  }

  /** The rights, as bits of {@link Translation}, that a cached mapping must have to serve an access. */
  private int needs(int access) {
    return (access & Access.FETCH) != 0 ? Translation.EXECUTABLE : isWrite(access) ? WRITE_NEEDS : Translation.READABLE;
  }

  private int needs(int access, boolean user) {
    return user && (access & Access.FETCH) != 0 ? Translation.USER_EXECUTABLE : needs(access);
  }

  private static boolean allows(int entryRights, int needs) {
    long right = needs == Translation.READABLE ? EptEntry.READ : needs == Translation.EXECUTABLE ? EptEntry.EXECUTE
        : needs == WRITE_NEEDS ? EptEntry.WRITE : EptEntry.USER_EXECUTE;
    return (entryRights & right) != 0;
  }

  /** Whether a walk whose rights do not allow the access is one to ask the sub-page permission table for. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  private boolean asksSubPages(long[] trail, int level, int access, int needs) {
    return subPageTable != SUB_PAGES_OFF && needs == WRITE_NEEDS && (access & TABLE) == 0 && level == 1
        && (trail[2 * level + 1] & EptEntry.SUB_PAGE_WRITE) != 0 && (trail[TRAIL_RIGHTS] & EptEntry.READ) != 0;
  }

  /**
   * Walks the tables and sets A and D.
   *
   * @return an {@link EptMapping}, or {@link Status#EXIT} with the exit in {@code out}
   */
  private long walk(@Gpa long gpa, @Gva long gva, int access, int needs, Translation out) {
    int level;
    int subPage = SubPageTable.DENIED;
    do {
      level = resolve(gpa, trail, null);
      if (level <= 0) {
        break;
      }
      if (!allows((int) trail[TRAIL_RIGHTS], needs)) {
        if (asksSubPages(trail, level, access, needs)) {
          int lookup = SubPageTable.lookup(memory, subPageTable, gpa);
          subPage = SubPageTable.result(lookup);
          out.references += SubPageTable.reads(lookup);
        }
        if (subPage != SubPageTable.GRANTED) {
          break;
        }
      }
      if (pmlAddress != PML_OFF && pmlIndex >= PML_ENTRIES && accessedDirty
          && lacksFlags(level, needs == WRITE_NEEDS)) {
        out.references += (access & TABLE_UPDATE) == 0 ? (int) trail[TRAIL_REFERENCES] : 0;
        return exit(ExitReason.PML_FULL, 0, gva, out);
      }
    } while (accessedDirty && !setAccessedDirty(gpa, level, needs == WRITE_NEEDS));
    if ((access & TABLE_UPDATE) == 0) {
      out.references += (int) trail[TRAIL_REFERENCES];
    }
    int rights = (int) trail[TRAIL_RIGHTS];
    if (level < 0) {
      return misconfiguration(gpa, gva, out);
    }
    if (level == 0 || !allows(rights, needs) && subPage != SubPageTable.GRANTED) {
      return subPage > SubPageTable.GRANTED ? subPageExit(gpa, gva, subPage, out)
          : violation(gpa, gva, access, rights, out);
    }
    return mapping(trail, level);
  }

  private static long subPageExit(@Gpa long gpa, @Gva long gva, int subPage, Translation out) {
    exit(ExitReason.SPP, gpa, gva, out);
    out.exitQualification = subPage == SubPageTable.MISSED ? SubPageTable.MISS : 0;
    return Status.EXIT;
  }

  /**
   * Reads the entries from the root down, into {@code trail}.
   *
   * @return level of the leaf; 0 if an entry is not present (combined rights 0); −1 if one is misconfigured
   */
  private int resolve(@Gpa long gpa, long[] trail, WalkObserver steps) {
    trail[TRAIL_RIGHTS] = 0;
    trail[TRAIL_REFERENCES] = 0;
    if (gpa >>> gpaBits != 0) {
      return 0;
    }
    int rights = rightsMask;
    @Hpa long table = root;
    for (int level = levels; ; level--) {
      @Hpa long at = table + 8L * EptEntry.index(gpa, level);
      long entry = memory.read64(at);
      trail[TRAIL_REFERENCES]++;
      if (steps != null) {
        steps.step(WalkObserver.Dimension.EPT, level, gpa, at, entry);
      }
      int entryRights = (int) entry & rightsMask;
      if (entryRights == 0) {
        return 0;
      }
      boolean leaf = EptEntry.isLeaf(entry, level);
      if ((allowedRights >>> (entryRights & ALL_RIGHTS) & 1) == 0 || (entry & reserved[2 * level + (leaf ? 1 : 0)]) != 0
          || leaf && !EptMemoryType.isAllowed(EptEntry.memoryType(entry))) {
        return -1;
      }
      rights &= entryRights;
      trail[2 * level] = Addresses.bits(at);
      trail[2 * level + 1] = entry;
      if (leaf) {
        trail[TRAIL_RIGHTS] = rights;
        return level;
      }
      table = EptEntry.address(entry);
    }
  }

  /** @return false if an entry was changed by someone else: walk again */
  private boolean setAccessedDirty(@Gpa long gpa, int leafLevel, boolean write) {
    for (int level = levels; level >= leafLevel; level--) {
      long entry = trail[2 * level + 1];
      long flags = flags(level == leafLevel && write);
      if ((entry & flags) != flags) {
        if (!memory.compareAndSet(trail[2 * level], 8, entry, entry | flags)) {
          return false;
        }
        trail[2 * level + 1] = entry | flags;
        if (pmlAddress != PML_OFF && (flags & ~entry & EptEntry.DIRTY) != 0) {
          memory.write64(pmlAddress + 8L * pmlIndex, Addresses.bits(gpa) & -HostMemory.FRAME_SIZE);
          pmlIndex = pmlIndex - 1 & PML_INDEX_MASK;
        }
        if (level == 3 && (flags & ~entry & EptEntry.DIRTY) != 0 && allSoft != null) {
          // The soft TLB holds a 1-GiB page in pieces, and all of them are dirty now.
          allSoft.flush();
        }
      }
    }
    return true;
  }

  private static long flags(boolean dirty) {
    return dirty ? EptEntry.ACCESSED | EptEntry.DIRTY : EptEntry.ACCESSED;
  }

  /** Whether an entry of the walk in hand has a flag to be set. */
  private boolean lacksFlags(int leafLevel, boolean write) {
    for (int level = levels; level >= leafLevel; level--) {
      long flags = flags(level == leafLevel && write);
      if ((trail[2 * level + 1] & flags) != flags) {
        return true;
      }
    }
    return false;
  }

  private long mapping(long[] trail, int level) {
    long leaf = trail[2 * level + 1];
    int entryRights = (int) trail[TRAIL_RIGHTS];
    int rights = ((entryRights & EptEntry.READ) != 0 ? Translation.READABLE : 0)
        | ((entryRights & EptEntry.WRITE) != 0 ? Translation.STAGE_WRITABLE : 0)
        | ((entryRights & EptEntry.EXECUTE) != 0 ? Translation.EXECUTABLE : 0)
        | (int) (entryRights & EptEntry.USER_EXECUTE) >> USER_EXECUTE_TO_RIGHT
        | (!accessedDirty || (leaf & EptEntry.DIRTY) != 0 ? Translation.DIRTY : 0);
    int type = EptEntry.memoryType(leaf) | ((leaf & EptEntry.IPAT) != 0 ? EptMemoryType.IPAT : 0);
    return EptMapping.pack(EptEntry.address(leaf), EptEntry.shift(level), rights, type, (int) trail[TRAIL_REFERENCES]);
  }

  private static @Hpa long deliver(long mapping, @Gpa long gpa, Translation out) {
    EptMapping.describe(mapping, out);
    return EptMapping.page(mapping) | Addresses.offset(gpa, 1L << out.pageShift);
  }

  private static int entryRights(int rights) {
    return (int) (((rights & Translation.READABLE) != 0 ? EptEntry.READ : 0)
        | ((rights & Translation.STAGE_WRITABLE) != 0 ? EptEntry.WRITE : 0)
        | ((rights & Translation.EXECUTABLE) != 0 ? EptEntry.EXECUTE : 0)
        | ((rights & Translation.USER_EXECUTABLE) != 0 ? EptEntry.USER_EXECUTE : 0));
  }

  private long misconfiguration(@Gpa long gpa, @Gva long gva, Translation out) {
    return exit(ExitReason.EPT_MISCONFIG, gpa, gva, out);
  }

  private static long exit(int reason, @Gpa long gpa, @Gva long gva, Translation out) {
    out.gva = gva;
    out.exitReason = reason;
    out.exitQualification = 0;
    out.exitGpa = gpa;
    out.convertible = false;
    return Status.EXIT;
  }

  /** Reports a violation and drops what is cached for its address. */
  private long violation(@Gpa long gpa, @Gva long gva, int access, int entryRights, Translation out) {
    if (nested != null) {
      nested.drop(ep4ta, gpa);
    }
    if (allSoft != null) {
      allSoft.drop(gpa);
    }
    return describeViolation(gpa, gva, access, entryRights, out);
  }

  private long describeViolation(@Gpa long gpa, @Gva long gva, int access, int entryRights, Translation out) {
    long qualification = (entryRights & EptEntry.RIGHTS) << EptViolation.PROT_SHIFT
        | ((entryRights & EptEntry.USER_EXECUTE) != 0 ? EptViolation.PROT_USER_EXEC : 0);
    if ((access & Access.FETCH) != 0) {
      qualification |= EptViolation.ACC_INSTR;
    } else if (isWrite(access)) {
      qualification |= (access & TABLE) != 0 ? EptViolation.ACC_READ | EptViolation.ACC_WRITE : EptViolation.ACC_WRITE;
    } else {
      qualification |= EptViolation.ACC_READ;
    }
    if ((access & NO_LINEAR) == 0) {
      qualification |= EptViolation.GVA_IS_VALID;
      if ((access & TABLE) == 0) {
        qualification |= EptViolation.GVA_TRANSLATED | (capabilities.advancedExitInfo() ? advancedInfo(out.rights) : 0);
      }
    }
    out.gva = gva;
    out.exitReason = ExitReason.EPT_VIOLATION;
    out.exitQualification = qualification;
    out.exitGpa = gpa;
    out.convertible = violationExceptions && isConvertible(gpa);
    return Status.EXIT;
  }

  /** Whether the entry at which a walk ends, one not present or a leaf, has suppress #VE clear. */
  private boolean isConvertible(@Gpa long gpa) {
    if (gpa >>> gpaBits != 0) {
      return false;
    }
    @Hpa long table = root;
    for (int level = levels; ; level--) {
      long entry = memory.read64(table + 8L * EptEntry.index(gpa, level));
      if ((entry & rightsMask) == 0 || EptEntry.isLeaf(entry, level)) {
        return (entry & EptEntry.SUPPRESS_VE) == 0;
      }
      table = EptEntry.address(entry);
    }
  }

  private static long advancedInfo(int guestRights) {
    return ((guestRights & Translation.USER) != 0 ? EptViolation.GVA_USER : 0)
        | ((guestRights & Translation.WRITABLE) != 0 ? EptViolation.GVA_WRITABLE : 0)
        | ((guestRights & Translation.EXECUTABLE) != 0 ? 0 : EptViolation.GVA_NX);
  }
}
