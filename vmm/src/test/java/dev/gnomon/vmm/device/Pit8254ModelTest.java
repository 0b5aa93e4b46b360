package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;

/** Random programs on counters 0 and 2 against a second model that is stepped at every CLK pulse by the data sheet. */
class Pit8254ModelTest {
  private static final int CONTROL = 0x43;
  private static final int PORT_B = 0x61;
  private static final int STEPS = 60;
  /** Bytes whose digits are decimal, so that they mean the same in BCD and not too long a wait. */
  private static final int[] BYTES = {0, 1, 2, 3, 4, 5, 6, 7, 9, 0x10, 0x13, 0x18};

  /** One counter, a pulse at a time. */
  private static final class SteppedCounter {
    private int mode = 3;
    private int access = 3;
    private int range = 0x10000;
    private int cr;
    private int low;
    private boolean highNext;
    private boolean written;
    private boolean loadNext;
    private boolean running;
    private boolean armed;
    private boolean strobe;
    private int ce;
    private boolean oddHigh;
    private boolean gate;
    private boolean out = true;
    private boolean everLoaded;

    void control(int value) {
      access = value >> 4 & 3;
      mode = value >> 1 & 7;
      mode = mode > 5 ? mode - 4 : mode;
      range = (value & 1) != 0 ? 10_000 : 0x10000;
      highNext = false;
      written = false;
      loadNext = false;
      running = false;
      armed = false;
      strobe = false;
      everLoaded = false;
      out = mode != 0;
    }

    void data(int v) {
      if (access == 3 && !highNext) {
        low = v;
        highNext = true;
        if (mode == 0) {
          running = false;
          armed = false;
          loadNext = false;
          out = false;
        }
        return;
      }
      int raw = access == 1 ? v : access == 2 ? v << 8 : v << 8 | low;
      cr = range == 0x10000 ? raw : Integer.parseInt(Integer.toHexString(raw));
      if ((mode == 2 || mode == 3) && cr == 1) {
        cr = 2;
      }
      highNext = false;
      written = true;
      if (mode == 0) {
        out = false;
        armed = false;
      }
      boolean atOnce = mode == 0 || mode == 4 || (mode == 2 || mode == 3) && !everLoaded;
      loadNext |= atOnce;
    }

    void gate(boolean level) {
      boolean rises = level && !gate;
      boolean falls = !level && gate;
      gate = level;
      if (falls && (mode == 2 || mode == 3)) {
        out = true;
        running = false;
      }
      if (rises && written && (mode == 1 || mode == 5 || mode == 2 || mode == 3)) {
        loadNext = true;
      }
    }

    void clock() {
      if (strobe) {
        strobe = false;
        out = true;
      }
      if (loadNext) {
        loadNext = false;
        everLoaded = true;
        running = mode != 2 && mode != 3 || gate;
        armed = true;
        out = mode != 0 && mode != 1;
        reload();
        return;
      }
      boolean enabled = running && (gate || mode == 1 || mode == 5);
      if (!enabled) {
        return;
      }
      switch (mode) {
        case 2 -> {
          if (ce == 1) {
            ce = cr;
            out = true;
          } else {
            decrement(1);
            out = ce != 1;
          }
        }
        case 3 -> stepSquareWave();
        default -> {
          decrement(1);
          if (ce == 0 && armed) {
            armed = false;
            strobe = mode >= 4;
            out = mode < 4;
          }
        }
      }
    }

    private void stepSquareWave() {
      if (oddHigh && ce == 0) {
        out = false;
        reload();
        oddHigh = false;
        return;
      }
      decrement(2);
      if (ce == 0 && !oddHigh) {
        out = !out;
        reload();
      }
    }

    private void reload() {
      ce = mode == 3 ? cr & ~1 : cr;
      oddHigh = mode == 3 && out && (cr & 1) != 0;
    }

    private void decrement(int by) {
      ce = Math.floorMod(ce - by, range);
    }

    /** A count that waits for its pulse is seen already. */
    int visible() {
      int shown = !loadNext ? ce : mode == 3 ? cr & ~1 : cr;
      return range == 0x10000 ? shown : Integer.parseInt(Integer.toString(shown), 16);
    }
  }

  @Property
  void shouldFindTheFirstNanosecondOfEachPulse(@ForAll @LongRange(min = 1, max = 1L << 50) long pulse) {
    long ns = Pit8254.timeOf(pulse);
    assertThat(Pit8254.pulseAt(ns)).isEqualTo(pulse);
    assertThat(Pit8254.pulseAt(ns - 1)).isEqualTo(pulse - 1);
  }

  @Property(tries = 500)
  void shouldAgreeWithPulseByPulseModelOnCounter2(@ForAll long seed) {
    Random random = new Random(seed);
    Pit8254 pit = new Pit8254(InterruptLine.NONE);
    SteppedCounter model = new SteppedCounter();
    long pulse = 0;
    for (int step = 0; step < STEPS; step++) {
      long next = pulse + random.nextInt(random.nextBoolean() ? 4 : 60);
      for (; pulse < next; pulse++) {
        model.clock();
      }
      long now = someTimeIn(pulse, random);
      String at = "seed " + seed + " step " + step + " mode " + model.mode;
      assertThat((pit.in(PORT_B, 1, now) & 0x20) != 0).as(at).isEqualTo(model.out);
      if (model.everLoaded) {
        pit.out(CONTROL, 1, 0xD8, now);
        int v = pit.in(0x42, 1, now);
        v = model.access == 3 ? v | pit.in(0x42, 1, now) << 8 : model.access == 2 ? v << 8 : v;
        int mask = model.access == 3 ? 0xFFFF : model.access == 2 ? 0xFF00 : 0xFF;
        assertThat(v).as(at).isEqualTo(model.visible() & mask);
      }
      int value;
      switch (random.nextInt(8)) {
        case 0, 1 -> {
          value = 0x80 | 1 + random.nextInt(3) << 4 | random.nextInt(16);
          pit.out(CONTROL, 1, value, now);
          model.control(value);
        }
        case 2, 3 -> {
          value = random.nextInt(2);
          pit.out(PORT_B, 1, value, now);
          model.gate(value != 0);
        }
        default -> {
          value = model.access == 3 && model.highNext && random.nextInt(4) > 0 || model.access == 2
              ? random.nextInt(2) : BYTES[random.nextInt(BYTES.length)];
          pit.out(0x42, 1, value, now);
          model.data(value);
        }
      }
    }
  }

  @Property(tries = 500)
  void shouldRaiseIrq0AtExactlyThePulsesOfTheModel(@ForAll long seed) {
    Random random = new Random(seed);
    long[] clock = {0};
    List<Long> rises = new ArrayList<>();
    boolean[] level = {true};
    Pit8254 pit = new Pit8254(l -> {
      if (l && !level[0]) {
        rises.add(Pit8254.pulseAt(clock[0]));
      }
      level[0] = l;
    });
    SteppedCounter model = new SteppedCounter();
    model.gate = true;
    List<Long> expected = new ArrayList<>();
    long pulse = 0;
    for (int step = 0; step < STEPS; step++) {
      long next = pulse + random.nextInt(random.nextBoolean() ? 4 : 80);
      while (pulse < next) {
        pulse++;
        boolean before = model.out;
        model.clock();
        if (model.out && !before) {
          expected.add(pulse);
        }
      }
      long now = someTimeIn(pulse, random);
      while (pit.nextDeadline() <= now) {
        clock[0] = pit.nextDeadline();
        pit.advanceTo(clock[0]);
      }
      clock[0] = now;
      boolean before = model.out;
      if (random.nextInt(4) == 0) {
        int value = 1 + random.nextInt(3) << 4 | random.nextInt(16);
        pit.out(CONTROL, 1, value, now);
        model.control(value);
      } else {
        int value = model.access == 3 && model.highNext || model.access == 2
            ? random.nextInt(8) / 7 : BYTES[random.nextInt(BYTES.length)];
        pit.out(0x40, 1, value, now);
        model.data(value);
      }
      if (model.out && !before) {
        expected.add(pulse);
      }
      assertThat(rises).as("seed %d step %d mode %d", seed, step, model.mode).isEqualTo(expected);
      assertThat(level[0]).isEqualTo(model.out);
    }
  }

  private static long someTimeIn(long pulse, Random random) {
    long first = Pit8254.timeOf(pulse);
    return first + random.nextInt((int) (Pit8254.timeOf(pulse + 1) - first));
  }
}
