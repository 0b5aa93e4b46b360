package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.SmpGuest.DATA;
import static dev.gnomon.vmm.SmpGuest.await;
import static dev.gnomon.vmm.SmpGuest.endOfInterrupt;
import static dev.gnomon.vmm.SmpGuest.handler;
import static dev.gnomon.vmm.SmpGuest.send;
import static dev.gnomon.vmm.SmpGuest.stop;
import static dev.gnomon.vmm.SmpGuest.word;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.RunResult.End;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Several processors over one memory: locks, turns, translations, code, time; alike in every mode and with blocks of
 * any size.
 */
class MultiprocessorTest {
  private static final long LOCK = DATA;
  private static final long COUNT = DATA + 8;
  private static final long ATOMIC = DATA + 16;
  private static final long DONE = DATA + 24;
  private static final long PHASE = DATA + 32;
  private static final long SEEN = DATA + 40;
  private static final int ROUNDS = 100;
  private static final int VECTOR = 0x41;

  // Where the shootdown tests map a page.
  private static final long TABLE = 0x300000;
  private static final long OLD = 0x310000;
  private static final long NEW = 0x311000;
  private static final long VIRTUAL = 0x4000_0000L;

  private static void countUnderALock(Assembler a) {
    a.mov(RCX, ROUNDS);
    Label again = a.here();
    Label taken = new Label("taken");
    Label spin = a.here();
    a.lock().bts(abs(LOCK).d(), 0);
    a.jnc(taken);
    a.pause();
    a.jmp(spin);
    a.bind(taken);
    a.mov(RAX, abs(COUNT).q());
    a.inc(RAX);
    a.mov(abs(COUNT).q(), RAX);
    a.mov(abs(LOCK).d(), 0);
    a.mov(RDX, 1);
    a.lock().xadd(abs(ATOMIC).q(), RDX);
    a.dec(RCX);
    a.jnz(again);
  }

  private static final SmpGuest COUNTING = new SmpGuest(a -> {
    countUnderALock(a);
    a.mov(RAX, R12);
    Label wait = a.here();
    a.pause();
    a.cmp(abs(ATOMIC).q(), RSI);
    a.jb(wait);
    Machines.exit(a, 1);
  }, a -> {
    countUnderALock(a);
    stop(a);
  });

  /** The bootstrap processor waits for as many counts as there are processors. */
  private static SmpGuest counting(int processors) {
    return new SmpGuest(a -> {
      a.mov(RSI, (long) processors * ROUNDS);
      COUNTING.bootstrap().accept(a);
    }, COUNTING.others());
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void shouldCountUnderALock(int processors) {
    for (Vm vm : counting(processors).runEverywhere(processors)) {
      assertThat(word(vm, COUNT)).isEqualTo((long) processors * ROUNDS);
      assertThat(word(vm, ATOMIC)).isEqualTo((long) processors * ROUNDS);
    }
  }

  @Test
  void shouldRunAsManyProcessorsAsCpuidCanName() {
    Vm vm = counting(Processors.MAX).run(SmpGuest.options(Mode.EPT, Processors.MAX));
    assertThat(word(vm, COUNT)).isEqualTo((long) Processors.MAX * ROUNDS);
  }

  /** However long a turn is, the lock holds; and the schedule does not depend on how the host slices the run. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 7, 1000, 1_000_000})
  void shouldKeepTurnsWhateverTheSlices(long turn) {
    VmOptions options = SmpGuest.options(Mode.EPT, 3);
    options = options.withPlatform(options.platform().withProcessors(new Processors(3, turn)));
    Vm whole = counting(3).run(options);
    assertThat(word(whole, COUNT)).isEqualTo(3L * ROUNDS);
    Vm sliced = counting(3).boot(options);
    RunResult result;
    do {
      result = sliced.run(37);
    } while (result.resumable());
    assertThat(SmpGuest.state(sliced)).isEqualTo(SmpGuest.state(whole));
  }

  /** Maps {@link #VIRTUAL} to {@link #OLD} by a table of its own. */
  private static void mapPage(Assembler a) {
    a.mov(RAX, 0x4F4C44);
    a.mov(abs(OLD).q(), RAX);
    a.mov(RAX, 0x4E4557);
    a.mov(abs(NEW).q(), RAX);
    a.mov(RAX, OLD | 0x3);
    a.mov(abs(TABLE).q(), RAX);
    a.mov(RAX, CR3);
    a.mov(RAX, ptr(RAX).q());
    a.and(RAX, -4096);
    a.mov(RAX, ptr(RAX, 8).q());
    a.and(RAX, -4096);
    a.mov(RCX, TABLE | 0x3);
    a.mov(ptr(RAX).q(), RCX);
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
  }

  private static void remap(Assembler a) {
    a.mov(RAX, NEW | 0x3);
    a.mov(abs(TABLE).q(), RAX);
    a.mov(RAX, VIRTUAL);
    a.invlpg(ptr(RAX));
  }

  private static void look(Assembler a, int at) {
    a.mov(RAX, VIRTUAL);
    a.mov(RAX, ptr(RAX).q());
    a.mov(abs(SEEN + at).q(), RAX);
  }

  @Test
  void shouldShootTranslationsDown() {
    SmpGuest guest = new SmpGuest(a -> {
      mapPage(a);
      look(a, 0);
      a.mov(abs(PHASE).q(), 1);
      await(a, DONE, 1);
      remap(a);
      send(a, 1, VECTOR);
      await(a, DONE, 2);
      look(a, 8);
      a.mov(abs(PHASE).q(), 2);
      await(a, DONE, 3);
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      handler(a, VECTOR, () -> {
        a.mov(RAX, VIRTUAL);
        a.invlpg(ptr(RAX));
        a.mov(abs(DONE).q(), 2);
        endOfInterrupt(a);
      });
      await(a, PHASE, 1);
      look(a, 16);
      a.mov(abs(DONE).q(), 1);
      a.sti();
      await(a, PHASE, 2);
      look(a, 24);
      a.mov(abs(DONE).q(), 3);
      stop(a);
    });
    for (Vm vm : guest.runEverywhere(2)) {
      assertThat(new long[] {word(vm, SEEN), word(vm, SEEN + 8), word(vm, SEEN + 16), word(vm, SEEN + 24)})
          .containsExactly(0x4F4C44, 0x4E4557, 0x4F4C44, 0x4E4557);
    }
  }

  /** Without its own INVLPG a processor may go on with what its TLB holds, whatever another one drops. */
  @ParameterizedTest
  @EnumSource(value = Mode.class, names = {"NATIVE", "EPT"})
  void shouldKeepTranslationsThatAnotherProcessorDrops(Mode mode) {
    SmpGuest guest = new SmpGuest(a -> {
      mapPage(a);
      a.mov(abs(PHASE).q(), 1);
      await(a, DONE, 1);
      remap(a);
      a.mov(abs(PHASE).q(), 2);
      await(a, DONE, 2);
      Machines.exit(a, 1);
    }, a -> {
      await(a, PHASE, 1);
      look(a, 0);
      a.mov(abs(DONE).q(), 1);
      await(a, PHASE, 2);
      look(a, 8);
      a.mov(RAX, VIRTUAL);
      a.invlpg(ptr(RAX));
      look(a, 16);
      a.mov(abs(DONE).q(), 2);
      stop(a);
    });
    Vm vm = guest.run(SmpGuest.options(mode, 2).withTlb(TlbPolicy.STALE));
    assertThat(new long[] {word(vm, SEEN), word(vm, SEEN + 8), word(vm, SEEN + 16)}).containsExactly(0x4F4C44,
        0x4F4C44, 0x4E4557);
  }

  /**
   * One processor runs what another one writes, by a store, a locked exchange and a string instruction, without any
   * flush.
   */
  @Test
  void shouldRunCodeThatAnotherProcessorChanges() {
    SmpGuest guest = new SmpGuest(a -> {
      // The processor that will write holds the page as writable before anyone runs it.
      a.mov(abs(SmpGuest.OTHERS_CODE + 0x800).q(), RAX);
      await(a, SEEN, 1);
      a.mov(RDI, abs(COUNT).q());
      a.mov(ptr(RDI).d(), 2);
      await(a, SEEN, 2);
      a.mov(EAX, 3);
      a.xchg(ptr(RDI).d(), EAX);
      await(a, SEEN, 3);
      a.mov(abs(LOCK).d(), 4);
      a.mov(RSI, LOCK);
      a.mov(RCX, 4);
      a.cld();
      a.rep().movsb();
      await(a, SEEN, 4);
      Machines.exit(a, 1);
    }, a -> {
      Label value = new Label("value");
      Label function = new Label("function");
      Label begin = new Label("begin");
      a.jmp(begin);
      // So that the immediate is aligned: a misaligned store asks for no soft TLB.
      a.align(4);
      a.bind(function);
      a.inc(RBP);
      a.mov(ECX, 1);
      a.bind(value);
      a.ret();
      a.bind(begin);
      a.lea(RAX, rip(value));
      a.sub(RAX, 4);
      a.mov(abs(COUNT).q(), RAX);
      Label top = a.here();
      a.call(function);
      a.mov(abs(SEEN).q(), RCX);
      a.jmp(top);
    });
    guest.runEverywhere(2);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndTheRunWithATripleFaultOfAnyProcessor(Mode mode) {
    SmpGuest guest = new SmpGuest(a -> {
      Label top = a.here();
      a.jmp(top);
    }, a -> {
      a.mov(RAX, 1);
      a.push(RAX);
      a.push(RAX);
      a.lidt(ptr(RSP));
      a.ud2();
    });
    RunResult result = guest.boot(SmpGuest.options(mode, 2)).run(100_000);
    assertThat(result.end()).isEqualTo(End.TRIPLE_FAULT);
    assertThat(result.detail()).contains("of vCPU 1");
  }

  /** Time jumps only when all sleep, and to the nearest of all their timers. */
  @Test
  void shouldJumpToTheNextTimerOfAnyProcessor() {
    SmpGuest guest = new SmpGuest(a -> {
      InterruptTest.loadIdt(a);
      handler(a, VECTOR, () -> {
        a.rdtsc();
        a.mov(ESI, SEEN);
        a.mov(ptr(RSI, R12, 8).d(), EAX);
        a.lock().inc(abs(DONE).q());
        endOfInterrupt(a);
      });
      await(a, PHASE, 2);
      SmpGuest.apic(a, 0x3E0, 0xB);
      SmpGuest.apic(a, 0x320, VECTOR);
      SmpGuest.apic(a, 0x380, 9_000_000);
      a.sti();
      a.hlt();
      Machines.exit(a, 1);
    }, a -> {
      InterruptTest.loadIdt(a);
      SmpGuest.apic(a, 0x3E0, 0xB);
      SmpGuest.apic(a, 0x320, VECTOR);
      a.mov(RAX, R12);
      a.imul(RAX, RAX, 3_000_000);
      a.mov(ptr(RBX, 0x380).d(), EAX);
      a.lock().inc(abs(PHASE).q());
      a.sti();
      a.hlt();
      stop(a);
    });
    for (Vm vm : guest.runEverywhere(3)) {
      assertThat(word(vm, DONE)).isEqualTo(3);
      assertThat(word(vm, SEEN + 8)).isBetween(3_000_000L, 3_100_000L);
      assertThat(word(vm, SEEN + 16)).isBetween(6_000_000L, 6_100_000L);
      assertThat(word(vm, SEEN)).isBetween(9_000_000L, 9_100_000L);
      assertThat(vm.retired()).isLessThan(20_000);
    }
  }

  @Test
  void shouldHaltWhenNobodyCanWakeAnybody() {
    SmpGuest guest = new SmpGuest(SmpGuest::stop, SmpGuest::stop);
    for (Mode mode : Mode.values()) {
      assertThat(guest.boot(SmpGuest.options(mode, 2)).run(100_000).end()).isEqualTo(End.HALTED);
    }
  }

  @Test
  void shouldRefuseSeveralProcessorsWithoutLocalApics() {
    assertThatThrownBy(() -> PlatformOptions.DEFAULT.withProcessors(new Processors(2, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("2 processors on machine minimal: expected machine pc with them");
    assertThatThrownBy(() -> new Processors(65, 1)).hasMessage("65 processors: expected 1 to 64");
    assertThatThrownBy(() -> new Processors(1, 0)).hasMessage("turns of 0 instructions: expected at least 1");
  }

  /** Both processors write without end: a page of its own each, and one together. */
  private static final SmpGuest WRITERS = new SmpGuest(a -> {
    Label top = a.here();
    a.inc(abs(DATA + 0x1000).q());
    a.lock().inc(abs(DATA + 0x3000).q());
    a.jmp(top);
  }, a -> {
    Label top = a.here();
    a.inc(abs(DATA + 0x2000).q());
    a.lock().inc(abs(DATA + 0x3000).q());
    a.jmp(top);
  });

  /** Page of {@link #DATA} in the slot, which begins at 1 MiB. */
  private static final int FIRST = 256;

  /** No processor goes on writing through what it remembers of a page that is logged since. */
  @ParameterizedTest
  @CsvSource({"EPT, WRITE_PROTECTION", "EPT, DIRTY_FLAGS", "EPT, PAGE_MODIFICATION_LOG", "SHADOW, WRITE_PROTECTION"})
  void shouldLogThePagesThatAnyProcessorWrites(Mode mode, DirtyLog.Method method) {
    Vm vm = WRITERS.boot(SmpGuest.options(mode, 2));
    vm.run(20_000);
    vm.dirtyLog().start("RAM", method);
    for (int round = 0; round < 3; round++) {
      vm.run(5_000);
      BitSet written = BitSet.valueOf(vm.dirtyLog().fetchAndClear("RAM"));
      assertThat(written.stream().toArray()).as("round " + round).containsExactly(FIRST + 1, FIRST + 2, FIRST + 3);
    }
  }

  /** Who else is in the guest when a shadow entry loses rights is interrupted for it. */
  @Test
  void shouldCountRemoteFlushesAndTheirExits() {
    SmpGuest guest = new SmpGuest(a -> {
      mapPage(a);
      look(a, 0);
      a.mov(abs(PHASE).q(), 1);
      await(a, DONE, 1);
      remap(a);
      a.mov(RCX, 1000);
      Label wait = a.here();
      a.dec(RCX);
      a.jnz(wait);
      Machines.exit(a, 1);
    }, a -> {
      await(a, PHASE, 1);
      look(a, 16);
      a.mov(abs(DONE).q(), 1);
      Label top = a.here();
      a.inc(RCX);
      a.jmp(top);
    });
    Vm vm = guest.run(SmpGuest.options(Mode.SHADOW, 2));
    assertThat(vm.statistics().get("remote_tlb_flush")).isPositive();
    assertThat(vm.statistics().get("remote_tlb_flush_requests")).isGreaterThan(vm.statistics().get("remote_tlb_flush"));
    long kicks = vm.vcpus().get(1).exits().of(ExitReason.EXTERNAL_INTERRUPT, ExitStatistics.Cause.KICK);
    assertThat(kicks).isPositive();
    assertThat(vm.exits().of(ExitReason.EXTERNAL_INTERRUPT, ExitStatistics.Cause.KICK)).isGreaterThanOrEqualTo(kicks);
    assertThat(vm.exits().total()).isEqualTo(vm.vcpus().stream().mapToLong(vcpu -> vcpu.exits().total()).sum());
  }

  /** A machine that takes over states and turns in the middle of a run goes on as the first one would. */
  @Test
  void shouldSaveWhoseTurnItIs() throws IOException {
    VmOptions options = SmpGuest.options(Mode.EPT, 3);
    Vm first = WRITERS.boot(options);
    first.run(12_345);
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(saved);
    for (Vcpu vcpu : first.vcpus()) {
      vcpu.save(out);
    }
    first.turns().save(out);
    first.platform().bus().save(out);
    Vm second = WRITERS.boot(options);
    second.guestMemory().write(0x1000, first.guestMemory().read(0x1000, 0x9F000 - 0x1000, 0x100000));
    second.guestMemory().write(0x100000, first.guestMemory().read(0x100000, 0x600000, 0x600000));
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(saved.toByteArray()));
    for (Vcpu vcpu : second.vcpus()) {
      vcpu.load(in);
    }
    second.turns().load(in);
    second.platform().bus().load(in);
    assertThat(second.current().index()).isEqualTo(first.current().index());
    assertThat(second.retired()).isEqualTo(12_345);
    first.run(10_000);
    second.run(10_000);
    assertThat(SmpGuest.state(second)).isEqualTo(SmpGuest.state(first));
    assertThatThrownBy(() -> WRITERS.boot(SmpGuest.options(Mode.EPT, 2)).turns()
        .load(new DataInputStream(new ByteArrayInputStream(new byte[] {0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1}))))
        .isInstanceOf(IOException.class)
        .hasMessage("turns: saved state has version 1 and processor 1 of 3, expected version 1 and one of 2");
  }
}
