package dev.gnomon.guest.cpu;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * Registers of the machine-check architecture (SDM vol. 3B, "Machine-Check MSRs"): kept and checked, but nothing here
 * ever fails, so no status has an error and #MC is never raised. As KVM offers them to its guests: ten banks, MCG_CTL,
 * recovery from software (SER_P).
 *
 * <pre>
 *  179h IA32_MCG_CAP     24 SER_P | 8 CTL_P | 7:0 banks
 *  17Ah IA32_MCG_STATUS  2 MCIP | 1 EIPV | 0 RIPV
 *  17Bh IA32_MCG_CTL     all zeros or all ones
 *  400h + 4n IA32_MCn_CTL all zeros or all ones | 401h STATUS only 0 | 402h ADDR | 403h MISC
 * </pre>
 */
public final class MachineCheck {
  public static final int CAP = 0x179;
  public static final int STATUS = 0x17A;
  public static final int CTL = 0x17B;
  public static final int FIRST_BANK = 0x400;
  public static final int BANKS = 10;

  private static final int BANK_REGISTERS = 4;
  private static final int BANK_CTL = 0;
  private static final int BANK_STATUS = 1;
  private static final long CAP_VALUE = 1 << 24 | 1 << 8 | BANKS;
  private static final long STATUS_DEFINED = 7;
  private static final long ALL = -1;

  private long status;
  private long ctl = ALL;
  private final long[] banks = new long[BANKS * BANK_REGISTERS];

  /** As after a reset. */
  public MachineCheck() {
    for (int i = 0; i < BANKS; i++) {
      banks[i * BANK_REGISTERS + BANK_CTL] = ALL;
    }
  }

  /** Whether an MSR is one of these. */
  public static boolean is(int msr) {
    return msr >= CAP && msr <= CTL || msr >= FIRST_BANK && msr < FIRST_BANK + BANKS * BANK_REGISTERS;
  }

  /** Reads a register for which {@link #is} holds. */
  public long read(int msr) {
    return switch (msr) {
      case CAP -> CAP_VALUE;
      case STATUS -> status;
      case CTL -> ctl;
      default -> banks[msr - FIRST_BANK];
    };
  }

  /** Writes a register for which {@link #is} holds. @return whether it takes the value; if not, nothing changed */
  public boolean write(int msr, long value) {
    switch (msr) {
      case CAP -> {
        return false;
      }
      case STATUS -> {
        if ((value & ~STATUS_DEFINED) != 0) {
          return false;
        }
        status = value;
      }
      case CTL -> {
        if (value != 0 && value != ALL) {
          return false;
        }
        ctl = value;
      }
      default -> {
        int register = (msr - FIRST_BANK) % BANK_REGISTERS;
        if (register == BANK_CTL && value != 0 && value != ALL || register == BANK_STATUS && value != 0) {
          return false;
        }
        banks[msr - FIRST_BANK] = value;
      }
    }
    return true;
  }

  void save(DataOutput out) throws IOException {
    out.writeLong(status);
    out.writeLong(ctl);
    for (long bank : banks) {
      out.writeLong(bank);
    }
  }

  void load(DataInput in) throws IOException {
    status = in.readLong() & STATUS_DEFINED;
    ctl = in.readLong();
    for (int i = 0; i < banks.length; i++) {
      banks[i] = in.readLong();
    }
  }
}
