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
import static dev.gnomon.guest.asm.Reg.EDI;
import static dev.gnomon.guest.asm.Reg.EDX;
import static dev.gnomon.guest.asm.Reg.ES;
import static dev.gnomon.guest.asm.Reg.ESI;
import static dev.gnomon.guest.asm.Reg.ESP;
import static dev.gnomon.guest.asm.Reg.SS;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.lockstep.ProtectedModeTables.Paging;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A 32-bit guest program made of random steps: synchronised edits of its own {@link ProtectedModeTables}, accesses
 * through them from rings 0 and 3, paging switched off and on, PDPTEs that MOV to CR3 refuses, and changes of the
 * control registers that decide about rights. Every exception is logged, and the program goes on with the next step.
 *
 * <p>EBP points into the log, ESI holds the checksum.
 * <pre>
 *  GPA 380000  IDT, 381000 GDT, 382000 TSS, 387000 where to go on after an exception
 * </pre>
 */
final class ProtectedModeProgram implements GuestProgram {
  private static final @Gpa long IDT = 0x380000;
  private static final @Gpa long GDT = 0x381000;
  private static final @Gpa long TSS = 0x382000;
  private static final @Gpa long NEXT = 0x387000;
  private static final long KERNEL_STACK = 0x90000;
  private static final int KERNEL_CODE = 0x08;
  private static final int KERNEL_DATA = 0x10;
  private static final int USER_DATA = 0x1B;
  private static final int USER_CODE = 0x23;
  private static final int TSS_SELECTOR = 0x28;
  private static final int RETURN_VECTOR = 0x80;
  /** Reserved bits of a PDPTE within its low half. */
  private static final int[] PDPTE_RESERVED = {1, 2, 5, 6, 7, 8};

  private final Paging paging;
  private final ProtectedModeTables tables;
  private final Assembler a = new Assembler(32);
  private final Label[] handlers = {new Label("ud"), new Label("gp"), new Label("pf"), new Label("back")};
  private final byte[] code;

  /** @param seeds one a step, so that a shorter list is a shorter program */
  ProtectedModeProgram(Paging paging, List<Integer> seeds) {
    this.paging = paging;
    tables = new ProtectedModeTables(paging);
    code = assemble(seeds);
  }

  @Override
  public byte[] code() {
    return code;
  }

  @Override
  public BootRequest.Entry entry() {
    return BootRequest.Entry.PROTECTED;
  }

  private byte[] assemble(List<Integer> seeds) {
    Label gdtr = new Label("gdtr");
    Label idtr = new Label("idtr");
    start(gdtr, idtr);
    for (int seed : seeds) {
      Label next = new Label();
      a.mov(EAX, next);
      a.mov(abs(NEXT), EAX);
      step(new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1));
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
    a.dw(0x2F);
    a.dd(GDT);
    a.align(8);
    a.bind(idtr);
    a.dw(0x7FF);
    a.dd(IDT);
    return a.assemble(CODE);
  }

  private void start(Label gdtr, Label idtr) {
    Label flat = new Label("flat");
    a.lgdt(abs(gdtr));
    a.lidt(abs(idtr));
    a.jmpFar(KERNEL_CODE, flat);
    a.bind(flat);
    a.mov(AX, KERNEL_DATA);
    a.mov(SS, AX);
    a.mov(ESP, KERNEL_STACK);
    // Ring 3 uses these too.
    a.mov(AX, USER_DATA);
    a.mov(DS, AX);
    a.mov(ES, AX);
    a.mov(AX, TSS_SELECTOR);
    a.ltr(AX);
    a.mov(EBP, LOG);
    a.mov(ESI, 0);
    if (paging == Paging.NONE) {
      return;
    }
    a.mov(EAX, tables.root(0));
    a.mov(CR3, EAX);
    a.mov(EAX, ControlRegister.CR4_PGE | switch (paging) {
      case NONE, LEGACY -> 0;
      case LEGACY_PSE -> ControlRegister.CR4_PSE;
      case PAE -> ControlRegister.CR4_PAE;
    });
    a.mov(CR4, EAX);
    flipBits(CR0, ControlRegister.CR0_PG | ControlRegister.CR0_WP);
  }

  private void flipBits(Reg register, long bits) {
    a.mov(EAX, register);
    a.xor(EAX, (int) bits);
    a.mov(register, EAX);
  }

  /** Logs vector, error code and CR2, and goes on. */
  private void handler(Label label, int vector, boolean hasErrorCode) {
    a.align(16);
    a.bind(label);
    if (hasErrorCode) {
      a.mov(EAX, ptr(ESP));
    } else {
      a.mov(EAX, 0);
    }
    a.mov(ptr(EBP), EAX);
    a.mov(ptr(EBP, 4).d(), vector);
    a.mov(EAX, CR2);
    a.mov(ptr(EBP, 8), EAX);
    a.add(EBP, 16);
    a.mov(ESP, KERNEL_STACK);
    a.jmp(abs(NEXT));
  }

  private void step(SplittableRandom random) {
    switch (random.nextInt(14)) {
      case 0, 1, 2, 3 -> {
        if (paging == Paging.NONE) {
          access(random, false);
        } else {
          edit(random, true);
        }
      }
      case 4, 5, 6 -> access(random, false);
      case 7, 8, 9 -> access(random, true);
      case 10 -> {
        if (paging != Paging.NONE) {
          switchRoot(random);
        }
      }
      case 11 -> withoutPaging(random);
      case 12 -> {
        if (tables.pae()) {
          loadBadPdpte(random);
        }
      }
      default -> toggle(random);
    }
  }

  private void edit(SplittableRandom random, boolean synchronise) {
    int level = tables.randomLevel(random);
    @Gpa long at = tables.randomEntryAddress(level, random);
    long entry = tables.randomEntry(level, random);
    a.mov(EDI, at);
    if (tables.pae()) {
      writeLong(entry, random);
    } else {
      a.mov(EAX, entry);
      if (random.nextInt(4) == 0) {
        a.xchg(ptr(EDI), EAX);
      } else {
        a.mov(ptr(EDI), EAX);
      }
    }
    if (!synchronise) {
      return;
    }
    if (level == 1 && random.nextBoolean()) {
      for (@Gva long gva : tables.addressesOf(tables.indexOf(at))) {
        a.mov(EAX, gva);
        a.invlpg(ptr(EAX));
      }
    } else {
      flush();
    }
  }

  private void writeLong(long entry, SplittableRandom random) {
    int low = (int) entry;
    int high = (int) (entry >>> 32);
    switch (random.nextInt(3)) {
      case 0 -> {
        a.mov(ptr(EDI).d(), low);
        a.mov(ptr(EDI, 4).d(), high);
      }
      case 1 -> {
        a.mov(ptr(EDI, 4).d(), high);
        a.mov(ptr(EDI).d(), low);
      }
      default -> {
        a.mov(EAX, ptr(EDI));
        a.mov(EDX, ptr(EDI, 4));
        a.mov(EBX, low & 0xFFFF_FFFFL);
        a.mov(ECX, high & 0xFFFF_FFFFL);
        a.lock().cmpxchg8b(ptr(EDI));
      }
    }
  }

  /** Flushes everything, global translations too, and loads PDPTEs. */
  private void flush() {
    flipBits(CR4, ControlRegister.CR4_PGE);
    flipBits(CR4, ControlRegister.CR4_PGE);
    a.mov(EAX, CR3);
    a.mov(CR3, EAX);
  }

  /** One access at a random address; values read go into the checksum in ESI. */
  private void access(SplittableRandom random, boolean user) {
    boolean override = !user && random.nextInt(3) == 0;
    if (user) {
      enterUser();
    } else if (override) {
      a.stac();
    }
    @Gva long page = tables.randomAddress(random);
    @Gva long gva = page + 8 + 8 * random.nextInt(64);
    switch (random.nextInt(7)) {
      case 0, 1 -> {
        a.mov(EDX, random.nextInt(8) == 0 ? page + 0xFFE : gva);
        a.mov(EBX, ptr(EDX));
        a.rol(ESI, 7);
        a.xor(ESI, EBX);
      }
      case 2, 3 -> {
        a.mov(EDX, gva);
        a.mov(ptr(EDX).d(), random.nextInt());
      }
      case 4 -> {
        a.mov(EDX, gva);
        a.add(ptr(EDX).d(), random.nextInt(100));
      }
      case 5 -> {
        // Into the next page, which may fault when the first has been written.
        a.mov(EDI, page + 0xFF4);
        a.mov(ECX, 3 + random.nextInt(3));
        // Whatever comes to the start of a page begins with a RET.
        a.mov(EAX, random.nextInt() & 0xFFFF_FF00L | RETURNS & 0xFF);
        a.rep().stosd();
        a.add(ESI, ECX);
      }
      default -> {
        a.mov(EDX, page);
        a.call(EDX);
      }
    }
    if (user) {
      a.interrupt(RETURN_VECTOR);
    } else if (override) {
      a.clac();
    }
  }

  private void enterUser() {
    long alias = paging == Paging.NONE ? 0 : ProtectedModeTables.USER_ALIAS;
    Label user = new Label();
    a.mov(EAX, user);
    a.add(EAX, alias);
    a.push(USER_DATA);
    // Calls in ring 3 need a stack that it may write: the end of the code's own 2M.
    a.push(alias + 0x1FF000);
    a.push(2);
    a.push(USER_CODE);
    a.push(EAX);
    a.iretd();
    a.bind(user);
  }

  private void switchRoot(SplittableRandom random) {
    a.mov(EAX, tables.root(random.nextInt(ProtectedModeTables.ROOT_COUNT)));
    a.mov(CR3, EAX);
    flush();
  }

  /** Clears PG, uses physical addresses, edits tables without any invalidation, and sets PG again. */
  private void withoutPaging(SplittableRandom random) {
    if (paging == Paging.NONE) {
      return;
    }
    flipBits(CR0, ControlRegister.CR0_PG);
    for (int i = random.nextInt(3); i > 0; i--) {
      a.mov(EDX, DATA + PAGE * random.nextInt(24) + 8 + 8 * random.nextInt(64));
      a.add(ptr(EDX).d(), random.nextInt(100));
      a.add(ESI, ptr(EDX));
    }
    for (int i = random.nextInt(3); i > 0; i--) {
      edit(random, false);
    }
    flipBits(CR0, ControlRegister.CR0_PG);
  }

  /** MOV to CR3 with a reserved bit in a PDPTE: #GP, and the old registers stay. */
  private void loadBadPdpte(SplittableRandom random) {
    Label refused = new Label();
    int index = random.nextInt(4);
    a.mov(EAX, refused);
    a.mov(abs(NEXT), EAX);
    a.mov(EDI, CR3);
    a.mov(ECX, ptr(EDI, 8 * index));
    a.mov(EDX, ptr(EDI, 8 * index + 4));
    if (random.nextBoolean()) {
      a.or(ptr(EDI, 8 * index).d(), (int) PageTableEntry.P
          | 1 << PDPTE_RESERVED[random.nextInt(PDPTE_RESERVED.length)]);
    } else {
      a.or(ptr(EDI, 8 * index).d(), (int) PageTableEntry.P);
      a.or(ptr(EDI, 8 * index + 4).d(), 1 << 14 + random.nextInt(18));
    }
    if (random.nextBoolean()) {
      a.mov(CR3, EDI);
    } else {
      flipBits(CR4, ControlRegister.CR4_PGE);
    }
    a.bind(refused);
    a.mov(ptr(EDI, 8 * index), ECX);
    a.mov(ptr(EDI, 8 * index + 4), EDX);
    flush();
  }

  private void toggle(SplittableRandom random) {
    switch (random.nextInt(4)) {
      case 0 -> flipBits(CR0, ControlRegister.CR0_WP);
      case 1 -> flipBits(CR4, ControlRegister.CR4_SMEP);
      case 2 -> flipBits(CR4, ControlRegister.CR4_SMAP);
      default -> {
        a.mov(ECX, Msr.EFER);
        a.rdmsr();
        a.xor(EAX, (int) ControlRegister.EFER_NXE);
        a.wrmsr();
      }
    }
    flush();
  }

  @Override
  public void poke(Poke memory) {
    tables.poke(memory);
    memory.write64(GDT + KERNEL_CODE, 0x00CF9B000000FFFFL);
    memory.write64(GDT + KERNEL_DATA, 0x00CF93000000FFFFL);
    memory.write64(GDT + (USER_DATA & ~7), 0x00CFF3000000FFFFL);
    memory.write64(GDT + (USER_CODE & ~7), 0x00CFFB000000FFFFL);
    memory.write64(GDT + TSS_SELECTOR, 0x0000890000000067L | (TSS & 0xFFFFFF) << 16 | (TSS >>> 24) << 56);
    memory.write64(TSS, KERNEL_STACK << 32);
    memory.write64(TSS + 8, KERNEL_DATA);
    int[] vectors = {6, 13, 14, RETURN_VECTOR};
    for (int i = 0; i < vectors.length; i++) {
      @Gva long target = a.addressOf(handlers[i], CODE);
      long rights = vectors[i] == RETURN_VECTOR ? 0xEE00 : 0x8E00;
      memory.write64(IDT + 8L * vectors[i],
          target & 0xFFFF | KERNEL_CODE << 16 | rights << 32 | (target >>> 16 & 0xFFFF) << 48);
    }
    GuestProgram.pokeData(memory);
  }
}
