package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/**
 * Far RET and IRET in all modes (SDM vol. 2A, "IRET"; vol. 2B, "RET"). The whole frame is read before anything is
 * committed.
 */
final class ReturnTransfer {
  /** Flags that IRET takes whatever the privilege. */
  private static final int IRET_FLAGS =
      Rflags.STATUS | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.RF | Rflags.AC | Rflags.ID;
  /** Flags that only ring 0 takes from the frame. */
  private static final int RING0_FLAGS = Rflags.IOPL | Rflags.VIF | Rflags.VIP;
  /** Segments that follow SS in the frame of a return to virtual-8086 mode. */
  private static final int[] V86_ORDER = {Segments.ES, Segments.DS, Segments.FS, Segments.GS};

  private final Cpu cpu;
  private final Operands operands;
  private final SegmentLoader segments;
  private final TaskSwitch tasks;
  private final VirtualInterrupts virtual;
  private final Descriptor code = new Descriptor();
  private final Descriptor ss = new Descriptor();
  // The frame as read.
  private long frame;
  private long rip;
  private int codeSelector;
  private int flags;
  private long pointer;
  private int stackSelector;
  private final int[] v86Selectors = new int[V86_ORDER.length];

  ReturnTransfer(Cpu cpu, Operands operands, SegmentLoader segments, TaskSwitch tasks, VirtualInterrupts virtual) {
    this.virtual = virtual;
    this.cpu = cpu;
    this.operands = operands;
    this.segments = segments;
    this.tasks = tasks;
  }

  /** CA and CB. @param release bytes of parameters to release */
  int farReturn(Instruction insn, int release) {
    int size = insn.operandSize;
    int status = readTarget(size);
    if (status < 0) {
      return status;
    }
    if (segments.paragraphs()) {
      if (rip > cpu.limit[Segments.CS]) {
        return cpu.fault(Vector.GP);
      }
      operands.setStackPointer(frame + release);
      segments.commitParagraph(Segments.CS, codeSelector);
      cpu.rip = rip;
      cpu.updateMode();
      return Status.OK;
    }
    status = checkCode();
    if (status < 0) {
      return status;
    }
    boolean outer = (codeSelector & Descriptor.RPL) > cpu.cpl;
    if (outer) {
      frame += release;
      status = readStack(size);
      if (status < 0) {
        return status;
      }
      pointer += release;
    }
    status = prepare(outer);
    if (status < 0) {
      return status;
    }
    if (!outer) {
      operands.setStackPointer(frame + release);
    }
    commit(outer, outer);
    return Status.OK;
  }

  int interruptReturn(Instruction insn) {
    int status = interruptReturnChecked(insn);
    if (status == Status.OK) {
      cpu.blockedByNmi = false;
      cpu.rfLoaded = (cpu.systemFlags & Rflags.RF) != 0;
    } else if (status == Status.FAULT) {
      cpu.faultUnblocksNmi = cpu.blockedByNmi;
    } else if (status == Status.EXIT && cpu.blockedByNmi && tellsOfUnblocking(cpu.exit.reason)) {
      cpu.exit.qualification |= ExitQualification.NMI_UNBLOCKING;
      cpu.blockedByNmi = false;
    }
    return status;
  }

  /** Exits in the middle of IRET whose qualification says that NMIs were unblocked by it; others leave them blocked. */
  private static boolean tellsOfUnblocking(int reason) {
    return reason == ExitReason.EPT_VIOLATION || reason == ExitReason.PML_FULL || reason == ExitReason.SPP;
  }

  private int interruptReturnChecked(Instruction insn) {
    int size = insn.operandSize;
    if (cpu.v86() && cpu.iopl() < 3 && !virtual.ownsImage(size)) {
      return cpu.fault(Vector.GP);
    }
    if (!segments.paragraphs() && (cpu.systemFlags & Rflags.NT) != 0) {
      return cpu.longMode() ? cpu.fault(Vector.GP) : tasks.byReturn(ComplexInstructions.nextRip(cpu, insn),
          insn.length);
    }
    int status = readTarget(size);
    if (status < 0) {
      return status;
    }
    status = pop(size);
    if (status < 0) {
      return status;
    }
    flags = (int) cpu.value;
    if (segments.paragraphs()) {
      return returnParagraph(size);
    }
    if (size == 4 && (flags & Rflags.VM) != 0 && cpu.cpl == 0 && !cpu.longMode()) {
      return returnToV86();
    }
    status = checkCode();
    if (status < 0) {
      return status;
    }
    boolean outer = (codeSelector & Descriptor.RPL) > cpu.cpl;
    boolean popStack = outer || cpu.code64();
    if (popStack) {
      status = readStack(size);
      if (status < 0) {
        return status;
      }
    }
    status = prepare(popStack);
    if (status < 0) {
      return status;
    }
    if (!popStack) {
      operands.setStackPointer(frame);
    }
    int mask = IRET_FLAGS;
    if (cpu.cpl <= cpu.iopl()) {
      mask |= Rflags.IF;
    }
    if (cpu.cpl == 0) {
      mask |= RING0_FLAGS;
    }
    takeFlags(size, mask);
    commit(popStack, outer);
    return Status.OK;
  }

  /** Real-address mode, and virtual-8086 mode with IOPL 3. */
  private int returnParagraph(int size) {
    if (rip > cpu.limit[Segments.CS]) {
      return cpu.fault(Vector.GP);
    }
    boolean own = cpu.v86() && cpu.iopl() < 3;
    if (own && !virtual.takes(flags)) {
      return cpu.fault(Vector.GP);
    }
    operands.setStackPointer(frame);
    if (own) {
      virtual.take(flags);
    } else {
      takeFlags(size, IRET_FLAGS | Rflags.IF | (cpu.v86() ? 0 : Rflags.IOPL));
    }
    segments.commitParagraph(Segments.CS, codeSelector);
    cpu.rip = rip;
    cpu.updateMode();
    return Status.OK;
  }

  private int returnToV86() {
    int status = readStack(4);
    if (status < 0) {
      return status;
    }
    long at = frame;
    for (int i = 0; i < V86_ORDER.length; i++) {
      status = operands.load(Segments.SS, at + 4L * i & cpu.stackMask(), 4);
      if (status < 0) {
        return status;
      }
      v86Selectors[i] = (int) cpu.value & 0xFFFF;
    }
    if (rip > 0xFFFF) {
      return cpu.fault(Vector.GP);
    }
    cpu.setRflags(flags);
    cpu.cpl = 3;
    for (int i = 0; i < V86_ORDER.length; i++) {
      segments.commitParagraph(V86_ORDER[i], v86Selectors[i]);
    }
    segments.commitParagraph(Segments.CS, codeSelector);
    segments.commitParagraph(Segments.SS, stackSelector);
    cpu.regs[Cpu.RSP] = pointer;
    cpu.rip = rip;
    cpu.updateMode();
    return Status.OK;
  }

  private int pop(int size) {
    int status = operands.load(Segments.SS, frame & cpu.stackMask(), size);
    frame += size;
    return status;
  }

  /** Reads RIP and CS from the top of the stack. */
  private int readTarget(int size) {
    frame = cpu.regs[Cpu.RSP];
    int status = pop(size);
    if (status < 0) {
      return status;
    }
    rip = cpu.value;
    status = pop(size);
    codeSelector = (int) cpu.value & 0xFFFF;
    return status;
  }

  /** Reads RSP and SS. */
  private int readStack(int size) {
    int status = pop(size);
    if (status < 0) {
      return status;
    }
    pointer = cpu.value;
    status = pop(size);
    stackSelector = (int) cpu.value & 0xFFFF;
    return status;
  }

  /** Checks the code segment returned to. */
  private int checkCode() {
    if (SegmentLoader.isNull(codeSelector)) {
      return cpu.fault(Vector.GP);
    }
    int status = segments.fetch(codeSelector, code);
    if (status < 0) {
      return status;
    }
    int error = SegmentLoader.errorCode(codeSelector);
    int rpl = codeSelector & Descriptor.RPL;
    boolean forbidden = rpl < cpu.cpl || (code.conforming() ? code.dpl() > rpl : code.dpl() != rpl);
    if (!code.code() || forbidden || cpu.longMode() && code.reservedCode()) {
      return cpu.fault(Vector.GP, error);
    }
    return code.present() ? Status.OK : cpu.fault(Vector.NP, error);
  }

  private boolean to64() {
    return cpu.longMode() && code.code64();
  }

  /**
   * Checks the stack segment returned to, if there is one, the instruction pointer, and that accessed bits can be set;
   * then sets them.
   */
  private int prepare(boolean withStack) {
    int rpl = codeSelector & Descriptor.RPL;
    boolean nullStack = withStack && SegmentLoader.isNull(stackSelector);
    if (nullStack) {
      if (!to64() || rpl == 3 || (stackSelector & Descriptor.RPL) != rpl) {
        return cpu.fault(Vector.GP);
      }
    } else if (withStack) {
      int status = segments.fetchStack(stackSelector, ss, rpl, Vector.GP, 0);
      if (status < 0) {
        return status;
      }
    }
    if (!to64()) {
      // EIP of compatibility mode, whatever a slot of 64 bits holds above it.
      rip &= 0xFFFF_FFFFL;
    }
    if (to64() ? !cpu.canonical(rip) : rip > code.limit()) {
      return cpu.fault(Vector.GP);
    }
    int status = segments.probeAccessed(code);
    if (status == Status.OK && withStack && !nullStack) {
      status = segments.setAccessed(ss);
    }
    return status < 0 ? status : segments.setAccessed(code);
  }

  private void commit(boolean withStack, boolean outer) {
    int level = codeSelector & Descriptor.RPL;
    cpu.cpl = level;
    segments.commitCode(code, level);
    if (withStack) {
      if (SegmentLoader.isNull(stackSelector)) {
        segments.commitNull(Segments.SS, stackSelector);
      } else {
        segments.commit(Segments.SS, ss);
      }
    }
    cpu.rip = rip;
    cpu.updateMode();
    if (withStack) {
      operands.setStackPointer(pointer);
    }
    if (outer) {
      segments.dropInnerSegments(level);
      cpu.updateMode();
    }
  }

  /** Takes flags from the frame; a 16-bit frame has only the lower half. */
  private void takeFlags(int size, int mask) {
    int taken = size == 2 ? mask & 0xFFFF : mask;
    cpu.setRflags(cpu.rflags() & ~taken | flags & taken);
  }
}
