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
import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.R13;
import static dev.gnomon.guest.asm.Reg.R14;
import static dev.gnomon.guest.asm.Reg.R15;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBX;
import static dev.gnomon.guest.asm.Reg.RCX;
import static dev.gnomon.guest.asm.Reg.RDI;
import static dev.gnomon.guest.asm.Reg.RDX;
import static dev.gnomon.guest.asm.Reg.RSP;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A guest program made of random steps: edits of its own page tables, accesses through them from rings 0 and 3, and changes of the control registers
 * that decide about rights. Every exception is logged with its error code and CR2, and the program goes on with the next step.
 *
 * <pre>
 *  GPA 100000  code          300000  roots, one page each        320000 + n·4K  tables that random entries name: PDPT, PD, PT
 *      380000  IDT, 381000 GDT, 382000 TSS, 383000 identity PDPT, 384000 alias PD, 385000 identity PD     200000  log
 *      400000  4 MiB of data, every 4K page of which begins with RET
 *  GVA 0       the first GiB, identity, supervisor only
 *      40000000  the first 2 MiB again, for ring 3
 *      8000000000  what the random tables map
 * </pre>
 */
final class PagingProgram {
  static final @Gpa long CODE = 0x100000;
  static final @Gpa long LOG = 0x200000;
  static final @Gpa long DATA = 0x400000;
  static final long DATA_BYTES = 0x400000;
  private static final @Gpa long ROOTS = 0x300000;
  private static final @Gpa long POOL = 0x320000;
  private static final @Gpa long IDT = 0x380000;
  private static final @Gpa long GDT = 0x381000;
  private static final @Gpa long TSS = 0x382000;
  private static final @Gpa long IDENTITY_PDPT = 0x383000;
  private static final @Gpa long ALIAS_PD = 0x384000;
  private static final @Gpa long IDENTITY_PD = 0x385000;
  private static final long KERNEL_STACK = 0x90000;
  private static final long USER_ALIAS = 0x40000000L;
  private static final @Gva long RANDOM_BASE = 1L << 39;
  private static final int ROOT_COUNT = 3;
  private static final int PDPTS = 2;
  private static final int PDS = 3;
  private static final int PTS = 4;
  private static final int PML4_INDICES = 2;
  private static final int PDPT_INDICES = 2;
  private static final int PD_INDICES = 4;
  private static final int PT_INDICES = 8;
  private static final int KERNEL_CODE = 0x08;
  private static final int KERNEL_DATA = 0x10;
  private static final int USER_DATA = 0x1B;
  private static final int USER_CODE = 0x23;
  private static final int TSS_SELECTOR = 0x28;
  private static final int RETURN_VECTOR = 0x80;

  /** Where initial structures go. */
  interface Poke {
    void write64(@Gpa long gpa, long value);
  }

  /** Whether each edit is followed by the invalidation that the SDM demands. */
  private final boolean synchronised;
  private final Assembler a = new Assembler(64);
  private final Label[] handlers = {new Label("ud"), new Label("gp"), new Label("pf"), new Label("back")};

  PagingProgram(boolean synchronised) {
    this.synchronised = synchronised;
  }

  /** The program's code, to be loaded at {@link #CODE} and entered in 64-bit mode with memory mapped to itself. */
  byte[] assemble(List<Integer> steps) {
    Label gdtr = new Label("gdtr");
    Label idtr = new Label("idtr");
    a.mov(RSP, KERNEL_STACK);
    a.lgdt(abs(gdtr));
    a.lidt(abs(idtr));
    a.mov(AX, TSS_SELECTOR);
    a.ltr(AX);
    a.mov(AX, KERNEL_DATA);
    a.mov(DS, AX);
    a.mov(ECX, Msr.EFER);
    a.rdmsr();
    a.or(EAX, ControlRegister.EFER_NXE);
    a.wrmsr();
    a.mov(RAX, CR4);
    a.or(RAX, ControlRegister.CR4_PGE);
    a.mov(CR4, RAX);
    a.mov(RAX, ROOTS);
    a.mov(CR3, RAX);
    a.mov(R14, LOG);
    a.mov(R13, 0);
    for (int step : steps) {
      Label next = new Label();
      a.mov(R15, next);
      step(new SplittableRandom(step * 0x9E3779B97F4A7C15L + 1));
      a.bind(next);
    }
    a.mov(AL, 0);
    a.out(0xF4, AL);
    a.hlt();
    handler(handlers[0], 6, false);
    handler(handlers[1], 13, true);
    handler(handlers[2], 14, true);
    handler(handlers[3], RETURN_VECTOR, false);
    a.align(8);
    a.bind(gdtr);
    a.dw(0x3F);
    a.dq(GDT);
    a.align(8);
    a.bind(idtr);
    a.dw(0xFFF);
    a.dq(IDT);
    return a.assemble(CODE);
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
    a.mov(ptr(R14), RAX);
    a.mov(RAX, CR2);
    a.mov(ptr(R14, 8), RAX);
    a.add(R14, 16);
    a.mov(RSP, KERNEL_STACK);
    a.jmp(R15);
  }

  private void step(SplittableRandom random) {
    switch (random.nextInt(12)) {
      case 0, 1, 2, 3 -> edit(random);
      case 4, 5, 6 -> kernelAccess(random);
      case 7, 8, 9 -> userAccess(random);
      case 10 -> switchRoot(random);
      default -> toggle(random);
    }
  }

  private void edit(SplittableRandom random) {
    int level = 1 + random.nextInt(8);
    level = level > 4 ? 1 : level;
    @Gpa long table;
    int index;
    switch (level) {
      case 4 -> {
        table = ROOTS + 0x1000L * random.nextInt(ROOT_COUNT);
        index = 1 + random.nextInt(PML4_INDICES);
      }
      case 3 -> {
        table = pool(0, random.nextInt(PDPTS));
        index = random.nextInt(PDPT_INDICES);
      }
      case 2 -> {
        table = pool(PDPTS, random.nextInt(PDS));
        index = random.nextInt(PD_INDICES);
      }
      default -> {
        table = pool(PDPTS + PDS, random.nextInt(PTS));
        index = random.nextInt(PT_INDICES);
      }
    }
    long entry = entry(level, random);
    a.mov(RDI, table + 8L * index);
    switch (random.nextInt(4)) {
      case 0 -> {
        // Two halves, as 32-bit code would: the entry is torn for a moment.
        a.mov(RAX, entry & 0xFFFF_FFFFL);
        a.mov(ptr(RDI), EAX);
        a.mov(RAX, entry >>> 32);
        a.mov(ptr(RDI, 4), EAX);
      }
      case 1 -> {
        a.mov(RAX, entry);
        a.xchg(ptr(RDI), RAX);
      }
      default -> {
        a.mov(RAX, entry);
        a.mov(ptr(RDI), RAX);
      }
    }
    if (!synchronised) {
      return;
    }
    if (level == 1 && random.nextBoolean()) {
      for (int top = 0; top < PML4_INDICES * PDPT_INDICES * PD_INDICES; top++) {
        a.mov(RAX, address(top / (PDPT_INDICES * PD_INDICES), top / PD_INDICES % PDPT_INDICES, top % PD_INDICES, index));
        a.invlpg(ptr(RAX));
      }
    } else {
      flush();
    }
  }

  /** Flushes everything, global translations too. */
  private void flush() {
    a.mov(RAX, CR4);
    a.xor(RAX, ControlRegister.CR4_PGE);
    a.mov(CR4, RAX);
    a.xor(RAX, ControlRegister.CR4_PGE);
    a.mov(CR4, RAX);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
  }

  static long entry(int level, SplittableRandom random) {
    if (random.nextInt(6) == 0) {
      return random.nextInt(4) == 0 ? random.nextLong() & ~1L : 0;
    }
    long flags = 1;
    flags |= random.nextInt(4) != 0 ? 2 : 0;
    flags |= random.nextInt(3) != 0 ? 4 : 0;
    flags |= random.nextInt(2) != 0 ? 0x20 : 0;
    flags |= random.nextInt(2) != 0 ? 0x40 : 0;
    flags |= random.nextInt(6) == 0 ? 0x18 : 0;
    flags |= random.nextInt(5) == 0 ? 1L << 63 : 0;
    flags |= random.nextInt(4) == 0 ? 0x200 : 0;
    flags |= random.nextInt(24) == 0 ? 1L << 46 + random.nextInt(6) : 0;
    if (level == 1) {
      flags |= random.nextInt(4) == 0 ? 0x100 : 0;
      return flags | (random.nextInt(20) == 0 ? 0x7000_0000L : DATA + 0x1000L * random.nextInt(24));
    }
    if (level == 2 && random.nextInt(4) == 0) {
      flags |= random.nextInt(4) == 0 ? 0x100 : 0;
      flags |= random.nextInt(12) == 0 ? 0x2000 : 0;
      return flags | 0x80 | DATA + (random.nextBoolean() ? 0x200000 : 0);
    }
    if (level == 4 && random.nextInt(16) == 0) {
      return flags | 0x80 | pool(0, 0);
    }
    return flags | switch (level) {
      case 4 -> pool(0, random.nextInt(PDPTS));
      case 3 -> pool(PDPTS, random.nextInt(PDS));
      default -> pool(PDPTS + PDS, random.nextInt(PTS));
    };
  }

  private static @Gpa long pool(int first, int n) {
    return POOL + 0x1000L * (first + n);
  }

  private static @Gva long address(int pml4, int pdpt, int pd, int pt) {
    return RANDOM_BASE + ((long) pml4 << 39) + ((long) pdpt << 30) + ((long) pd << 21) + ((long) pt << 12);
  }

  private static @Gva long randomAddress(SplittableRandom random) {
    return address(random.nextInt(PML4_INDICES), random.nextInt(PDPT_INDICES), random.nextInt(PD_INDICES), random.nextInt(PT_INDICES));
  }

  /** One access at a random address; the value read goes into the checksum in R13. */
  private void access(SplittableRandom random) {
    @Gva long page = randomAddress(random);
    int offset = 8 + 8 * random.nextInt(64);
    switch (random.nextInt(6)) {
      case 0, 1 -> {
        a.mov(RDX, page + (random.nextInt(8) == 0 ? 0xFFC : offset));
        a.mov(RBX, ptr(RDX));
        a.rol(R13, 7);
        a.xor(R13, RBX);
      }
      case 2, 3 -> {
        a.mov(RDX, page + offset);
        a.mov(RBX, random.nextLong());
        a.mov(ptr(RDX), RBX);
      }
      case 4 -> {
        a.mov(RDX, page + offset);
        a.add(ptr(RDX).q(), random.nextInt(100));
      }
      default -> {
        a.mov(RDX, page);
        a.call(RDX);
      }
    }
  }

  private void kernelAccess(SplittableRandom random) {
    boolean override = random.nextInt(3) == 0;
    if (override) {
      a.stac();
    }
    access(random);
    if (override) {
      a.clac();
    }
  }

  private void userAccess(SplittableRandom random) {
    Label user = new Label();
    a.mov(RAX, user);
    a.mov(RBX, USER_ALIAS);
    a.add(RAX, RBX);
    a.push(USER_DATA);
    // Calls in ring 3 need a stack that it may write: the end of the code's own 2M.
    a.mov(RBX, USER_ALIAS + 0x1FF000);
    a.push(RBX);
    a.push(2);
    a.push(USER_CODE);
    a.push(RAX);
    a.iretq();
    a.bind(user);
    access(random);
    a.interrupt(RETURN_VECTOR);
  }

  private void switchRoot(SplittableRandom random) {
    a.mov(RAX, ROOTS + 0x1000L * random.nextInt(ROOT_COUNT));
    a.mov(CR3, RAX);
    if (synchronised) {
      flush();
    }
  }

  private void toggle(SplittableRandom random) {
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
    if (synchronised) {
      flush();
    }
  }

  /** Writes what the program finds in memory when it starts; call after {@link #assemble}. */
  void poke(Poke memory) {
    for (int root = 0; root < ROOT_COUNT; root++) {
      memory.write64(ROOTS + 0x1000L * root, IDENTITY_PDPT | 7);
      for (int i = 1; i <= PML4_INDICES; i++) {
        memory.write64(ROOTS + 0x1000L * root + 8 * i, pool(0, (root + i) % PDPTS) | 7);
      }
    }
    memory.write64(IDENTITY_PDPT, IDENTITY_PD | 3);
    memory.write64(IDENTITY_PDPT + 8, ALIAS_PD | 7);
    for (int i = 0; i < 4; i++) {
      memory.write64(IDENTITY_PD + 8 * i, 0x200000L * i | 0x83);
    }
    memory.write64(ALIAS_PD, 0x87);
    for (int i = 0; i < PDPTS; i++) {
      for (int j = 0; j < PDPT_INDICES; j++) {
        memory.write64(pool(0, i) + 8 * j, pool(PDPTS, (i + j) % PDS) | 7);
      }
    }
    for (int i = 0; i < PDS; i++) {
      for (int j = 0; j < PD_INDICES; j++) {
        memory.write64(pool(PDPTS, i) + 8 * j, pool(PDPTS + PDS, (i + j) % PTS) | 7);
      }
    }
    for (int i = 0; i < PTS; i++) {
      for (int j = 0; j < PT_INDICES; j++) {
        memory.write64(pool(PDPTS + PDS, i) + 8 * j, DATA + 0x1000L * (i * PT_INDICES + j) | 7);
      }
    }
    descriptors(memory);
    for (@Gpa long page = DATA; page < DATA + DATA_BYTES; page += 0x1000) {
      memory.write64(page, 0xC3C3C3C3C3C3C3C3L);
    }
  }

  private void descriptors(Poke memory) {
    memory.write64(GDT + KERNEL_CODE, 0x00AF9B000000FFFFL);
    memory.write64(GDT + KERNEL_DATA, 0x00CF93000000FFFFL);
    memory.write64(GDT + 0x18, 0x00CFF3000000FFFFL);
    memory.write64(GDT + 0x20, 0x00AFFB000000FFFFL);
    memory.write64(GDT + TSS_SELECTOR, 0x0000890000000067L | (TSS & 0xFFFFFF) << 16 | (TSS >>> 24) << 56);
    memory.write64(GDT + TSS_SELECTOR + 8, 0);
    // RSP0 lies at offset 4, across two aligned words.
    memory.write64(TSS, KERNEL_STACK << 32);
    memory.write64(TSS + 8, KERNEL_STACK >>> 32);
    int[] vectors = {6, 13, 14, RETURN_VECTOR};
    for (int i = 0; i < vectors.length; i++) {
      @Gva long target = a.addressOf(handlers[i], CODE);
      long rights = vectors[i] == RETURN_VECTOR ? 0xEE00 : 0x8E00;
      memory.write64(IDT + 16L * vectors[i], target & 0xFFFF | KERNEL_CODE << 16 | rights << 32 | (target >>> 16 & 0xFFFF) << 48);
      memory.write64(IDT + 16L * vectors[i] + 8, target >>> 32);
    }
  }
}
