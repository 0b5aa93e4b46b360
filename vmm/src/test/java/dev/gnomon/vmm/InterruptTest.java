package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.RunResult.End;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Timer interrupts and exceptions reach the guest at the same instruction in every mode and with blocks of any
 * size.
 */
class InterruptTest {
  private static final long BUDGET = 3_000_000;
  private static final long IDT = 0x210000;
  static final long LOG = 0x220000;
  private static final int TICKS = 8;
  private static final int TIMER_VECTOR = 0x20;
  private static final int CODE_SELECTOR = 0x10;

  /** Points an IDT entry at a label; clobbers RAX, RDI. */
  static void gate(Assembler a, int vector, Label handler) {
    a.mov(RDI, IDT + 16 * vector);
    a.lea(RAX, rip(handler));
    a.mov(ptr(RDI).w(), AX);
    a.mov(ptr(RDI, 2).w(), CODE_SELECTOR);
    a.mov(ptr(RDI, 4).w(), 0x8E00);
    a.shr(RAX, 16);
    a.mov(ptr(RDI, 6).w(), AX);
    a.mov(ptr(RDI, 8).q(), 0);
  }

  static void loadIdt(Assembler a) {
    Label pointer = new Label("idtr");
    Label over = new Label("over");
    a.jmp(over);
    a.bind(pointer);
    a.dw(0xFFF);
    a.dq(IDT);
    a.bind(over);
    a.lidt(rip(pointer));
  }

  /** Two 8259 with only IRQ 0 open, counter 0 at {@code divisor} in mode 2. */
  private static void startTimer(Assembler a, int divisor) {
    int[][] writes = {{0x20, 0x11}, {0x21, TIMER_VECTOR}, {0x21, 4}, {0x21, 1}, {0x21, 0xFE}, {0xA0, 0x11}, {0xA1,
        0x28}, {0xA1, 2}, {0xA1, 1},
        {0xA1, 0xFF}, {0x43, 0x34}, {0x40, divisor & 0xFF}, {0x40, divisor >> 8}};
    for (int[] write : writes) {
      a.mov(AL, write[1]);
      a.out(write[0], AL);
    }
  }

  /** Counts ticks in R15, logs the time and the interrupted RIP, and ends the run after {@link #TICKS}. */
  private static void tickHandler(Assembler a, Label handler) {
    a.bind(handler);
    a.push(RAX);
    a.push(RDX);
    a.rdtsc();
    a.shl(RDX, 32);
    a.or(RAX, RDX);
    a.mov(abs(0).q(), RAX);
    a.mov(RDX, LOG);
    a.mov(dev.gnomon.guest.asm.Mem.ptr(RDX, R15, 8), RAX);
    a.mov(RAX, ptr(RSP, 16));
    a.mov(dev.gnomon.guest.asm.Mem.ptr(RDX, R15, 8, 0x1000), RAX);
    a.inc(R15);
    a.mov(AL, 0x20);
    a.out(0x20, AL);
    Label more = new Label("more");
    a.cmp(R15, TICKS);
    a.jb(more);
    Machines.exit(a, 1);
    a.bind(more);
    a.pop(RDX);
    a.pop(RAX);
    a.iretq();
  }

  private static Consumer<Assembler> timerGuest(int divisor, Consumer<Assembler> loop) {
    return a -> {
      Label handler = new Label("tick");
      Label start = new Label("start");
      a.jmp(start);
      tickHandler(a, handler);
      a.bind(start);
      loadIdt(a);
      gate(a, TIMER_VECTOR, handler);
      a.xor(R15, R15);
      startTimer(a, divisor);
      a.sti();
      Label top = a.here();
      loop.accept(a);
      a.jmp(top);
    };
  }

  static String run(VmOptions options, Consumer<Assembler> guest) {
    Vm vm = Machines.boot(options, guest);
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).as(result.toString()).isEqualTo(End.GUEST_EXIT);
    return Machines.state(vm.cpu()) + "\n" + Machines.memory(vm);
  }

  static void shouldAgree(Consumer<Assembler> guest) {
    shouldAgree(PlatformOptions.DEFAULT, guest);
  }

  static void shouldAgree(PlatformOptions platform, Consumer<Assembler> guest) {
    List<String> states = new ArrayList<>();
    for (Mode mode : Mode.values()) {
      for (int block : new int[] {1, 8, 64}) {
        states.add(run(Machines.options(mode).withBlockLimit(block).withPlatform(platform), guest));
      }
    }
    assertThat(states.stream().distinct().toList()).hasSize(1);
  }

  @Test
  void shouldInterruptBusyCodeAtTheSameInstruction() {
    shouldAgree(timerGuest(300, a -> {
      a.inc(RBX);
      a.imul(RCX, RBX);
      a.xor(abs(Machines.DATA).q(), RCX);
    }));
  }

  @Test
  void shouldInterruptRepeatedStringsBetweenIterations() {
    shouldAgree(timerGuest(200, a -> {
      a.mov(RDI, Machines.DATA);
      a.mov(ECX, 5000);
      a.rep().stosb();
    }));
  }

  @Test
  void shouldInterruptWhenInterruptsOpen() {
    shouldAgree(timerGuest(250, a -> {
      Label spin = new Label("spin");
      a.cli();
      a.mov(ECX, 333);
      a.bind(spin);
      a.dec(ECX);
      a.jnz(spin);
      a.sti();
      a.inc(RBX);
      a.inc(RBX);
    }));
  }

  @Test
  void shouldWakeFromHaltAtTheNextTick() {
    shouldAgree(timerGuest(2000, Assembler::hlt));
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldCountInterruptsAsKvmDoes(Mode mode) {
    Vm busy = Machines.boot(Machines.options(mode), timerGuest(300, a -> a.inc(RBX)));
    busy.run(BUDGET);
    assertThat(busy.statistics()).containsEntry("irq_injections", (long) TICKS);
    assertThat(busy.exits().ofReason(ExitReason.EXTERNAL_INTERRUPT)).isEqualTo(busy.statistics().get("irq_exits"))
        .isGreaterThanOrEqualTo(TICKS);
    assertThat(busy.exits().ofReason(ExitReason.INTERRUPT_WINDOW)).isZero();

    Vm masked = Machines.boot(Machines.options(mode), timerGuest(300, a -> {
      a.cli();
      for (int i = 0; i < 40; i++) {
        a.inc(RBX);
      }
      a.sti();
      a.nop();
    }));
    masked.run(BUDGET);
    assertThat(masked.exits().ofReason(ExitReason.INTERRUPT_WINDOW)).isPositive()
        .isEqualTo(masked.statistics().get("irq_window_exits"));

    Vm idle = Machines.boot(Machines.options(mode), timerGuest(2000, Assembler::hlt));
    idle.run(BUDGET);
    assertThat(idle.statistics()).containsEntry("halt_exits", (long) TICKS);
    assertThat(idle.exits().ofReason(ExitReason.EXTERNAL_INTERRUPT)).as("nobody runs to be interrupted").isZero();
    assertThat(idle.cpu().skippedNs).isPositive();
  }

  /** Logs vector, error code, CR2, DR6 and RIP at R14, steps over {@code R13} bytes and goes on. */
  private static void faultHandlers(Assembler a, int[] vectors, Label[] handlers, Label common) {
    for (int i = 0; i < vectors.length; i++) {
      a.bind(handlers[i]);
      if (!dev.gnomon.guest.cpu.Vector.hasErrorCode(vectors[i])) {
        a.push(0);
      }
      a.push(vectors[i]);
      a.jmp(common);
    }
    a.bind(common);
    a.push(RAX);
    a.mov(RAX, ptr(RSP, 8));
    a.mov(ptr(R14), RAX);
    a.mov(RAX, ptr(RSP, 16));
    a.mov(ptr(R14, 8), RAX);
    a.mov(RAX, CR2);
    a.mov(ptr(R14, 16), RAX);
    a.mov(RAX, DR6);
    a.mov(ptr(R14, 24), RAX);
    a.mov(RAX, ptr(RSP, 24));
    a.mov(ptr(R14, 32), RAX);
    a.add(R14, 64);
    a.add(RAX, R13);
    a.mov(ptr(RSP, 24), RAX);
    a.pop(RAX);
    a.add(RSP, 16);
    a.iretq();
  }

  private static Consumer<Assembler> faultGuest(Consumer<Assembler> body) {
    return a -> {
      int[] vectors = {0, 1, 3, 6, 13, 14, 17};
      Label[] handlers = new Label[vectors.length];
      Label start = new Label("start");
      a.jmp(start);
      for (int i = 0; i < vectors.length; i++) {
        handlers[i] = new Label("vector" + vectors[i]);
      }
      faultHandlers(a, vectors, handlers, new Label("common"));
      a.bind(start);
      loadIdt(a);
      for (int i = 0; i < vectors.length; i++) {
        gate(a, vectors[i], handlers[i]);
      }
      a.mov(R14, LOG);
      a.xor(R13, R13);
      body.accept(a);
      Machines.exit(a, 0);
    };
  }

  @Test
  void shouldReflectFaultsWithTheGuestsOwnCodes() {
    Consumer<Assembler> guest = faultGuest(a -> {
      a.mov(R13, 2);
      a.ud2();
      a.xor(R13, R13);
      a.int3();
      // Divide by zero: 48 F7 F1 is three bytes.
      a.mov(R13, 3);
      a.xor(ECX, ECX);
      a.div(RCX);
      // Above the identity map: not present; a read, a write, then a non-canonical address.
      a.movabs(RBX, 0x140000000L);
      a.mov(RAX, ptr(RBX));
      a.mov(ptr(RBX).q(), RAX);
      a.movabs(RBX, 0x8000000000000000L);
      a.mov(RAX, ptr(RBX));
    });
    shouldAgree(guest);
    Vm vm = Machines.boot(Machines.options(Mode.SHADOW), guest);
    vm.run(BUDGET);
    long[][] expected = {{6, 0}, {3, 0}, {0, 0}, {14, 0}, {14, 2}, {13, 0}};
    for (int i = 0; i < expected.length; i++) {
      assertThat(vm.guestMemory().read(LOG + 64L * i, 8)).as("vector " + i).isEqualTo(expected[i][0]);
      assertThat(vm.guestMemory().read(LOG + 64L * i + 8, 8)).as("code " + i).isEqualTo(expected[i][1]);
    }
    assertThat(vm.guestMemory().read(LOG + 64 * 4 + 16, 8)).isEqualTo(0x140000000L);
    assertThat(vm.exits().of(ExitReason.EXCEPTION_NMI, ExitStatistics.Cause.GUEST_FAULT)).isEqualTo(2);
  }

  @Test
  void shouldSingleStepOverInstructionsThatExit() {
    shouldAgree(faultGuest(a -> {
      a.pushfq();
      a.or(ptr(RSP).q(), 0x100);
      a.popfq();
      a.nop();
      a.in(AL, 0x61);
      a.xor(EAX, EAX);
      a.cpuid();
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
      a.wbinvd();
      a.mov(RAX, abs(0xB8000));
      a.pushfq();
      a.and(ptr(RSP).q(), ~0x100);
      a.popfq();
      a.nop();
    }));
  }

  @Test
  void shouldHonourDebugRegistersThatTheGuestSets() {
    shouldAgree(faultGuest(a -> {
      a.mov(RAX, Machines.DATA);
      a.mov(DR0, RAX);
      a.mov(RAX, 0xD0002);
      a.mov(DR7, RAX);
      a.mov(abs(Machines.DATA).q(), 7);
      a.in(AL, 0x61);
      a.mov(RAX, abs(Machines.DATA));
      a.mov(RAX, DR7);
      a.mov(RBX, RAX);
      a.xor(EAX, EAX);
      a.mov(DR7, RAX);
    }));
  }

  @ParameterizedTest
  @ValueSource(ints = {0x100, 0x10F, 0x174, 0x1B, 0x277, 0xC0000080, 0xC0000082, 0xC0000100, 0xC0000103})
  void shouldReadAndWriteModelSpecificRegistersAlike(int msr) {
    shouldAgree(faultGuest(a -> {
      a.mov(R13, 2);
      a.mov(ECX, msr);
      a.rdmsr();
      a.mov(RBX, RAX);
      a.mov(RSI, RDX);
      a.wrmsr();
      a.mov(EDX, 0x12340000);
      a.wrmsr();
      a.mov(ECX, msr);
      a.rdmsr();
    }));
  }

  @Test
  void shouldWriteControlRegistersAlike() {
    shouldAgree(faultGuest(a -> {
      a.mov(R13, 3);
      long[] cr4 = {0x20, 0xA0, 0x6A0, 0x300020, 0x40000000, 0, 0x20};
      for (long value : cr4) {
        a.mov(RAX, value);
        a.mov(CR4, RAX);
        a.mov(RBX, CR4);
        a.mov(ptr(R14, 40), RBX);
      }
      long[] cr0 = {0x80000031L, 0x80010031L, 0xC0010031L, 0x80000035L, 1, 0xA0000031L, 0x80000039L};
      for (long value : cr0) {
        a.mov(EAX, value);
        a.mov(CR0, RAX);
        a.mov(RBX, CR0);
        a.mov(ptr(R14, 48), RBX);
      }
      a.clts();
      a.mov(RBX, CR0);
      a.mov(RAX, CR3);
      a.movabs(RCX, 1L << 60);
      a.or(RAX, RCX);
      a.mov(CR3, RAX);
      a.mov(RSI, CR3);
    }));
  }
}
