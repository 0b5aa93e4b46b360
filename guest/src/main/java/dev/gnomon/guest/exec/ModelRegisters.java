package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ApicPort;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.MachineCheck;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Mtrrs;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Status;

/**
 * Model-specific registers (SDM vol. 4). Unknown ones are #GP(0). Machine-check registers say that there are no banks
 * where CPUID does not offer them, as under KVM: Xen reads IA32_MCG_CAP without asking. Public because a hypervisor
 * that intercepts RDMSR and WRMSR emulates them by the same rules.
 */
public final class ModelRegisters {
  private static final long APIC_BASE_VALID =
      ApicPort.BASE_BSP | ApicPort.BASE_ENABLE | (1L << HostMemory.MAXPHYADDR) - 1 & -HostMemory.FRAME_SIZE;
  /**
   * Architectural bits of IA32_MISC_ENABLE: 34 XD disable, 23 xTPR, 22 limit CPUID, 18 MONITOR, 16 SpeedStep, 12 PEBS,
   * 11 BTS, 7 perfmon, 3 thermal, 0 strings.
   */
  private static final long MISC_ENABLE_DEFINED =
      1L << 34 | 1 << 23 | 1 << 22 | 1 << 18 | 1 << 16 | 1 << 12 | 1 << 11 | 1 << 7 | 1 << 3 | 1;
  private static final long MICROCODE_REVISION = 1L << 32;

  private final Cpu cpu;

  public ModelRegisters(Cpu cpu) {
    this.cpu = cpu;
  }

  /** Reads one into {@code cpu.value}. @return OK, or FAULT (#GP(0)) */
  public int read(int msr) {
    switch (msr) {
      case Msr.TSC -> cpu.value = cpu.tsc();
      case Msr.PLATFORM_ID -> cpu.value = 0;
      case Msr.APIC_BASE -> cpu.value = cpu.apic == null ? cpu.apicBase : cpu.apic.base();
      case Msr.BIOS_SIGN_ID -> cpu.value = MICROCODE_REVISION;
      case Msr.SYSENTER_CS -> cpu.value = cpu.sysenterCs;
      case Msr.SYSENTER_ESP -> cpu.value = cpu.sysenterEsp;
      case Msr.SYSENTER_EIP -> cpu.value = cpu.sysenterEip;
      case Msr.MISC_ENABLE -> cpu.value = cpu.miscEnable;
      case Msr.PAT -> cpu.value = cpu.pat;
      case Msr.EFER -> cpu.value = cpu.efer;
      case Msr.STAR -> cpu.value = cpu.star;
      case Msr.LSTAR -> cpu.value = cpu.lstar;
      case Msr.CSTAR -> cpu.value = cpu.cstar;
      case Msr.FMASK -> cpu.value = cpu.fmask;
      case Msr.FS_BASE -> cpu.value = cpu.base[Segments.FS];
      case Msr.GS_BASE -> cpu.value = cpu.base[Segments.GS];
      case Msr.KERNEL_GS_BASE -> cpu.value = cpu.kernelGsBase;
      case Msr.TSC_AUX -> {
        if (!hasTscAux()) {
          return cpu.fault(Vector.GP);
        }
        cpu.value = cpu.tscAux;
      }
      default -> {
        return readOther(msr);
      }
    }
    return Status.OK;
  }

  private boolean hasTscAux() {
    return cpu.cpuid.offers(Feature.RDTSCP) || cpu.cpuid.offers(Feature.RDPID);
  }

  private int readOther(int msr) {
    if (cpu.mtrrs != null && Mtrrs.is(msr)) {
      cpu.value = cpu.mtrrs.read(msr);
    } else if (msr == Msr.PKRS && cpu.cpuid.offers(Feature.PKS)) {
      cpu.value = cpu.mmu.paging.pkrs & 0xFFFF_FFFFL;
    } else if (isApic(msr) && cpu.apic.readable(msr)) {
      cpu.value = cpu.apic.read(msr);
    } else if (isMachineCheck(msr)) {
      cpu.value = cpu.machineCheck.read(msr);
    } else if (isEmptyMachineCheck(msr)) {
      cpu.value = 0;
    } else if (msr == Msr.TSC_ADJUST && cpu.cpuid.offers(Feature.TSC_ADJUST)) {
      // The TSC starts at 0 with virtual time, so all that sets it apart is what was written to it.
      cpu.value = cpu.tscOffset;
    } else {
      return cpu.fault(Vector.GP);
    }
    return Status.OK;
  }

  private boolean isMachineCheck(int msr) {
    return MachineCheck.is(msr) && cpu.cpuid.offers(Feature.MCA);
  }

  /**
   * The Pentium's registers, which never hold a machine check, and those that without banks say that there are none.
   */
  private boolean isEmptyMachineCheck(int msr) {
    return msr == MachineCheck.CAP || msr == MachineCheck.STATUS
        || (msr == Msr.P5_MC_ADDR || msr == Msr.P5_MC_TYPE) && cpu.cpuid.offers(Feature.MCE);
  }

  private boolean isApic(int msr) {
    return cpu.apic != null && (msr == Msr.TSC_DEADLINE || msr >= Msr.X2APIC_FIRST && msr <= Msr.X2APIC_LAST);
  }

  /** Writes one. @return OK, or FAULT (#GP(0)) for an unknown register or a value that it does not take */
  public int write(int msr, long value) {
    if (mustBeCanonical(msr) && !cpu.canonicalBase(value)) {
      return cpu.fault(Vector.GP);
    }
    switch (msr) {
      case Msr.TSC -> setTscOffset(value - cpu.now());
      case Msr.APIC_BASE -> {
        return writeApicBase(value);
      }
      // Writing 0 and then executing CPUID is how the revision is asked for.
      case Msr.BIOS_SIGN_ID -> { }
      case Msr.SYSENTER_CS -> cpu.sysenterCs = value & 0xFFFF_FFFFL;
      case Msr.SYSENTER_ESP -> cpu.sysenterEsp = value;
      case Msr.SYSENTER_EIP -> cpu.sysenterEip = value;
      case Msr.MISC_ENABLE -> {
        if ((value & ~MISC_ENABLE_DEFINED) != 0) {
          return cpu.fault(Vector.GP);
        }
        cpu.miscEnable = value;
      }
      case Msr.PAT -> {
        if (!validPat(value)) {
          return cpu.fault(Vector.GP);
        }
        cpu.pat = value;
      }
      case Msr.EFER -> {
        return writeEfer(value);
      }
      case Msr.STAR -> cpu.star = value;
      case Msr.LSTAR -> cpu.lstar = value;
      case Msr.CSTAR -> cpu.cstar = value;
      case Msr.FMASK -> {
        if (value >>> 32 != 0) {
          return cpu.fault(Vector.GP);
        }
        cpu.fmask = value;
      }
      case Msr.FS_BASE -> cpu.base[Segments.FS] = value;
      case Msr.GS_BASE -> cpu.base[Segments.GS] = value;
      case Msr.KERNEL_GS_BASE -> cpu.kernelGsBase = value;
      case Msr.TSC_AUX -> {
        if (value >>> 32 != 0 || !hasTscAux()) {
          return cpu.fault(Vector.GP);
        }
        cpu.tscAux = value;
      }
      default -> {
        return writeOther(msr, value);
      }
    }
    return Status.OK;
  }

  private void setTscOffset(long offset) {
    cpu.tscOffset = offset;
    // The deadline of a timer that counts in TSC ticks has moved.
    cpu.stopRequested = true;
  }

  private int writeOther(int msr, long value) {
    if (msr == Msr.TSC_ADJUST && cpu.cpuid.offers(Feature.TSC_ADJUST)) {
      setTscOffset(value);
      return Status.OK;
    }
    if (isMachineCheck(msr)) {
      return cpu.machineCheck.write(msr, value) ? Status.OK : cpu.fault(Vector.GP);
    }
    if (msr == Msr.PKRS && cpu.cpuid.offers(Feature.PKS) && value >>> 32 == 0) {
      cpu.mmu.setPkrs((int) value);
      return Status.OK;
    }
    if (isEmptyMachineCheck(msr) && msr != MachineCheck.CAP && value == 0) {
      return Status.OK;
    }
    boolean taken = cpu.mtrrs != null && Mtrrs.is(msr) ? cpu.mtrrs.write(msr, value)
        : isApic(msr) && cpu.apic.write(msr, value);
    return taken ? Status.OK : cpu.fault(Vector.GP);
  }

  private int writeApicBase(long value) {
    if (cpu.apic != null) {
      boolean defined = (value & ~(APIC_BASE_VALID | ApicPort.BASE_X2APIC)) == 0;
      return defined && cpu.apic.writeBase(value) ? Status.OK : cpu.fault(Vector.GP);
    }
    if ((value & ~APIC_BASE_VALID) != 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.apicBase = value;
    return Status.OK;
  }

  private static boolean mustBeCanonical(int msr) {
    return switch (msr) {
      case Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.LSTAR, Msr.CSTAR, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE ->
          true;
      default -> false;
    };
  }

  /** LMA is read-only, and LME cannot change while paging is on. */
  private int writeEfer(long value) {
    long offered = cpu.cpuid.eferBits();
    long writable = value & offered;
    boolean lmeChanges = ((writable ^ cpu.efer) & ControlRegister.EFER_LME) != 0;
    if ((value & ~(offered | ControlRegister.EFER_LMA)) != 0
        || lmeChanges && (cpu.cr0 & ControlRegister.CR0_PG) != 0) {
      return cpu.fault(Vector.GP);
    }
    boolean nxeChanges = ((writable ^ cpu.efer) & ControlRegister.EFER_NXE) != 0;
    cpu.efer = writable | cpu.efer & ControlRegister.EFER_LMA;
    cpu.syncPaging();
    if (nxeChanges) {
      cpu.mmu.softFlush();
    }
    return Status.OK;
  }

  /** Every byte is a memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-. */
  public static boolean validPat(long pat) {
    for (int i = 0; i < 64; i += 8) {
      int type = (int) (pat >>> i) & 0xFF;
      if (type > 7 || type == 2 || type == 3) {
        return false;
      }
    }
    return true;
  }
}
