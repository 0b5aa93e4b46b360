package dev.gnomon.vmm.harness;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.SharedRing;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Litmus tests of x86 code on several processors, each with its store buffer (SDM vol. 3A, "Examples Illustrating the
 * Memory-Ordering Principles").
 */
class GuestLitmusTest {
  private static final int X = 0;
  private static final int Y = 0x100;
  private static final int RAX_NUMBER = 0;
  private static final int RBX_NUMBER = 3;

  /** Code of a processor, with RSI at shared memory. */
  private static Consumer<Assembler> code(Consumer<Assembler> rest) {
    return a -> {
      a.mov(RSI, GuestCode.DATA);
      rest.accept(a);
    };
  }

  @SafeVarargs
  private static Consumer<Assembler>[] codes(Consumer<Assembler>... rest) {
    Consumer<Assembler>[] all = rest.clone();
    for (int i = 0; i < all.length; i++) {
      all[i] = code(rest[i]);
    }
    return all;
  }

  private static Exploration exploration(Strategy strategy, int schedules) {
    return Exploration.of("litmus").withStrategy(strategy).withSchedules(schedules).withStoreBuffer(2);
  }

  /** All schedules in one mode, enough of them in the others. */
  private static Exploration exploration(Mode mode) {
    return mode == Mode.EPT ? exploration(Strategy.EXHAUSTIVE, 100_000) : exploration(Strategy.RANDOM, 1000);
  }

  /** All outcomes of some schedules. */
  private static Set<String> outcomes(Exploration exploration, Mode mode, Function<Rig, String> result,
      Consumer<Assembler>[] codes) {
    Set<String> seen = new TreeSet<>();
    GuestCode code = GuestCode.of(mode, codes);
    Report report = exploration.run(rig -> {
      rig.guest(code);
      rig.run().assertFinished();
      seen.add(result.apply(rig));
    });
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
    assertThat(report.complete()).isEqualTo(exploration.strategy() == Strategy.EXHAUSTIVE);
    return seen;
  }

  /** EAX of processors by their numbers; a number from 10 on is EBX of the one ten less. */
  private static Function<Rig, String> registers(int... processors) {
    return rig -> {
      StringBuilder text = new StringBuilder();
      for (int processor : processors) {
        text.append(rig.register(processor % 10, processor < 10 ? RAX_NUMBER : RBX_NUMBER));
      }
      return text.toString();
    };
  }

  private static Consumer<Assembler> store(int at, int value) {
    return a -> a.mov(ptr(RSI, at).d(), value);
  }

  private static Consumer<Assembler> load(int at) {
    return a -> a.mov(EAX, ptr(RSI, at));
  }

  private static Consumer<Assembler> loadSecond(int at) {
    return a -> a.mov(EBX, ptr(RSI, at));
  }

  private static Consumer<Assembler>[] storeBuffering(Consumer<Assembler> between) {
    return codes(store(X, 1).andThen(between).andThen(load(Y)), store(Y, 1).andThen(between).andThen(load(X)));
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldLetALoadPassAnEarlierStoreUnlessFenced(Mode mode) {
    Exploration all = exploration(mode);
    assertThat(outcomes(all, mode, registers(0, 1), storeBuffering(a -> { }))).containsExactly("00", "01", "10", "11");
    assertThat(outcomes(all, mode, registers(0, 1), storeBuffering(Assembler::mfence)))
        .containsExactly("01", "10", "11");
    assertThat(outcomes(all.withModel(MemoryModel.SC), mode, registers(0, 1), storeBuffering(a -> { })))
        .containsExactly("01", "10", "11");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldKeepAllOtherOrders(Mode mode) {
    Exploration all = exploration(mode);
    assertThat(outcomes(all, mode, registers(1, 11),
        codes(store(X, 1).andThen(store(Y, 1)), load(Y).andThen(loadSecond(X)))))
        .as("message passing").containsExactly("00", "01", "11");
    assertThat(outcomes(all, mode, registers(0, 1), codes(load(X).andThen(store(Y, 1)), load(Y).andThen(store(X, 1)))))
        .as("load buffering").containsExactly("00", "01", "10");
    assertThat(outcomes(all, mode, registers(0, 10, 1, 11), codes(store(X, 1).andThen(load(X)).andThen(loadSecond(Y)),
        store(Y, 1).andThen(load(Y)).andThen(loadSecond(X))))).as("forwarding").containsExactly("1010", "1011",
        "1110", "1111");
    assertThat(outcomes(all, mode, rig -> "" + rig.read(GuestCode.DATA + X, 4) + rig.read(GuestCode.DATA + Y, 4),
        codes(store(X, 1).andThen(store(Y, 2)), store(Y, 1).andThen(store(X, 2))))).as("two stores each")
        .containsExactly("12", "21", "22");
    Function<Rig, String> passed = rig -> "" + rig.read(GuestCode.DATA + Y, 4) + rig.register(1, RAX_NUMBER);
    Consumer<Assembler>[] passing = codes(store(X, 1).andThen(store(Y, 1)), store(Y, 2).andThen(load(X)));
    assertThat(outcomes(all, mode, passed, passing)).as("a store passed by a load")
        .containsExactly("10", "11", "20", "21");
    assertThat(outcomes(all.withModel(MemoryModel.SC), mode, passed, passing)).as("a store passed by a load, SC")
        .containsExactly("10", "11", "21");
  }

  /** Three or four processors have too many schedules to run all. */
  @Test
  void shouldShowStoresToAllOthersAtOnce() {
    Exploration some = exploration(Strategy.RANDOM, 4000);
    assertThat(outcomes(some, Mode.EPT, registers(1, 2, 12),
        codes(store(X, 1), load(X).andThen(store(Y, 1)), load(Y).andThen(loadSecond(X)))))
        .as("causality").contains("000", "101", "111", "001").doesNotContain("110");
    assertThat(outcomes(some, Mode.EPT, registers(2, 12, 3, 13),
        codes(store(X, 1), store(Y, 1), load(X).andThen(loadSecond(Y)), load(Y).andThen(loadSecond(X)))))
            .as("independent reads").hasSize(15).doesNotContain("1010");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldMakeALockedStoreVisibleAtOnce(Mode mode) {
    Consumer<Assembler>[] exchanges = codes(
        a -> {
          a.mov(ECX, 1);
          a.xchg(ptr(RSI, X), ECX);
          a.mov(EAX, ptr(RSI, Y));
        },
        a -> {
          a.mov(ECX, 1);
          a.lock().or(ptr(RSI, Y), ECX);
          a.mov(EAX, ptr(RSI, X));
        });
    assertThat(outcomes(exploration(mode), mode, registers(0, 1), exchanges)).containsExactly("01", "10", "11");
  }

  /** A store over two cache lines, or of more than a word, is not whole. */
  @Test
  void shouldTearWhatCrossesACacheLine() {
    Consumer<Assembler>[] whole = codes(a -> {
      a.mov(RAX, -1);
      a.mov(ptr(RSI, 0x10), RAX);
    }, a -> a.mov(RAX, ptr(RSI, 0x10)));
    assertThat(outcomes(exploration(Strategy.RANDOM, 300), Mode.EPT,
        rig -> Long.toHexString(rig.register(1, RAX_NUMBER)), whole))
        .containsExactly("0", "ffffffffffffffff");
    Consumer<Assembler>[] torn = codes(a -> {
      a.mov(RAX, -1);
      a.mov(ptr(RSI, 0x3C), RAX);
    }, a -> a.mov(RAX, ptr(RSI, 0x3C)));
    assertThat(outcomes(exploration(Strategy.RANDOM, 300), Mode.EPT,
        rig -> Long.toHexString(rig.register(1, RAX_NUMBER)), torn))
        .containsExactly("0", "ffffffff", "ffffffffffffffff");
  }

  private static final int LOCK = 0x800;

  /**
   * Puts one request into the ring and waits until it is consumed.
   *
   * @param locked whether the two producers keep out of each other's way
   */
  private static Consumer<Assembler> producer(long window, boolean locked) {
    return code(a -> {
      Label wait = new Label("wait");
      Label poll = new Label("poll");
      Label awake = new Label("awake");
      a.mov(RDI, window);
      if (locked) {
        Label take = new Label("take");
        Label free = new Label("free");
        a.jmp(take);
        Label busy = a.here();
        a.pause();
        a.cmp(ptr(RSI, LOCK).d(), 0);
        a.jne(busy);
        a.bind(take);
        a.mov(EAX, 1);
        a.xchg(ptr(RSI, LOCK), EAX);
        a.test(EAX, EAX);
        a.jz(free);
        a.jmp(busy);
        a.bind(free);
      }
      a.mov(EBX, ptr(RDI, SharedRing.PRODUCER));
      a.inc(EBX);
      a.mov(ptr(RDI, SharedRing.PRODUCER), EBX);
      a.mfence();
      a.test(ptr(RDI, SharedRing.DEVICE_FLAGS).d(), SharedRing.ASLEEP);
      a.jz(awake);
      GuestCode.out(a, GuestCode.DOORBELL_PORT, 1);
      a.bind(awake);
      if (locked) {
        a.mov(ptr(RSI, LOCK).d(), 0);
      }
      a.jmp(poll);
      a.bind(wait);
      a.pause();
      a.bind(poll);
      a.cmp(ptr(RDI, SharedRing.CONSUMER), EBX);
      a.jb(wait);
    });
  }

  private static Report producers(Mode mode, boolean locked) {
    return Exploration.of("two producers").withSchedules(1000).run(rig -> {
      Rig.Device ring = rig.attach(() -> new SharedRing("ring", Window.anywhere(4096), 1));
      rig.guest(GuestCode.of(mode, producer(ring.window(0), locked), producer(ring.window(0), locked)));
      rig.run().assertNoLostWakeup().assertDmaConfined().assertNoExits(ring.window(0), 4096)
          .assertThat(() -> rig.read(ring.window(0) + SharedRing.CONSUMER, 4) == 2, "two requests");
    });
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldLetTwoProcessorsShareARingOnlyWithALock(Mode mode) {
    Report bad = producers(mode, false);
    assertThat(bad.failure().cause()).hasMessageContaining("two requests");
    assertThat(bad.failure().timeline()).contains("guest 0", "guest 1");
    Report good = producers(mode, true);
    assertThat(good.isClean()).as(good.isClean() ? "" : good.describe("")).isTrue();
  }
}
