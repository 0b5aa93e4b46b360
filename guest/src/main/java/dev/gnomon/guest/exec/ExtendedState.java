package dev.gnomon.guest.exec;

import static dev.gnomon.guest.cpu.ExtendedStateLayout.COMPACTED;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.EXTENDED;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.HEADER;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.HEADER_BYTES;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.PKRU;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.PKRU_BYTES;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.PKRU_OFFSET;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.SSE;
import static dev.gnomon.guest.cpu.ExtendedStateLayout.X87;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.ExtendedStateLayout;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV and XSETBV (SDM vol. 1, "Managing State Using the XSAVE Feature Set").
 *
 * <p>What the manual leaves to the processor: a component is in use exactly if it is not in its initial configuration,
 * whatever was executed; XSAVEOPT skips what is initial, never what was not modified; a misaligned area is #GP(0), not
 * #AC; all of the legacy region and the header must be accessible, whatever is asked for.
 */
final class ExtendedState {
  private static final int WORD = 8;
  private static final int HEADER_WORDS = HEADER_BYTES / WORD;
  private static final int XCOMP_BV = HEADER + WORD;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final LegacyRegion legacy;
  private final long[] header = new long[HEADER_WORDS];
  private @Gva long pkruGva;

  ExtendedState(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.legacy = new LegacyRegion(cpu);
  }

  private boolean enabled() {
    return (cpu.cr4 & ControlRegister.CR4_OSXSAVE) != 0;
  }

  /** Components that are not in their initial configuration. */
  private long inUse(boolean mode64) {
    return (legacy.x87InUse() ? X87 : 0) | (legacy.xmmInUse(mode64) ? SSE : 0) | (cpu.mmu.paging.pkru != 0 ? PKRU : 0);
  }

  /** 0F 01 D0: XGETBV. */
  int getControl(Instruction insn) {
    if (!enabled() || insn.rep != 0 || insn.operandPrefix) {
      return cpu.fault(Vector.UD);
    }
    int number = (int) cpu.regs[Cpu.RCX];
    boolean use = number == 1 && cpu.cpuid.offers(Feature.XGETBV1);
    if (number != 0 && !use) {
      return cpu.fault(Vector.GP);
    }
    long value = use ? cpu.xcr0 & inUse(insn.mode64) : cpu.xcr0;
    cpu.regs[Cpu.RAX] = value & 0xFFFF_FFFFL;
    cpu.regs[Cpu.RDX] = value >>> 32;
    return ComplexInstructions.complete(cpu, insn);
  }

  /** 0F 01 D1: XSETBV. It always exits. */
  int setControl(Instruction insn) {
    if (!enabled() || insn.rep != 0 || insn.operandPrefix) {
      return cpu.fault(Vector.UD);
    }
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if (cpu.intercepts.enabled) {
      return cpu.vmExit(ExitReason.XSETBV, 0, insn.length);
    }
    long value = mask();
    if ((int) cpu.regs[Cpu.RCX] != 0 || (value & ~cpu.cpuid.stateComponents()) != 0 || (value & X87) == 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.setXcr0(value);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** EDX:EAX. */
  private long mask() {
    return cpu.regs[Cpu.RDX] << 32 | cpu.regs[Cpu.RAX] & 0xFFFF_FFFFL;
  }

  /** What all four have in common; then {@code cpu.linear} is the area. */
  private int begin(Instruction insn, boolean write) {
    if (!enabled()) {
      return cpu.fault(Vector.UD);
    }
    if ((cpu.cr0 & ControlRegister.CR0_TS) != 0) {
      return cpu.fault(Vector.NM);
    }
    int status = operands.linearize(insn.segment, operands.effectiveAddress(insn), EXTENDED, write);
    if (status == Status.OK && (cpu.linear & ExtendedStateLayout.ALIGNMENT - 1) != 0) {
      status = cpu.fault(Vector.GP);
    }
    return status < 0 ? status : linear.probe(cpu.linear, EXTENDED, cpu.mmu.dataAccess | (write ? Access.WRITE : 0));
  }

  /** 0F AE /4 and /6: XSAVE and XSAVEOPT, which leaves out what is in its initial configuration. */
  int save(Instruction insn, boolean optimized) {
    int status = begin(insn, true);
    if (status < 0) {
      return status;
    }
    @Gva long gva = cpu.linear;
    long asked = mask() & cpu.xcr0;
    long use = inUse(insn.mode64);
    long saved = optimized ? asked & use : asked;
    status = linear.load(gva + HEADER, WORD);
    long states = cpu.value & ~asked | use & asked;
    if (status == Status.OK && (saved & PKRU) != 0) {
      status = place(insn, PKRU_OFFSET, true);
    }
    if (status == Status.OK) {
      status = saveLegacy(insn, gva, saved, (asked & SSE) != 0);
    }
    if (status == Status.OK && (saved & PKRU) != 0) {
      status = linear.store(pkruGva, WORD, cpu.mmu.paging.pkru & 0xFFFF_FFFFL);
    }
    if (status == Status.OK) {
      status = linear.store(gva + HEADER, WORD, states);
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** 0F C7 /4: XSAVEC. */
  int saveCompacted(Instruction insn) {
    if (!cpu.cpuid.offers(Feature.XSAVEC)) {
      return cpu.fault(Vector.UD);
    }
    int status = begin(insn, true);
    if (status < 0) {
      return status;
    }
    @Gva long gva = cpu.linear;
    long asked = mask() & cpu.xcr0;
    // MXCSR belongs to SSE state here.
    long saved = asked & (inUse(insn.mode64) | (cpu.mxcsr != Mxcsr.INITIAL ? SSE : 0));
    if ((saved & PKRU) != 0) {
      status = place(insn, EXTENDED, true);
    }
    if (status == Status.OK) {
      status = saveLegacy(insn, gva, saved, (saved & SSE) != 0);
    }
    if (status == Status.OK && (saved & PKRU) != 0) {
      status = linear.store(pkruGva, WORD, cpu.mmu.paging.pkru & 0xFFFF_FFFFL);
    }
    if (status == Status.OK) {
      status = linear.store(gva + HEADER, WORD, saved);
    }
    if (status == Status.OK) {
      status = linear.store(gva + XCOMP_BV, WORD, COMPACTED | asked);
    }
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  /** Finds and probes where PKRU has its place in the area. */
  private int place(Instruction insn, int offset, boolean write) {
    long address = Operands.zeroExtend(operands.effectiveAddress(insn) + offset, insn.addressSize);
    int status = operands.linearize(insn.segment, address, PKRU_BYTES, write);
    pkruGva = cpu.linear;
    return status < 0 ? status : linear.probe(pkruGva, PKRU_BYTES, cpu.mmu.dataAccess | (write ? Access.WRITE : 0));
  }

  private int saveLegacy(Instruction insn, @Gva long gva, long components, boolean mxcsr) {
    int status = Status.OK;
    if ((components & X87) != 0) {
      legacy.collectX87((insn.rex & 8) != 0);
      status = storeWords(gva, 0, LegacyRegion.MXCSR);
      if (status == Status.OK) {
        status = storeWords(gva, LegacyRegion.REGISTERS, LegacyRegion.XMM);
      }
    }
    if (status == Status.OK && mxcsr) {
      legacy.collectMxcsr();
      status = storeWords(gva, LegacyRegion.MXCSR, LegacyRegion.REGISTERS);
    }
    if (status == Status.OK && (components & SSE) != 0) {
      legacy.collectXmm(insn.mode64);
      status = storeWords(gva, LegacyRegion.XMM, LegacyRegion.end(insn.mode64));
    }
    return status;
  }

  private int storeWords(@Gva long gva, int from, int to) {
    int status = Status.OK;
    for (int i = from; i < to && status == Status.OK; i++) {
      status = linear.store(gva + (long) WORD * i, WORD, legacy.words[i]);
    }
    return status;
  }

  /** 0F AE /5: XRSTOR, of either form. */
  int restore(Instruction insn) {
    int status = begin(insn, false);
    if (status < 0) {
      return status;
    }
    @Gva long gva = cpu.linear;
    for (int i = 0; i < HEADER_WORDS && status == Status.OK; i++) {
      status = linear.load(gva + HEADER + (long) WORD * i, WORD);
      header[i] = cpu.value;
    }
    if (status < 0) {
      return status;
    }
    boolean compacted = header[1] < 0 && cpu.cpuid.offers(Feature.XSAVEC);
    if (badHeader(compacted)) {
      return cpu.fault(Vector.GP);
    }
    long asked = mask() & cpu.xcr0;
    long loaded = asked & header[0];
    // In the standard form MXCSR is loaded even if SSE state is initialized.
    boolean mxcsr = (compacted ? loaded & SSE : asked & SSE) != 0;
    status = loadLegacy(gva, (loaded & X87) != 0, mxcsr, (loaded & SSE) != 0, insn.mode64);
    long pkru = 0;
    if (status == Status.OK && (loaded & PKRU) != 0) {
      status = place(insn, compacted ? EXTENDED : PKRU_OFFSET, false);
      if (status == Status.OK) {
        status = linear.load(pkruGva, PKRU_BYTES);
        pkru = cpu.value;
      }
    }
    if (status == Status.OK && mxcsr && legacy.badMxcsr()) {
      status = cpu.fault(Vector.GP);
    }
    if (status < 0) {
      return status;
    }
    commit(insn, asked, loaded, mxcsr);
    if ((asked & PKRU) != 0) {
      cpu.mmu.setPkru((int) pkru);
    }
    return ComplexInstructions.complete(cpu, insn);
  }

  private boolean badHeader(boolean compacted) {
    if (!compacted) {
      // Bytes 23:8 must be 0, XCOMP_BV first of them.
      return (header[0] & ~cpu.xcr0) != 0 || (header[1] | header[2]) != 0;
    }
    long rest = 0;
    for (int i = 2; i < HEADER_WORDS; i++) {
      rest |= header[i];
    }
    long places = header[1] & ~COMPACTED;
    return (places & ~cpu.xcr0) != 0 || (header[0] & ~places) != 0 || rest != 0;
  }

  private int loadLegacy(@Gva long gva, boolean x87, boolean mxcsr, boolean xmm, boolean mode64) {
    int status = Status.OK;
    if (x87) {
      status = loadWords(gva, 0, LegacyRegion.MXCSR);
      if (status == Status.OK) {
        status = loadWords(gva, LegacyRegion.REGISTERS, LegacyRegion.XMM);
      }
    }
    if (status == Status.OK && mxcsr) {
      status = loadWords(gva, LegacyRegion.MXCSR, LegacyRegion.REGISTERS);
    }
    return status == Status.OK && xmm ? loadWords(gva, LegacyRegion.XMM, LegacyRegion.end(mode64)) : status;
  }

  private int loadWords(@Gva long gva, int from, int to) {
    int status = Status.OK;
    for (int i = from; i < to && status == Status.OK; i++) {
      status = linear.load(gva + (long) WORD * i, WORD);
      legacy.words[i] = cpu.value;
    }
    return status;
  }

  private void commit(Instruction insn, long asked, long loaded, boolean mxcsr) {
    if ((loaded & X87) != 0) {
      legacy.distributeX87((insn.rex & 8) != 0);
    } else if ((asked & X87) != 0) {
      legacy.initializeX87();
    }
    if ((loaded & SSE) != 0) {
      legacy.distributeXmm(insn.mode64);
    } else if ((asked & SSE) != 0) {
      legacy.initializeXmm(insn.mode64);
    }
    if (mxcsr) {
      legacy.distributeMxcsr();
    } else if ((asked & SSE) != 0) {
      cpu.mxcsr = Mxcsr.INITIAL;
    }
  }
}
