package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Intercepts;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.cpu.VmFunctions;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.Status;

/**
 * The processor's own control: flags and interrupts, halting, time, CPUID, TLB and cache invalidation. Each instruction
 * checks in the order of SDM vol. 3C, "Relative Priority of Faults and VM Exits": #UD and privilege, then the exit,
 * then all other faults.
 */
final class SystemInstructions {
  private static final int POPF_FLAGS =
      Rflags.STATUS | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID;
  private static final long PUSHF_MASK = ~(long) (Rflags.VM | Rflags.RF);

  private static final long GOLDEN_GAMMA = 0x9E37_79B9_7F4A_7C15L;

  private final Cpu cpu;
  private final Intercepts intercepts;
  private final Operands operands;
  private final ModelRegisters registers;
  private final VirtualInterrupts virtual;

  SystemInstructions(Cpu cpu, Operands operands, ModelRegisters registers, VirtualInterrupts virtual) {
    this.virtual = virtual;
    this.cpu = cpu;
    this.intercepts = cpu.intercepts;
    this.operands = operands;
    this.registers = registers;
  }

  private int done(Instruction insn) {
    return ComplexInstructions.complete(cpu, insn);
  }

  private int exit(Instruction insn, int reason) {
    return cpu.vmExit(reason, 0, insn.length);
  }

  /** CLI, STI, PUSHF and POPF in virtual-8086 mode, CLI and STI elsewhere: IOPL decides. */
  private boolean interruptFlagAllowed() {
    return cpu.v86() ? cpu.iopl() == 3 : cpu.cpl <= cpu.iopl();
  }

  int clearInterrupts(Instruction insn) {
    if (!interruptFlagAllowed()) {
      return virtual.ownsFlag() ? virtual.clear(insn) : cpu.fault(Vector.GP);
    }
    cpu.setSystemFlags(cpu.systemFlags & ~Rflags.IF);
    return done(insn);
  }

  /** STI: interrupts stay blocked for one more instruction if they were off. */
  int setInterrupts(Instruction insn) {
    if (!interruptFlagAllowed()) {
      return virtual.ownsFlag() ? virtual.set(insn) : cpu.fault(Vector.GP);
    }
    if ((cpu.systemFlags & Rflags.IF) == 0) {
      cpu.blockedBySti = true;
    }
    cpu.setSystemFlags(cpu.systemFlags | Rflags.IF);
    return done(insn);
  }

  int pushFlags(Instruction insn) {
    int size = ComplexInstructions.stackSize(insn);
    boolean own = cpu.v86() && cpu.iopl() < 3;
    if (own && !virtual.ownsImage(size)) {
      return cpu.fault(Vector.GP);
    }
    long mask = cpu.stackMask();
    long pointer = cpu.regs[Cpu.RSP] - size & mask;
    int status = operands.store(Segments.SS, pointer, size, own ? virtual.image() : cpu.rflags() & PUSHF_MASK);
    if (status < 0) {
      return status;
    }
    operands.setStackPointer(pointer);
    return done(insn);
  }

  int popFlags(Instruction insn) {
    int size = ComplexInstructions.stackSize(insn);
    boolean own = cpu.v86() && cpu.iopl() < 3;
    if (own && !virtual.ownsImage(size)) {
      return cpu.fault(Vector.GP);
    }
    int status = operands.load(Segments.SS, cpu.regs[Cpu.RSP] & cpu.stackMask(), size);
    if (status < 0) {
      return status;
    }
    if (own) {
      if (!virtual.takes(cpu.value)) {
        return cpu.fault(Vector.GP);
      }
      operands.setStackPointer(cpu.regs[Cpu.RSP] + size);
      virtual.take(cpu.value);
      return done(insn);
    }
    int taken = POPF_FLAGS;
    if (cpu.cpl <= cpu.iopl()) {
      taken |= Rflags.IF;
    }
    if (cpu.cpl == 0) {
      taken |= Rflags.IOPL;
    }
    if (size == 2) {
      taken &= 0xFFFF;
    }
    operands.setStackPointer(cpu.regs[Cpu.RSP] + size);
    cpu.setRflags(cpu.rflags() & ~(long) (taken | Rflags.RF) | cpu.value & taken);
    return done(insn);
  }

  int halt(Instruction insn) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if (intercepts.enabled && intercepts.hlt) {
      return exit(insn, ExitReason.HLT);
    }
    cpu.halted = true;
    return done(insn);
  }

  /** F3 90. */
  int pause(Instruction insn) {
    if (intercepts.enabled && intercepts.pause) {
      return exit(insn, ExitReason.PAUSE_INSTRUCTION);
    }
    cpu.paused = true;
    cpu.stopRequested = true;
    return done(insn);
  }

  int cpuid(Instruction insn) {
    if (intercepts.enabled) {
      return exit(insn, ExitReason.CPUID);
    }
    int[] leaf = cpu.cpuid.query((int) cpu.regs[Cpu.RAX], (int) cpu.regs[Cpu.RCX]);
    cpu.regs[Cpu.RAX] = leaf[0] & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RBX] = leaf[1] & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RCX] = leaf[2] & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = leaf[3] & 0xFFFF_FFFFL;
    return done(insn);
  }

  private boolean timeForbidden() {
    return (cpu.cr4 & ControlRegister.CR4_TSD) != 0 && cpu.cpl != 0;
  }

  int readTimeStamp(Instruction insn, boolean withProcessor) {
    if (withProcessor && !cpu.cpuid.offers(Feature.RDTSCP)) {
      return cpu.fault(Vector.UD);
    }
    if (timeForbidden()) {
      return cpu.fault(Vector.GP);
    }
    if (intercepts.enabled && intercepts.rdtsc) {
      return exit(insn, withProcessor ? ExitReason.RDTSCP : ExitReason.RDTSC);
    }
    long tsc = cpu.tsc();
    cpu.regs[Cpu.RAX] = tsc & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = tsc >>> 32;
    if (withProcessor) {
      cpu.regs[Cpu.RCX] = cpu.tscAux & 0xFFFF_FFFFL;
    }
    return done(insn);
  }

  /**
   * Group 9 with a register: RDRAND, RDSEED and RDPID. Random numbers come from the machine's seed, as SplitMix64 has
   * them (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators"), and never run out.
   */
  int group9(Instruction insn) {
    boolean seed = insn.group() == 7;
    if (seed && !insn.isMemory() && insn.rep == 0xF3 && cpu.cpuid.offers(Feature.RDPID)) {
      operands.setRegister(insn.rm, insn.mode64 ? 8 : 4, cpu.tscAux);
      return done(insn);
    }
    boolean offered = cpu.cpuid.offers(seed ? Feature.RDSEED : Feature.RDRAND);
    if (!offered || insn.isMemory() || insn.rep != 0 || insn.group() < 6) {
      return cpu.fault(Vector.UD);
    }
    cpu.randomState += GOLDEN_GAMMA;
    long z = cpu.randomState;
    z = (z ^ z >>> 30) * 0xBF58_476D_1CE4_E5B9L;
    z = (z ^ z >>> 27) * 0x94D0_49BB_1331_11EBL;
    operands.setRegister(insn.rm, insn.operandSize, z ^ z >>> 31);
    cpu.setStatusFlags(Rflags.CF);
    return done(insn);
  }

  /** F3 0F AE /0 to /3 with a register: RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. */
  int segmentBase(Instruction insn) {
    if (!insn.mode64 || insn.group() > 3 || (cpu.cr4 & ControlRegister.CR4_FSGSBASE) == 0) {
      return cpu.fault(Vector.UD);
    }
    int segment = (insn.group() & 1) == 0 ? Segments.FS : Segments.GS;
    int size = (insn.rex & 8) != 0 ? 8 : 4;
    if (insn.group() < 2) {
      operands.setRegister(insn.rm, size, cpu.base[segment]);
      return done(insn);
    }
    long base = Operands.zeroExtend(cpu.regs[insn.rm], size);
    if (!cpu.canonicalBase(base)) {
      return cpu.fault(Vector.GP);
    }
    cpu.base[segment] = base;
    return done(insn);
  }

  /** RDPMC: there are no counters, so that every index is #GP(0). */
  int readCounter(Instruction insn) {
    boolean forbidden = cpu.cpl != 0 && (cpu.cr4 & ControlRegister.CR4_PCE) == 0;
    return !forbidden && intercepts.enabled && intercepts.rdpmc ? exit(insn, ExitReason.RDPMC) : cpu.fault(Vector.GP);
  }

  int readMsr(Instruction insn) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    int msr = (int) cpu.regs[Cpu.RCX];
    if (msrExits(msr)) {
      return exit(insn, ExitReason.MSR_READ);
    }
    int status = registers.read(msr);
    if (status < 0) {
      return status;
    }
    cpu.regs[Cpu.RAX] = cpu.value & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = cpu.value >>> 32;
    return done(insn);
  }

  int writeMsr(Instruction insn) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    int msr = (int) cpu.regs[Cpu.RCX];
    if (msrExits(msr)) {
      return exit(insn, ExitReason.MSR_WRITE);
    }
    int status = registers.write(msr, cpu.regs[Cpu.RDX] << 32 | cpu.regs[Cpu.RAX] & 0xFFFF_FFFFL);
    return status < 0 ? status : done(insn);
  }

  private boolean msrExits(int msr) {
    return intercepts.enabled && intercepts.msr && !intercepts.msrPassThrough(msr);
  }

  /** INVD and WBINVD: memory is coherent, so that there is nothing to do. */
  int invalidateCaches(Instruction insn, boolean writeBack) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if (intercepts.enabled && (!writeBack || intercepts.wbinvd)) {
      return exit(insn, writeBack ? ExitReason.WBINVD : ExitReason.INVD);
    }
    return done(insn);
  }

  /** Linear address of a memory operand, with no checks of segment or form. */
  private long linearAddress(Instruction insn) {
    long address = operands.effectiveAddress(insn);
    if (insn.mode64) {
      return insn.segment == Segments.FS || insn.segment == Segments.GS ? address + cpu.base[insn.segment] : address;
    }
    return address + cpu.base[insn.segment] & 0xFFFF_FFFFL;
  }

  /** 66 0F 38 82. On an exit {@code guestLinear} is the operand's address, besides what the SDM defines. */
  int invalidatePcid(Instruction insn) {
    if (!insn.operandPrefix || !insn.isMemory() || !cpu.cpuid.offers(Feature.INVPCID)) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if (intercepts.enabled && intercepts.invpcid) {
      cpu.vmExit(ExitReason.INVPCID, insn.displacement, insn.length);
      cpu.exit.guestLinear = linearAddress(insn);
      cpu.exit.instructionInfo =
          ExitQualification.operandInfo(insn.reg, insn.addressSize, insn.segment, insn.base, insn.index, insn.scale);
      return Status.EXIT;
    }
    long address = operands.effectiveAddress(insn);
    int status = operands.linearize(insn.segment, address, 16, false);
    if (status == Status.OK) {
      status = operands.load(insn.segment, address, 8);
    }
    if (status < 0) {
      return status;
    }
    long pcid = cpu.value;
    status = operands.load(insn.segment, Operands.zeroExtend(address + 8, insn.addressSize), 8);
    if (status < 0) {
      return status;
    }
    long gva = cpu.value;
    long type = Operands.zeroExtend(cpu.regs[insn.reg], insn.mode64 ? 8 : 4);
    boolean named = type == Mmu.INDIVIDUAL_ADDRESS || type == Mmu.SINGLE_CONTEXT;
    boolean badPcid = (pcid & ~ControlRegister.CR3_PCID) != 0
        || named && pcid != 0 && (cpu.cr4 & ControlRegister.CR4_PCIDE) == 0;
    if (Long.compareUnsigned(type, Mmu.RETAIN_GLOBALS) > 0 || badPcid
        || type == Mmu.INDIVIDUAL_ADDRESS && !cpu.canonicalBase(gva)) {
      return cpu.fault(Vector.GP);
    }
    cpu.mmu.invpcid((int) type, (int) pcid, gva);
    return done(insn);
  }

  /** 0F 01 with a register form. @param modrm the whole byte */
  int group7Register(Instruction insn, int modrm) {
    return switch (modrm) {
      case 0xC1 -> intercepts.enabled ? exit(insn, ExitReason.VMCALL) : cpu.fault(Vector.UD);
      case 0xCA, 0xCB -> accessCheck(insn, modrm == 0xCB);
      case 0xD4 -> vmFunction(insn);
      case 0xEE -> readPkru(insn);
      case 0xEF -> writePkru(insn);
      case 0xF8 -> swapGs(insn);
      case 0xF9 -> readTimeStamp(insn, true);
      default -> cpu.fault(Vector.UD);
    };
  }

  /** VMFUNC, at any privilege level. */
  private int vmFunction(Instruction insn) {
    VmFunctions functions = intercepts.vmFunctions;
    if (functions == null || insn.rep != 0 || insn.operandPrefix) {
      return cpu.fault(Vector.UD);
    }
    if (functions.invoke((int) cpu.regs[Cpu.RAX], (int) cpu.regs[Cpu.RCX])) {
      return done(insn);
    }
    // What the hypervisor emulates does not exit, and its answer to the exit is #UD too.
    return intercepts.enabled ? exit(insn, ExitReason.VMFUNC) : cpu.fault(Vector.UD);
  }

  /** STAC and CLAC. */
  private int accessCheck(Instruction insn, boolean set) {
    if (cpu.cpl != 0 || !cpu.cpuid.offers(Feature.SMAP) || insn.rep != 0 || insn.operandPrefix) {
      return cpu.fault(Vector.UD);
    }
    cpu.setSystemFlags(set ? cpu.systemFlags | Rflags.AC : cpu.systemFlags & ~Rflags.AC);
    return done(insn);
  }

  private boolean noPkru(Instruction insn) {
    return (cpu.cr4 & ControlRegister.CR4_PKE) == 0 || insn.rep != 0 || insn.operandPrefix;
  }

  /** RDPKRU. */
  private int readPkru(Instruction insn) {
    if (noPkru(insn)) {
      return cpu.fault(Vector.UD);
    }
    if ((int) cpu.regs[Cpu.RCX] != 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.regs[Cpu.RAX] = cpu.mmu.paging.pkru & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = 0;
    return done(insn);
  }

  /** WRPKRU. */
  private int writePkru(Instruction insn) {
    if (noPkru(insn)) {
      return cpu.fault(Vector.UD);
    }
    if (((int) cpu.regs[Cpu.RCX] | (int) cpu.regs[Cpu.RDX]) != 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.mmu.setPkru((int) cpu.regs[Cpu.RAX]);
    return done(insn);
  }

  private int swapGs(Instruction insn) {
    if (!insn.mode64) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    long base = cpu.base[Segments.GS];
    cpu.base[Segments.GS] = cpu.kernelGsBase;
    cpu.kernelGsBase = base;
    return done(insn);
  }
}
