package dev.gnomon.vmm.hostile;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.boot.SegmentState;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A machine filled from a seed: code, descriptor tables, task-state segment and page tables, each sound in part and
 * random in part, so that a run gets somewhere and meets everything there.
 *
 * <p>Handlers of the sound gates step over one byte and return.
 */
final class HostileGuest {
  static final long MEMORY = 4 << 20;
  static final long GDT = 0x1000;
  static final long IDT = 0x2000;
  static final long TSS = 0x4000;
  static final long LDT = 0x5000;
  static final long HANDLERS = 0x8000;
  static final long STACK = 0xF000;
  static final long CODE = 0x10000;
  static final int CODE_BYTES = 0xE000;
  static final long DATA = 0x20000;
  static final long TABLES = 0x40000;
  /** A root, and tables enough for any mode to map the first 4 MiB by 4K pages or large ones. */
  static final int TABLE_PAGES = 6;
  static final int DESCRIPTORS = 32;
  /** Of these the first: what the sound gates and the start want. */
  static final int SOUND_DESCRIPTORS = 8;

  private static final int HANDLER_BYTES = 16;
  private static final int CODE0 = 1 << 3;
  private static final int DATA0 = 2 << 3;
  private static final int CODE3 = 3 << 3 | 3;
  private static final int DATA3 = 4 << 3 | 3;
  private static final int TASK = 5 << 3;
  private static final int PAGE = 4096;
  private static final long SMALL = 0x67;

  private final Random random;
  private final HostileMode mode;
  private final Vm vm;
  private final boolean paging;
  private final boolean pae;
  private final boolean large;

  private HostileGuest(HostileMode mode, long seed, VmOptions options) {
    random = new Random(seed * 31 + mode.ordinal());
    this.mode = mode;
    paging = mode.ia32e() || mode.isProtected && random.nextBoolean();
    pae = mode.ia32e() || random.nextBoolean();
    large = random.nextInt(4) == 0;
    vm = new VmBuilder(options.withMemoryBytes(MEMORY).withSeed(seed).withPlatform(PlatformOptions.DEFAULT
        .withMachine(random.nextBoolean() ? MachineType.PC : MachineType.MINIMAL).withCpu(CpuModel.parse("max"))))
        .build();
  }

  /** A machine ready to run. */
  static Vm of(HostileMode mode, long seed, VmOptions options) {
    HostileGuest guest = new HostileGuest(mode, seed, options);
    guest.fill();
    guest.start();
    return guest.vm;
  }

  private void write(@Gpa long gpa, int size, long value) {
    vm.guestMemory().write(gpa, size, value);
  }

  private void fill() {
    vm.guestMemory().write(CODE, HostileCode.of(random, mode.bits, CODE_BYTES));
    for (int i = 0; i < 256; i++) {
      write(DATA + 8 * i, 8, random.nextLong());
    }
    descriptors();
    if (mode == HostileMode.REAL) {
      for (int vector = 0; vector < 256; vector++) {
        write(4 * vector, 4, HANDLERS + HANDLER_BYTES * (vector & 31));
      }
    }
    for (int vector = 0; vector < 256; vector++) {
      gate(vector);
    }
    for (int vector = 0; vector < 32; vector++) {
      handler(vector);
    }
    task();
    if (paging) {
      tables();
    }
  }

  private static long descriptor(long base, long limit, int access, int flags) {
    return limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (long) access << 40 | (limit >>> 16 & 0xF) << 48
        | (long) flags << 52
        | (base >>> 24 & 0xFF) << 56;
  }

  private void descriptors() {
    int flags = mode == HostileMode.LONG ? 0xA : mode.ia32e() || mode == HostileMode.PROTECTED_32
        || mode == HostileMode.VIRTUAL_8086 ? 0xC : 8;
    int user = mode == HostileMode.VIRTUAL_8086 ? 0xC : flags;
    // Handlers under IA-32e paging are 64-bit code.
    write(GDT + CODE0, 8, descriptor(0, 0xFFFFF, 0x9B, mode.ia32e() ? 0xA : flags));
    write(GDT + DATA0, 8, descriptor(0, 0xFFFFF, 0x93, mode.bits == 16 && mode != HostileMode.VIRTUAL_8086 ? 8 : 0xC));
    write(GDT + (CODE3 & ~3), 8, descriptor(0, 0xFFFFF, 0xFB, user));
    write(GDT + (DATA3 & ~3), 8, descriptor(0, 0xFFFFF, 0xF3, mode.bits == 16 && mode != HostileMode.VIRTUAL_8086 ? 8
        : 0xC));
    write(GDT + TASK, 8, descriptor(TSS, 0xFF, 0x8B, 0));
    if (mode.ia32e()) {
      write(GDT + TASK + 8, 8, 0);
    } else {
      write(GDT + TASK + 8, 8, descriptor(TSS + 0x100, SMALL, 0x89, 0));
    }
    write(GDT + TASK + 16, 8, descriptor(LDT, 0xFF, 0x82, 0));
    for (int i = SOUND_DESCRIPTORS; i < DESCRIPTORS; i++) {
      write(GDT + 8 * i, 8, randomDescriptor());
    }
    for (int i = 0; i < DESCRIPTORS; i++) {
      write(LDT + 8 * i, 8, randomDescriptor());
    }
  }

  private long randomDescriptor() {
    return switch (random.nextInt(5)) {
      case 0 -> random.nextLong();
      // Code and data, most of them present.
      case 1, 2 -> descriptor(random.nextBoolean() ? 0 : random.nextInt(0x40000), random.nextInt(0x100000),
          0x10 | random.nextInt(16) | random.nextInt(4) << 5 | (random.nextInt(5) == 0 ? 0 : 0x80), random.nextInt(16));
      // System segments and gates.
      case 3 -> descriptor(random.nextBoolean() ? TSS + random.nextInt(0x200) : LDT, random.nextInt(0x200),
          random.nextInt(16) | random.nextInt(4) << 5 | 0x80, random.nextInt(4));
      default -> CODE + random.nextInt(CODE_BYTES) & 0xFFFF | (long) (1 + random.nextInt(SOUND_DESCRIPTORS)) << 19
          | (long) random.nextInt(32) << 32 | (0x80L | random.nextInt(4) << 5 | random.nextInt(16)) << 40;
    };
  }

  private void gate(int vector) {
    boolean sound = random.nextInt(16) != 0;
    long target = HANDLERS + HANDLER_BYTES * (vector & 31);
    int type = mode.bits == 16 && mode != HostileMode.VIRTUAL_8086 ? 6 : 0xE;
    long low = sound ? target & 0xFFFF | (long) CODE0 << 16 | (0x80L | (random.nextBoolean() ? 0x60 : 0) | type) << 40
        : randomDescriptor();
    if (mode.ia32e()) {
      write(IDT + 16 * vector, 8, low | (sound ? (long) (random.nextInt(4) == 0 ? random.nextInt(8) : 0) << 32 : 0));
      write(IDT + 16 * vector + 8, 8, sound ? 0 : random.nextLong());
    } else {
      write(IDT + 8 * vector, 8, low);
    }
  }

  /** Code that drops an error code, adds 1 to the return address and returns. */
  private void handler(int vector) {
    boolean errorCode = Vector.hasErrorCode(vector) && mode != HostileMode.REAL;
    int[] code;
    if (mode.ia32e()) {
      code = errorCode ? new int[] {0x48, 0x83, 0xC4, 8, 0x48, 0xFF, 0x04, 0x24, 0x48, 0xCF} : new int[] {0x48, 0xFF,
          0x04, 0x24, 0x48, 0xCF};
    } else if (mode == HostileMode.PROTECTED_32 || mode == HostileMode.VIRTUAL_8086) {
      code = errorCode ? new int[] {0x83, 0xC4, 4, 0xFF, 0x04, 0x24, 0xCF} : new int[] {0xFF, 0x04, 0x24, 0xCF};
    } else {
      // 16 bits: the error code is dropped by ADD SP, 2; the address is reached through BP.
      code = errorCode ? new int[] {0x83, 0xC4, 2, 0x55, 0x89, 0xE5, 0xFF, 0x46, 2, 0x5D, 0xCF} : new int[] {0x55,
          0x89, 0xE5, 0xFF, 0x46, 2, 0x5D, 0xCF};
    }
    for (int i = 0; i < code.length; i++) {
      write(HANDLERS + HANDLER_BYTES * vector + i, 1, code[i]);
    }
  }

  private void task() {
    for (int offset = 0; offset < 0x200; offset += 4) {
      write(TSS + offset, 4, random.nextInt(3) == 0 ? random.nextInt() : 0);
    }
    if (mode.ia32e()) {
      for (int slot = 0; slot < 11; slot++) {
        write(TSS + 4 + 8 * slot, 8, STACK - 0x400 - 0x200 * slot);
      }
    } else {
      write(TSS + 4, 4, STACK - 0x400);
      write(TSS + 8, 2, DATA0);
      // A second task, in ring 0 or 3.
      long second = TSS + 0x100;
      boolean user = random.nextBoolean();
      write(second + 28, 4, paging ? TABLES : 0);
      write(second + 32, 4, CODE + random.nextInt(CODE_BYTES));
      write(second + 36, 4, Rflags.FIXED);
      write(second + 56, 4, STACK - 0x800);
      for (int i = 0; i < 6; i++) {
        write(second + 72 + 4 * i, 4, i == 1 ? user ? CODE3 : CODE0 : user ? DATA3 : DATA0);
      }
    }
    write(TSS + 102, 2, random.nextBoolean() ? 0x70 : 0x68 + random.nextInt(0x200));
  }

  /** Maps the first 4 MiB to themselves, one entry of forty broken. */
  private void tables() {
    int entryBytes = pae ? 8 : 4;
    long next = TABLES + PAGE;
    long directory = TABLES;
    int levels = mode.ia32e() ? 4 : pae ? 3 : 2;
    for (int level = levels; level > 2; level--) {
      // PDPTEs of PAE paging have no R/W and U/S.
      write(directory, 8, next | (level == 3 && !mode.ia32e() ? 1 : 7));
      directory = next;
      next += PAGE;
    }
    long reach = pae ? 2 << 20 : 4 << 20;
    for (int i = 0; i < MEMORY / reach; i++) {
      write(directory + (long) entryBytes * i, entryBytes, large ? i * reach | 0x87 : next + (long) i * PAGE | 7);
    }
    for (int page = 0; page < MEMORY / PAGE && !large; page++) {
      long entry = (long) page * PAGE | 7;
      if (random.nextInt(40) == 0) {
        entry = random.nextBoolean() ? random.nextLong() : entry ^ 1L << random.nextInt(13);
      }
      write(next + (long) entryBytes * page, entryBytes, entry);
    }
  }

  private void start() {
    long cr0 = ControlRegister.CR0_ET | (random.nextBoolean() ? ControlRegister.CR0_NE : 0)
        | (mode.isProtected ? ControlRegister.CR0_PE : 0) | (paging ? ControlRegister.CR0_PG : 0)
        | (random.nextBoolean() ? ControlRegister.CR0_WP : 0);
    long cr4 = (pae ? ControlRegister.CR4_PAE : ControlRegister.CR4_PSE) | random.nextInt(16) | (random.nextBoolean()
        ? 0x600 : 0);
    long efer = mode.ia32e() ? ControlRegister.EFER_LME | ControlRegister.EFER_LMA | ControlRegister.EFER_SCE
        | (random.nextBoolean() ? ControlRegister.EFER_NXE : 0) : 0;
    boolean user = mode == HostileMode.VIRTUAL_8086 || mode.isProtected && random.nextInt(3) == 0;
    vm.start(new InitialState(mode == HostileMode.VIRTUAL_8086 || mode == HostileMode.REAL ? 0 : CODE, 0, 0, 0, 0,
        segments(user), cr0,
        paging ? TABLES : 0, cr4, efer, GDT, 8 * DESCRIPTORS - 1, 0x3FF));
    Cpu cpu = vm.cpu();
    if (mode != HostileMode.REAL) {
      cpu.idtrBase = IDT;
      cpu.idtrLimit = mode.ia32e() ? 0xFFF : 0x7FF;
    }
    for (int i = 0; i < (mode.bits == 64 ? 16 : 8); i++) {
      cpu.regs[i] = switch (random.nextInt(4)) {
        case 0 -> random.nextInt(64);
        case 1 -> DATA + random.nextInt(0x1000);
        case 2 -> random.nextInt(0x10000);
        default -> mode.bits == 64 ? random.nextLong() : random.nextInt() & 0xFFFF_FFFFL;
      };
    }
    cpu.regs[Cpu.RSP] = mode.isProtected && mode != HostileMode.VIRTUAL_8086 ? STACK - 0x200 * (user ? 1 : 0) : STACK;
    cpu.sysenterCs = CODE0;
    cpu.sysenterEsp = STACK;
    cpu.sysenterEip = CODE + random.nextInt(CODE_BYTES);
    cpu.lstar = CODE + random.nextInt(CODE_BYTES);
    cpu.star = (long) CODE0 << 32 | (long) (CODE0 + 16) << 48;
    int flags = Rflags.FIXED | (random.nextBoolean() ? Rflags.IF : 0) | random.nextInt(4) << Rflags.IOPL_SHIFT;
    if (mode == HostileMode.VIRTUAL_8086) {
      flags |= Rflags.VM;
    }
    cpu.setSystemFlags(flags);
    cpu.setCpl(user ? 3 : 0);
  }

  private List<SegmentState> segments(boolean user) {
    List<SegmentState> segments = new ArrayList<>();
    boolean paragraphs = mode == HostileMode.REAL || mode == HostileMode.VIRTUAL_8086;
    int size = mode.bits == 16 ? 0 : Segments.DB;
    for (int i = 0; i <= Segments.GS; i++) {
      boolean code = i == Segments.CS;
      if (paragraphs) {
        int selector = code ? (int) CODE >> 4 : i == Segments.SS ? 0 : (int) DATA >> 4;
        int rights = mode == HostileMode.VIRTUAL_8086 ? 0xF3 : code ? 0x9B : 0x93;
        segments.add(new SegmentState(selector, (long) selector << 4, 0xFFFF, rights));
      } else {
        int rights = (code ? 0x9B : 0x93) | (user ? Segments.DPL : 0) | Segments.G
            | (code && mode == HostileMode.LONG ? Segments.L : size);
        segments.add(new SegmentState(code ? user ? CODE3 : CODE0 : user ? DATA3 : DATA0, 0, 0xFFFF_FFFFL, rights));
      }
    }
    segments.add(new SegmentState(0, 0, 0, Segments.UNUSABLE));
    segments.add(new SegmentState(TASK, TSS, 0xFF, 0x8B));
    return segments;
  }
}
