package dev.gnomon.guest.cpu;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * Memory-type range registers (SDM vol. 3A, "Memory Type Range Registers"): 8 variable ranges, the fixed ones, write
 * combining. They are kept and checked, but memory is coherent here whatever its type, so nothing follows from them.
 *
 * <pre>
 *  IA32_MTRRCAP       63..11 0      WC 10   0 9   FIX 8     VCNT 7..0
 *  IA32_MTRR_DEF_TYPE 63..12 0      E 11    FE 10   0 9..8  type 7..0
 *  IA32_MTRR_PHYSBASE address 45..12        0 11..8         type 7..0
 *  IA32_MTRR_PHYSMASK mask 45..12           V 11            0
 *  fixed ranges       eight types, one a byte
 * </pre>
 */
public final class Mtrrs {
  public static final int CAP = 0xFE;
  public static final int PHYS_BASE0 = 0x200;
  public static final int FIX_64K = 0x250;
  public static final int FIX_16K = 0x258;
  public static final int FIX_4K = 0x268;
  public static final int DEF_TYPE = 0x2FF;

  public static final int UNCACHEABLE = 0;
  public static final int WRITE_BACK = 6;

  private static final int VARIABLE = 8;
  private static final int FIXED = 11;
  private static final long CAP_VALUE = 1 << 10 | 1 << 8 | VARIABLE;
  private static final long ENABLE = 1 << 11;
  private static final long FIXED_ENABLE = 1 << 10;
  private static final long VALID = 1 << 11;
  private static final long TYPE = 0xFF;

  private final long[] variable = new long[2 * VARIABLE];
  private final long[] fixed = new long[FIXED];
  private final long addressBits;
  private long defType;

  /** All disabled, as after a reset. @param physicalAddressBits MAXPHYADDR */
  public Mtrrs(int physicalAddressBits) {
    addressBits = (1L << physicalAddressBits) - 1 & -4096L;
  }

  /**
   * As firmware leaves them: everything write-back, but uncacheable the video memory and what lies from an address up
   * to 4 GiB.
   *
   * @param deviceStart a power of two below 4 GiB from where devices lie
   */
  public void setAsFirmware(long deviceStart) {
    Arrays.fill(fixed, 0x0606_0606_0606_0606L);
    fixed[2] = 0;
    variable[0] = deviceStart | UNCACHEABLE;
    variable[1] = addressBits & -((1L << 32) - deviceStart) | VALID;
    defType = ENABLE | FIXED_ENABLE | WRITE_BACK;
  }

  void save(DataOutput out) throws IOException {
    for (long value : variable) {
      out.writeLong(value);
    }
    for (long value : fixed) {
      out.writeLong(value);
    }
    out.writeLong(defType);
  }

  void load(DataInput in) throws IOException {
    for (int i = 0; i < variable.length; i++) {
      variable[i] = in.readLong();
    }
    for (int i = 0; i < fixed.length; i++) {
      fixed[i] = in.readLong();
    }
    defType = in.readLong();
  }

  public static boolean is(int msr) {
    return msr == CAP || msr == DEF_TYPE || msr >= PHYS_BASE0 && msr < PHYS_BASE0 + 2 * VARIABLE
        || fixedIndex(msr) >= 0;
  }

  private static int fixedIndex(int msr) {
    if (msr == FIX_64K) {
      return 0;
    }
    if (msr == FIX_16K || msr == FIX_16K + 1) {
      return 1 + msr - FIX_16K;
    }
    return msr >= FIX_4K && msr < FIX_4K + 8 ? 3 + msr - FIX_4K : -1;
  }

  /** One for which {@link #is} holds. */
  public long read(int msr) {
    if (msr == CAP) {
      return CAP_VALUE;
    }
    if (msr == DEF_TYPE) {
      return defType;
    }
    int index = fixedIndex(msr);
    return index >= 0 ? fixed[index] : variable[msr - PHYS_BASE0];
  }

  /**
   * Writes one for which {@link #is} holds.
   *
   * @return whether it took the value: not if it is read-only, a bit is reserved or a type unknown
   */
  public boolean write(int msr, long value) {
    if (msr == CAP) {
      return false;
    }
    if (msr == DEF_TYPE) {
      if ((value & ~(ENABLE | FIXED_ENABLE | TYPE)) != 0 || !known(value & TYPE)) {
        return false;
      }
      defType = value;
      return true;
    }
    int index = fixedIndex(msr);
    if (index >= 0) {
      for (int shift = 0; shift < 64; shift += 8) {
        if (!known(value >>> shift & TYPE)) {
          return false;
        }
      }
      fixed[index] = value;
      return true;
    }
    boolean mask = (msr & 1) != 0;
    if ((value & ~(addressBits | (mask ? VALID : TYPE))) != 0 || !mask && !known(value & TYPE)) {
      return false;
    }
    variable[msr - PHYS_BASE0] = value;
    return true;
  }

  /** UC, WC, WT, WP, WB. */
  private static boolean known(long type) {
    return type <= WRITE_BACK && type != 2 && type != 3;
  }
}
