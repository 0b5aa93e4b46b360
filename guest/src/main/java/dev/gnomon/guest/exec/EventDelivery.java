package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Delivers interrupts and exceptions through the guest's IDT, and decides what an exception becomes: an exit, an event,
 * a double or a triple fault (SDM vol. 3A, "Interrupt and Exception Handling"; vol. 3C, "Information for VM Exits That
 * Occur During Event Delivery").
 *
 * <p>The event lives in the processor's {@code event*} fields until its delivery is complete. A fault inside the
 * delivery leaves it there, so that {@link #raise} can merge the two; an exit inside it moves the event to the
 * IDT-vectoring information of the exit and clears it: whoever handles the exit queues it again.
 */
public final class EventDelivery {
  /** IDT bit of an error code. */
  private static final int ERROR_IDT = 2;
  private static final int ERROR_EXT = 1;
  /** Segments that virtual-8086 mode leaves to the handler, in pushing order. */
  private static final int[] V86_SEGMENTS = {Segments.GS, Segments.FS, Segments.DS, Segments.ES};
  private static final int BENIGN = 0;
  private static final int CONTRIBUTORY = 1;
  private static final int PAGE_FAULT = 2;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final SegmentLoader segments;
  private final StackWriter stack;
  private final TaskSwitch tasks;
  private final InnerStack inner;
  private final Descriptor gate = new Descriptor();
  private final Descriptor code = new Descriptor();

  public EventDelivery(Cpu cpu, LinearMemory linear) {
    this.cpu = cpu;
    this.linear = linear;
    this.segments = new SegmentLoader(cpu, linear);
    this.stack = new StackWriter(cpu, linear);
    this.inner = new InnerStack(cpu, linear, segments);
    this.tasks = new TaskSwitch(cpu, linear, segments);
  }

  TaskSwitch tasks() {
    return tasks;
  }

  /** Makes an event pending. @param length bytes of the instruction behind a software interrupt or exception */
  public void queue(int vector, int type, boolean hasErrorCode, int errorCode, int length) {
    cpu.eventPending = true;
    cpu.eventVector = vector;
    cpu.eventType = type;
    cpu.eventHasErrorCode = hasErrorCode;
    cpu.eventErrorCode = errorCode;
    cpu.eventLength = length;
  }

  /**
   * Delivers the pending event and whatever exceptions that raises.
   *
   * @return OK when a handler is about to run, EXIT with the exit record filled
   */
  public int dispatch() {
    int status = deliver();
    while (status == Status.FAULT) {
      status = raise();
      if (status == Status.OK) {
        status = deliver();
      }
    }
    return status;
  }

  /** Takes the exception in the fault fields and delivers what it becomes. @return OK or EXIT */
  public int raiseAndDispatch() {
    int status = raise();
    return status == Status.OK ? dispatch() : status;
  }

  /**
   * Delivers the pending event. A software interrupt or exception that is delivered here, that is injected, retires its
   * instruction.
   *
   * @return OK; FAULT with the fault fields set and the event still pending, for {@link #raise}; EXIT
   */
  public int deliver() {
    boolean software = softwareType();
    int status = deliverPending();
    if (status == Status.OK && software) {
      cpu.retired++;
    }
    return status;
  }

  /** INT n, INT3, INTO and INT1: delivers at once, as part of the instruction. */
  int software(int vector, int type, int length) {
    if (type != Vector.TYPE_SOFTWARE_INTERRUPT && intercepted(vector)) {
      cpu.vmExit(ExitReason.EXCEPTION_NMI, 0, length);
      cpu.exit.interruptionInfo = ExitQualification.info(vector, type, false);
      return Status.EXIT;
    }
    queue(vector, type, false, 0, length);
    return deliverPending();
  }

  /**
   * Turns the exception in the fault fields into a pending event, merged with the one whose delivery raised it, if any.
   *
   * @return OK with an event pending; EXIT if it is intercepted or a triple fault
   */
  public int raise() {
    int vector = cpu.faultVector;
    // A real-mode guest's page faults come from the hypervisor's tables (shadow paging) and leave with their error
    // code.
    boolean hasErrorCode = Vector.hasErrorCode(vector) && (cpu.protectedMode() || vector == Vector.PF);
    int errorCode = hasErrorCode ? cpu.faultErrorCode : 0;
    boolean unblockNmi = cpu.faultUnblocksNmi;
    cpu.faultUnblocksNmi = false;
    if (unblockNmi) {
      cpu.blockedByNmi = false;
    }
    if (intercepted(vector)) {
      int status = exceptionExit(vector, hasErrorCode, errorCode);
      cpu.exit.interruptionInfo |= unblockNmi ? ExitQualification.INFO_NMI_UNBLOCKING : 0;
      return status;
    }
    if (vector == Vector.PF) {
      cpu.cr2 = cpu.faultAddress;
    } else if (vector == Vector.DB) {
      Debug.enterHandler(cpu);
    }
    boolean nested = cpu.eventPending && cpu.eventType == Vector.TYPE_HARDWARE_EXCEPTION;
    int second = severity(vector);
    if (nested && cpu.eventVector == Vector.DF && second != BENIGN) {
      cpu.eventPending = false;
      return cpu.vmExit(ExitReason.TRIPLE_FAULT, 0, 0);
    }
    if (nested && mergesToDoubleFault(severity(cpu.eventVector), second)) {
      vector = Vector.DF;
      hasErrorCode = cpu.protectedMode();
      errorCode = 0;
      if (intercepted(vector)) {
        // Not an exit during delivery: the SDM counts the double fault as the event itself.
        cpu.eventPending = false;
        return exceptionExit(vector, hasErrorCode, errorCode);
      }
    }
    queue(vector, Vector.TYPE_HARDWARE_EXCEPTION, hasErrorCode, errorCode, 0);
    return Status.OK;
  }

  private boolean intercepted(int vector) {
    return cpu.intercepts.enabled && (cpu.intercepts.exceptionBitmap >>> vector & 1) != 0;
  }

  /** Class of an exception in the double-fault table. */
  private static int severity(int vector) {
    return switch (vector) {
      case Vector.DE, Vector.TS, Vector.NP, Vector.SS, Vector.GP -> CONTRIBUTORY;
      case Vector.PF, Vector.VE -> PAGE_FAULT;
      default -> BENIGN;
    };
  }

  /** SDM vol. 3A, "Conditions for Generating a Double Fault". */
  private static boolean mergesToDoubleFault(int first, int second) {
    return first == CONTRIBUTORY && second == CONTRIBUTORY || first == PAGE_FAULT && second != BENIGN;
  }

  private int exceptionExit(int vector, boolean hasErrorCode, int errorCode) {
    long qualification = vector == Vector.PF ? Addresses.bits(cpu.faultAddress)
        : vector == Vector.DB ? cpu.pendingDebug : 0;
    cpu.vmExit(ExitReason.EXCEPTION_NMI, qualification, 0);
    cpu.exit.interruptionInfo = ExitQualification.info(vector, Vector.TYPE_HARDWARE_EXCEPTION, hasErrorCode);
    cpu.exit.interruptionErrorCode = errorCode;
    cpu.exit.guestLinear = vector == Vector.PF ? cpu.faultAddress : 0;
    cpu.pendingDebug = 0;
    moveEventToExit();
    return Status.EXIT;
  }

  /** Gives the pending event to the exit record as IDT-vectoring information. */
  private void moveEventToExit() {
    if (!cpu.eventPending) {
      return;
    }
    cpu.exit.idtVectoringInfo = ExitQualification.info(cpu.eventVector, cpu.eventType, cpu.eventHasErrorCode);
    cpu.exit.idtVectoringErrorCode = cpu.eventHasErrorCode ? cpu.eventErrorCode : 0;
    if (softwareType()) {
      cpu.exit.instructionLength = cpu.eventLength;
    }
    cpu.eventPending = false;
  }

  private boolean softwareType() {
    return cpu.eventType >= Vector.TYPE_SOFTWARE_INTERRUPT;
  }

  private int deliverPending() {
    boolean alone = linear.alone;
    linear.alone = true;
    long interrupted = cpu.rip;
    int status = !cpu.protectedMode() ? deliverReal() : cpu.longMode() ? deliverLong() : deliverProtected();
    linear.alone = alone;
    if (status == Status.OK) {
      cpu.eventPending = false;
      // INT n and its kin behind MOV SS: what the shadow held back traps before the handler's first instruction; that
      // of INT1 is told itself.
      cpu.pendingDebug &= softwareType() ? Debug.DR6_HITS : 0;
      if (cpu.pendingDebug != 0 && cpu.eventType == Vector.TYPE_PRIVILEGED_SOFTWARE_EXCEPTION) {
        Debug.enterHandler(cpu);
      }
      cpu.rfLoaded = false;
      cpu.blockedBySti = false;
      cpu.blockedByMovSs = false;
      cpu.halted = false;
      if (cpu.eventType == Vector.TYPE_NMI) {
        cpu.blockedByNmi = true;
      }
      if (cpu.observer != null) {
        cpu.observer.delivered(cpu.eventVector, cpu.eventType, cpu.eventErrorCode, interrupted, cpu.retired);
      }
    } else if (status == Status.EXIT) {
      moveEventToExit();
    }
    return status;
  }

  /** INT n, INT3 and INTO, whose gates are checked against CPL and whose errors have EXT = 0. */
  private boolean byInstruction() {
    return cpu.eventType == Vector.TYPE_SOFTWARE_INTERRUPT || cpu.eventType == Vector.TYPE_SOFTWARE_EXCEPTION;
  }

  private int ext() {
    return byInstruction() ? 0 : ERROR_EXT;
  }

  private long returnRip() {
    long rip = softwareType() ? cpu.rip + cpu.eventLength : cpu.rip;
    return cpu.code64() ? rip : rip & 0xFFFF_FFFFL;
  }

  /**
   * RFLAGS as pushed: RF is set for faults and in the middle of a repeated instruction, so that what restarts meets no
   * instruction breakpoint; a software interrupt has cleared it (SDM vol. 3B, "Instruction-Breakpoint Exception
   * Condition").
   */
  private long pushedFlags() {
    if (softwareType()) {
      return cpu.rflags() & ~(long) Rflags.RF;
    }
    boolean fault = cpu.eventType == Vector.TYPE_HARDWARE_EXCEPTION && cpu.eventVector != Vector.DB;
    return fault || cpu.repeating ? cpu.rflags() | Rflags.RF : cpu.rflags();
  }

  /** Real-address mode: a far pointer of four bytes. */
  private int deliverReal() {
    int entry = cpu.eventVector * 4;
    if (entry + 3 > cpu.idtrLimit) {
      return cpu.fault(Vector.GP);
    }
    int status = linear.read(segments.wrap(cpu.idtrBase + entry), 4, Access.IMPLICIT);
    if (status < 0) {
      return status;
    }
    int offset = (int) cpu.value & 0xFFFF;
    int selector = (int) (cpu.value >>> 16) & 0xFFFF;
    stack.current();
    stack.push(2, cpu.rflags());
    stack.push(2, cpu.selector[Segments.CS]);
    stack.push(2, returnRip());
    status = stack.probe(0);
    if (status < 0) {
      return status;
    }
    if (offset > cpu.limit[Segments.CS]) {
      return cpu.fault(Vector.GP);
    }
    status = stack.write();
    if (status < 0) {
      return status;
    }
    cpu.regs[Cpu.RSP] = stack.pointer();
    cpu.repeating = false;
    cpu.setSystemFlags(cpu.systemFlags & ~(Rflags.IF | Rflags.TF | Rflags.RF | Rflags.AC));
    segments.commitParagraph(Segments.CS, selector);
    cpu.rip = offset;
    cpu.updateMode();
    return Status.OK;
  }

  /** Reads and checks the gate. @param shift log2 of an entry's bytes */
  private int fetchGate(int shift) {
    int entry = cpu.eventVector << shift;
    int error = cpu.eventVector << 3 | ERROR_IDT | ext();
    long gva = segments.wrap(cpu.idtrBase + entry);
    if (entry + (1 << shift) - 1 > cpu.idtrLimit || !cpu.canonical(gva) || !cpu.canonical(gva + 15)) {
      return cpu.fault(Vector.GP, error);
    }
    int status = linear.read(gva, 8, Access.IMPLICIT);
    if (status < 0) {
      return status;
    }
    gate.decode(cpu.value);
    boolean valid = gate.system() && switch (gate.type()) {
      case Descriptor.INTERRUPT_GATE, Descriptor.TRAP_GATE -> true;
      case Descriptor.INTERRUPT_GATE16, Descriptor.TRAP_GATE16, Descriptor.TASK_GATE -> !cpu.longMode();
      default -> false;
    };
    if (!valid || byInstruction() && gate.dpl() < cpu.cpl) {
      return cpu.fault(Vector.GP, error);
    }
    if (!gate.present()) {
      return cpu.fault(Vector.NP, error);
    }
    if (cpu.longMode()) {
      status = linear.read(gva + 8, 8, Access.IMPLICIT);
      gate.high = cpu.value;
    }
    return status;
  }

  /** Reads and checks the handler's code segment. */
  private int fetchCode() {
    int selector = gate.gateSelector();
    int ext = ext();
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.GP, ext);
    }
    int status = segments.fetch(selector, code, Vector.GP, ext);
    if (status < 0) {
      return status;
    }
    boolean wrongSize = cpu.longMode() && !code.code64();
    boolean wrongRing = cpu.v86() && (code.conforming() || code.dpl() != 0);
    if (!code.code() || code.dpl() > cpu.cpl || wrongSize || wrongRing) {
      return cpu.fault(Vector.GP, SegmentLoader.errorCode(selector) | ext);
    }
    return code.present() ? Status.OK : cpu.fault(Vector.NP, SegmentLoader.errorCode(selector) | ext);
  }

  /** Level of the handler. */
  private int handlerLevel() {
    return code.conforming() ? cpu.cpl : code.dpl();
  }

  private int deliverProtected() {
    int status = fetchGate(3);
    if (status < 0) {
      return status;
    }
    if (gate.type() == Descriptor.TASK_GATE) {
      return tasks.byInterrupt(gate.gateSelector(), ext(), returnRip(), pushedFlags(), cpu.eventHasErrorCode,
          cpu.eventErrorCode);
    }
    status = fetchCode();
    if (status < 0) {
      return status;
    }
    int level = handlerLevel();
    int size = (gate.type() & 8) != 0 ? 4 : 2;
    boolean toInner = level < cpu.cpl;
    boolean fromV86 = cpu.v86();
    int stackError = ext();
    if (toInner) {
      status = inner.select(level, ext());
      if (status < 0) {
        return status;
      }
      stackError |= SegmentLoader.errorCode(inner.ss.selector);
      stack.inner(inner.ss, inner.pointer, level);
      if (fromV86) {
        for (int segment : V86_SEGMENTS) {
          stack.push(size, cpu.selector[segment]);
        }
      }
      stack.push(size, cpu.selector[Segments.SS]);
      stack.push(size, cpu.regs[Cpu.RSP]);
    } else {
      stack.current();
    }
    status = finishFrame(size, stackError, gate.gateOffset() > code.limit(), toInner);
    if (status < 0) {
      return status;
    }
    enterHandler();
    if (fromV86) {
      for (int segment : V86_SEGMENTS) {
        segments.commitNull(segment, 0);
      }
    }
    cpu.cpl = level;
    if (toInner) {
      segments.commit(Segments.SS, inner.ss);
    }
    segments.commitCode(code, level);
    cpu.regs[Cpu.RSP] = stack.pointer();
    cpu.rip = gate.gateOffset();
    cpu.updateMode();
    return Status.OK;
  }

  private int deliverLong() {
    int status = fetchGate(4);
    if (status < 0) {
      return status;
    }
    status = fetchCode();
    if (status < 0) {
      return status;
    }
    int level = handlerLevel();
    boolean toInner = level < cpu.cpl;
    long pointer = cpu.regs[Cpu.RSP];
    if (gate.ist() != 0 || toInner) {
      status = gate.ist() != 0 ? inner.selectIst(gate.ist(), ext()) : inner.selectLong(level, ext());
      if (status < 0) {
        return status;
      }
      pointer = inner.pointer;
    }
    stack.flat(pointer & ~0xFL, level == 3 ? Access.USER : toInner ? Access.IMPLICIT : cpu.mmu.dataAccess);
    stack.push(8, cpu.selector[Segments.SS]);
    stack.push(8, cpu.regs[Cpu.RSP]);
    status = finishFrame(8, ext(), !cpu.canonical(gate.gateOffset()), false);
    if (status < 0) {
      return status;
    }
    enterHandler();
    cpu.cpl = level;
    if (toInner) {
      segments.commitNull(Segments.SS, level);
    }
    segments.commitCode(code, level);
    cpu.regs[Cpu.RSP] = stack.pointer();
    cpu.rip = gate.gateOffset();
    cpu.updateMode();
    return Status.OK;
  }

  /** Pushes flags, return address and error code; the last steps that can fault. */
  private int finishFrame(int size, int stackError, boolean badTarget, boolean newSegment) {
    stack.push(size, pushedFlags());
    stack.push(size, cpu.selector[Segments.CS]);
    stack.push(size, returnRip());
    if (cpu.eventHasErrorCode) {
      stack.push(size, cpu.eventErrorCode & 0xFFFF_FFFFL);
    }
    int status = stack.probe(stackError);
    if (status < 0) {
      return status;
    }
    if (badTarget) {
      return cpu.fault(Vector.GP, ext());
    }
    status = segments.probeAccessed(code);
    if (status == Status.OK && newSegment) {
      status = segments.setAccessed(inner.ss);
    }
    if (status == Status.OK) {
      status = segments.setAccessed(code);
    }
    return status < 0 ? status : stack.write();
  }

  private void enterHandler() {
    int cleared = Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM;
    if ((gate.type() & 1) == 0) {
      cleared |= Rflags.IF;
    }
    cpu.repeating = false;
    cpu.setSystemFlags(cpu.systemFlags & ~cleared);
  }
}
