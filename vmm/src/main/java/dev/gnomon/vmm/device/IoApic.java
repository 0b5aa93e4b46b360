package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.IoApicBits.*;

import dev.gnomon.guest.memory.Gpa;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The I/O APIC at FEC00000h with 24 inputs (Intel 82093AA data sheet).
 *
 * <p>An edge on a masked input is lost. A level-triggered input sends again after its EOI, and when it is unmasked, for
 * as long as its line is up. Where the data sheet leaves a choice this does what Linux KVM does
 * (arch/x86/kvm/ioapic.c): lines are up when they want an interrupt, whatever the polarity that is written; an entry
 * made edge-triggered loses its remote IRR, which is how Linux ends an interrupt on this version of the chip.
 */
public final class IoApic implements MmioDevice {
  /** Guest-physical address of the registers. */
  public static final @Gpa long BASE = 0xFEC0_0000L;
  /** Inputs, global system interrupts 0 to 23. */
  public static final int INPUTS = 24;

  private static final int FORMAT = 1;
  private static final int PAGE = 4096;

  private final ApicBus bus;
  private final InterruptLine[] inputs = new InterruptLine[INPUTS];
  private final int[] low = new int[INPUTS];
  private final int[] destination = new int[INPUTS];
  private int lines;
  private int select;
  private int id;

  public IoApic(ApicBus bus) {
    this.bus = bus;
    for (int i = 0; i < INPUTS; i++) {
      int input = i;
      inputs[i] = level -> setLine(input, level);
    }
    bus.add(this);
    reset();
  }

  @Override
  public String name() {
    return "ioapic";
  }

  @Override
  public MmioRange range() {
    return new MmioRange(BASE, PAGE);
  }

  @Override
  public int mmioWidth() {
    return 4;
  }

  /** The lines keep their levels, which belong to the devices. */
  @Override
  public void reset() {
    for (int i = 0; i < INPUTS; i++) {
      low[i] = MASKED;
      destination[i] = 0;
    }
    select = 0;
    id = 0;
  }

  /** Sets the ID as firmware would. @param value 0 to 15 */
  public void setId(int value) {
    id = value & ID_MASK;
  }

  /**
   * The wire to an input.
   *
   * @param gsi 0 to 23
   * @throws IllegalArgumentException if there is no such input
   */
  public InterruptLine line(int gsi) {
    if (gsi < 0 || gsi >= INPUTS) {
      throw new IllegalArgumentException("global system interrupt " + gsi + ": expected 0 to " + (INPUTS - 1));
    }
    return inputs[gsi];
  }

  private void setLine(int input, boolean level) {
    int bit = 1 << input;
    boolean rises = level && (lines & bit) == 0;
    lines = level ? lines | bit : lines & ~bit;
    if (rises || level && isLevel(input)) {
      send(input);
    }
  }

  private boolean isLevel(int input) {
    return (low[input] & LEVEL) != 0;
  }

  private void send(int input) {
    int entry = low[input];
    if ((entry & MASKED) != 0 || isLevel(input) && (entry & REMOTE_IRR) != 0) {
      return;
    }
    boolean taken = bus.send(entry >> MODE_SHIFT & MODE, entry & VECTOR, isLevel(input), destination[input], false,
        (entry & LOGICAL) != 0);
    if (taken && isLevel(input)) {
      low[input] |= REMOTE_IRR;
    }
  }

  /** An EOI message: level-triggered entries of the vector may interrupt again. */
  void endOfInterrupt(int vector) {
    for (int i = 0; i < INPUTS; i++) {
      if (isLevel(i) && (low[i] & VECTOR) == vector && (low[i] & REMOTE_IRR) != 0) {
        low[i] &= ~REMOTE_IRR;
        resend(i);
      }
    }
  }

  private void resend(int input) {
    if (isLevel(input) && (lines >> input & 1) != 0) {
      send(input);
    }
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    int within = (int) offset & 3;
    int value = switch ((int) offset & ~3) {
      case SELECT -> select;
      case WINDOW -> register();
      default -> 0;
    };
    return within + size > 4 ? 0 : (value & 0xFFFF_FFFFL) >>> 8 * within;
  }

  private int register() {
    if (select >= REG_ENTRIES && select < REG_ENTRIES + 2 * INPUTS) {
      int input = select - REG_ENTRIES >> 1;
      return (select & 1) != 0 ? destination[input] << DESTINATION_SHIFT : low[input];
    }
    return switch (select) {
      case REG_ID, REG_ARBITRATION -> id << ID_SHIFT;
      case REG_VERSION -> INPUTS - 1 << VERSION_ENTRIES_SHIFT | VERSION;
      default -> 0;
    };
  }

  /** The select register takes bytes; the window takes double words only. */
  @Override
  public void write(long offset, int size, long value, long nowNs) {
    if (offset == SELECT) {
      select = (int) value & 0xFF;
    } else if (offset == WINDOW && size == 4) {
      setRegister((int) value);
    }
  }

  private void setRegister(int value) {
    if (select == REG_ID) {
      id = value >> ID_SHIFT & ID_MASK;
    } else if (select >= REG_ENTRIES && select < REG_ENTRIES + 2 * INPUTS) {
      int input = select - REG_ENTRIES >> 1;
      if ((select & 1) != 0) {
        destination[input] = value >>> DESTINATION_SHIFT;
        return;
      }
      int kept = (value & LEVEL) != 0 ? low[input] & REMOTE_IRR : 0;
      low[input] = value & LOW_WRITABLE | kept;
      resend(input);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(FORMAT);
    out.writeByte(select);
    out.writeByte(id);
    out.writeInt(lines);
    for (int i = 0; i < INPUTS; i++) {
      out.writeInt(low[i]);
      out.writeByte(destination[i]);
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), FORMAT);
    select = in.readUnsignedByte();
    id = in.readUnsignedByte() & ID_MASK;
    lines = in.readInt() & (1 << INPUTS) - 1;
    for (int i = 0; i < INPUTS; i++) {
      low[i] = in.readInt() & (LOW_WRITABLE | REMOTE_IRR);
      destination[i] = in.readUnsignedByte();
    }
  }
}
