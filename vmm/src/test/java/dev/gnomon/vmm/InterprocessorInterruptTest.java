package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.SmpGuest.DATA;
import static dev.gnomon.vmm.SmpGuest.await;
import static dev.gnomon.vmm.SmpGuest.endOfInterrupt;
import static dev.gnomon.vmm.SmpGuest.handler;
import static dev.gnomon.vmm.SmpGuest.send;
import static dev.gnomon.vmm.SmpGuest.stop;
import static dev.gnomon.vmm.SmpGuest.word;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Msr;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Messages between processors by every destination and delivery mode, alike in every mode and with blocks of any size.
 */
class InterprocessorInterruptTest {
  private static final long COUNT = DATA + 8;
  private static final long DONE = DATA + 24;
  private static final long PHASE = DATA + 32;
  private static final long SEEN = DATA + 40;
  private static final long HITS = DATA + 0x100;
  private static final int VECTOR = 0x41;
  private static final int ANSWER = 0x51;

  @Test
  void shouldWakeEachOtherByInterrupts() {
    SmpGuest guest = new SmpGuest(a -> {
      InterruptTest.loadIdt(a);
      handler(a, VECTOR, () -> {
        a.inc(abs(COUNT).q());
        endOfInterrupt(a);
      });
      await(a, PHASE, 1);
      a.mov(RBP, 0);
      Label again = a.here();
      send(a, 1, ANSWER);
      Label sleep = a.here();
      a.cli();
      Label woken = new Label("woken");
      a.cmp(abs(COUNT).q(), RBP);
      a.ja(woken);
      a.sti();
      a.hlt();
      a.jmp(sleep);
      a.bind(woken);
      a.sti();
      a.inc(RBP);
      a.cmp(RBP, 20);
      a.jb(again);
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      handler(a, ANSWER, () -> {
        a.inc(abs(SEEN).q());
        send(a, 0, VECTOR);
        endOfInterrupt(a);
      });
      a.mov(abs(PHASE).q(), 1);
      a.sti();
      Label top = a.here();
      a.hlt();
      a.jmp(top);
    });
    List<Vm> vms = guest.runEverywhere(2);
    for (Vm vm : vms) {
      assertThat(word(vm, COUNT)).isEqualTo(20);
      assertThat(word(vm, SEEN)).isEqualTo(20);
    }
    assertThat(vms.get(1).vcpus().get(1).exits().ofReason(ExitReason.HLT)).isGreaterThanOrEqualTo(20);
  }

  /**
   * ICR low word and destination to who takes it, of four processors whose logical IDs are the bits 0 to 3 and whose
   * task priorities fall with their numbers; processor 0 sends.
   */
  @ParameterizedTest
  @CsvSource({"041, 2, 0010", "041, 0, 1000", "041, FF, 1111", "841, 6, 0110", "841, F, 1111", "841, 0, 0000",
      "941, 7, 0010", "141, FF, 0001",
      "40041, 0, 1000", "80041, 0, 1111", "C0041, 0, 0111", "C0141, 0, 0001", "041, 9, 0000", "C041, 3, 0001"})
  void shouldReachTheDestinationsOfAMessage(String low, String destination, String takers) {
    SmpGuest guest = new SmpGuest(a -> {
      InterruptTest.loadIdt(a);
      handler(a, VECTOR, () -> {
        a.mov(ptr(R12, HITS).b(), 1);
        endOfInterrupt(a);
      });
      SmpGuest.apic(a, 0xD0, 1 << 24);
      SmpGuest.apic(a, 0x80, 0x38);
      await(a, DONE, 3);
      a.sti();
      send(a, Integer.parseInt(destination, 16), Integer.parseInt(low, 16));
      a.mov(RCX, 2000);
      Label wait = a.here();
      a.dec(RCX);
      a.jnz(wait);
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      a.mov(RAX, 1L << 24);
      a.mov(RCX, R12);
      a.shl(RAX, CL);
      a.mov(ptr(RBX, 0xD0).d(), EAX);
      a.mov(RAX, 0x38);
      a.shl(R12, 3);
      a.sub(RAX, R12);
      a.shr(R12, 3);
      a.mov(ptr(RBX, 0x80).d(), EAX);
      a.sti();
      a.lock().inc(abs(DONE).q());
      Label top = a.here();
      a.hlt();
      a.jmp(top);
    });
    for (Vm vm : guest.runEverywhere(4)) {
      StringBuilder taken = new StringBuilder();
      for (int i = 0; i < 4; i++) {
        taken.append(vm.guestMemory().read(HITS + i, 1));
      }
      assertThat(taken.toString()).isEqualTo(takers);
    }
  }

  private static void enterX2(Assembler a) {
    a.mov(ECX, Msr.APIC_BASE);
    a.rdmsr();
    a.or(EAX, 1 << 10);
    a.wrmsr();
  }

  private static void x2(Assembler a, int register, long value) {
    a.mov(ECX, Msr.X2APIC_FIRST + (register >> 4));
    a.mov(EDX, value >>> 32);
    a.mov(EAX, value & 0xFFFF_FFFFL);
    a.wrmsr();
  }

  /** By one register of 64 bits, to IDs and logical IDs of 32 bits. */
  @ParameterizedTest
  @CsvSource({"41, 1, 010", "841, 6, 011", "841, 5, 101", "41, FFFFFFFF, 111", "C0041, 0, 011", "841, 10001, 000"})
  void shouldReachDestinationsInX2Mode(String low, String destination, String takers) {
    SmpGuest guest = new SmpGuest(a -> {
      InterruptTest.loadIdt(a);
      handler(a, VECTOR, () -> {
        a.mov(ptr(R12, HITS).b(), 1);
        x2(a, 0xB0, 0);
      });
      await(a, DONE, 2);
      enterX2(a);
      a.sti();
      x2(a, 0x300, Long.parseLong(destination, 16) << 32 | Long.parseLong(low, 16));
      a.mov(RSI, 2000);
      Label wait = a.here();
      a.dec(RSI);
      a.jnz(wait);
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      enterX2(a);
      a.sti();
      a.lock().inc(abs(DONE).q());
      Label top = a.here();
      a.hlt();
      a.jmp(top);
    });
    for (Mode mode : Mode.values()) {
      VmOptions options = SmpGuest.options(mode, 3);
      Vm vm = guest.run(options.withPlatform(options.platform().withX2Apic(true)));
      String taken = "";
      for (int i = 0; i < 3; i++) {
        taken += vm.guestMemory().read(HITS + i, 1);
      }
      assertThat(taken).as(mode.toString()).isEqualTo(takers);
    }
  }

  /** An NMI reaches a processor with interrupts off, asleep or not, and the next only after IRET. */
  @Test
  void shouldTakeNonMaskableInterruptsOfOthers() {
    SmpGuest guest = new SmpGuest(a -> {
      await(a, PHASE, 1);
      send(a, 1, 0x400);
      await(a, SEEN, 1);
      send(a, 1, 0x400);
      send(a, 1, 0x400);
      a.mov(abs(PHASE).q(), 2);
      await(a, SEEN, 2);
      a.mov(RCX, 1000);
      Label wait = a.here();
      a.dec(RCX);
      a.jnz(wait);
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      handler(a, 2, () -> {
        a.inc(abs(SEEN).q());
        a.mov(RCX, 200);
        Label wait = a.here();
        a.dec(RCX);
        a.jnz(wait);
      });
      a.mov(abs(PHASE).q(), 1);
      await(a, PHASE, 2);
      stop(a);
    });
    for (Vm vm : guest.runEverywhere(2)) {
      // The last two meet while the first of them is pending, so that they are one.
      assertThat(word(vm, SEEN)).isEqualTo(2);
    }
  }

  /** INIT stops a processor where it is; it waits, deaf to all but a start-up message, and then begins anew. */
  @Test
  void shouldStopAndRestartByInit() {
    SmpGuest guest = new SmpGuest(a -> {
      await(a, COUNT, 100);
      send(a, 1, 0x4500);
      a.mov(RCX, 500);
      Label settle = a.here();
      a.dec(RCX);
      a.jnz(settle);
      a.mov(RAX, abs(COUNT).q());
      a.mov(abs(SEEN).q(), RAX);
      send(a, 1, VECTOR);
      a.mov(RCX, 2000);
      Label wait = a.here();
      a.dec(RCX);
      a.jnz(wait);
      a.mov(RAX, abs(COUNT).q());
      a.mov(abs(SEEN + 8).q(), RAX);
      a.mov(abs(PHASE).q(), 1);
      send(a, 1, SmpGuest.START_OTHERS & 0xFFFF);
      await(a, DONE, 1);
      Machines.exit(a, 1);
    }, a -> {
      Label restarted = new Label("restarted");
      Label top = a.here();
      a.inc(abs(COUNT).q());
      a.cmp(abs(PHASE).q(), 1);
      a.jne(top);
      a.bind(restarted);
      a.mov(abs(DONE).q(), 1);
      stop(a);
    });
    for (Vm vm : guest.runEverywhere(2)) {
      assertThat(word(vm, SEEN)).isEqualTo(word(vm, SEEN + 8)).isGreaterThanOrEqualTo(100);
      assertThat(word(vm, COUNT)).isEqualTo(word(vm, SEEN) + 1);
    }
  }
}
