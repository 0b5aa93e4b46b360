package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Random steps of several processors over page tables that they share: accesses, edits at two levels, directly or
 * through an alias of the table, changes of CR0.WP and of the root. Each step holds one lock. An edit is followed by a
 * shootdown: the editor drops its translation, interrupts all others, and goes on when they have dropped theirs. Page
 * faults are logged, and the step is given up.
 *
 * <pre>
 *  GPA 300000, 301000  two tables of 16 pages, of which the last is the table itself
 *      302000          another root with the same tables below
 *      310000          8 pages of data
 *      320000          log: 32 bytes a fault, error code, CR2, processor, RIP
 * </pre>
 */
final class SmpProgram {
  private static final long LOCK = SmpGuest.DATA;
  private static final long DONE = SmpGuest.DATA + 8;
  private static final long ADDRESS = SmpGuest.DATA + 16;
  private static final long ALL = SmpGuest.DATA + 24;
  private static final long ACKNOWLEDGED = SmpGuest.DATA + 32;
  private static final long FAULTS = SmpGuest.DATA + 40;
  private static final long DIRECTORY = SmpGuest.DATA + 48;
  private static final long READY = SmpGuest.DATA + 56;
  private static final long TABLE = 0x300000;
  private static final long OTHER_TABLE = 0x301000;
  private static final long OTHER_ROOT = 0x302000;
  private static final long FRAMES = 0x310000;
  private static final long LOG = 0x320000;
  private static final long VIRTUAL = 0x4000_0000L;
  private static final int PAGES = 15;
  private static final int ALIAS = 15;
  private static final int VECTOR = 0x41;
  private static final long PRESENT_WRITABLE = 3;
  private static final long[] FLAGS = {3, 3, 3, 1, 0x63, 0x21, 0};

  private final int processors;
  private final List<Integer> seeds;

  /** @param seeds one a step; the bootstrap processor does the first half */
  SmpProgram(int processors, List<Integer> seeds) {
    this.processors = processors;
    this.seeds = seeds;
  }

  SmpGuest guest() {
    int half = seeds.size() / 2;
    return new SmpGuest(a -> {
      tables(a);
      begin(a);
      SmpGuest.await(a, READY, processors);
      seeds.subList(0, half).forEach(seed -> step(a, new SplittableRandom(seed)));
      SmpGuest.await(a, DONE, processors - 1);
      Machines.exit(a, 1);
    }, a -> {
      // The tables are the bootstrap processor's work.
      SmpGuest.await(a, READY, 1);
      begin(a);
      seeds.subList(half, seeds.size()).forEach(seed -> step(a, new SplittableRandom(seed)));
      a.lock().inc(abs(DONE).q());
      Label sleep = a.here();
      a.hlt();
      a.jmp(sleep);
    });
  }

  private static void tables(Assembler a) {
    for (int page = 0; page < PAGES; page++) {
      a.mov(RAX, FRAMES + (page & 7) * 0x1000L | PRESENT_WRITABLE);
      a.mov(abs(TABLE + 8L * page).q(), RAX);
      a.mov(abs(OTHER_TABLE + 8L * (PAGES - 1 - page)).q(), RAX);
    }
    a.mov(RAX, TABLE | PRESENT_WRITABLE);
    a.mov(abs(TABLE + 8 * ALIAS).q(), RAX);
    a.mov(RAX, OTHER_TABLE | PRESENT_WRITABLE);
    a.mov(abs(OTHER_TABLE + 8 * ALIAS).q(), RAX);
    a.mov(RAX, CR3);
    a.mov(RAX, ptr(RAX).q());
    a.mov(abs(OTHER_ROOT).q(), RAX);
    a.and(RAX, -4096);
    a.mov(RAX, ptr(RAX, 8).q());
    a.and(RAX, -4096);
    a.mov(abs(DIRECTORY).q(), RAX);
    a.mov(RCX, TABLE | PRESENT_WRITABLE);
    a.mov(ptr(RAX).q(), RCX);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
  }

  /** Handlers of its own for each part, since each has the code of its own near. */
  private static void begin(Assembler a) {
    Label fault = new Label("fault");
    Label shootdown = new Label("shootdown");
    Label over = new Label("over");
    Label single = new Label("single");
    a.jmp(over);
    a.bind(fault);
    a.mov(EAX, 1);
    a.lock().xadd(abs(FAULTS).q(), RAX);
    a.and(EAX, 0x7F);
    a.shl(RAX, 5);
    a.add(RAX, LOG);
    a.pop(RCX);
    a.mov(ptr(RAX).q(), RCX);
    a.mov(RCX, CR2);
    a.mov(ptr(RAX, 8).q(), RCX);
    a.mov(ptr(RAX, 16).q(), R12);
    a.mov(RCX, ptr(RSP).q());
    a.mov(ptr(RAX, 24).q(), RCX);
    a.mov(ptr(RSP).q(), R14);
    a.iretq();
    a.bind(shootdown);
    a.push(RAX);
    a.mov(RAX, abs(ADDRESS).q());
    a.invlpg(ptr(RAX));
    a.cmp(abs(ALL).q(), 0);
    a.je(single);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
    a.bind(single);
    a.lock().inc(abs(ACKNOWLEDGED).q());
    SmpGuest.endOfInterrupt(a);
    a.pop(RAX);
    a.iretq();
    a.bind(over);
    InterruptTest.loadIdt(a);
    InterruptTest.gate(a, 14, fault);
    InterruptTest.gate(a, VECTOR, shootdown);
    a.mov(R13, 0x100);
    a.xor(R15, R15);
    a.sti();
    a.lock().inc(abs(READY).q());
  }

  private static void lock(Assembler a) {
    Label taken = new Label("taken");
    Label spin = a.here();
    a.lock().bts(abs(LOCK).d(), 0);
    a.jnc(taken);
    a.pause();
    a.jmp(spin);
    a.bind(taken);
  }

  private void step(Assembler a, SplittableRandom random) {
    Label given = new Label("given");
    lock(a);
    a.lea(R14, rip(given));
    // Processors that share the code take different pages.
    a.mov(ESI, random.nextInt(PAGES));
    a.add(RSI, R12);
    a.and(ESI, 7);
    a.mov(RDI, RSI);
    a.shl(RDI, 12);
    a.add(RDI, VIRTUAL);
    boolean edited = false;
    boolean all = false;
    switch (random.nextInt(12)) {
      case 0, 1, 2 -> {
        a.mov(RAX, ptr(RDI, 8L * random.nextInt(8)).q());
        a.xor(R15, RAX);
      }
      case 3, 4, 5 -> {
        a.inc(R13);
        a.mov(ptr(RDI, 8L * random.nextInt(8)).q(), R13);
      }
      case 6 -> a.lock().xadd(ptr(RDI, 0x40).q(), R13);
      case 7, 8 -> {
        a.mov(RDX, random.nextBoolean() ? TABLE : OTHER_TABLE);
        entry(a, random);
        a.mov(ptr(RDX, RSI, 8).q(), RAX);
        edited = true;
      }
      case 9 -> {
        a.mov(RDX, VIRTUAL + ALIAS * 0x1000L);
        entry(a, random);
        a.mov(ptr(RDX, RSI, 8).q(), RAX);
        edited = true;
      }
      case 10 -> {
        a.mov(RDX, abs(DIRECTORY).q());
        a.mov(RAX, (random.nextBoolean() ? TABLE : OTHER_TABLE) | FLAGS[random.nextInt(FLAGS.length)]);
        a.mov(ptr(RDX).q(), RAX);
        edited = true;
        all = true;
      }
      default -> control(a, random);
    }
    a.bind(given);
    if (edited) {
      shootDown(a, all);
    }
    a.mov(abs(LOCK).d(), 0);
  }

  private static void entry(Assembler a, SplittableRandom random) {
    a.mov(RAX, FRAMES + random.nextInt(8) * 0x1000L | FLAGS[random.nextInt(FLAGS.length)]);
  }

  private static void control(Assembler a, SplittableRandom random) {
    if (random.nextBoolean()) {
      a.mov(RAX, CR0);
      a.xor(EAX, (int) ControlRegister.CR0_WP);
      a.mov(CR0, RAX);
    } else {
      a.mov(RAX, random.nextBoolean() ? 0x1000 : OTHER_ROOT);
      a.mov(CR3, RAX);
    }
  }

  /** The edit may have been through the alias, so that the page's own number stands in RSI. */
  private void shootDown(Assembler a, boolean all) {
    a.mov(abs(ADDRESS).q(), RDI);
    a.mov(abs(ALL).q(), all ? 1 : 0);
    a.mov(abs(ACKNOWLEDGED).q(), 0);
    a.invlpg(ptr(RDI));
    if (all) {
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
    }
    SmpGuest.apic(a, 0x300, 0xC4000 | VECTOR);
    SmpGuest.await(a, ACKNOWLEDGED, processors - 1);
  }
}
