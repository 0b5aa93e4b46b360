package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Hardware task switches (SDM vol. 3A, "Task Switching"). Under a hypervisor each exits, once its TSS has been checked.
 * <pre>
 *  32-bit TSS   0 link | 28 CR3 | 32 EIP | 36 EFLAGS | 40 EAX ECX EDX EBX ESP EBP ESI EDI | 72 ES CS SS DS FS GS | 96 LDT | 100 T (bit 0)
 *  16-bit TSS   0 link | 14 IP | 16 FLAGS | 18 AX CX DX BX SP BP SI DI | 34 ES CS SS DS | 42 LDT
 * </pre>
 * Up to the first write nothing is committed. Faults met while the new task's segments are loaded belong to the new
 * task, as on the processor.
 */
final class TaskSwitch {
  private static final int LIMIT32 = 103;
  private static final int LIMIT16 = 43;
  private static final int CR3_OFFSET = 28;
  private static final int STATE32 = 32;
  private static final int STATE16 = 14;
  private static final int TRAP_OFFSET = 100;
  private static final int GENERAL_REGISTERS = 8;
  // Places in the saved state, counted in slots of 2 or 4 bytes.
  private static final int SLOT_RIP = 0;
  private static final int SLOT_FLAGS = 1;
  private static final int SLOT_REGISTERS = 2;
  private static final int SLOT_SEGMENTS = SLOT_REGISTERS + GENERAL_REGISTERS;
  private static final int SEGMENTS32 = 6;
  private static final int SEGMENTS16 = 4;
  private static final int SLOTS = SLOT_SEGMENTS + SEGMENTS32 + 1;
  /** Local breakpoint enables of DR7, which a task switch clears. */
  private static final long DR7_LOCAL = 0x155L;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final SegmentLoader segments;
  private final StackWriter stack;
  private final Descriptor tss = new Descriptor();
  private final Descriptor old = new Descriptor();
  private final Descriptor segment = new Descriptor();
  private final long[] state = new long[SLOTS];
  private long newCr3;
  private boolean trap;

  TaskSwitch(Cpu cpu, LinearMemory linear, SegmentLoader segments) {
    this.cpu = cpu;
    this.linear = linear;
    this.segments = segments;
    this.stack = new StackWriter(cpu, linear);
  }

  /** Through a task gate in the IDT. @param selector of the TSS */
  int byInterrupt(int selector, int ext, long returnRip, long flags, boolean hasErrorCode, int errorCode) {
    int status = switchTo(selector, ExitQualification.TASK_GATE, ext, returnRip, flags, 0);
    if (status < 0 || !hasErrorCode) {
      return trapped(status);
    }
    stack.current();
    stack.push((cpu.rights[Segments.TR] & 8) != 0 ? 4 : 2, errorCode & 0xFFFF_FFFFL);
    status = stack.probe(ext);
    if (status == Status.OK) {
      status = stack.write();
    }
    if (status == Status.OK) {
      cpu.regs[Cpu.RSP] = stack.pointer();
    }
    return trapped(status);
  }

  /**
   * By JMP or CALL, directly or through a task gate.
   *
   * @param source TASK_JMP or TASK_CALL of {@link ExitQualification}
   */
  int byInstruction(int selector, int source, long nextRip, int length) {
    return trapped(switchTo(selector, source, 0, nextRip, cpu.rflags(), length));
  }

  /** By IRET with NT set: back along the link in the current TSS. */
  int byReturn(long nextRip, int length) {
    int status = linear.read(segments.wrap(cpu.base[Segments.TR]), 2, Access.IMPLICIT);
    return status < 0 ? status
        : trapped(switchTo((int) cpu.value, ExitQualification.TASK_IRET, 0, nextRip, cpu.rflags() & ~(long) Rflags.NT,
            length));
  }

  /** The debug trap that the new task's T flag asks for, behind all that belongs to the switch. */
  private int trapped(int status) {
    if (status != Status.OK || !trap) {
      return status;
    }
    cpu.pendingDebug |= Debug.DR6_BT;
    return cpu.fault(Vector.DB);
  }

  private int switchTo(int selector, int source, int ext, long savedRip, long savedFlags, int length) {
    int status = checkTss(selector, source, ext);
    if (status < 0) {
      return status;
    }
    if (cpu.intercepts.enabled) {
      return cpu.vmExit(ExitReason.TASK_SWITCH, ExitQualification.taskSwitch(selector, source), length);
    }
    boolean nested = source == ExitQualification.TASK_CALL || source == ExitQualification.TASK_GATE;
    status = probeOld(ext);
    if (status == Status.OK) {
      status = readNew(nested);
    }
    if (status == Status.OK && !nested) {
      status = segments.fetch(cpu.selector[Segments.TR] & ~Descriptor.TI, old, Vector.TS, ext);
      if (status == Status.OK) {
        status = segments.clearBusy(old);
      }
    }
    if (status == Status.OK && source != ExitQualification.TASK_IRET) {
      status = segments.setBusy(tss);
    }
    if (status == Status.OK) {
      status = saveOld(savedRip, savedFlags);
    }
    if (status == Status.OK && nested) {
      status = linear.write(segments.wrap(tss.base()), 2, cpu.selector[Segments.TR], Access.IMPLICIT);
    }
    if (status < 0) {
      return status;
    }
    if (tss.base() == cpu.base[Segments.TR]) {
      // A task that IRET leaves for itself goes on with what was just saved.
      readNew(nested);
    }
    enterNew(nested);
    return loadSegments(ext);
  }

  private int checkTss(int selector, int source, int ext) {
    boolean returning = source == ExitQualification.TASK_IRET;
    int vector = returning ? Vector.TS : Vector.GP;
    int error = SegmentLoader.errorCode(selector) | ext;
    if (SegmentLoader.isNull(selector) || (selector & Descriptor.TI) != 0) {
      return cpu.fault(vector, error);
    }
    int status = segments.fetch(selector, tss, vector, ext);
    if (status < 0) {
      return status;
    }
    int wanted = returning ? Descriptor.TSS16_BUSY : Descriptor.TSS16_AVAILABLE;
    if (!tss.system() || (tss.type() & ~8) != wanted) {
      return cpu.fault(vector, error);
    }
    if (!tss.present()) {
      return cpu.fault(Vector.NP, error);
    }
    return tss.limit() < (wide(tss.rights) ? LIMIT32 : LIMIT16) ? cpu.fault(Vector.TS, error) : Status.OK;
  }

  /** A 32-bit TSS. */
  private static boolean wide(int rights) {
    return (rights & 8) != 0;
  }

  /** All that will be written to the TSS being left must be writable. */
  private int probeOld(int ext) {
    boolean wide = wide(cpu.rights[Segments.TR]);
    int first = wide ? STATE32 : STATE16;
    int slots = SLOT_SEGMENTS + (wide ? SEGMENTS32 : SEGMENTS16);
    int bytes = slots * (wide ? 4 : 2);
    if (first + bytes - 1 > cpu.limit[Segments.TR]) {
      return cpu.fault(Vector.TS, SegmentLoader.errorCode(cpu.selector[Segments.TR]) | ext);
    }
    return linear.probe(segments.wrap(cpu.base[Segments.TR] + first), bytes, Access.IMPLICIT | Access.WRITE);
  }

  private int readNew(boolean nested) {
    boolean wide = wide(tss.rights);
    int first = wide ? STATE32 : STATE16;
    int size = wide ? 4 : 2;
    int present = SLOT_SEGMENTS + (wide ? SEGMENTS32 : SEGMENTS16);
    for (int slot = 0; slot < SLOTS; slot++) {
      state[slot] = 0;
    }
    for (int slot = 0; slot <= present; slot++) {
      int status = linear.read(segments.wrap(tss.base() + first + slot * size), size, Access.IMPLICIT);
      if (status < 0) {
        return status;
      }
      // The LDT selector follows the last segment in either format, and is kept in the last slot.
      state[slot == present ? SLOTS - 1 : slot] = cpu.value;
    }
    newCr3 = cpu.cr3;
    trap = false;
    int status = Status.OK;
    if (wide) {
      status = linear.read(segments.wrap(tss.base() + TRAP_OFFSET), 2, Access.IMPLICIT);
      trap = status == Status.OK && (cpu.value & 1) != 0;
      if (status == Status.OK) {
        status = linear.read(segments.wrap(tss.base() + CR3_OFFSET), 4, Access.IMPLICIT);
        newCr3 = cpu.value;
      }
    }
    return status == Status.OK && nested
        ? linear.probe(segments.wrap(tss.base()), 2, Access.IMPLICIT | Access.WRITE) : status;
  }

  private int saveOld(long rip, long flags) {
    boolean wide = wide(cpu.rights[Segments.TR]);
    int size = wide ? 4 : 2;
    long at = cpu.base[Segments.TR] + (wide ? STATE32 : STATE16);
    int slots = SLOT_SEGMENTS + (wide ? SEGMENTS32 : SEGMENTS16);
    for (int slot = 0; slot < slots; slot++) {
      long value = slot == SLOT_RIP ? rip : slot == SLOT_FLAGS ? flags
          : slot < SLOT_SEGMENTS ? cpu.regs[slot - SLOT_REGISTERS] : cpu.selector[slot - SLOT_SEGMENTS];
      // Of a 32-bit slot of a segment only the lower half is written.
      int bytes = slot < SLOT_SEGMENTS ? size : 2;
      int status = linear.write(segments.wrap(at + slot * size), bytes, value, Access.IMPLICIT);
      if (status < 0) {
        return status;
      }
    }
    return Status.OK;
  }

  /** Takes over the new task's registers; its segments are still unusable. */
  private void enterNew(boolean nested) {
    tss.rights |= Descriptor.BUSY;
    segments.commit(Segments.TR, tss);
    cpu.cr0 |= ControlRegister.CR0_TS;
    cpu.dr[7] &= ~DR7_LOCAL;
    if ((cpu.cr0 & ControlRegister.CR0_PG) != 0 && wide(tss.rights) && newCr3 != cpu.cr3) {
      cpu.cr3 = newCr3;
      cpu.syncPaging();
      if ((cpu.cr4 & ControlRegister.CR4_PAE) != 0) {
        // A bad PDPTE here leaves the old ones in force; the SDM has no place for this fault.
        cpu.mmu.loadPdptes(newCr3);
      }
      cpu.mmu.flushPcid(0);
    }
    long flags = state[SLOT_FLAGS] | (nested ? Rflags.NT : 0);
    cpu.setRflags(flags);
    cpu.rip = state[SLOT_RIP];
    for (int i = 0; i < GENERAL_REGISTERS; i++) {
      cpu.regs[i] = wide(tss.rights) ? state[SLOT_REGISTERS + i] : cpu.regs[i] & ~0xFFFFL | state[SLOT_REGISTERS + i];
    }
    for (int i = Segments.ES; i <= Segments.GS; i++) {
      segments.commitNull(i, selector(i));
    }
    segments.commitNull(Segments.LDTR, (int) state[SLOTS - 1] & 0xFFFF);
    cpu.cpl = cpu.v86() ? 3 : selector(Segments.CS) & Descriptor.RPL;
    cpu.updateMode();
  }

  private int selector(int segment) {
    return (int) state[SLOT_SEGMENTS + segment] & 0xFFFF;
  }

  private int loadSegments(int ext) {
    int status = loadLdt(ext);
    if (status < 0) {
      return status;
    }
    if (cpu.v86()) {
      for (int i = Segments.ES; i <= Segments.GS; i++) {
        segments.commitParagraph(i, selector(i));
      }
      cpu.updateMode();
      return Status.OK;
    }
    // In the order of the SDM's table "Exception Conditions Checked During a Task Switch".
    status = checkCodePrivilege(selector(Segments.CS), ext);
    if (status == Status.OK) {
      status = loadStack(selector(Segments.SS), ext);
    }
    if (status == Status.OK) {
      status = loadCode(selector(Segments.CS), ext);
    }
    for (int i = Segments.ES; i <= Segments.GS && status == Status.OK; i++) {
      if (i != Segments.CS && i != Segments.SS) {
        status = loadData(i, selector(i), ext);
      }
    }
    cpu.updateMode();
    return status;
  }

  private int loadLdt(int ext) {
    int selector = (int) state[SLOTS - 1] & 0xFFFF;
    if (SegmentLoader.isNull(selector)) {
      return Status.OK;
    }
    int error = SegmentLoader.errorCode(selector) | ext;
    if ((selector & Descriptor.TI) != 0) {
      return cpu.fault(Vector.TS, error);
    }
    int status = segments.fetch(selector, segment, Vector.TS, ext);
    if (status < 0) {
      return status;
    }
    if (!segment.system() || segment.type() != Descriptor.LDT || !segment.present()) {
      return cpu.fault(Vector.TS, error);
    }
    segments.commit(Segments.LDTR, segment);
    return Status.OK;
  }

  /** Whether the selector names code of another privilege; whether it names code at all is checked behind the stack. */
  private int checkCodePrivilege(int selector, int ext) {
    if (SegmentLoader.isNull(selector) || segments.fetch(selector, segment, Vector.TS, ext) < 0) {
      // A page fault on the table will come again.
      return Status.OK;
    }
    boolean forbidden = segment.conforming() ? segment.dpl() > cpu.cpl : segment.dpl() != cpu.cpl;
    return segment.code() && forbidden ? cpu.fault(Vector.TS, SegmentLoader.errorCode(selector) | ext) : Status.OK;
  }

  private int loadCode(int selector, int ext) {
    int error = SegmentLoader.errorCode(selector) | ext;
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.TS, error);
    }
    int status = segments.fetch(selector, segment, Vector.TS, ext);
    if (status < 0) {
      return status;
    }
    if (!segment.code()) {
      return cpu.fault(Vector.TS, error);
    }
    if (!segment.present()) {
      return cpu.fault(Vector.NP, error);
    }
    status = segments.setAccessed(segment);
    if (status == Status.OK) {
      segments.commitCode(segment, cpu.cpl);
    }
    return status;
  }

  private int loadStack(int selector, int ext) {
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.TS, SegmentLoader.errorCode(selector) | ext);
    }
    int status = segments.fetchStack(selector, segment, cpu.cpl, Vector.TS, ext);
    if (status == Status.OK) {
      status = segments.setAccessed(segment);
    }
    if (status == Status.OK) {
      segments.commit(Segments.SS, segment);
    }
    return status;
  }

  private int loadData(int register, int selector, int ext) {
    int error = SegmentLoader.errorCode(selector) | ext;
    if (SegmentLoader.isNull(selector)) {
      return Status.OK;
    }
    int status = segments.fetch(selector, segment, Vector.TS, ext);
    if (status < 0) {
      return status;
    }
    boolean ringless = segment.code() && segment.conforming();
    if (!segment.readable() || !ringless && Math.max(selector & Descriptor.RPL, cpu.cpl) > segment.dpl()) {
      return cpu.fault(Vector.TS, error);
    }
    if (!segment.present()) {
      return cpu.fault(Vector.NP, error);
    }
    status = segments.setAccessed(segment);
    if (status == Status.OK) {
      segments.commit(register, segment);
    }
    return status;
  }
}
