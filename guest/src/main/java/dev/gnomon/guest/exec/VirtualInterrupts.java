package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Virtual-8086 mode extensions and protected-mode virtual interrupts (SDM vol. 3B, "8086 Emulation", "Handling
 * Interrupts and Exceptions in Virtual-8086 Mode", and "Protected-Mode Virtual Interrupts"): with CR4.VME and IOPL
 * below 3 the 16-bit forms of PUSHF, POPF and IRET, CLI and STI work on VIF instead of IF; with CR4.PVI so do CLI and
 * STI at CPL 3. INT n is redirected to the 8086 program's own vector table where a bitmap in the TSS says so:
 * <pre>
 *  TSS    102 offset of the I/O map, m | m − 32 .. m − 1 bit n: 0 redirect INT n, 1 as without VME
 * </pre>
 * The vector table is read as the processor reads its own tables, with supervisor rights; the manual leaves that open.
 */
final class VirtualInterrupts {
  /** Result of {@link #redirect}: go on as without VME. */
  static final int NOT_REDIRECTED = 1;

  private static final int ON_AND_PENDING = Rflags.VIF | Rflags.VIP;
  private static final int MAP_BASE = 102;
  private static final int BITMAP_BYTES = 32;
  private static final int LIMIT32 = 103;
  /** Flags of a 16-bit image that the 8086 program owns. */
  private static final int OWN_FLAGS = (Rflags.STATUS | Rflags.DF | Rflags.NT) & 0xFFFF;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Operands operands;
  private final SegmentLoader segments;
  private final StackWriter stack;

  VirtualInterrupts(Cpu cpu, LinearMemory linear, Operands operands, SegmentLoader segments) {
    this.cpu = cpu;
    this.linear = linear;
    this.operands = operands;
    this.segments = segments;
    this.stack = new StackWriter(cpu, linear);
  }

  /**
   * Whether the next instruction must not run because virtual interrupts are both on and pending, whatever IOPL is:
   * #GP(0) there. The manual tells of it only where an instruction sets VIF; processors ask wherever virtual-8086 mode
   * or ring 3 is entered.
   */
  static boolean isDue(Cpu cpu) {
    if ((cpu.systemFlags & ON_AND_PENDING) != ON_AND_PENDING) {
      return false;
    }
    return cpu.v86() ? (cpu.cr4 & ControlRegister.CR4_VME) != 0
        : cpu.cpl == 3 && (cpu.cr4 & ControlRegister.CR4_PVI) != 0;
  }

  private boolean vme() {
    return (cpu.cr4 & ControlRegister.CR4_VME) != 0;
  }

  /** Whether CLI and STI, which IOPL forbids, work on VIF. */
  boolean ownsFlag() {
    return cpu.v86() ? vme() : cpu.cpl == 3 && (cpu.cr4 & ControlRegister.CR4_PVI) != 0;
  }

  /** Whether PUSHF, POPF or IRET of a size, which IOPL forbids, work on VIF. */
  boolean ownsImage(int size) {
    return vme() && size == 2;
  }

  int clear(Instruction insn) {
    cpu.setSystemFlags(cpu.systemFlags & ~Rflags.VIF);
    return ComplexInstructions.complete(cpu, insn);
  }

  int set(Instruction insn) {
    if ((cpu.systemFlags & Rflags.VIP) != 0) {
      return cpu.fault(Vector.GP);
    }
    cpu.setSystemFlags(cpu.systemFlags | Rflags.VIF);
    return ComplexInstructions.complete(cpu, insn);
  }

  /** FLAGS as the 8086 program sees it: IOPL 3, and VIF in the place of IF. */
  long image() {
    int flags = (int) cpu.rflags() & 0xFFFF & ~Rflags.IF | Rflags.IOPL;
    return (cpu.systemFlags & Rflags.VIF) != 0 ? flags | Rflags.IF : flags;
  }

  /**
   * Whether an image may be taken: a single step, or interrupts on with one pending, are the monitor's affair, by
   * #GP(0).
   */
  boolean takes(long image) {
    boolean on = (image & Rflags.IF) != 0;
    return (image & Rflags.TF) == 0 && !(on && (cpu.systemFlags & Rflags.VIP) != 0);
  }

  /** Takes over FLAGS of the 8086 program, whose TF is clear; IF and IOPL stay. */
  void take(long image) {
    int old = (int) cpu.rflags() & ~(OWN_FLAGS | Rflags.TF | Rflags.VIF | Rflags.RF);
    cpu.setRflags(old | (int) image & OWN_FLAGS | ((image & Rflags.IF) != 0 ? Rflags.VIF : 0));
  }

  /**
   * INT n in virtual-8086 mode.
   *
   * @return OK if the 8086 program's handler is about to run, FAULT, EXIT, or {@link #NOT_REDIRECTED}
   */
  int redirect(Instruction insn, int vector) {
    if (!vme()) {
      return NOT_REDIRECTED;
    }
    boolean wide = (cpu.rights[Segments.TR] & 8) != 0;
    if (!wide || cpu.limit[Segments.TR] < LIMIT32) {
      return cpu.fault(Vector.GP);
    }
    int status = readTask(MAP_BASE, 2);
    if (status < 0) {
      return status;
    }
    long at = cpu.value - BITMAP_BYTES + (vector >> 3);
    if (at < 0 || at > cpu.limit[Segments.TR]) {
      return cpu.fault(Vector.GP);
    }
    status = readTask(at, 1);
    if (status < 0) {
      return status;
    }
    if ((cpu.value >>> (vector & 7) & 1) != 0) {
      return NOT_REDIRECTED;
    }
    return enter(insn, vector);
  }

  private int readTask(long offset, int size) {
    return linear.read(segments.wrap(cpu.base[Segments.TR] + offset), size, Access.IMPLICIT);
  }

  private int enter(Instruction insn, int vector) {
    int status = linear.read(4L * vector, 4, Access.IMPLICIT);
    if (status < 0) {
      return status;
    }
    long target = cpu.value;
    boolean real = cpu.iopl() == 3;
    stack.current();
    stack.push(2, real ? cpu.rflags() : image());
    stack.push(2, cpu.selector[Segments.CS]);
    stack.push(2, ComplexInstructions.nextRip(cpu, insn));
    status = stack.probe(0);
    if (status == Status.OK) {
      status = stack.write();
    }
    if (status < 0) {
      return status;
    }
    operands.setStackPointer(stack.pointer());
    cpu.setSystemFlags(cpu.systemFlags & ~(Rflags.TF | Rflags.RF | (real ? Rflags.IF : Rflags.VIF)));
    segments.commitParagraph(Segments.CS, (int) (target >>> 16) & 0xFFFF);
    cpu.rip = target & 0xFFFF;
    cpu.updateMode();
    return Status.OK;
  }
}
