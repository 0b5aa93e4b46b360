package dev.gnomon.vmm.lockstep;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.CR0;
import static dev.gnomon.guest.asm.Reg.CR2;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.CR4;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.EBP;
import static dev.gnomon.guest.asm.Reg.EBX;
import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.EDX;
import static dev.gnomon.guest.asm.Reg.R10;
import static dev.gnomon.guest.asm.Reg.R11;
import static dev.gnomon.guest.asm.Reg.R12;
import static dev.gnomon.guest.asm.Reg.R13;
import static dev.gnomon.guest.asm.Reg.R14;
import static dev.gnomon.guest.asm.Reg.R15;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBX;
import static dev.gnomon.guest.asm.Reg.RDI;
import static dev.gnomon.guest.asm.Reg.RDX;
import static dev.gnomon.guest.asm.Reg.RSP;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.ProtectionKeys;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.lockstep.PagingStep.AccessKind;
import dev.gnomon.vmm.lockstep.PagingStep.Store;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A 64-bit guest program made of random steps: edits of its own {@link LongModeTables}, accesses through them from
 * rings 0 and 3 and from compatibility mode, and changes of the control registers that decide about rights. Every
 * exception is logged with its error code and CR2, and the program goes on with the next step.
 */
final class PagingProgram implements GuestProgram {
  /** Which invalidations follow an edit, and which contexts there are. */
  enum Kind {
    /** One PCID; each edit is followed by the invalidation that the SDM demands. */
    SYNCHRONISED,
    /** As {@link #SYNCHRONISED}, with 5-level paging. */
    FIVE_LEVELS,
    /** As {@link #SYNCHRONISED}, with protection keys on pages and limits in PKRU and IA32_PKRS. */
    KEYS,
    /** One PCID; invalidations come at random. Each step ends with OUT to {@link #STEP_PORT}. */
    UNSYNCHRONISED,
    /** Several PCIDs, each of one root; no global pages. Synchronised by any means that there is. */
    PCIDS,
    /** Several PCIDs and global pages. Synchronised by what drops global pages too. */
    GLOBAL_PCIDS;

    boolean isSynchronised() {
      return this == SYNCHRONISED || this == FIVE_LEVELS || this == KEYS;
    }

    boolean hasPcids() {
      return this == PCIDS || this == GLOBAL_PCIDS;
    }
  }

  /**
   * Written at the end of each step of an unsynchronised program, when R12 holds vector (high half) and error code of
   * the last exception or 0, R11 CR2, R10 the last value read.
   */
  static final int STEP_PORT = 0xE0;
  /** Ends an excursion into ring 3. */
  static final int RETURN_VECTOR = 0x80;
  private static final int KEYS = 4;

  private final Kind kind;
  private final int crowd;
  private final Assembler a = new Assembler(64);
  private final Label[] handlers = {new Label("ud"), new Label("gp"), new Label("pf"), new Label("back")};
  private final PagingInvalidations invalidations;
  private final List<PagingStep> steps = new ArrayList<>();
  private final byte[] code;

  /**
   * @param crowd 1, or 2 for fewer addresses and entries, so that steps meet more often
   * @param seeds one a step, so that a shorter list is a shorter program
   */
  PagingProgram(Kind kind, int crowd, List<Integer> seeds) {
    this.kind = kind;
    this.crowd = crowd;
    invalidations = new PagingInvalidations(kind, a);
    code = assemble(seeds);
  }

  @Override
  public byte[] code() {
    return code;
  }

  @Override
  public void equip(Cpuid cpuid) {
    if (kind == Kind.KEYS) {
      cpuid.offer(Feature.PKU, true);
      cpuid.offer(Feature.PKS, true);
    }
    if (kind == Kind.FIVE_LEVELS) {
      cpuid.offer(Feature.LA57, true);
    }
  }

  @Override
  public InitialState start(InitialState s) {
    return kind != Kind.FIVE_LEVELS ? s : new InitialState(s.rip(), s.rax(), s.rbx(), s.rdx(), s.rsi(), s.segments(),
        s.cr0(),
        LongModeTables.top(0), s.cr4() | ControlRegister.CR4_LA57, s.efer(), s.gdtrBase(), s.gdtrLimit(),
        s.idtrLimit());
  }

  private @Gpa long root(int n) {
    return kind == Kind.FIVE_LEVELS ? LongModeTables.top(n) : LongModeTables.root(n);
  }

  private @Gva long randomAddress(SplittableRandom random) {
    @Gva long gva = LongModeTables.randomAddress(crowd, random);
    return kind != Kind.FIVE_LEVELS ? gva
        : LongModeTables.below(LongModeTables.TOP_INDICES[random.nextInt(LongModeTables.TOP_INDICES.length)], gva);
  }

  @Override
  public BootRequest.Entry entry() {
    return BootRequest.Entry.LONG;
  }

  List<PagingStep> steps() {
    return steps;
  }

  private byte[] assemble(List<Integer> seeds) {
    Label gdtr = new Label("gdtr");
    Label idtr = new Label("idtr");
    start(gdtr, idtr);
    for (int seed : seeds) {
      Label next = new Label();
      a.mov(R15, next);
      a.mov(R12, 0);
      if (kind == Kind.UNSYNCHRONISED) {
        // A step that faulted may have left AC set.
        a.clac();
      }
      steps.add(step(new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1)));
      a.bind(next);
      if (kind == Kind.UNSYNCHRONISED) {
        a.out(STEP_PORT, AL);
      }
    }
    a.mov(AL, 0);
    a.out(0xF4, AL);
    a.hlt();
    handler(handlers[0], 6, false);
    handler(handlers[1], 13, true);
    handler(handlers[2], 14, true);
    handler(handlers[3], RETURN_VECTOR, false);
    if (kind.hasPcids()) {
      invalidations.routines();
    }
    a.align(8);
    a.bind(gdtr);
    a.dw(LongModeDescriptors.GDT_LIMIT);
    a.dq(LongModeDescriptors.GDT);
    a.align(8);
    a.bind(idtr);
    a.dw(LongModeDescriptors.IDT_LIMIT);
    a.dq(LongModeDescriptors.IDT);
    return a.assemble(CODE);
  }

  private void start(Label gdtr, Label idtr) {
    a.mov(RSP, LongModeDescriptors.KERNEL_STACK);
    a.lgdt(abs(gdtr));
    a.lidt(abs(idtr));
    a.mov(AX, LongModeDescriptors.TSS_SELECTOR);
    a.ltr(AX);
    // Compatibility mode in ring 3 uses it too.
    a.mov(AX, LongModeDescriptors.USER_DATA);
    a.mov(DS, AX);
    a.mov(ECX, Msr.EFER);
    a.rdmsr();
    a.or(EAX, ControlRegister.EFER_NXE);
    a.wrmsr();
    a.mov(RAX, root(0));
    a.mov(CR3, RAX);
    a.mov(RAX, CR4);
    a.or(RAX, (kind == Kind.PCIDS ? 0 : ControlRegister.CR4_PGE) | (kind.hasPcids() ? ControlRegister.CR4_PCIDE : 0));
    a.or(RAX, kind == Kind.KEYS ? ControlRegister.CR4_PKE | ControlRegister.CR4_PKS : 0);
    a.mov(CR4, RAX);
    a.mov(R14, LOG);
    a.mov(R13, 0);
    a.mov(EBP, 0);
  }

  /** Logs vector, error code and CR2, and goes on with the next step. */
  private void handler(Label label, int vector, boolean hasErrorCode) {
    a.align(16);
    a.bind(label);
    if (hasErrorCode) {
      a.mov(RAX, ptr(RSP));
    } else {
      a.mov(RAX, 0);
    }
    a.mov(RBX, (long) vector << 32);
    a.or(RAX, RBX);
    a.mov(R12, RAX);
    a.mov(ptr(R14), RAX);
    a.mov(R11, CR2);
    a.mov(ptr(R14, 8), R11);
    a.add(R14, 16);
    a.mov(RSP, LongModeDescriptors.KERNEL_STACK);
    a.jmp(R15);
  }

  private PagingStep step(SplittableRandom random) {
    return switch (random.nextInt(12)) {
      case 0, 1, 2, 3 -> edit(random);
      case 4, 5 -> access(random, false);
      case 6 -> kind.hasPcids() ? editSharedPage(random) : access(random, false);
      case 7, 8 -> access(random, true);
      case 9 -> kind == Kind.UNSYNCHRONISED ? access(random, true) : compatibilityAccess(random);
      case 10 -> kind == Kind.UNSYNCHRONISED ? flushSomething(random) : switchRoot(random);
      default -> toggle(random);
    };
  }

  private PagingStep edit(SplittableRandom random) {
    int level = 1 + random.nextInt(8);
    level = level > 4 ? 1 : level;
    @Gpa long at = LongModeTables.randomEntryAddress(level, crowd, random);
    long entry = LongModeTables.randomEntry(level, random);
    if (kind == Kind.KEYS) {
      entry = entry & ~ProtectionKeys.ENTRY_MASK | (long) random.nextInt(KEYS) << ProtectionKeys.ENTRY_SHIFT;
    }
    List<Store> stores;
    a.mov(RDI, at);
    switch (random.nextInt(4)) {
      case 0 -> {
        // Two halves, as 32-bit code would: the entry is torn for a moment.
        a.mov(RAX, entry & 0xFFFF_FFFFL);
        a.mov(ptr(RDI), EAX);
        a.mov(RAX, entry >>> 32);
        a.mov(ptr(RDI, 4), EAX);
        stores = List.of(new Store(at, 4, entry & 0xFFFF_FFFFL), new Store(at + 4, 4, entry >>> 32));
      }
      case 1 -> {
        a.mov(RAX, entry);
        a.xchg(ptr(RDI), RAX);
        stores = List.of(new Store(at, 8, entry));
      }
      default -> {
        a.mov(RAX, entry);
        a.mov(ptr(RDI), RAX);
        stores = List.of(new Store(at, 8, entry));
      }
    }
    int index = level == 1 ? LongModeTables.indexOf(at) : PagingInvalidations.ALL;
    switch (kind) {
      case SYNCHRONISED, FIVE_LEVELS, KEYS -> invalidations.synchronise(index, random);
      case PCIDS, GLOBAL_PCIDS -> invalidations.synchronisePcids(index, random);
      case UNSYNCHRONISED -> { }
    }
    return new PagingStep.Edit(stores);
  }

  /** One access at a random address; the value read goes into the checksum in R13. */
  private PagingStep access(SplittableRandom random, boolean user) {
    boolean override = !user && random.nextInt(3) == 0;
    if (user) {
      enterUser(LongModeDescriptors.USER_CODE);
    } else if (override) {
      a.stac();
    }
    @Gva long page = randomAddress(random);
    @Gva long gva = page + 8 + 8 * random.nextInt(64);
    long value = 0;
    AccessKind access;
    switch (random.nextInt(6)) {
      case 0, 1 -> {
        access = AccessKind.READ;
        gva = random.nextInt(8) == 0 ? page + 0xFFC : gva;
        a.mov(RDX, gva);
        a.mov(RBX, ptr(RDX));
        a.mov(R10, RBX);
        a.rol(R13, 7);
        a.xor(R13, RBX);
      }
      case 2, 3 -> {
        access = AccessKind.WRITE;
        value = random.nextLong();
        a.mov(RDX, gva);
        a.mov(RBX, value);
        a.mov(ptr(RDX), RBX);
      }
      case 4 -> {
        access = AccessKind.ADD;
        value = 1 + random.nextInt(100);
        a.mov(RDX, gva);
        a.add(ptr(RDX).q(), value);
      }
      default -> {
        access = AccessKind.CALL;
        gva = page;
        a.mov(RDX, page);
        a.call(RDX);
      }
    }
    if (user) {
      a.interrupt(RETURN_VECTOR);
    } else if (override) {
      a.clac();
    }
    return new PagingStep.Access(access, gva, value, user, override);
  }

  /** One access by 32-bit code in ring 3; the value read goes into the checksum in EBP. */
  private PagingStep compatibilityAccess(SplittableRandom random) {
    enterUser(LongModeDescriptors.COMPATIBILITY_CODE);
    a.bits(32);
    @Gva long page = LongModeTables.randomLowAddress(crowd, random);
    a.mov(EDX, page + 8 + 8 * random.nextInt(64));
    switch (random.nextInt(4)) {
      case 0 -> {
        a.mov(EBX, ptr(EDX));
        a.rol(EBP, 7);
        a.xor(EBP, EBX);
      }
      case 1 -> a.mov(ptr(EDX).d(), random.nextInt());
      case 2 -> a.add(ptr(EDX).d(), random.nextInt(100));
      default -> {
        a.mov(EDX, page);
        a.call(EDX);
      }
    }
    a.interrupt(RETURN_VECTOR);
    a.bits(64);
    return new PagingStep.CompatibilityAccess();
  }

  private void enterUser(int codeSelector) {
    Label user = new Label();
    a.mov(RAX, user);
    a.mov(RBX, LongModeTables.USER_ALIAS);
    a.add(RAX, RBX);
    a.push(LongModeDescriptors.USER_DATA);
    // Calls in ring 3 need a stack that it may write: the end of the code's own 2M.
    a.mov(RBX, LongModeTables.USER_ALIAS + 0x1FF000);
    a.push(RBX);
    a.push(2);
    a.push(codeSelector);
    a.push(RAX);
    a.iretq();
    a.bind(user);
  }

  /**
   * Uses an address in two contexts, changes whatever page-table entry it goes through, invalidates, and uses it in
   * both contexts again: what any of the contexts kept would show.
   */
  private PagingStep editSharedPage(SplittableRandom random) {
    int index = random.nextInt(LongModeTables.PT_INDICES / crowd);
    @Gva long[] affected = LongModeTables.addressesOf(index);
    @Gva long gva = affected[random.nextInt(affected.length)] + 8 + 8 * random.nextInt(64);
    int first = random.nextInt(PagingInvalidations.PCIDS.length - LongModeTables.ROOT_COUNT);
    // Contexts of one root agree on global pages.
    int second = kind == Kind.GLOBAL_PCIDS ? first + LongModeTables.ROOT_COUNT : first + 1;
    a.stac();
    loadContext(first, random);
    editLeaves(index, random);
    invalidations.invalidatePcid(Mmu.ALL_CONTEXTS, 0, 0);
    use(gva, random);
    loadContext(second, random);
    use(gva, random);
    List<Store> stores = editLeaves(index, random);
    invalidations.synchronisePcids(index, random);
    use(gva, random);
    a.mov(RAX, PagingInvalidations.rootOf(first) | ControlRegister.CR3_NO_FLUSH);
    a.mov(CR3, RAX);
    use(gva, random);
    return new PagingStep.Edit(stores);
  }

  private List<Store> editLeaves(int index, SplittableRandom random) {
    List<Store> stores = new ArrayList<>();
    for (@Gpa long at : LongModeTables.leafEntries(index)) {
      long entry = LongModeTables.randomGoodLeaf(random);
      a.mov(RDI, at);
      a.mov(RAX, entry);
      a.mov(ptr(RDI), RAX);
      stores.add(new Store(at, 8, entry));
    }
    return stores;
  }

  private void loadContext(int context, SplittableRandom random) {
    a.mov(RAX, PagingInvalidations.rootOf(context) | (random.nextInt(4) == 0 ? 0 : ControlRegister.CR3_NO_FLUSH));
    a.mov(CR3, RAX);
  }

  /** Adds to memory and to the checksum, and goes on here if that faults. */
  private void use(@Gva long gva, SplittableRandom random) {
    Label after = new Label();
    a.mov(R15, after);
    a.mov(RDX, gva);
    a.mov(RBX, random.nextLong());
    a.add(R13, ptr(RDX));
    a.add(ptr(RDX), RBX);
    a.bind(after);
  }

  private PagingStep flushSomething(SplittableRandom random) {
    switch (random.nextInt(6)) {
      case 0 -> {
        invalidations.flushAll();
        return new PagingStep.FlushAll();
      }
      case 1, 2 -> {
        @Gva long gva = LongModeTables.randomAddress(crowd, random);
        a.mov(RAX, gva);
        a.invlpg(ptr(RAX));
        return new PagingStep.Invalidate(gva);
      }
      default -> {
        return switchRoot(random);
      }
    }
  }

  private PagingStep switchRoot(SplittableRandom random) {
    if (!kind.hasPcids()) {
      @Gpa long root = root(random.nextInt(LongModeTables.ROOT_COUNT));
      a.mov(RAX, root);
      a.mov(CR3, RAX);
      if (kind.isSynchronised()) {
        invalidations.flushAll();
      }
      return new PagingStep.LoadRoot(root);
    }
    long root = PagingInvalidations.rootOf(random.nextInt(PagingInvalidations.PCIDS.length));
    a.mov(RAX, root | (random.nextInt(3) == 0 ? 0 : ControlRegister.CR3_NO_FLUSH));
    a.mov(CR3, RAX);
    if (kind == Kind.GLOBAL_PCIDS) {
      // The roots do not agree on global pages.
      invalidations.synchronisePcids(PagingInvalidations.ALL, random);
    }
    return new PagingStep.LoadRoot(root);
  }

  /** Limits random keys, but not for the kernel the key 0 of its own pages; flushes nothing. */
  private PagingStep limitKeys(SplittableRandom random) {
    a.mov(RAX, random.nextInt() & 0xFFL & (random.nextBoolean() ? 0xAA : 0xFF));
    a.mov(ECX, 0);
    a.mov(EDX, 0);
    switch (random.nextInt(4)) {
      case 0 -> {
        a.mov(ECX, Msr.PKRS);
        a.and(RAX, -4);
        a.wrmsr();
      }
      case 1 -> {
        a.mov(RAX, CR4);
        a.xor(RAX, random.nextBoolean() ? ControlRegister.CR4_PKE : ControlRegister.CR4_PKS);
        a.mov(CR4, RAX);
      }
      // WRPKRU; #UD while PKE is off.
      default -> a.db(0x0F, 0x01, 0xEF);
    }
    return new PagingStep.Toggle();
  }

  private PagingStep toggle(SplittableRandom random) {
    if (kind == Kind.KEYS && random.nextBoolean()) {
      return limitKeys(random);
    }
    switch (random.nextInt(4)) {
      case 0 -> {
        a.mov(RAX, CR0);
        a.xor(RAX, ControlRegister.CR0_WP);
        a.mov(CR0, RAX);
      }
      case 1 -> {
        a.mov(RAX, CR4);
        a.xor(RAX, ControlRegister.CR4_SMEP);
        a.mov(CR4, RAX);
      }
      case 2 -> {
        a.mov(RAX, CR4);
        a.xor(RAX, ControlRegister.CR4_SMAP);
        a.mov(CR4, RAX);
      }
      default -> {
        a.mov(ECX, Msr.EFER);
        a.rdmsr();
        a.xor(EAX, ControlRegister.EFER_NXE);
        a.wrmsr();
      }
    }
    switch (kind) {
      case SYNCHRONISED, FIVE_LEVELS, KEYS -> invalidations.flushAll();
      case PCIDS, GLOBAL_PCIDS -> invalidations.synchronisePcids(PagingInvalidations.ALL, random);
      case UNSYNCHRONISED -> { }
    }
    return new PagingStep.Toggle();
  }

  @Override
  public void poke(Poke memory) {
    LongModeTables.poke(memory);
    LongModeDescriptors.poke(memory);
    int[] vectors = {6, 13, 14, RETURN_VECTOR};
    for (int i = 0; i < vectors.length; i++) {
      LongModeDescriptors.pokeGate(memory, vectors[i], a.addressOf(handlers[i], CODE), vectors[i] == RETURN_VECTOR);
    }
    GuestProgram.pokeData(memory);
  }
}
