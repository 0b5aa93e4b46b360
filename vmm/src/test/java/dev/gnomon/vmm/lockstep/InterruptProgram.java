package dev.gnomon.vmm.lockstep;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.CR2;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.DX;
import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.R12;
import static dev.gnomon.guest.asm.Reg.R13;
import static dev.gnomon.guest.asm.Reg.R14;
import static dev.gnomon.guest.asm.Reg.R15;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RBX;
import static dev.gnomon.guest.asm.Reg.RCX;
import static dev.gnomon.guest.asm.Reg.RDI;
import static dev.gnomon.guest.asm.Reg.RDX;
import static dev.gnomon.guest.asm.Reg.RSI;
import static dev.gnomon.guest.asm.Reg.RSP;
import static dev.gnomon.guest.asm.Reg.SS;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.vmm.boot.BootRequest;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A 64-bit guest program made of random steps under a fast timer and a busy serial port: repeated strings, faults,
 * loads of CR3, halts, rings, ports, edits of page tables, interrupts closed and opened. The handlers log the time, the
 * interrupted RIP, RCX and the vector; an exception leads to the next step.
 *
 * <p>R14 points into the log, R15 to the next step; R13 is a checksum, R12 keeps the handlers' scratch.
 */
final class InterruptProgram implements GuestProgram {
  private static final int TIMER_VECTOR = 0x20;
  private static final int SERIAL_VECTOR = 0x24;
  private static final int RETURN_VECTOR = 0x80;
  private static final int DEBUG_VECTOR = 1;
  private static final int[] FAULTS = {6, 13, 14, RETURN_VECTOR};
  private static final int RECORD = 32;
  private static final int SERIAL = 0x3F8;
  private static final long TRAP_FLAG = 0x100;
  /** Divisors of 1.19 MHz; one period must be longer than a handler. */
  private static final int MIN_DIVISOR = 10;
  private static final int DIVISORS = 60;

  private final Assembler a = new Assembler(64);
  private final Label[] faults = {new Label("ud"), new Label("gp"), new Label("pf"), new Label("back")};
  private final Label timer = new Label("timer");
  private final Label serial = new Label("serial");
  private final Label debug = new Label("debug");
  private final byte[] code;

  /** @param seeds one a step, so that a shorter list is a shorter program */
  InterruptProgram(List<Integer> seeds) {
    code = assemble(seeds);
  }

  @Override
  public byte[] code() {
    return code;
  }

  @Override
  public BootRequest.Entry entry() {
    return BootRequest.Entry.LONG;
  }

  private byte[] assemble(List<Integer> seeds) {
    Label gdtr = new Label("gdtr");
    Label idtr = new Label("idtr");
    a.mov(RSP, LongModeDescriptors.KERNEL_STACK);
    a.lgdt(abs(gdtr));
    a.lidt(abs(idtr));
    a.mov(AX, LongModeDescriptors.TSS_SELECTOR);
    a.ltr(AX);
    a.mov(AX, LongModeDescriptors.KERNEL_DATA);
    a.mov(DS, AX);
    a.mov(SS, AX);
    a.mov(RAX, LongModeTables.ROOTS);
    a.mov(CR3, RAX);
    a.mov(R14, LOG);
    a.mov(R13, 0);
    openDevices();
    a.sti();
    for (int seed : seeds) {
      Label next = new Label();
      a.mov(R15, next);
      step(new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1));
      a.bind(next);
    }
    a.cli();
    a.mov(AL, 0);
    a.out(0xF4, AL);
    a.hlt();
    interruptHandler(timer, TIMER_VECTOR);
    interruptHandler(serial, SERIAL_VECTOR);
    interruptHandler(debug, DEBUG_VECTOR);
    for (int i = 0; i < faults.length; i++) {
      faultHandler(faults[i], FAULTS[i], i == 1 || i == 2);
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

  /** The interrupt controllers with IRQ 0 and 4 open, the timer, and the serial port with its interrupts. */
  private void openDevices() {
    int[][] writes = {{0x20, 0x11}, {0x21, TIMER_VECTOR}, {0x21, 4}, {0x21, 1}, {0x21, 0xEE}, {0xA0, 0x11},
        {0xA1, 0x28}, {0xA1, 2},
        {0xA1, 1}, {0xA1, 0xFF}};
    for (int[] write : writes) {
      outByte(write[0], write[1]);
    }
    outByte(SERIAL + 1, 3);
    outByte(SERIAL + 4, 8);
    setTimer(2, 50);
  }

  private void outByte(int port, int value) {
    a.mov(AL, value);
    if (port < 0x100) {
      a.out(port, AL);
    } else {
      a.mov(DX, port);
      a.out(DX, AL);
    }
  }

  private void setTimer(int mode, int divisor) {
    outByte(0x43, 0x30 | mode << 1);
    outByte(0x40, divisor & 0xFF);
    outByte(0x40, divisor >> 8);
  }

  /** Logs and goes on where the interrupt came. */
  private void interruptHandler(Label label, int vector) {
    a.align(16);
    a.bind(label);
    a.push(RAX);
    a.push(RDX);
    a.rdtsc();
    a.shl(RDX, 32);
    a.or(RAX, RDX);
    a.mov(ptr(R14), RAX);
    a.mov(RAX, ptr(RSP, 16));
    a.mov(ptr(R14, 8), RAX);
    a.mov(ptr(R14, 16), RCX);
    a.mov(ptr(R14, 24).q(), vector);
    a.add(R14, RECORD);
    if (vector == SERIAL_VECTOR) {
      for (int register : new int[] {2, 5, 0, 2}) {
        a.mov(DX, SERIAL + register);
        a.in(AL, DX);
        a.add(ptr(R14, -4).b(), AL);
      }
    }
    if (vector != DEBUG_VECTOR) {
      a.mov(AL, 0x20);
      a.out(0x20, AL);
    }
    a.pop(RDX);
    a.pop(RAX);
    a.iretq();
  }

  /** Logs and goes on with the next step. */
  private void faultHandler(Label label, int vector, boolean hasErrorCode) {
    a.align(16);
    a.bind(label);
    if (hasErrorCode) {
      a.pop(R12);
    } else {
      a.mov(R12, 0);
    }
    a.mov(ptr(R14), R12);
    a.mov(RAX, ptr(RSP));
    a.mov(ptr(R14, 8), RAX);
    a.mov(RAX, CR2);
    a.mov(ptr(R14, 16), RAX);
    a.mov(ptr(R14, 24).q(), vector);
    a.add(R14, RECORD);
    a.mov(RSP, LongModeDescriptors.KERNEL_STACK);
    a.sti();
    a.jmp(R15);
  }

  private void step(SplittableRandom random) {
    switch (random.nextInt(18)) {
      case 0, 1 -> string(random);
      case 2 -> stringIntoTheVoid(random);
      case 3 -> {
        a.mov(RDX, 0x7000_0000L + PAGE * random.nextInt(4));
        a.mov(RAX, ptr(RDX));
      }
      case 4 -> {
        a.mov(RAX, LongModeTables.root(random.nextInt(LongModeTables.ROOT_COUNT)));
        a.mov(CR3, RAX);
      }
      case 5 -> a.hlt();
      case 6 -> closedFor(random);
      case 7 -> {
        a.pushfq();
        a.cli();
        loop(random.nextInt(40));
        a.popfq();
        a.add(R13, 1);
      }
      case 8 -> {
        a.mov(AX, LongModeDescriptors.KERNEL_DATA);
        a.mov(SS, AX);
        a.rol(R13, 1);
        a.inc(R13);
      }
      case 9 -> outByte(SERIAL, random.nextInt(256));
      case 10 -> setTimer(2 + random.nextInt(2), MIN_DIVISOR + random.nextInt(DIVISORS));
      case 11 -> readPorts();
      case 12 -> loop(random.nextInt(300));
      case 13 -> {
        a.rdtsc();
        a.add(R13, RAX);
        a.mov(RAX, 0);
        a.cpuid();
        a.xor(R13, RBX);
      }
      case 14 -> inUserMode(random);
      case 15 -> editAndTouch(random);
      case 16 -> {
        outByte(0x21, 0xFF);
        loop(random.nextInt(60));
        outByte(0x21, 0xEE);
      }
      default -> singleStep(random);
    }
  }

  private void loop(int times) {
    a.mov(RCX, 1 + times);
    Label top = a.here();
    a.add(R13, RCX);
    a.imul(RBX, R13);
    a.dec(RCX);
    a.jnz(top);
  }

  private static @Gva long data(SplittableRandom random) {
    return DATA + PAGE * random.nextInt(64) + 8 + random.nextInt(4000);
  }

  private void string(SplittableRandom random) {
    a.mov(RSI, data(random));
    a.mov(RDI, data(random));
    a.mov(RCX, random.nextInt(600));
    a.mov(RAX, random.nextLong());
    switch (random.nextInt(4)) {
      case 0 -> a.rep().stosb();
      case 1 -> a.rep().movsb();
      case 2 -> a.rep().movsq();
      default -> a.repe().cmpsb();
    }
    a.add(R13, RCX);
  }

  /** Faults after some iterations: memory ends at 8 MiB. */
  private void stringIntoTheVoid(SplittableRandom random) {
    a.mov(RSI, data(random));
    a.mov(RDI, 0x800000 - random.nextInt(200));
    a.mov(RCX, 400);
    a.rep().movsb();
  }

  private void closedFor(SplittableRandom random) {
    a.cli();
    loop(random.nextInt(100));
    a.sti();
    if (random.nextBoolean()) {
      a.hlt();
    } else {
      a.inc(R13);
    }
  }

  private void readPorts() {
    a.mov(AL, 0);
    a.out(0x43, AL);
    a.in(AL, 0x40);
    a.add(R13, RAX);
    a.in(AL, 0x40);
    a.rol(R13, 3);
    a.add(R13, RAX);
    a.in(AL, 0x61);
    a.xor(R13, RAX);
    a.mov(DX, SERIAL + 5);
    a.in(AL, DX);
    a.add(R13, RAX);
  }

  private void inUserMode(SplittableRandom random) {
    Label user = new Label();
    a.mov(RAX, user);
    a.mov(RBX, LongModeTables.USER_ALIAS);
    a.add(RAX, RBX);
    a.push(LongModeDescriptors.USER_DATA);
    a.mov(RBX, LongModeTables.USER_ALIAS + 0x1FF000);
    a.push(RBX);
    a.push(0x202);
    a.push(LongModeDescriptors.USER_CODE);
    a.push(RAX);
    a.iretq();
    a.bind(user);
    loop(random.nextInt(100));
    if (random.nextInt(3) == 0) {
      a.hlt();
    } else {
      a.interrupt(RETURN_VECTOR);
    }
  }

  /** No page is global, so that a load of CR3 synchronises. */
  private void editAndTouch(SplittableRandom random) {
    for (int i = 0; i < 3; i++) {
      int level = random.nextInt(4) == 0 ? 2 : 1;
      a.mov(RDI, LongModeTables.randomEntryAddress(level, 1, random));
      a.mov(RAX, LongModeTables.randomEntry(level, random));
      a.mov(ptr(RDI), RAX);
    }
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
    for (int i = 0; i < 3; i++) {
      a.mov(RDX, LongModeTables.randomAddress(1, random) + 8 + 8 * random.nextInt(64));
      a.mov(RBX, random.nextLong());
      a.add(ptr(RDX), RBX);
    }
  }

  private void singleStep(SplittableRandom random) {
    a.pushfq();
    a.or(ptr(RSP).q(), TRAP_FLAG);
    a.popfq();
    a.inc(R13);
    a.mov(RDI, data(random));
    a.mov(ECX, random.nextInt(5));
    a.rep().stosb();
    if (random.nextBoolean()) {
      a.in(AL, 0x61);
    }
    a.pushfq();
    a.and(ptr(RSP).q(), ~TRAP_FLAG);
    a.popfq();
  }

  @Override
  public void poke(Poke memory) {
    LongModeTables.poke(memory);
    LongModeDescriptors.poke(memory);
    LongModeDescriptors.pokeGate(memory, TIMER_VECTOR, a.addressOf(timer, CODE), false);
    LongModeDescriptors.pokeGate(memory, SERIAL_VECTOR, a.addressOf(serial, CODE), false);
    LongModeDescriptors.pokeGate(memory, DEBUG_VECTOR, a.addressOf(debug, CODE), false);
    for (int i = 0; i < faults.length; i++) {
      LongModeDescriptors.pokeGate(memory, FAULTS[i], a.addressOf(faults[i], CODE), FAULTS[i] == RETURN_VECTOR);
    }
    GuestProgram.pokeData(memory);
  }
}
