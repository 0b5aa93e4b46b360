package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.Pic8259Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * One 8259A of the pair: its registers, priorities and command words. The wiring between the two is in {@link Pic8259}.
 */
final class Pic8259Chip {
  static final int INPUTS = 8;
  /** The level of the default interrupt that an acknowledge without a request gets. */
  static final int SPURIOUS = 7;
  static final int NONE = -1;

  private static final int ALL = 0xFF;
  private static final int LEVEL = INPUTS - 1;

  /** What the next write with A0=1 means. */
  private static final int EXPECT_OCW1 = 0;
  private static final int EXPECT_ICW2 = 2;
  private static final int EXPECT_ICW3 = 3;
  private static final int EXPECT_ICW4 = 4;

  /**
   * ISR bits that special fully nested mode leaves out of the priority: the slave's input on the master, none on the
   * slave.
   */
  private final int cascade;
  /** Inputs that ELCR can make level-triggered. */
  private final int elcrWritable;

  private int lines;
  /** Rising edges not yet acknowledged. */
  private int edges;
  private int isr;
  private int imr;
  private int elcr;
  private int base;
  private int expected;
  private boolean initialised;
  private boolean icw4Follows;
  private boolean single;
  private boolean autoEoi;
  private boolean rotateOnAutoEoi;
  private boolean specialFullyNested;
  private boolean specialMask;
  private boolean poll;
  private boolean readIsr;
  private int lowestPriority;

  Pic8259Chip(int cascade, int elcrWritable) {
    this.cascade = cascade;
    this.elcrWritable = elcrWritable;
    reset();
  }

  void reset() {
    imr = 0;
    elcr = 0;
    base = 0;
    initialised = false;
    beginInitialisation(0);
    expected = EXPECT_OCW1;
  }

  void setLine(int input, boolean level) {
    int bit = 1 << input;
    if (level) {
      edges |= bit & ~lines;
      lines |= bit;
    } else {
      lines &= ~bit;
    }
  }

  /** Latches a request as if its line had risen. */
  void latch(int input) {
    edges |= 1 << input;
  }

  void unlatch(int input) {
    edges &= ~(1 << input);
  }

  /** IRR: the level of level-triggered inputs, the latched edge of the others. */
  int irr() {
    return lines & elcr | edges & ~elcr;
  }

  /** The input that the chip requests an interrupt for, {@link #NONE} if its INT output is low. */
  int request() {
    int requests = irr() & ~imr;
    if (requests == 0 || !initialised) {
      return NONE;
    }
    int blocking = isr;
    if (specialMask) {
      blocking &= ~imr;
    }
    if (specialFullyNested) {
      blocking &= ~cascade;
    }
    for (int i = 1; i <= INPUTS; i++) {
      int input = lowestPriority + i & LEVEL;
      if ((blocking & 1 << input) != 0) {
        return NONE;
      }
      if ((requests & 1 << input) != 0) {
        return input;
      }
    }
    return NONE;
  }

  void acknowledge(int input) {
    edges &= ~(1 << input);
    if (!autoEoi) {
      isr |= 1 << input;
    } else if (rotateOnAutoEoi) {
      lowestPriority = input;
    }
  }

  int vector(int input) {
    return base | input;
  }

  boolean polled() {
    return poll;
  }

  void endPoll() {
    poll = false;
  }

  int readA0() {
    return readIsr ? isr : irr();
  }

  int imr() {
    return imr;
  }

  int elcr() {
    return elcr;
  }

  void writeElcr(int value) {
    elcr = value & elcrWritable;
  }

  void writeA0(int value) {
    if ((value & ICW1) != 0) {
      beginInitialisation(value);
    } else if ((value & OCW3) != 0) {
      writeOcw3(value);
    } else {
      writeOcw2(value >> OCW2_COMMAND_SHIFT & 7, value & OCW2_LEVEL);
    }
  }

  private void beginInitialisation(int icw1) {
    edges = 0;
    isr = 0;
    imr = 0;
    lowestPriority = LEVEL;
    specialMask = false;
    readIsr = false;
    poll = false;
    autoEoi = false;
    rotateOnAutoEoi = false;
    specialFullyNested = false;
    single = (icw1 & ICW1_SNGL) != 0;
    icw4Follows = (icw1 & ICW1_IC4) != 0;
    initialised = false;
    expected = EXPECT_ICW2;
  }

  void writeA1(int value) {
    switch (expected) {
      case EXPECT_ICW2 -> {
        base = value & ICW2_BASE;
        expect(single ? EXPECT_ICW4 : EXPECT_ICW3);
      }
      case EXPECT_ICW3 -> expect(EXPECT_ICW4);
      case EXPECT_ICW4 -> {
        autoEoi = (value & ICW4_AEOI) != 0;
        specialFullyNested = (value & ICW4_SFNM) != 0;
        expect(EXPECT_OCW1);
      }
      default -> imr = value & ALL;
    }
  }

  private void expect(int next) {
    expected = next == EXPECT_ICW4 && !icw4Follows ? EXPECT_OCW1 : next;
    initialised = expected == EXPECT_OCW1;
  }

  private void writeOcw2(int command, int level) {
    switch (command) {
      case CLEAR_ROTATE_ON_AUTO_EOI -> rotateOnAutoEoi = false;
      case SET_ROTATE_ON_AUTO_EOI -> rotateOnAutoEoi = true;
      case NON_SPECIFIC_EOI -> endHighest(false);
      case ROTATE_ON_NON_SPECIFIC_EOI -> endHighest(true);
      case SPECIFIC_EOI -> isr &= ~(1 << level);
      case ROTATE_ON_SPECIFIC_EOI -> {
        isr &= ~(1 << level);
        lowestPriority = level;
      }
      case SET_PRIORITY -> lowestPriority = level;
      default -> { }
    }
  }

  /** In special mask mode the search passes over the masked levels, as the data sheet says. */
  private void endHighest(boolean rotate) {
    int candidates = specialMask ? isr & ~imr : isr;
    for (int i = 1; i <= INPUTS; i++) {
      int input = lowestPriority + i & LEVEL;
      if ((candidates & 1 << input) != 0) {
        isr &= ~(1 << input);
        if (rotate) {
          lowestPriority = input;
        }
        return;
      }
    }
  }

  private void writeOcw3(int value) {
    if ((value & OCW3_ESMM) != 0) {
      specialMask = (value & OCW3_SMM) != 0;
    }
    if ((value & OCW3_POLL) != 0) {
      poll = true;
    } else if ((value & OCW3_RR) != 0) {
      readIsr = (value & OCW3_RIS) != 0;
    }
  }

  void save(DataOutput out) throws IOException {
    out.writeByte(lines);
    out.writeByte(edges);
    out.writeByte(isr);
    out.writeByte(imr);
    out.writeByte(elcr);
    out.writeByte(base);
    out.writeByte(expected);
    out.writeByte(lowestPriority);
    out.writeBoolean(initialised);
    out.writeBoolean(icw4Follows);
    out.writeBoolean(single);
    out.writeBoolean(autoEoi);
    out.writeBoolean(rotateOnAutoEoi);
    out.writeBoolean(specialFullyNested);
    out.writeBoolean(specialMask);
    out.writeBoolean(poll);
    out.writeBoolean(readIsr);
  }

  void load(DataInput in) throws IOException {
    lines = in.readUnsignedByte();
    edges = in.readUnsignedByte();
    isr = in.readUnsignedByte();
    imr = in.readUnsignedByte();
    elcr = in.readUnsignedByte() & elcrWritable;
    base = in.readUnsignedByte() & ICW2_BASE;
    expected = in.readUnsignedByte();
    lowestPriority = in.readUnsignedByte() & LEVEL;
    initialised = in.readBoolean();
    icw4Follows = in.readBoolean();
    single = in.readBoolean();
    autoEoi = in.readBoolean();
    rotateOnAutoEoi = in.readBoolean();
    specialFullyNested = in.readBoolean();
    specialMask = in.readBoolean();
    poll = in.readBoolean();
    readIsr = in.readBoolean();
  }
}
