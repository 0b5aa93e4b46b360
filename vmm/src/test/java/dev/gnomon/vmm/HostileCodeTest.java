package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.vmm.boot.BootRequest;
import java.io.ByteArrayOutputStream;
import java.util.Random;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;

/**
 * Random bytes as guest code: nothing escapes, every run ends within its budget, and the modes agree to the
 * last bit.
 */
class HostileCodeTest {
  private static final int BUDGET = 2000;
  private static final int RANDOM_BYTES = 600;
  private static final long IDT = 0x300000;

  /** Opcode bytes that make random code live longer: moves, arithmetic, and the system instructions that exit. */
  private static final int[][] PHRASES = {{0x0F, 0x20, 0xC0}, {0x0F, 0x22, 0xC0}, {0x0F, 0x20, 0xD8}, {0x0F, 0x22,
      0xD8}, {0x0F, 0x20, 0xE0},
      {0x0F, 0x22, 0xE0}, {0x0F, 0xA2}, {0x0F, 0x01, 0x38}, {0x0F, 0x31}, {0x0F, 0x32}, {0x0F, 0x30}, {0xF4}, {0xFB},
          {0xFA}, {0xE4, 0x61},
      {0xE6, 0x80}, {0xEC}, {0xEE}, {0x6C}, {0x6E}, {0xF3, 0xA4}, {0xF3, 0xAB}, {0xCD, 0x03}, {0xCC}, {0x9C}, {0x9D},
          {0x0F, 0x09},
      {0x0F, 0x23, 0xF8}, {0x0F, 0x21, 0xF0}, {0xA1}, {0x48, 0xA3}, {0x48, 0x89}, {0x48, 0x8B}, {0x01}, {0xFF}, {0x0F,
          0xB1}, {0x48, 0x0F, 0xC7}};

  private static byte[] randomCode(long seed) {
    Random random = new Random(seed);
    ByteArrayOutputStream code = new ByteArrayOutputStream();
    while (code.size() < RANDOM_BYTES) {
      if (random.nextInt(3) == 0) {
        for (int b : PHRASES[random.nextInt(PHRASES.length)]) {
          code.write(b);
        }
      } else {
        code.write(random.nextInt(256));
      }
    }
    return code.toByteArray();
  }

  /**
   * Handlers for all exceptions that go on one byte further, then the random bytes with registers that point to
   * memory.
   */
  private static byte[] program(long seed) {
    Assembler a = new Assembler(64);
    emit(a, seed);
    return a.assemble(Machines.CODE);
  }

  private static void emit(Assembler a, long seed) {
    Label start = new Label("start");
    Label idtr = new Label("idtr");
    a.jmp(start);
    Label[] handlers = new Label[32];
    for (int vector = 0; vector < 32; vector++) {
      handlers[vector] = a.here();
      if (Vector.hasErrorCode(vector)) {
        a.add(RSP, 8);
      }
      a.inc(ptr(RSP).q());
      a.iretq();
    }
    a.bind(idtr);
    a.dw(0x1FF);
    a.dq(IDT);
    a.bind(start);
    a.mov(RSP, Machines.STACK);
    for (int vector = 0; vector < 32; vector++) {
      a.lea(RAX, Mem.rip(handlers[vector]));
      a.mov(RDI, IDT + 16 * vector);
      a.mov(ptr(RDI).w(), AX);
      a.mov(ptr(RDI, 2).w(), 0x10);
      a.mov(ptr(RDI, 4).w(), 0x8E00);
      a.shr(RAX, 16);
      a.mov(ptr(RDI, 6).w(), AX);
    }
    a.lidt(Mem.rip(idtr));
    Random random = new Random(~seed);
    for (int number : new int[] {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11}) {
      a.movabs(dev.gnomon.guest.asm.Reg.general(number, 8), switch (random.nextInt(4)) {
        case 0 -> random.nextInt(64);
        case 1 -> Machines.DATA + random.nextInt(0x10000);
        case 2 -> 0xB8000 + random.nextInt(0x8000);
        default -> random.nextLong();
      });
    }
    a.emit(randomCode(seed));
  }

  /** Messages of every kind to all processors, then random bytes. */
  private static void emitWithMessages(Assembler a, long seed) {
    Random random = new Random(seed);
    for (int i = random.nextInt(6); i > 0; i--) {
      SmpGuest.send(a, random.nextInt(8) == 0 ? 0xFF : random.nextInt(4), random.nextInt(0x100000));
    }
    emit(a, seed);
  }

  /** Processors that interrupt, reset and restart each other at random and run random bytes: nothing escapes. */
  @Property(tries = 60, shrinking = ShrinkingMode.OFF)
  void shouldSurviveSeveralProcessorsThatRunRandomBytes(@ForAll long seed) {
    SmpGuest guest = new SmpGuest(a -> emitWithMessages(a, seed), a -> emitWithMessages(a, seed ^ 0x5DEECE66DL));
    for (Mode mode : Mode.values()) {
      Vm vm = guest.boot(SmpGuest.options(mode, 3));
      RunResult result = vm.run(10 * BUDGET);
      assertThat(vm.retired()).isLessThanOrEqualTo(10 * BUDGET);
      assertThat(result.end()).as("%s", result).isNotNull();
    }
  }

  /**
   * Null if the guest changed its paging: without invalidations, which it does not know to need, modes may differ;
   * and tables that lie outside
   * of memory read as not present under shadow paging (as in KVM), as ones elsewhere.
   */
  private static String outcome(Mode mode, int block, byte[] code, BootRequest.Entry entry) {
    Vm vm = Machines.boot(new VmBuilder(Machines.options(mode).withBlockLimit(block)
        .withMemoryBytes(4 * Machines.MIB)).build(), code, entry);
    long cr3 = vm.cpu().cr3;
    long cr0 = vm.cpu().cr0;
    int before = tables(vm);
    RunResult result = vm.run(BUDGET);
    if (tables(vm) != before || vm.cpu().cr3 != cr3 || ((vm.cpu().cr0 ^ cr0) & ControlRegister.CR0_PG) != 0) {
      return null;
    }
    if (result.end() == RunResult.End.INTERNAL_ERROR) {
      // Exception after exception: where in the endless series each mode gives up, it chooses itself.
      return result.end().toString();
    }
    return result.end() + " " + result.status() + "\n" + Machines.state(vm.cpu()) + "\nmemory " + Machines.memory(vm);
  }

  /** Hash of the loader's page tables without their A and D bits. */
  private static int tables(Vm vm) {
    int hash = 0;
    for (long gpa = 0x1000; gpa < 0x7000; gpa += 8) {
      hash = 31 * hash + Long.hashCode(vm.guestMemory().read(gpa, 8) & ~0x60L);
    }
    return hash;
  }

  private static void shouldAgree(byte[] code, BootRequest.Entry entry) {
    String expected = outcome(Mode.NATIVE, 64, code, entry);
    Assume.that(expected != null);
    assertThat(outcome(Mode.NATIVE, 1, code, entry)).as("native, blocks of 1").isEqualTo(expected);
    assertThat(outcome(Mode.EPT, 64, code, entry)).as("ept").isEqualTo(expected);
    assertThat(outcome(Mode.SHADOW, 64, code, entry)).as("shadow").isEqualTo(expected);
  }

  @Property(tries = 100, shrinking = ShrinkingMode.OFF)
  void shouldRunRandomLongModeCodeAlikeInAllModes(@ForAll long seed) {
    shouldAgree(program(seed), BootRequest.Entry.LONG);
  }

  @Property(tries = 50, shrinking = ShrinkingMode.OFF)
  void shouldRunRandomProtectedModeCodeAlikeInAllModes(@ForAll long seed) {
    shouldAgree(randomCode(seed), BootRequest.Entry.PROTECTED);
  }
}
