package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT: they load fixed flat segments without reading descriptors (SDM vol. 3A,
 * "Performing Fast Calls to System Procedures"). As on Intel processors, SYSCALL and SYSRET exist in 64-bit mode only.
 */
final class FastSystemCalls {
  private static final int CODE = Segments.G | Segments.P | Segments.S | Segments.TYPE_CODE | Segments.TYPE_WRITABLE
      | Segments.TYPE_ACCESSED;
  private static final int STACK = Segments.G | Segments.DB | Segments.P | Segments.S | Segments.TYPE_WRITABLE
      | Segments.TYPE_ACCESSED;
  /** Flags that SYSRET takes from R11. */
  private static final long SYSRET_FLAGS = 0x3C_7FD7L;
  private static final int R11 = 11;
  private static final int STAR_KERNEL_SHIFT = 32;
  private static final int STAR_USER_SHIFT = 48;
  // Distances of the other selectors from the one in the MSR.
  private static final int SS_OFFSET = 8;
  private static final int SYSRET64_CS_OFFSET = 16;
  private static final int SYSEXIT_CS_OFFSET = 16;
  private static final int SYSEXIT64_CS_OFFSET = 32;

  private final Cpu cpu;

  FastSystemCalls(Cpu cpu) {
    this.cpu = cpu;
  }

  private boolean enabled() {
    return cpu.code64() && (cpu.efer & ControlRegister.EFER_SCE) != 0;
  }

  int syscall(Instruction insn) {
    if (!enabled()) {
      return cpu.fault(Vector.UD);
    }
    cpu.regs[Cpu.RCX] = ComplexInstructions.nextRip(cpu, insn);
    cpu.regs[R11] = cpu.rflags() & ~(long) Rflags.RF;
    cpu.setRflags(cpu.regs[R11] & ~cpu.fmask);
    int selector = (int) (cpu.star >>> STAR_KERNEL_SHIFT) & 0xFFFC;
    enter(selector, selector + SS_OFFSET, 0, Segments.L);
    cpu.rip = cpu.lstar;
    stepByNewFlags();
    return Status.OK;
  }

  int sysret(Instruction insn) {
    if (!enabled()) {
      return cpu.fault(Vector.UD);
    }
    boolean to64 = insn.operandSize == 8;
    long target = to64 ? cpu.regs[Cpu.RCX] : cpu.regs[Cpu.RCX] & 0xFFFF_FFFFL;
    if (cpu.cpl != 0 || to64 && !cpu.canonical(target)) {
      return cpu.fault(Vector.GP);
    }
    cpu.setRflags(cpu.regs[R11] & SYSRET_FLAGS);
    int selector = (int) (cpu.star >>> STAR_USER_SHIFT) & 0xFFFF;
    enter(to64 ? selector + SYSRET64_CS_OFFSET : selector, selector + SS_OFFSET, 3, to64 ? Segments.L : Segments.DB);
    cpu.rip = target;
    stepByNewFlags();
    return Status.OK;
  }

  /**
   * SYSCALL and SYSRET trap by TF as it is behind them, so that a kernel that has TF in IA32_FMASK is not stepped into,
   * and the trap of its caller comes behind SYSRET (KVM: {@code em_syscall}).
   */
  private void stepByNewFlags() {
    boolean trap = (cpu.systemFlags & Rflags.TF) != 0;
    cpu.pendingDebug = trap ? cpu.pendingDebug | Debug.DR6_BS : cpu.pendingDebug & ~Debug.DR6_BS;
  }

  int sysenter() {
    if (!cpu.protectedMode() || (cpu.sysenterCs & 0xFFFC) == 0) {
      return cpu.fault(Vector.GP);
    }
    boolean to64 = cpu.longMode();
    cpu.setSystemFlags(cpu.systemFlags & ~(Rflags.VM | Rflags.IF | Rflags.RF));
    int selector = (int) cpu.sysenterCs & 0xFFFC;
    enter(selector, selector + SS_OFFSET, 0, to64 ? Segments.L : Segments.DB);
    cpu.regs[Cpu.RSP] = to64 ? cpu.sysenterEsp : cpu.sysenterEsp & 0xFFFF_FFFFL;
    cpu.rip = to64 ? cpu.sysenterEip : cpu.sysenterEip & 0xFFFF_FFFFL;
    return Status.OK;
  }

  int sysexit(Instruction insn) {
    boolean to64 = insn.operandSize == 8;
    if (!cpu.protectedMode() || cpu.cpl != 0 || (cpu.sysenterCs & 0xFFFC) == 0) {
      return cpu.fault(Vector.GP);
    }
    long target = cpu.regs[Cpu.RDX];
    long pointer = cpu.regs[Cpu.RCX];
    if (to64 && !(cpu.canonical(target) && cpu.canonical(pointer))) {
      return cpu.fault(Vector.GP);
    }
    int selector = (int) cpu.sysenterCs & 0xFFFC;
    int code = selector + (to64 ? SYSEXIT64_CS_OFFSET : SYSEXIT_CS_OFFSET);
    enter(code, code + SS_OFFSET, 3, to64 ? Segments.L : Segments.DB);
    cpu.regs[Cpu.RSP] = to64 ? pointer : pointer & 0xFFFF_FFFFL;
    cpu.rip = to64 ? target : target & 0xFFFF_FFFFL;
    return Status.OK;
  }

  /** Loads flat CS and SS at a level. @param size L or DB of CS */
  private void enter(int code, int stack, int level, int size) {
    flat(Segments.CS, code, level, CODE | size);
    flat(Segments.SS, stack, level, STACK);
    cpu.setCpl(level);
  }

  private void flat(int segment, int selector, int level, int rights) {
    cpu.selector[segment] = selector & 0xFFFF & ~Descriptor.RPL | level;
    cpu.base[segment] = 0;
    cpu.limit[segment] = 0xFFFF_FFFFL;
    cpu.rights[segment] = rights | level << Segments.DPL_SHIFT;
  }
}
