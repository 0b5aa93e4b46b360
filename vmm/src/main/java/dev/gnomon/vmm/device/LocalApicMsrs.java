package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.LocalApicBits.*;

import dev.gnomon.guest.cpu.Msr;

/**
 * A local APIC's registers by MSR: those of x2APIC mode, and IA32_TSC_DEADLINE in any mode (SDM vol. 3A, "Extended
 * XAPIC (x2APIC)").
 */
final class LocalApicMsrs {
  private final LocalApic apic;
  private final LocalApicTimer timer;
  private final InterruptCommand icr;

  LocalApicMsrs(LocalApic apic, LocalApicTimer timer, InterruptCommand icr) {
    this.apic = apic;
    this.timer = timer;
    this.icr = icr;
  }

  private static int offsetOf(int msr) {
    return (msr - Msr.X2APIC_FIRST) * STEP;
  }

  /** Whether an MSR can be read in the present mode. */
  boolean readable(int msr) {
    if (msr == Msr.TSC_DEADLINE) {
      return true;
    }
    int register = offsetOf(msr);
    return apic.x2() && LocalApic.exists(register) && register != APR && register != EOI && register != RRD
        && register != DFR && register != ICR_HIGH;
  }

  /** Reads an MSR that is {@link #readable}. */
  long read(int msr) {
    if (msr == Msr.TSC_DEADLINE) {
      return timer.tscDeadline();
    }
    int register = offsetOf(msr);
    long value = apic.register(register) & 0xFFFF_FFFFL;
    return register == ICR_LOW ? value | (long) icr.high() << 32 : value;
  }

  /** Writes an MSR. @return whether it exists in the present mode, can be written and takes the value */
  boolean write(int msr, long value) {
    if (msr == Msr.TSC_DEADLINE) {
      timer.setTscDeadline(value);
      return true;
    }
    int register = offsetOf(msr);
    if (!apic.x2() || !writable(register, value)) {
      return false;
    }
    if (register == SELF_IPI) {
      icr.sendToSelf((int) value);
    } else {
      if (register == ICR_LOW) {
        icr.setHigh((int) (value >>> 32));
      }
      apic.setRegister(register, (int) value);
    }
    apic.update();
    return true;
  }

  /** Reserved bits must be zero; EOI and ESR take only zero. */
  private static boolean writable(int register, long value) {
    long allowed = switch (register) {
      case TPR, SELF_IPI -> VECTOR;
      case SVR -> SVR_WRITABLE;
      case ICR_LOW -> ICR_WRITABLE | -1L << 32;
      case INITIAL_COUNT -> 0xFFFF_FFFFL;
      case DIVIDE -> LocalApicTimer.DIVIDE_WRITABLE;
      default -> LocalVectorTable.writable(register);
    };
    boolean writable = allowed != 0 || register == EOI || register == ESR;
    return writable && (value & ~allowed) == 0;
  }
}
