package dev.gnomon.guest.oracle;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Cond;
import dev.gnomon.guest.asm.ElfImage;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;

/**
 * The helper: a static Linux program without a library that runs records. It reads a count and that many records, runs
 * each by IRETQ into the case's code with all registers loaded, gets the state back from the signal that ends it, and
 * writes the records, then its two writable data pages. Before the first case it gives up all system calls but read,
 * write and exit (seccomp's strict mode), so that no stray instruction harms the host.
 */
final class OracleProgram {
  /** Far from all that a case can address with 32 bits. */
  private static final long IMAGE = 0x5432_1000_0000L;
  private static final long BUFFERS = IMAGE + 0x10_0000;
  private static final int ALTERNATE_STACK = 0x2_0000;
  private static final int IRET_FRAME = 40;

  // Linux x86-64 system calls and their constants.
  private static final int READ = 0;
  private static final int WRITE = 1;
  private static final int MMAP = 9;
  private static final int MPROTECT = 10;
  private static final int RT_SIGACTION = 13;
  private static final int EXIT = 60;
  private static final int SIGALTSTACK = 131;
  private static final int MODIFY_LDT = 154;
  private static final int WRITE_LDT = 0x11;
  /** Member contents of struct user_desc, in place. */
  private static final int CONTENTS_CODE = 2 << 1;
  private static final int PRCTL = 157;
  private static final int ARCH_PRCTL = 158;
  private static final int SETRLIMIT = 160;
  private static final int PROT_READ = 1;
  private static final int PROT_READ_WRITE = 3;
  private static final int PROT_ALL = 7;
  private static final int MAP_FIXED_PRIVATE_ANONYMOUS = 0x32;
  private static final int PR_SET_SECCOMP = 22;
  private static final int ARCH_SET_GS = 0x1001;
  private static final int ARCH_SET_FS = 0x1002;
  private static final int RLIMIT_CPU = 0;
  /** SIGINFO, ONSTACK, NODEFER, RESTORER. */
  private static final int SIGNAL_FLAGS = 4 | 0x0800_0000 | 0x4000_0000 | 0x0400_0000;
  private static final int[] SIGNALS = {4, 5, 7, 8, 11};
  /** Registers of a signal frame's machine context, in order from byte 40 of the ucontext. */
  private static final int CONTEXT = 40;
  private static final int[] CONTEXT_ORDER = {8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1, 4};
  private static final int CONTEXT_RIP = CONTEXT + 8 * 16;
  private static final int CONTEXT_RFLAGS = CONTEXT + 8 * 17;
  private static final int CONTEXT_ERROR = CONTEXT + 8 * 19;
  private static final int CONTEXT_TRAP = CONTEXT + 8 * 20;
  private static final int CONTEXT_CR2 = CONTEXT + 8 * 22;
  /** Pointer to the floating-point state, which begins as FXSAVE64 stores it. */
  private static final int CONTEXT_FPU = CONTEXT + 8 * 23;
  /** Opcode extension of FXRSTOR. */
  private static final int FXRSTOR = 1;
  private static final Reg[] GENERAL = {RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15};

  private final Assembler asm = new Assembler(64);
  private final Label current = new Label("current");
  private final Label left = new Label("left");
  private final Label count = new Label("count");
  private final Label scratch = new Label("scratch");
  private final Label readFully = new Label("readFully");
  private final Label writeFully = new Label("writeFully");
  private final Label handler = new Label("handler");

  private OracleProgram() { }

  /**
   * @param cpuSeconds after which the kernel ends the helper, should a case never end
   * @param segments16 with 16-bit segments in the LDT, which not every kernel gives
   */
  static byte[] build(int cpuSeconds, boolean segments16) {
    return new OracleProgram().image(cpuSeconds, segments16);
  }

  private byte[] image(int cpuSeconds, boolean segments16) {
    Label start = asm.here();
    if (segments16) {
      asm.movabs(RSP, ownStackTop());
      describe(OracleLayout.USER_CODE_16, OracleLayout.CODE, CONTENTS_CODE);
      describe(OracleLayout.USER_DATA_16, OracleLayout.DATA_16_BASE, 0);
    }
    setUp(cpuSeconds);
    loop();
    transfer(readFully, READ);
    transfer(writeFully, WRITE);
    asm.align(8);
    for (Label word : new Label[] {current, left, count}) {
      asm.bind(word);
      asm.dq(0);
    }
    asm.bind(scratch);
    asm.space(64);
    int buffers = OracleLayout.BATCH * OracleLayout.RECORD + 2 * ALTERNATE_STACK;
    return ElfImage.elf64(asm.addressOf(start, IMAGE))
        .segment(IMAGE, ElfImage.READ | ElfImage.WRITE | ElfImage.EXECUTE, asm.assemble(IMAGE))
        .segment(BUFFERS, BUFFERS, ElfImage.READ | ElfImage.WRITE, new byte[0], buffers)
        .toBytes();
  }

  /**
   * Bits 31:16 of the stack pointer, in place, with which 16-bit code begins: IRET to a 16-bit stack loads SP alone.
   */
  static long stackAbove() {
    return ownStackTop() - IRET_FRAME & 0xFFFF_0000L;
  }

  private static long alternateStack() {
    return BUFFERS + OracleLayout.BATCH * OracleLayout.RECORD;
  }

  private static long ownStackTop() {
    return alternateStack() + 2 * ALTERNATE_STACK;
  }

  private void setUp(int cpuSeconds) {
    asm.movabs(RSP, ownStackTop());
    map(OracleLayout.READ_ONLY, (int) (OracleLayout.DATA_END - OracleLayout.READ_ONLY), PROT_READ_WRITE);
    fill(OracleLayout.READ_ONLY, OracleLayout.PAGE, OracleLayout.READ_ONLY_FILL);
    fill(OracleLayout.DATA, 2 * OracleLayout.PAGE, 0);
    call(MPROTECT, OracleLayout.READ_ONLY, OracleLayout.PAGE, PROT_READ);
    map(OracleLayout.CODE, OracleLayout.CODE_PAGES * OracleLayout.PAGE, PROT_ALL);
    fill(OracleLayout.CODE, OracleLayout.CODE_PAGES * OracleLayout.PAGE, OracleLayout.INT3);
    asm.movabs(RAX, alternateStack());
    asm.mov(rip(scratch), RAX);
    asm.mov(rip(scratch, 8).q(), 0);
    asm.mov(rip(scratch, 16).q(), ALTERNATE_STACK);
    asm.lea(RDI, rip(scratch));
    asm.xor(ESI, ESI);
    systemCall(SIGALTSTACK);
    for (int signal : SIGNALS) {
      asm.lea(RAX, rip(handler));
      asm.mov(rip(scratch), RAX);
      asm.mov(rip(scratch, 8).q(), SIGNAL_FLAGS);
      asm.mov(rip(scratch, 16), RAX);
      asm.mov(rip(scratch, 24).q(), 0);
      asm.mov(EDI, signal);
      asm.lea(RSI, rip(scratch));
      asm.xor(EDX, EDX);
      asm.mov(R10D, 8);
      systemCall(RT_SIGACTION);
    }
    call(ARCH_PRCTL, ARCH_SET_FS, OracleLayout.FS_BASE, 0);
    call(ARCH_PRCTL, ARCH_SET_GS, OracleLayout.GS_BASE, 0);
    asm.mov(EAX, OracleLayout.USER_DATA);
    asm.mov(DS, EAX);
    asm.mov(ES, EAX);
    asm.mov(rip(scratch).q(), cpuSeconds);
    asm.mov(rip(scratch, 8).q(), cpuSeconds);
    asm.mov(EDI, RLIMIT_CPU);
    asm.lea(RSI, rip(scratch));
    systemCall(SETRLIMIT);
    call(PRCTL, PR_SET_SECCOMP, 1, 0);
  }

  /** Puts a readable and, if data, writable segment of 64 KiB into the LDT, by Linux' struct user_desc. */
  private void describe(int selector, long base, int contents) {
    asm.mov(rip(scratch).d(), selector >> 3);
    asm.mov(rip(scratch, 4).d(), (int) base);
    asm.mov(rip(scratch, 8).d(), 0xFFFF);
    asm.mov(rip(scratch, 12).d(), contents);
    asm.mov(EDI, WRITE_LDT);
    asm.lea(RSI, rip(scratch));
    asm.mov(EDX, 16);
    systemCall(MODIFY_LDT);
  }

  private void loop() {
    Label batch = asm.here();
    Label run = new Label("run");
    asm.lea(RSI, rip(count));
    asm.mov(EDX, 8);
    asm.call(readFully);
    asm.mov(RAX, rip(count));
    asm.mov(rip(left), RAX);
    Label answer = new Label("answer");
    asm.test(RAX, RAX);
    asm.jcc(Cond.E, answer);
    asm.imul(RDX, RAX, OracleLayout.RECORD);
    asm.movabs(RSI, BUFFERS);
    asm.mov(rip(current), RSI);
    asm.call(readFully);

    asm.bind(run);
    asm.mov(R15, rip(current));
    copyAreas(true);
    asm.lea(RSI, ptr(R15, OracleLayout.CODE_BYTES));
    asm.mov(RDI, ptr(R15, OracleLayout.RIP));
    asm.mov(RCX, ptr(R15, OracleLayout.LENGTH));
    asm.rep().movsb();
    asm.encode(0x0FAE, 8, FXRSTOR, ptr(R15, OracleLayout.FX));
    asm.mov(RAX, ptr(R15, OracleLayout.DATA_SELECTOR));
    asm.mov(DS, EAX);
    asm.mov(ES, EAX);
    asm.push(RAX);
    asm.push(ptr(R15, 8 * 4).q());
    asm.push(ptr(R15, OracleLayout.RFLAGS).q());
    asm.push(ptr(R15, OracleLayout.CS).q());
    asm.mov(RAX, ptr(R15, OracleLayout.RIP));
    asm.sub(RAX, ptr(R15, OracleLayout.CODE_BASE));
    asm.push(RAX);
    for (int register = 0; register < 16; register++) {
      if (register != 4) {
        asm.mov(GENERAL[register], ptr(R15, 8L * register));
      }
    }
    asm.iretq();

    asm.bind(handler);
    asm.push(2);
    asm.popfq();
    asm.mov(R15, rip(current));
    asm.mov(R14, ptr(R15, OracleLayout.RIP));
    asm.mov(R13, ptr(R15, OracleLayout.LENGTH));
    for (int i = 0; i < 16; i++) {
      save(CONTEXT + 8 * i, OracleLayout.REGISTERS + 8 * CONTEXT_ORDER[i]);
    }
    save(CONTEXT_RFLAGS, OracleLayout.RFLAGS);
    save(CONTEXT_RIP, OracleLayout.RIP);
    save(CONTEXT_TRAP, OracleLayout.VECTOR);
    save(CONTEXT_ERROR, OracleLayout.ERROR);
    save(CONTEXT_CR2, OracleLayout.FAULT_ADDRESS);
    asm.mov(RSI, ptr(RDX, CONTEXT_FPU));
    asm.lea(RDI, ptr(R15, OracleLayout.FX));
    asm.mov(ECX, FxImage.SIZE / 8);
    asm.rep().movsq();
    asm.movabs(RSP, ownStackTop());
    copyAreas(false);
    asm.mov(RSI, R14);
    asm.lea(RDI, ptr(R15, OracleLayout.CODE_BYTES));
    asm.mov(RCX, R13);
    asm.rep().movsb();
    asm.mov(RDI, R14);
    asm.mov(RCX, R13);
    asm.mov(AL, OracleLayout.INT3);
    asm.rep().stosb();
    asm.add(R15, OracleLayout.RECORD);
    asm.mov(rip(current), R15);
    asm.dec(rip(left).q());
    asm.jcc(Cond.NE, run);

    asm.imul(RDX, rip(count), OracleLayout.RECORD);
    asm.movabs(RSI, BUFFERS);
    asm.call(writeFully);
    asm.bind(answer);
    asm.mov(ESI, OracleLayout.DATA);
    asm.mov(EDX, 2 * OracleLayout.PAGE);
    asm.call(writeFully);
    fill(OracleLayout.DATA, 2 * OracleLayout.PAGE, 0);
    fill(OracleLayout.CODE, OracleLayout.CODE_PAGES * OracleLayout.PAGE, OracleLayout.INT3);
    asm.jmp(batch);
  }

  private void save(int from, int to) {
    asm.mov(RAX, ptr(RDX, from));
    asm.mov(ptr(R15, to), RAX);
  }

  private void copyAreas(boolean in) {
    int offset = OracleLayout.AREAS;
    for (int area = 0; area < OracleLayout.areas(); area++) {
      asm.lea(in ? RSI : RDI, ptr(R15, offset));
      asm.mov(in ? EDI : ESI, OracleLayout.areaAddress(area));
      asm.mov(ECX, OracleLayout.areaSize(area) / 8);
      asm.rep().movsq();
      offset += OracleLayout.areaSize(area);
    }
  }

  /** Reads or writes RDX bytes at RSI, all of them; ends the program if that cannot be. */
  private void transfer(Label name, int number) {
    asm.bind(name);
    Label again = asm.here();
    Label done = new Label("done");
    Label more = new Label("more");
    asm.mov(EDI, number);
    asm.mov(EAX, number);
    asm.syscall();
    asm.test(RAX, RAX);
    asm.jcc(Cond.G, more);
    asm.xor(EDI, EDI);
    asm.mov(EAX, EXIT);
    asm.syscall();
    asm.bind(more);
    asm.add(RSI, RAX);
    asm.sub(RDX, RAX);
    asm.jcc(Cond.NE, again);
    asm.bind(done);
    asm.ret();
  }

  private void map(long address, int length, int protection) {
    asm.mov(R10D, MAP_FIXED_PRIVATE_ANONYMOUS);
    asm.mov(R8, -1);
    asm.xor(R9D, R9D);
    call(MMAP, address, length, protection);
  }

  private void fill(long address, int length, int value) {
    asm.mov(EDI, address);
    asm.mov(ECX, length);
    asm.mov(AL, value);
    asm.rep().stosb();
  }

  private void call(int number, long first, long second, long third) {
    asm.movabs(RDI, first);
    asm.movabs(RSI, second);
    asm.movabs(RDX, third);
    systemCall(number);
  }

  /** A system call that must succeed; otherwise the program ends with the call's number. */
  private void systemCall(int number) {
    Label good = new Label("good");
    asm.mov(EAX, number);
    asm.syscall();
    asm.test(RAX, RAX);
    asm.jcc(Cond.NS, good);
    asm.mov(EDI, number);
    asm.mov(EAX, EXIT);
    asm.syscall();
    asm.bind(good);
  }
}
