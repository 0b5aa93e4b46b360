package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Permissions;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.lockstep.PagingStep.AccessKind;
import dev.gnomon.vmm.lockstep.PagingStep.Store;
import dev.gnomon.vmm.lockstep.TranslationHistory.Candidates;
import dev.gnomon.vmm.lockstep.TranslationHistory.Page;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Follows an unsynchronised {@link PagingProgram} step by step and judges whether what came of each step is one of the
 * outcomes that {@link TranslationHistory} allows:
 * <ul>
 * <li>an access reads or writes where some allowed translation leads that grants it, and writes nowhere else;
 * <li>or it faults with an error code and CR2 that some allowed walk gives;
 * <li>no A or D flag is cleared, A is set only in entries that an allowed walk for the address reads, D only in leaves
 *   of such walks and only by a write that did not fault (under EPT also by one that did); and where only one walk is
 *   possible, A and D are set;
 * <li>an edit changes the entry and nothing else.
 * </ul>
 * Not checked: that different accesses agree with each other on what is cached (each is judged alone, by a set that is
 * too large in the ways that the history names), which of two pages a page-crossing access names, and the fixed tables
 * of code and stack.
 */
final class UnsynchronisedEditOracle {
  private static final int READ_BYTES = 8;

  private final Vm vm;
  private final List<PagingStep> steps;
  private final TranslationHistory history;
  /** Data that were written, by guest-physical address. */
  private final Map<Long, Long> data = new HashMap<>();
  private final Map<Long, Long> raw = new HashMap<>();
  private final PagingContext paging = new PagingContext();
  private int at;
  private String problem = "";
  // Of the step in hand.
  private long event;
  private @Gva long cr2;

  /** To be made when the machine is booted and has not run. */
  UnsynchronisedEditOracle(Vm vm, List<PagingStep> steps) {
    this.vm = vm;
    this.steps = steps;
    history = new TranslationHistory(gpa -> covers(gpa) ? read(gpa) : -1);
    LongModeTables.pokeRandomPart(history::wrote);
    history.recorded().forEach(gpa -> raw.put(gpa, read(gpa)));
    history.setNxe(true);
    history.loadedRoot(LongModeTables.ROOTS);
    history.flushedAll();
  }

  /** What was wrong first, or an empty text. */
  String problem() {
    return problem;
  }

  int stepsJudged() {
    return at;
  }

  private boolean covers(@Gpa long gpa) {
    return vm.guestMemory().covers(gpa, READ_BYTES);
  }

  private long read(@Gpa long gpa) {
    return vm.guestMemory().read(gpa, READ_BYTES);
  }

  /** A step ended. */
  void stepDone() {
    PagingStep step = steps.get(at);
    if (problem.isEmpty()) {
      Cpu cpu = vm.cpu();
      event = cpu.regs[12];
      cr2 = cpu.regs[11];
      Set<Long> mayChange = new HashSet<>();
      judge(step, mayChange);
      unchangedBut(mayChange);
    }
    at++;
  }

  private void judge(PagingStep step, Set<Long> mayChange) {
    Cpu cpu = vm.cpu();
    if (step instanceof PagingStep.Access access) {
      judgeAccess(access);
      return;
    }
    if (event != 0) {
      fail("exception " + Long.toHexString(event) + " cr2 " + Long.toHexString(cr2));
    }
    if (step instanceof PagingStep.Edit edit) {
      for (Store store : edit.stores()) {
        mayChange.add(recordStore(store));
      }
    } else if (step instanceof PagingStep.LoadRoot load) {
      history.loadedRoot(load.root());
    } else if (step instanceof PagingStep.Invalidate invalidate) {
      history.dropped(invalidate.gva());
    } else if (step instanceof PagingStep.FlushAll) {
      history.flushedAll();
    } else {
      history.setNxe((cpu.efer & ControlRegister.EFER_NXE) != 0);
    }
  }

  private @Gpa long recordStore(Store store) {
    @Gpa long entry = store.gpa() & -8L;
    long old = raw.get(entry);
    long value = store.size() == 8 ? store.value()
        : store.gpa() == entry ? old & 0xFFFF_FFFFL << 32 | store.value() : old & 0xFFFF_FFFFL | store.value() << 32;
    history.wrote(entry, value);
    raw.put(entry, value);
    return entry;
  }

  private void unchangedBut(Set<Long> edited) {
    for (@Gpa long entry : history.recorded()) {
      if (read(entry) != raw.get(entry)) {
        fail((edited.contains(entry) ? "edited entry " : "entry ")
            + "%x is %x, expected %x".formatted(entry, read(entry), raw.get(entry)));
      }
    }
  }

  private void judgeAccess(PagingStep.Access access) {
    Cpu cpu = vm.cpu();
    paging.mode = PagingContext.LONG4;
    paging.wp = (cpu.cr0 & ControlRegister.CR0_WP) != 0;
    paging.smep = (cpu.cr4 & ControlRegister.CR4_SMEP) != 0;
    paging.smap = (cpu.cr4 & ControlRegister.CR4_SMAP) != 0;
    paging.nxe = (cpu.efer & ControlRegister.EFER_NXE) != 0;
    @Gva long gva = access.gva();
    @Gva long last = gva + (access.kind() == AccessKind.CALL ? 0 : READ_BYTES - 1);
    Candidates here = history.candidates(gva);
    Candidates next = gva >>> 12 == last >>> 12 ? null : history.candidates(last & -4096L);
    boolean completed = false;
    if (event >>> 32 == Vector.PF) {
      boolean first = cr2 == gva;
      if (!first && (next == null || cr2 != (last & -4096L))) {
        fail("#PF with CR2 " + Long.toHexString(cr2));
      } else if (!errorCodes(access, first ? here : next).contains((int) event)) {
        fail("#PF with error code %x at %x; allowed: %s".formatted((int) event, cr2, first ? here : next));
      }
    } else if (event >>> 32 == Vector.UD) {
      if (access.kind() != AccessKind.CALL || granted(access, here).stream().allMatch(page -> covers(page.gpa()))) {
        fail("#UD; allowed: " + here);
      }
      completed = true;
    } else if (event != 0 && event >>> 32 != PagingProgram.RETURN_VECTOR) {
      fail("exception " + Long.toHexString(event));
    } else {
      completed = true;
      judgeEffect(access, here, next);
    }
    judgeFlags(access, completed, here, next);
    if (event >>> 32 == Vector.PF) {
      history.dropped(cr2);
    }
  }

  private int bits(PagingStep.Access access) {
    int bits = switch (access.kind()) {
      case READ -> Access.READ;
      case WRITE, ADD -> Access.WRITE;
      case CALL -> Access.FETCH;
    };
    return bits | (access.user() ? Access.USER : access.override() ? Access.SMAP_OVERRIDE : 0);
  }

  private Set<Integer> errorCodes(PagingStep.Access access, Candidates candidates) {
    Set<Integer> codes = new HashSet<>();
    candidates.faults.forEach(flags -> codes.add(Permissions.errorCode(bits(access), flags, paging)));
    for (Page page : candidates.pages) {
      if (!Permissions.allowed(bits(access), page.rights(), paging)) {
        codes.add(Permissions.errorCode(bits(access), PageFaultCode.P, paging));
      }
    }
    return codes;
  }

  private List<Page> granted(PagingStep.Access access, Candidates candidates) {
    return candidates.pages.stream().filter(page -> Permissions.allowed(bits(access), page.rights(), paging)).toList();
  }

  private void judgeEffect(PagingStep.Access access, Candidates here, Candidates next) {
    List<Page> pages = granted(access, here);
    boolean explained = switch (access.kind()) {
      case CALL -> pages.stream().anyMatch(page -> covers(page.gpa()));
      case READ -> explainsRead(pages, next == null ? null : granted(access, next));
      case WRITE, ADD -> explainsWrite(access, pages);
    };
    if (!explained) {
      StringBuilder data = new StringBuilder();
      pages.forEach(page ->
          data.append(" %x=%x".formatted(page.gpa(), covers(page.gpa()) ? read(page.gpa() & -8L) : -1)));
      fail("no allowed translation explains it (read %x); allowed: %s%s; memory now%s".formatted(
          vm.cpu().regs[10], here, next == null ? "" : " and " + next, data));
    }
  }

  private boolean explainsRead(List<Page> pages, List<Page> next) {
    long value = vm.cpu().regs[10];
    if (next == null) {
      return pages.stream().anyMatch(page -> expected(page.gpa()) == value);
    }
    return pages.stream().anyMatch(page -> (int) (expected(page.gpa() & -8L) >>> 32) == (int) value)
        && next.stream().anyMatch(page -> (int) expected(page.gpa()) == (int) (value >>> 32));
  }

  /** What the program's earlier writes left in memory. */
  private long expected(@Gpa long gpa) {
    if (!covers(gpa)) {
      return -1;
    }
    return data.getOrDefault(gpa, (gpa & 0xFFF) == 0 ? GuestProgram.RETURNS : 0);
  }

  private boolean explainsWrite(PagingStep.Access access, List<Page> pages) {
    for (Page page : pages) {
      long value = access.kind() == AccessKind.ADD ? expected(page.gpa()) + access.value() : access.value();
      if (covers(page.gpa()) && read(page.gpa()) == value && value != expected(page.gpa())) {
        data.put(page.gpa(), value);
        return true;
      }
    }
    // Nothing changed: a write into nothing, or of what was there.
    return pages.stream().anyMatch(page ->
        !covers(page.gpa()) || access.kind() == AccessKind.WRITE && expected(page.gpa()) == access.value());
  }

  private void judgeFlags(PagingStep.Access access, boolean completed, Candidates here, Candidates next) {
    Candidates all = new Candidates();
    all.add(here);
    if (next != null) {
      all.add(next);
    }
    boolean write = (bits(access) & Access.WRITE) != 0;
    // An EPT violation at the page comes after D was set and drops what was cached, so the access can end in a fault of
    // the present tables.
    boolean mayDirty = write && (completed || vm.options().mode() == Mode.EPT);
    for (@Gpa long entry : all.visited) {
      if (raw.containsKey(entry)) {
        long before = raw.get(entry);
        long after = read(entry);
        long allowed = PageTableEntry.A | (mayDirty && all.leaves.contains(entry) ? PageTableEntry.D : 0);
        if ((after & ~allowed) != (before & ~allowed) || (before & ~after) != 0) {
          fail("entry %x went from %x to %x, event %x cr2 %x; allowed: %s".formatted(entry, before, after, event,
              cr2, here));
        }
        raw.put(entry, after);
      }
    }
    if (completed && here.settled && (next == null || next.settled)) {
      flagsMustBeSet(all, write);
    }
  }

  private void flagsMustBeSet(Candidates all, boolean write) {
    for (@Gpa long entry : all.visited) {
      long needed = PageTableEntry.A | (write && all.leaves.contains(entry) ? PageTableEntry.D : 0);
      if ((read(entry) & needed) != needed) {
        fail("entry %x is %x after an access that cannot have used anything cached before".formatted(entry,
            read(entry)));
      }
    }
  }

  /** The run is over: nothing but what was judged is in the data. */
  void ended() {
    for (@Gpa long gpa = GuestProgram.DATA;
        gpa < GuestProgram.DATA + GuestProgram.DATA_BYTES && problem.isEmpty(); gpa += 8) {
      if (read(gpa) != expected(gpa)) {
        fail("data at %x are %x, expected %x".formatted(gpa, read(gpa), expected(gpa)));
      }
    }
  }

  private void fail(String text) {
    if (problem.isEmpty()) {
      problem = at < steps.size() ? "step " + at + " " + steps.get(at) + ": " + text : text;
    }
  }
}
