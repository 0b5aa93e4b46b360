package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Status;

/**
 * Control and debug registers: MOV CR, MOV DR, LMSW, SMSW, CLTS (SDM vol. 3A, "Control Registers"; which writes flush
 * what: "Operations that Invalidate TLBs and Paging-Structure Caches"; exits: vol. 3C, "Instructions That Cause VM
 * Exits Conditionally").
 */
final class ControlRegisters {
  /** Bits that LMSW can change: TS, EM, MP, and PE from 0 to 1. */
  private static final long MSW = ControlRegister.CR0_TS | ControlRegister.CR0_EM | ControlRegister.CR0_MP
      | ControlRegister.CR0_PE;
  private static final long UPPER_HALF = 0xFFFF_FFFFL << 32;
  private static final long CR3_RESERVED = -1L << HostMemory.MAXPHYADDR;
  /** Changes of CR0 and CR4 that reload the PDPTE registers under PAE paging. */
  private static final long CR0_PDPTE = ControlRegister.CR0_PG | ControlRegister.CR0_CD | ControlRegister.CR0_NW;
  private static final long CR4_PDPTE = ControlRegister.CR4_PAE | ControlRegister.CR4_PGE | ControlRegister.CR4_PSE
      | ControlRegister.CR4_SMEP;
  /** Changes of CR4 after which no translation may be kept; PSE is among them as on real processors. */
  private static final long CR4_FLUSH_ALL = ControlRegister.CR4_PAE | ControlRegister.CR4_PGE | ControlRegister.CR4_PSE
      | ControlRegister.CR4_LA57;
  /** Bits of CR4 that CPUID shows. */
  private static final long CR4_SHOWN = ControlRegister.CR4_PKE | ControlRegister.CR4_OSXSAVE;
  private static final int MAX_TPR = 15;

  private final Cpu cpu;
  private final Operands operands;
  private final Debug debug;

  ControlRegisters(Cpu cpu, Operands operands, Debug debug) {
    this.cpu = cpu;
    this.operands = operands;
    this.debug = debug;
  }

  /** CR0 as the guest sees it. */
  private long visibleCr0() {
    long mask = hostMask(cpu.intercepts.cr0GuestHostMask);
    return cpu.cr0 & ~mask | cpu.intercepts.cr0ReadShadow & mask;
  }

  private long visibleCr4() {
    long mask = hostMask(cpu.intercepts.cr4GuestHostMask);
    return cpu.cr4 & ~mask | cpu.intercepts.cr4ReadShadow & mask;
  }

  private long hostMask(long mask) {
    return cpu.intercepts.enabled ? mask : 0;
  }

  /** 0F 20: MOV r, CR. */
  int moveFrom(Instruction insn) {
    int number = insn.reg;
    if (!exists(number)) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    boolean exits = number == 3 && cpu.intercepts.cr3Store || number == 8 && cpu.intercepts.cr8;
    if (exits && cpu.intercepts.enabled) {
      return cpu.vmExit(ExitReason.CR_ACCESS,
          ExitQualification.crAccess(number, ExitQualification.CR_MOV_FROM, insn.rm), insn.length);
    }
    long value = switch (number) {
      case 0 -> visibleCr0();
      case 2 -> Addresses.bits(cpu.cr2);
      case 3 -> cpu.cr3;
      case 4 -> visibleCr4();
      default -> cpu.apic == null ? cpu.cr8 : cpu.apic.taskPriority();
    };
    operands.setRegister(insn.rm, insn.mode64 ? 8 : 4, value);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 0F 22: MOV CR, r. */
  int moveTo(Instruction insn) {
    int number = insn.reg;
    if (!exists(number)) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    long value = Operands.zeroExtend(cpu.regs[insn.rm], insn.mode64 ? 8 : 4);
    if (cpu.intercepts.enabled && exits(number, value)) {
      return cpu.vmExit(ExitReason.CR_ACCESS, ExitQualification.crAccess(number, ExitQualification.CR_MOV_TO, insn.rm),
          insn.length);
    }
    int status = switch (number) {
      case 0 -> writeCr0(withHostBits(value, cpu.cr0, cpu.intercepts.cr0GuestHostMask));
      case 2 -> writeCr2(value);
      case 3 -> writeCr3(value);
      case 4 -> writeCr4(withHostBits(value, cpu.cr4, cpu.intercepts.cr4GuestHostMask));
      default -> writeCr8(value);
    };
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** CR8 exists in 64-bit mode, where alone REX.R can name it. */
  private static boolean exists(int number) {
    return number == 0 || number == 2 || number == 3 || number == 4 || number == 8;
  }

  private boolean exits(int number, long value) {
    return switch (number) {
      case 0 -> ((value ^ cpu.intercepts.cr0ReadShadow) & cpu.intercepts.cr0GuestHostMask) != 0;
      case 3 -> cpu.intercepts.cr3Load;
      case 8 -> cpu.intercepts.cr8;
      case 4 -> ((value ^ cpu.intercepts.cr4ReadShadow) & cpu.intercepts.cr4GuestHostMask) != 0;
      default -> false;
    };
  }

  private long withHostBits(long value, long old, long mask) {
    long host = hostMask(mask);
    return value & ~host | old & host;
  }

  private int writeCr2(long value) {
    cpu.cr2 = value;
    return Status.OK;
  }

  private int writeCr8(long value) {
    if (Long.compareUnsigned(value, MAX_TPR) > 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.cr8 = (int) value;
    if (cpu.apic != null) {
      cpu.apic.setTaskPriority((int) value);
    }
    return Status.OK;
  }

  /** Checks and writes CR0, with EFER.LMA in its train. #GP(0) if the value is not allowed. */
  int writeCr0(long value) {
    if ((value & UPPER_HALF) != 0) {
      return cpu.fault(Vector.GP);
    }
    long cr0 = value & ControlRegister.CR0_DEFINED | ControlRegister.CR0_ET;
    boolean paging = (cr0 & ControlRegister.CR0_PG) != 0;
    boolean badCombination = paging && (cr0 & ControlRegister.CR0_PE) == 0
        || (cr0 & ControlRegister.CR0_NW) != 0 && (cr0 & ControlRegister.CR0_CD) == 0;
    if (badCombination) {
      return cpu.fault(Vector.GP);
    }
    long changed = cr0 ^ cpu.cr0;
    long efer = cpu.efer;
    if ((changed & ControlRegister.CR0_PG) != 0) {
      if (!paging && (cpu.code64() || (cpu.cr4 & ControlRegister.CR4_PCIDE) != 0)) {
        return cpu.fault(Vector.GP);
      }
      if (paging && (efer & ControlRegister.EFER_LME) != 0) {
        boolean tss16 = (cpu.rights[Segments.TR] & 8) == 0 && (cpu.rights[Segments.TR] & Segments.TYPE) != 0;
        if ((cpu.cr4 & ControlRegister.CR4_PAE) == 0 || (cpu.rights[Segments.CS] & Segments.L) != 0 || tss16) {
          return cpu.fault(Vector.GP);
        }
        efer |= ControlRegister.EFER_LMA;
      } else {
        efer &= ~ControlRegister.EFER_LMA;
      }
    }
    boolean paePaging = paging && (cpu.cr4 & ControlRegister.CR4_PAE) != 0 && (efer & ControlRegister.EFER_LMA) == 0;
    if (paePaging && (changed & CR0_PDPTE) != 0) {
      int status = loadPdptes(cpu.cr3);
      if (status < 0) {
        return status;
      }
    }
    cpu.cr0 = cr0;
    cpu.efer = efer;
    cpu.syncPaging();
    if ((changed & ControlRegister.CR0_PG) != 0) {
      cpu.mmu.flushAll();
    } else if ((changed & ControlRegister.CR0_WP) != 0) {
      cpu.mmu.softFlush();
    }
    cpu.updateMode();
    return Status.OK;
  }

  /** Checks and writes CR3, with the flush that bit 63 and CR4.PCIDE ask for. */
  int writeCr3(long value) {
    boolean pcide = (cpu.cr4 & ControlRegister.CR4_PCIDE) != 0;
    boolean keep = pcide && (value & ControlRegister.CR3_NO_FLUSH) != 0;
    long cr3 = pcide ? value & ~ControlRegister.CR3_NO_FLUSH : value;
    if (cpu.longMode() && (cr3 & CR3_RESERVED) != 0) {
      return cpu.fault(Vector.GP);
    }
    if (paePaging(cpu.cr4)) {
      int status = loadPdptes(cr3);
      if (status < 0) {
        return status;
      }
    }
    cpu.cr3 = cr3;
    cpu.syncPaging();
    if (keep) {
      cpu.mmu.softFlush();
    } else {
      cpu.mmu.flushPcid(pcide ? (int) (cr3 & ControlRegister.CR3_PCID) : 0);
    }
    return Status.OK;
  }

  /** Checks and writes CR4. */
  int writeCr4(long value) {
    long changed = value ^ cpu.cr4;
    boolean setsPcide = (value & ~cpu.cr4 & ControlRegister.CR4_PCIDE) != 0;
    boolean clearsPae = (changed & cpu.cr4 & ControlRegister.CR4_PAE) != 0;
    if ((value & ~cpu.cpuid.cr4Bits()) != 0
        || (clearsPae || (changed & ControlRegister.CR4_LA57) != 0) && cpu.longMode()
        || setsPcide && (!cpu.longMode() || (cpu.cr3 & ControlRegister.CR3_PCID) != 0)) {
      return cpu.fault(Vector.GP);
    }
    if (paePaging(value) && (changed & CR4_PDPTE) != 0) {
      int status = loadPdptes(cpu.cr3);
      if (status < 0) {
        return status;
      }
    }
    // Walks without keys do not look for them, so that no translation may be kept over the switch.
    boolean switchesKeys = (changed & (ControlRegister.CR4_PKE | ControlRegister.CR4_PKS)) != 0;
    boolean clearsPcide = (changed & cpu.cr4 & ControlRegister.CR4_PCIDE) != 0;
    cpu.cr4 = value;
    cpu.syncPaging();
    if ((changed & CR4_SHOWN) != 0) {
      cpu.showControlBits();
    }
    if ((changed & CR4_FLUSH_ALL) != 0 || clearsPcide || switchesKeys) {
      cpu.mmu.flushAll();
    } else if ((changed & value & ControlRegister.CR4_SMEP) != 0) {
      cpu.mmu.flushPcid((value & ControlRegister.CR4_PCIDE) != 0 ? (int) (cpu.cr3 & ControlRegister.CR3_PCID) : 0);
    } else if (changed != 0) {
      cpu.mmu.softFlush();
    }
    return Status.OK;
  }

  /** PAE paging with this CR4 and the other registers as they are. */
  private boolean paePaging(long cr4) {
    return (cpu.cr0 & ControlRegister.CR0_PG) != 0 && (cr4 & ControlRegister.CR4_PAE) != 0 && !cpu.longMode();
  }

  /** A reserved bit in a present PDPTE is #GP(0); under EPT the load can exit. */
  private int loadPdptes(long cr3) {
    if (!cpu.mmu.pagingFollowsGuest) {
      return Status.OK;
    }
    int status = cpu.mmu.loadPdptes(cr3);
    return status == Status.FAULT ? cpu.fault(Vector.GP) : status == Status.EXIT ? translationExit() : status;
  }

  private int translationExit() {
    if (VirtualizationException.isDue(cpu)) {
      return VirtualizationException.raise(cpu);
    }
    cpu.vmExit(cpu.mmu.walk.exitReason, cpu.mmu.walk.exitQualification, 0);
    cpu.exit.guestPhysical = cpu.mmu.walk.exitGpa;
    return Status.EXIT;
  }

  /** 0F 06: CLTS. */
  int clearTaskSwitched(Instruction insn) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    boolean hostOwned = (hostMask(cpu.intercepts.cr0GuestHostMask) & ControlRegister.CR0_TS) != 0;
    if (hostOwned && (cpu.intercepts.cr0ReadShadow & ControlRegister.CR0_TS) != 0) {
      return cpu.vmExit(ExitReason.CR_ACCESS, ExitQualification.crAccess(0, ExitQualification.CR_CLTS, 0), insn.length);
    }
    if (!hostOwned) {
      cpu.cr0 &= ~ControlRegister.CR0_TS;
    }
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 0F 01 /6: LMSW. */
  int loadMachineStatus(Instruction insn) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    int status = operands.loadRm(insn, 2);
    if (status < 0) {
      return status;
    }
    long source = cpu.value;
    long mask = hostMask(cpu.intercepts.cr0GuestHostMask);
    long differs = (source ^ cpu.intercepts.cr0ReadShadow) & mask & MSW;
    boolean clearsPe = (source & ControlRegister.CR0_PE) == 0;
    if (clearsPe) {
      differs &= ~ControlRegister.CR0_PE;
    }
    if (differs != 0) {
      cpu.vmExit(ExitReason.CR_ACCESS, ExitQualification.lmsw((int) source, insn.isMemory()), insn.length);
      cpu.exit.guestLinear = insn.isMemory() ? cpu.linear : 0;
      return Status.EXIT;
    }
    long taken = clearsPe ? MSW & ~ControlRegister.CR0_PE : MSW;
    long value = cpu.cr0 & ~taken | source & taken;
    status = writeCr0(withHostBits(value, cpu.cr0, cpu.intercepts.cr0GuestHostMask));
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** 0F 01 /4: SMSW; to memory always 16 bits. */
  int storeMachineStatus(Instruction insn) {
    int status = operands.storeRm(insn, insn.isMemory() ? 2 : insn.operandSize, visibleCr0());
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /**
   * 0F 21 and 0F 23: MOV to and from debug registers. The exit comes before the checks of CPL and CR4.DE, as the SDM
   * has it for this one.
   */
  int moveDebug(Instruction insn, boolean from) {
    int number = insn.reg;
    if (number > 7) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.intercepts.enabled && cpu.intercepts.movDr) {
      return cpu.vmExit(ExitReason.DR_ACCESS, ExitQualification.drAccess(number, from, insn.rm), insn.length);
    }
    if (number == 4 || number == 5) {
      if ((cpu.cr4 & ControlRegister.CR4_DE) != 0) {
        return cpu.fault(Vector.UD);
      }
      number += 2;
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if ((cpu.dr[7] & Debug.DR7_GD) != 0) {
      return Debug.generalDetect(cpu);
    }
    int size = insn.mode64 ? 8 : 4;
    if (from) {
      operands.setRegister(insn.rm, size, readDebug(number));
      return ComplexInstructions.complete(cpu, insn);
    }
    long value = Operands.zeroExtend(cpu.regs[insn.rm], size);
    if (number >= 6 && (value & UPPER_HALF) != 0) {
      return cpu.fault(Vector.GP);
    }
    writeDebug(number, value);
    return ComplexInstructions.complete(cpu, insn);
  }

  private long readDebug(int number) {
    return switch (number) {
      case 6 -> cpu.dr[6] & Debug.DR6_WRITABLE | Debug.DR6_FIXED & 0xFFFF_FFFFL;
      case 7 -> cpu.dr[7] & Debug.DR7_WRITABLE | Debug.DR7_FIXED;
      default -> cpu.dr[number];
    };
  }

  private void writeDebug(int number, long value) {
    cpu.dr[number] = switch (number) {
      case 6 -> value & Debug.DR6_WRITABLE | Debug.DR6_FIXED & 0xFFFF_FFFFL;
      case 7 -> value & Debug.DR7_WRITABLE | Debug.DR7_FIXED;
      default -> value;
    };
    if (number != 6) {
      debug.refresh();
    }
  }
}
