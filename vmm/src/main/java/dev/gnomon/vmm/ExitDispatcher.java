package dev.gnomon.vmm;

import dev.gnomon.ept.EptTables;
import dev.gnomon.ept.EptViolation;
import dev.gnomon.ept.SubPageTable;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.shadow.FaultInfo;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.ExitStatistics.Cause;
import dev.gnomon.vmm.polled.Window;
import java.util.List;

/**
 * Handles what leaves the guest: one arm a reason, each of which counts, routes and says how to go on. An event whose
 * delivery the exit interrupted is pending again before the arm runs, so that it is delivered once and merges with a
 * fault as on the processor.
 */
final class ExitDispatcher {
  /** Enter the guest again. */
  static final int RESUME = Emulator.DONE;
  /** The guest is dead: triple fault. */
  static final int SHUTDOWN = Emulator.SHUTDOWN;
  /** No answer; {@link #problem} says why. */
  static final int FAILED = Emulator.FAILED;
  /** Enter the guest again, and nothing else is to be done before: devices and interrupts are as they were. */
  static final int AGAIN = 3;

  /** KVM_ENOSYS, negated: the answer to an unknown hypercall. */
  private static final long UNKNOWN_HYPERCALL = -1000;

  private final Cpu cpu;
  private final ExitStatistics statistics;
  private final KvmCounters counters;
  private final VmxControls controls;
  private final Emulator emulator;
  private final ControlRegisterExits registers;
  /** One of the two is null. */
  private final EptMemory ept;
  private final ShadowPaging shadow;
  /** What polled devices share. */
  private final Window[] windows;
  /** One line about the last {@link #FAILED}. */
  private String problem = "";

  ExitDispatcher(Cpu cpu, ExitStatistics statistics, KvmCounters counters, VmxControls controls, Emulator emulator,
      EptMemory ept, ShadowPaging shadow, List<Window> windows) {
    this.windows = windows.toArray(Window[]::new);
    this.cpu = cpu;
    this.statistics = statistics;
    this.counters = counters;
    this.controls = controls;
    this.emulator = emulator;
    this.ept = ept;
    this.shadow = shadow;
    this.registers = new ControlRegisterExits(cpu, controls, shadow);
  }

  String problem() {
    return problem;
  }

  /** Handles the exit in {@code cpu.exit}. @return RESUME, SHUTDOWN, FAILED or AGAIN */
  int handle() {
    ExitInfo exit = cpu.exit;
    int reason = exit.reason;
    if (reason != ExitReason.DR_ACCESS) {
      controls.interceptDebugRegisters();
    }
    boolean delivering = exit.idtVectoringInfo != 0;
    if (delivering && reason != ExitReason.TRIPLE_FAULT) {
      requeueEvent(exit);
    }
    int next = route(reason, exit, delivering);
    if (next == FAILED && problem.isEmpty()) {
      problem = "cannot emulate the instruction at rip 0x" + Long.toHexString(cpu.rip) + " after "
          + ExitReason.name(reason);
    }
    return next;
  }

  private void requeueEvent(ExitInfo exit) {
    int info = exit.idtVectoringInfo;
    cpu.eventPending = true;
    cpu.eventVector = info & ExitQualification.INFO_VECTOR;
    cpu.eventType = ExitQualification.infoType(info);
    cpu.eventHasErrorCode = (info & ExitQualification.INFO_ERROR_CODE) != 0;
    cpu.eventErrorCode = exit.idtVectoringErrorCode;
    cpu.eventLength = exit.instructionLength;
    counters.reinjections++;
    if (cpu.observer != null) {
      cpu.observer.injected(cpu.eventVector, cpu.eventType, cpu.eventHasErrorCode, cpu.eventErrorCode, true);
    }
  }

  private int route(int reason, ExitInfo exit, boolean delivering) {
    switch (reason) {
      case ExitReason.EXCEPTION_NMI:
        blockNmisAgain(exit.interruptionInfo & ExitQualification.INFO_NMI_UNBLOCKING, delivering);
        return exception(exit, delivering);
      case ExitReason.EPT_VIOLATION:
        blockNmisAgain(exit.qualification & ExitQualification.NMI_UNBLOCKING, delivering);
        return eptViolation(exit, delivering);
      case ExitReason.EPT_MISCONFIG:
        return eptMisconfiguration(exit, delivering);
      case ExitReason.IO_INSTRUCTION:
        return io(exit);
      case ExitReason.CR_ACCESS:
        return controlRegister(exit);
      case ExitReason.INVLPG:
        statistics.count(reason);
        return invlpg(exit);
      case ExitReason.HLT:
        statistics.count(reason);
        counters.haltExits++;
        return halt(exit);
      case ExitReason.INTERRUPT_WINDOW:
        statistics.count(reason);
        counters.irqWindowExits++;
        cpu.intercepts.interruptWindow = false;
        return RESUME;
      case ExitReason.MSR_READ, ExitReason.MSR_WRITE:
        statistics.count(reason, Cause.MSR, cpu.regs[Cpu.RCX]);
        return emulateRegisters(false);
      case ExitReason.DR_ACCESS:
        statistics.count(reason, (exit.qualification & ExitQualification.DR_FROM) != 0 ? Cause.DR_READ : Cause.DR_WRITE,
            ExitQualification.drNumber(exit.qualification));
        controls.passDebugRegisters();
        return RESUME;
      case ExitReason.WBINVD, ExitReason.INVD:
        // Memory is coherent, so there is nothing to write back or to lose.
        statistics.count(reason);
        return skipOrEmulate(exit);
      case ExitReason.VMCALL:
        statistics.count(reason);
        counters.hypercalls++;
        cpu.regs[Cpu.RAX] = cpu.code64() ? UNKNOWN_HYPERCALL : UNKNOWN_HYPERCALL & 0xFFFF_FFFFL;
        emulator.skip(exit.instructionLength);
        return RESUME;
      case ExitReason.TASK_SWITCH:
        statistics.count(reason);
        return taskSwitch(exit);
      case ExitReason.PML_FULL:
        blockNmisAgain(exit.qualification & ExitQualification.NMI_UNBLOCKING, delivering);
        statistics.count(reason);
        ept.drainModificationLog();
        return AGAIN;
      case ExitReason.SPP:
        blockNmisAgain(exit.qualification & ExitQualification.NMI_UNBLOCKING, delivering);
        return subPageTable(exit);
      case ExitReason.VMFUNC:
        // As Xen does with a function or view that there is not.
        statistics.count(reason);
        return emulator.inject(Vector.UD, 0, 0);
      case ExitReason.INVPCID:
        statistics.count(reason);
        return invpcid(exit);
      case ExitReason.TRIPLE_FAULT:
        statistics.count(reason);
        return SHUTDOWN;
      case ExitReason.INVEPT, ExitReason.INVVPID:
        statistics.count(reason);
        return emulator.inject(Vector.UD, 0, 0);
      default:
        // CPUID, RDPMC, RDTSC, PAUSE and the like: what the instruction does on the bare processor.
        statistics.count(reason);
        return emulator.instruction();
    }
  }

  /**
   * IRET had unblocked NMIs when it exited; it is done again, so they stay blocked until then (KVM:
   * {@code vmx_recover_nmi_blocking}).
   */
  private void blockNmisAgain(long unblocked, boolean delivering) {
    if (unblocked != 0 && !delivering) {
      cpu.blockedByNmi = true;
    }
  }

  /** The guest gets the exception of its own instruction, which leaves NMIs unblocked if that is IRET. */
  private int injectOwn(ExitInfo exit, int vector, int errorCode, boolean delivering) {
    cpu.faultUnblocksNmi = !delivering && (exit.interruptionInfo & ExitQualification.INFO_NMI_UNBLOCKING) != 0;
    return emulator.inject(vector, errorCode, exit.qualification);
  }

  private int skipOrEmulate(ExitInfo exit) {
    if (emulator.stepping()) {
      return emulator.instruction();
    }
    emulator.skip(exit.instructionLength);
    return AGAIN;
  }

  /** Emulates the instruction, or the delivery if the exit came from one. */
  private int emulate(boolean delivering) {
    return delivering ? emulator.delivery() : emulator.instruction();
  }

  /** Emulates access to a device. */
  private int emulateMmio(boolean delivering) {
    counters.mmioExits++;
    return emulate(delivering);
  }

  private int exception(ExitInfo exit, boolean delivering) {
    int vector = exit.interruptionInfo & ExitQualification.INFO_VECTOR;
    if (vector == Vector.PF && shadow != null) {
      return shadowPageFault(exit, delivering);
    }
    statistics.count(ExitReason.EXCEPTION_NMI, Cause.EXCEPTION, vector);
    if (ExitQualification.infoType(exit.interruptionInfo) >= Vector.TYPE_SOFTWARE_INTERRUPT) {
      // INT1, INT3 and INTO that were intercepted: a trap, whose return address lies behind the instruction.
      cpu.eventPending = true;
      cpu.eventVector = vector;
      cpu.eventType = ExitQualification.infoType(exit.interruptionInfo);
      cpu.eventHasErrorCode = false;
      cpu.eventLength = exit.instructionLength;
      return RESUME;
    }
    if (vector == Vector.DB) {
      // raise() moves these into DR6.
      cpu.pendingDebug = (int) exit.qualification;
    }
    return injectOwn(exit, vector, exit.interruptionErrorCode, delivering);
  }

  /**
   * What the error code does not say of a supervisor access. At CPL 3 it is an implicit one; elsewhere it is taken for
   * an explicit one, to which EFLAGS.AC applies. (The hardware does not tell a hypervisor; KVM guesses the same.)
   */
  private int accessModifiers(int errorCode) {
    if ((errorCode & PageFaultCode.U) != 0) {
      return 0;
    }
    if (cpu.cpl == 3) {
      return Access.IMPLICIT;
    }
    return (cpu.systemFlags & Rflags.AC) != 0 ? Access.SMAP_OVERRIDE : 0;
  }

  private int shadowPageFault(ExitInfo exit, boolean delivering) {
    ShadowMmu mmu = shadow.mmu;
    long gva = exit.qualification;
    int errorCode = exit.interruptionErrorCode;
    switch (mmu.handleFault(gva, errorCode, accessModifiers(errorCode))) {
      case INJECT:
        statistics.count(ExitReason.EXCEPTION_NMI, Cause.GUEST_FAULT);
        return injectOwn(exit, Vector.PF, mmu.fault.errorCode, delivering);
      case FIXED, RETRY:
        countFill(mmu.fault.gpa);
        return AGAIN;
      case SPURIOUS:
        statistics.count(ExitReason.EXCEPTION_NMI, Cause.SPURIOUS);
        return AGAIN;
      default:
        return emulateShadow(mmu.fault, delivering);
    }
  }

  /** Fills of devices' pages are what polling costs under shadow paging, so that they have a cause of their own. */
  private void countFill(@Gpa long gpa) {
    for (Window window : windows) {
      if (window.contains(gpa)) {
        statistics.count(ExitReason.EXCEPTION_NMI, Cause.DEVICE_FILL, Addresses.frame(gpa));
        return;
      }
    }
    statistics.count(ExitReason.EXCEPTION_NMI, Cause.SHADOW_FILL);
  }

  private int emulateShadow(FaultInfo fault, boolean delivering) {
    Cause cause = switch (fault.reason) {
      case MMIO -> Cause.MMIO;
      case READ_ONLY_SLOT -> Cause.READ_ONLY_WRITE;
      case WP_SMAP -> Cause.WP_SMAP;
      case WP_KEYS -> Cause.WP_KEYS;
      case PAGE_TABLE, NONE -> Cause.PAGE_TABLE_WRITE;
    };
    statistics.count(ExitReason.EXCEPTION_NMI, cause);
    if (cause == Cause.MMIO) {
      return emulateMmio(delivering);
    }
    boolean ownTable = fault.writesOwnTable;
    long gfn = Addresses.frame(fault.gpa);
    int next = emulate(delivering);
    if (next == FAILED && cause == Cause.PAGE_TABLE_WRITE && !ownTable && shadow.mmu.unprotect(gfn)) {
      return RESUME;
    }
    return next;
  }

  private int eptViolation(ExitInfo exit, boolean delivering) {
    counters.pfTaken++;
    int result = ept.violation(exit.guestPhysical, exit.qualification);
    switch (result) {
      case EptTables.FIXED:
        counters.pfFixed++;
        statistics.count(ExitReason.EPT_VIOLATION, Cause.EPT_FILL);
        return AGAIN;
      case EptTables.SPURIOUS:
        counters.pfSpurious++;
        statistics.count(ExitReason.EPT_VIOLATION, Cause.SPURIOUS);
        return AGAIN;
      case EptTables.MMIO:
        counters.pfEmulate++;
        statistics.count(ExitReason.EPT_VIOLATION, Cause.MMIO);
        return emulateMmio(delivering);
      case EptTables.READ_ONLY:
        counters.pfEmulate++;
        statistics.count(ExitReason.EPT_VIOLATION, Cause.READ_ONLY_WRITE);
        return emulate(delivering);
      case EptTables.RESTRICTED:
        return forbidden(exit, Cause.RESTRICTED, delivering);
      case EptTables.SUB_PAGE:
        return forbidden(exit, Cause.SUB_PAGE_WRITE, delivering);
      default:
        statistics.count(ExitReason.EPT_VIOLATION, Cause.EPT_BAD_ENTRY);
        return fail("no frame left for EPT tables at guest-physical 0x" + Long.toHexString(exit.guestPhysical) + " ("
            + EptViolation.toString(exit.qualification) + ")");
    }
  }

  /** An access against a rule of its page: the listener's business, or emulated as if there were no rule. */
  private int forbidden(ExitInfo exit, Cause cause, boolean delivering) {
    statistics.count(ExitReason.EPT_VIOLATION, cause);
    if (ept.views.forbidden(ept.view(), exit.guestPhysical, exit.qualification)) {
      counters.pfFixed++;
      return RESUME;
    }
    counters.pfEmulate++;
    // A page that may not be executed can hold any instruction.
    return delivering ? emulator.delivery() : emulateRegisters(false);
  }

  private int subPageTable(ExitInfo exit) {
    if ((exit.qualification & SubPageTable.MISS) != 0 && ept.views.fillSubPages(exit.guestPhysical)) {
      statistics.count(ExitReason.SPP, Cause.SUB_PAGE_FILL);
      return AGAIN;
    }
    statistics.count(ExitReason.SPP, Cause.EPT_BAD_ENTRY);
    return fail("no sub-page permissions for guest-physical 0x" + Long.toHexString(exit.guestPhysical)
        + ": a bad entry, or no frame left");
  }

  private int eptMisconfiguration(ExitInfo exit, boolean delivering) {
    counters.pfTaken++;
    switch (ept.misconfiguration(exit.guestPhysical)) {
      case EptTables.MMIO:
        counters.pfEmulate++;
        statistics.count(ExitReason.EPT_MISCONFIG, Cause.MMIO);
        return emulateMmio(delivering);
      case EptTables.FIXED:
        counters.pfFixed++;
        statistics.count(ExitReason.EPT_MISCONFIG, Cause.EPT_FILL);
        return RESUME;
      default:
        statistics.count(ExitReason.EPT_MISCONFIG, Cause.EPT_BAD_ENTRY);
        return fail("bad EPT entry for guest-physical 0x" + Long.toHexString(exit.guestPhysical));
    }
  }

  private int fail(String text) {
    problem = text;
    return FAILED;
  }

  private int io(ExitInfo exit) {
    long q = exit.qualification;
    boolean in = (q & ExitQualification.IO_IN) != 0;
    boolean string = (q & ExitQualification.IO_STRING) != 0;
    int port = ExitQualification.ioPort(q);
    statistics.count(ExitReason.IO_INSTRUCTION,
        string ? in ? Cause.PORT_STRING_IN : Cause.PORT_STRING_OUT : in ? Cause.PORT_IN : Cause.PORT_OUT, port);
    counters.ioExits++;
    if (string || emulator.stepping()) {
      return emulator.instruction();
    }
    int size = ExitQualification.ioSize(q);
    long rax = cpu.regs[Cpu.RAX];
    // A 32-bit IN clears the upper half of RAX, the narrower ones keep the rest.
    long mask = size == 4 ? -1L : (1L << 8 * size) - 1;
    if (in) {
      cpu.regs[Cpu.RAX] = rax & ~mask | cpu.bus.in(port, size) & 0xFFFF_FFFFL & mask;
    } else {
      cpu.bus.out(port, size, (int) (rax & mask));
    }
    emulator.skip(exit.instructionLength);
    return RESUME;
  }

  private int halt(ExitInfo exit) {
    if (emulator.stepping()) {
      return emulator.instruction();
    }
    emulator.skip(exit.instructionLength);
    cpu.halted = true;
    return RESUME;
  }

  private int controlRegister(ExitInfo exit) {
    long q = exit.qualification;
    int number = ExitQualification.crNumber(q);
    int type = ExitQualification.crType(q);
    Cause cause = switch (type) {
      case ExitQualification.CR_MOV_TO -> Cause.CR_WRITE;
      case ExitQualification.CR_MOV_FROM -> Cause.CR_READ;
      case ExitQualification.CR_CLTS -> Cause.CLTS;
      default -> Cause.LMSW;
    };
    statistics.count(ExitReason.CR_ACCESS, cause, number);
    int register = ExitQualification.register(q);
    if (shadow != null && number == 3 && !emulator.stepping()) {
      if (type == ExitQualification.CR_MOV_FROM) {
        cpu.regs[register] = cpu.code64() ? cpu.cr3 : cpu.cr3 & 0xFFFF_FFFFL;
        emulator.skip(exit.instructionLength);
        return AGAIN;
      }
      if (!registers.loadCr3(cpu.code64() ? cpu.regs[register] : cpu.regs[register] & 0xFFFF_FFFFL)) {
        return emulator.injectGp();
      }
      emulator.skip(exit.instructionLength);
      return AGAIN;
    }
    return emulateRegisters(number == 3 && type == ExitQualification.CR_MOV_TO);
  }

  /** Emulates an instruction that may change CR0, CR3, CR4 or EFER. */
  private int emulateRegisters(boolean cr3Written) {
    registers.before();
    long retired = cpu.retired;
    int next = emulator.instruction();
    if (next == RESUME && !registers.after(cr3Written && cpu.retired != retired)) {
      return emulator.injectGp();
    }
    return next;
  }

  private int taskSwitch(ExitInfo exit) {
    registers.before();
    int next = cpu.eventPending ? emulator.delivery() : emulator.instruction();
    if (next == RESUME) {
      // The new task is entered even if its PDPTEs are bad: a task switch past the point of no return has no way back.
      registers.after(false);
    }
    return next;
  }

  private int invlpg(ExitInfo exit) {
    long gva = exit.qualification;
    if (cpu.canonical(gva)) {
      shadow.mmu.invlpg(gva);
      cpu.mmu.invlpg(gva);
    }
    return skipOrEmulate(exit);
  }

  /** The processor checks the operands and drops its own translations; then the shadows follow. */
  private int invpcid(ExitInfo exit) {
    long retired = cpu.retired;
    int type = (int) cpu.regs[ExitQualification.operandRegister(exit.instructionInfo)];
    long descriptor = exit.guestLinear;
    int next = emulator.instruction();
    if (next != RESUME || cpu.retired == retired) {
      return next;
    }
    switch (type) {
      case Mmu.INDIVIDUAL_ADDRESS ->
          shadow.mmu.invpcidAddress(emulator.read64(descriptor + 8), (int) emulator.read64(descriptor));
      case Mmu.SINGLE_CONTEXT -> shadow.mmu.invpcidContext((int) emulator.read64(descriptor));
      default -> shadow.mmu.flushGuest();
    }
    cpu.mmu.softFlush();
    return RESUME;
  }
}
