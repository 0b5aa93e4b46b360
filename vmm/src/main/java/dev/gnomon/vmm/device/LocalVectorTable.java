package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.LocalApicBits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * A local APIC's local vector table: how its own sources interrupt (SDM vol. 3A, "Local Vector Table"). An entry is
 * named by its register, {@link LocalApicBits#LVT_TIMER} to {@link LocalApicBits#LVT_ERROR}.
 */
final class LocalVectorTable {
  private final int[] entries = new int[LVTS];

  /** Whether a register is an entry. */
  static boolean contains(int register) {
    return register >= LVT_TIMER && register <= LVT_ERROR;
  }

  /** Bits of an entry that software can write, 0 for other registers. */
  static int writable(int register) {
    return switch (register) {
      case LVT_TIMER -> TIMER_WRITABLE;
      case LVT_THERMAL, LVT_PERFORMANCE -> SOURCE_WRITABLE;
      case LVT_LINT0, LVT_LINT1 -> LINT_WRITABLE;
      case LVT_ERROR -> ERROR_WRITABLE;
      default -> 0;
    };
  }

  private static int index(int register) {
    return (register - LVT_TIMER) / STEP;
  }

  /** @param extInt whether LINT0 is ExtINT afterwards; all else is masked */
  void reset(boolean extInt) {
    Arrays.fill(entries, LVT_MASKED);
    if (extInt) {
      entries[index(LVT_LINT0)] = EXTINT << MODE_SHIFT;
    }
  }

  /** Virtual wire mode: LINT0 ExtINT, LINT1 NMI. */
  void setVirtualWire() {
    entries[index(LVT_LINT0)] = EXTINT << MODE_SHIFT;
    entries[index(LVT_LINT1)] = NMI << MODE_SHIFT;
  }

  void maskAll() {
    for (int i = 0; i < LVTS; i++) {
      entries[i] |= LVT_MASKED;
    }
  }

  int get(int register) {
    return entries[index(register)];
  }

  /** Writes what software can write of an entry. @param masked whatever the value says */
  void set(int register, int value, boolean masked) {
    entries[index(register)] = value & writable(register) | (masked ? LVT_MASKED : 0);
  }

  boolean isMasked(int register) {
    return (get(register) & LVT_MASKED) != 0;
  }

  int vector(int register) {
    return get(register) & VECTOR;
  }

  /** Delivery mode, which the timer's and the error's do not have. */
  int mode(int register) {
    return register == LVT_TIMER || register == LVT_ERROR ? FIXED : get(register) >> MODE_SHIFT & MODE;
  }

  /** Whether its messages are level-triggered, which LINT0's alone can be. */
  boolean isLevel(int register) {
    return register == LVT_LINT0 && (get(register) & LVT_LEVEL) != 0;
  }

  void save(DataOutput out) throws IOException {
    for (int entry : entries) {
      out.writeInt(entry);
    }
  }

  void load(DataInput in) throws IOException {
    for (int i = 0; i < LVTS; i++) {
      entries[i] = in.readInt();
    }
  }
}
