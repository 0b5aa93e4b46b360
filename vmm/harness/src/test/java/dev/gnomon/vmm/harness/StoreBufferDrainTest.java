package dev.gnomon.vmm.harness;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.EnumSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What waits until a processor's stores are visible, instruction by instruction (SDM vol. 3A, "Store Buffer" and
 * "Serializing Instructions"), and what does not.
 */
class StoreBufferDrainTest {
  private static final int X = 0;
  private static final int Y = 0x100;
  private static final int GO = 0x400;
  private static final long IDT = GuestCode.DATA + 0x1000;
  /** Mapped uncached by the tests that use it. */
  private static final long UNCACHED = 0x400000;
  /** Reads as 0, in the page of the device that ends a run. */
  private static final long DEVICE = 0xFEDE_0000L;
  private static final int CODE_SELECTOR = 0x10;
  private static final int BREAKPOINT = 3;
  private static final int INVALID_OPCODE = 6;
  private static final int IRQ_VECTOR = 0x20 + GuestCode.IRQ;
  private static final int TSC_AUX = 0xC000_0103;
  private static final Set<Mode> ALL = EnumSet.allOf(Mode.class);
  private static final Set<Mode> NONE = EnumSet.noneOf(Mode.class);

  private static Arguments row(String name, Set<Mode> drains, Consumer<Assembler> setup, Consumer<Assembler> code) {
    return arguments(name, drains, setup, code);
  }

  private static Arguments row(String name, Set<Mode> drains, Consumer<Assembler> code) {
    return row(name, drains, a -> { }, code);
  }

  /** In which modes each drains: an instruction that exits does so too, whatever it is. */
  static Stream<Arguments> instructions() {
    Set<Mode> shadow = EnumSet.of(Mode.SHADOW);
    Set<Mode> virtual = EnumSet.of(Mode.EPT, Mode.SHADOW);
    return Stream.of(
        row("nothing", NONE, a -> { }),
        row("nop", NONE, Assembler::nop),
        row("lfence", NONE, Assembler::lfence),
        row("push", NONE, a -> a.push(RAX)),
        row("load", NONE, a -> a.mov(ECX, ptr(RSI, 0x200))),
        row("store", NONE, a -> a.mov(ptr(RSI, 0x200).d(), 1)),
        row("movnti", NONE, a -> a.movnti(ptr(RSI, 0x200), ECX)),
        row("xchg of registers", NONE, a -> a.xchg(ECX, EDX)),
        row("rdtscp", NONE, Assembler::rdtscp),
        row("sgdt", NONE, a -> a.sgdt(ptr(RSI, 0x200))),
        row("str", NONE, a -> a.str(CX)),
        row("mov from cr3", shadow, a -> a.mov(RCX, CR3)),
        row("mov from dr7", virtual, a -> a.mov(RCX, DR7)),
        row("clflush", NONE, a -> a.clflush(ptr(RSI, 0x200))),
        row("rdmsr", NONE, a -> {
          a.mov(ECX, TSC_AUX);
          a.rdmsr();
        }),
        row("mfence", ALL, Assembler::mfence),
        row("sfence", ALL, Assembler::sfence),
        row("lock add", ALL, a -> a.lock().add(ptr(RSI, 0x200).d(), 1)),
        row("xchg", ALL, a -> a.xchg(ptr(RSI, 0x200), ECX)),
        row("cpuid", ALL, Assembler::cpuid),
        row("mov to cr3", ALL, a -> {
          a.mov(RCX, CR3);
          a.mov(CR3, RCX);
        }),
        row("mov to dr7", ALL, a -> {
          a.mov(RCX, DR7);
          a.mov(DR7, RCX);
        }),
        row("invlpg", ALL, a -> a.invlpg(ptr(RSI, 0x200))),
        row("wbinvd", ALL, Assembler::wbinvd),
        row("wrmsr", ALL, a -> {
          a.mov(ECX, TSC_AUX);
          a.xor(EAX, EAX);
          a.xor(EDX, EDX);
          a.wrmsr();
        }),
        row("lgdt", ALL, a -> a.sgdt(ptr(RSI, 0x300)), a -> a.lgdt(ptr(RSI, 0x300))),
        row("lidt", ALL, a -> a.sidt(ptr(RSI, 0x300)), a -> a.lidt(ptr(RSI, 0x300))),
        row("iret", ALL, StoreBufferDrainTest::returnToWhatFollows),
        row("in", ALL, a -> a.in(AL, 0x80)),
        row("out", ALL, a -> a.out(0x80, AL)),
        row("outsb", ALL, a -> a.mov(EDX, 0x80), Assembler::outsb),
        row("int3", ALL, a -> handler(a, BREAKPOINT, Assembler::iretq), Assembler::int3),
        row("exception", ALL, a -> handler(a, INVALID_OPCODE, b -> {
          b.add(ptr(RSP).q(), 2);
          b.iretq();
        }), Assembler::ud2),
        row("access of a device", ALL, a -> a.mov(RDI, DEVICE), a -> a.mov(ECX, ptr(RDI))),
        row("uncached load", EnumSet.of(Mode.NATIVE), StoreBufferDrainTest::mapUncached, a -> a.mov(ECX, ptr(RDI))),
        row("uncached store", EnumSet.of(Mode.NATIVE), StoreBufferDrainTest::mapUncached, a -> a.mov(ptr(RDI), ECX)));
  }

  private static void returnToWhatFollows(Assembler a) {
    a.mov(RDX, RSP);
    a.push(0x18);
    a.push(RDX);
    a.pushfq();
    a.push(CODE_SELECTOR);
    Label after = new Label("after");
    a.lea(RAX, rip(after));
    a.push(RAX);
    a.iretq();
    a.bind(after);
  }

  /** Sets PCD in the large page of {@link #UNCACHED}, whose table is the first one. */
  private static void mapUncached(Assembler a) {
    a.mov(RAX, CR3);
    for (int level = 0; level < 2; level++) {
      a.mov(RAX, ptr(RAX));
      a.and(RAX, -4096);
    }
    a.lock().or(ptr(RAX, 8 * (UNCACHED >> 21)).q(), 1 << 4);
    a.mov(RDI, UNCACHED);
    a.invlpg(ptr(RDI));
    a.mov(ECX, ptr(RDI));
    a.mov(ptr(RDI), ECX);
  }

  /** Makes an IDT with one handler. */
  private static void handler(Assembler a, int vector, Consumer<Assembler> code) {
    Label pointer = new Label("idtr");
    Label entry = new Label("handler");
    Label over = new Label("over");
    a.jmp(over);
    a.bind(pointer);
    a.dw(0xFFF);
    a.dq(IDT);
    a.bind(entry);
    code.accept(a);
    a.bind(over);
    a.mov(RDI, IDT + 16 * vector);
    a.lea(RAX, rip(entry));
    a.mov(ptr(RDI).w(), AX);
    a.mov(ptr(RDI, 2).w(), CODE_SELECTOR);
    a.mov(ptr(RDI, 4).w(), 0x8E00);
    a.shr(RAX, 16);
    a.mov(ptr(RDI, 6).w(), AX);
    a.mov(ptr(RDI, 8).q(), 0);
    a.lidt(rip(pointer));
  }

  private static final Exploration EXPLORATION = Exploration.of("drains").withSchedules(400).withStoreBuffer(4);

  /** Both loads can give 0 only if the instruction lets the load pass the store; the other processor's cannot. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("instructions")
  void shouldDrainWithExactlyTheseInstructions(String name, Set<Mode> drains, Consumer<Assembler> setup,
      Consumer<Assembler> code) {
    for (Mode mode : Mode.values()) {
      Set<String> seen = new TreeSet<>();
      GuestCode guest = GuestCode.of(mode, a -> {
        a.mov(RSI, GuestCode.DATA);
        setup.accept(a);
        // Nothing is touched for the first time then, which could exit.
        a.push(RAX);
        a.pop(RCX);
        a.mov(ptr(RSI, GO).d(), 1);
        a.mfence();
        a.mov(ptr(RSI, X).d(), 1);
        code.accept(a);
        a.mov(EBX, abs(GuestCode.DATA + Y));
      }, a -> {
        a.mov(RSI, GuestCode.DATA);
        Label go = new Label("go");
        a.jmp(go);
        Label wait = a.here();
        a.pause();
        a.bind(go);
        a.cmp(ptr(RSI, GO).d(), 0);
        a.je(wait);
        a.mov(ptr(RSI, Y).d(), 1);
        a.mfence();
        a.mov(EBX, ptr(RSI, X));
      });
      Report report = EXPLORATION.run(rig -> {
        rig.guest(guest);
        rig.run().assertFinished();
        seen.add("" + rig.register(0, 3) + rig.register(1, 3));
      });
      assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
      assertThat(seen).as(mode.toString()).contains("01", "10", "11");
      assertThat(!seen.contains("00")).as(name + " drains, " + mode).isEqualTo(drains.contains(mode));
    }
  }

  /** The handler of a device's interrupt sees its processor's stores made visible. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldDrainAtAnInterrupt(Mode mode) {
    Set<String> seen = new TreeSet<>();
    GuestCode guest = GuestCode.of(mode, a -> {
      a.mov(RSI, GuestCode.DATA);
      handler(a, IRQ_VECTOR, b -> {
        b.mov(EBX, ptr(RSI, Y));
        b.add(RSP, 40);
        Label end = new Label("end");
        b.mov(ECX, 1);
        b.jmp(end);
        b.bind(end);
        b.mov(AL, 0);
        b.out(0xF4, AL);
      });
      int[][] writes = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0xFF & ~(1 << GuestCode.IRQ)},
          {0xA1, 0xFF}};
      for (int[] write : writes) {
        a.mov(AL, write[1]);
        a.out(write[0], AL);
      }
      a.mov(ptr(RSI, Y + 0x100).d(), 1);
      a.mfence();
      a.sti();
      a.mov(ptr(RSI, X).d(), 1);
      a.hlt();
    });
    Report report = EXPLORATION.withSchedules(1500).run(rig -> {
      long[] loaded = {-1};
      rig.attach(() -> new OnePageDevice() {
        private boolean rung;

        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          if (!rung) {
            // The processor takes interrupts from here on.
            if (memory.poll32(GuestCode.DATA + Y + 0x100) == 0) {
              return Poll.IDLE;
            }
            rung = true;
            context.interrupt().raise();
            return Poll.BUSY;
          }
          memory.put32(GuestCode.DATA + Y, 1);
          memory.fence();
          loaded[0] = memory.u32(GuestCode.DATA + X);
          return Poll.SLEEP;
        }
      });
      rig.domain(dev.gnomon.vmm.polled.dma.DmaDomain.Policy.ALL_RAM).guest(guest);
      rig.run().assertFinished();
      assertThat(rig.register(1)).as("the handler ran").isEqualTo(1);
      seen.add(rig.register(3) + "" + loaded[0]);
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(seen).contains("01", "11").doesNotContain("00");
  }
}
