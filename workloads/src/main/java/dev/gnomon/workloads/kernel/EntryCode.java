package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Rflags;

/**
 * The way into the kernel and out of it: descriptor tables, the stubs of all vectors, and SYSCALL's entry. Under
 * page-table isolation these pages are the only part of the kernel in the user's tables; code here changes CR3 before
 * it touches anything else.
 *
 * <pre>
 *  GDT  08 kernel code | 10 kernel data | 18 user data | 20 user code | 28 TSS (16 bytes)
 * </pre>
 * SYSCALL and SYSRET fix that order (SDM vol. 3A, "Fast System Calls in 64-Bit Mode").
 */
final class EntryCode {
  static final int KERNEL_CODE = 0x08;
  static final int KERNEL_DATA = 0x10;
  static final int USER_DATA = 0x18 | 3;
  static final int USER_CODE = 0x20 | 3;
  private static final int TSS_SELECTOR = 0x28;
  private static final int GDT_BYTES = 0x38;
  /** STAR: kernel selectors from 47:32, user selectors from 63:48, where SYSRET adds 8 and 16. */
  private static final int STAR_HIGH = (KERNEL_DATA | 3) << 16 | KERNEL_CODE;

  private static final long CODE_64 = 0x00AF_9B00_0000_FFFFL;
  private static final long DATA = 0x00CF_9300_0000_FFFFL;
  private static final long DPL_3 = 3L << 45;
  private static final long TSS_AVAILABLE = 0x89L << 40;

  /** Vectors with a gate: exceptions and the two interrupt controllers. */
  static final int VECTORS = 0x30;
  private static final int GATE_BYTES = 16;
  private static final int GATE_INTERRUPT = 0x8E;
  private static final int DOUBLE_FAULT = 8;
  private static final int IST_DOUBLE_FAULT = 1;
  private static final int TSS_BYTES = 0x68;
  private static final int TSS_RSP0 = 4;
  private static final int TSS_IST1 = 0x24;
  private static final int TSS_IO_MAP = 0x66;

  private final GuestKernel k;
  private final Assembler a;
  private final Label[] stubs = new Label[VECTORS];
  private final Label common = new Label("trap_entry");
  private final Label systemCallEntry = new Label("syscall_entry");
  /** Leaves by IRETQ through the {@link TrapFrame} at RSP. */
  final Label trapReturn = new Label("trap_return");
  /** Leaves by SYSRETQ through the {@link TrapFrame} at RSP, whose RCX and R11 are the user's RIP and RFLAGS. */
  final Label systemCallReturn = new Label("syscall_return");

  final Label textStart = new Label("entry_text");
  final Label dataStart = new Label("entry_data");
  final Label dataEnd = new Label("entry_data_end");
  private final Label gdt = new Label("gdt");
  final Label gdtPointerPhysical = new Label();
  private final Label gdtPointer = new Label();
  private final Label idtPointer = new Label();
  private final Label tss = new Label("tss");
  private final Label entryStack = new Label("entry_stack");
  private final Label entryStackTop = new Label("entry_stack_top");
  private final Label doubleFaultStackTop = new Label("double_fault_stack_top");
  /** CR3 of the current process in the kernel, and in user mode. */
  final Label kernelCr3 = new Label("kernel_cr3");
  final Label userCr3 = new Label("user_cr3");
  /** Linear address behind the current process's kernel stack. */
  final Label kernelStackTop = new Label("kernel_stack_top");
  private final Label scratch = new Label();

  EntryCode(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  void emit() {
    a.bind(textStart);
    for (int vector = 0; vector < VECTORS; vector++) {
      a.align(16);
      stubs[vector] = a.here();
      if (!pushesErrorCode(vector)) {
        a.push(0);
      }
      a.push(vector);
      a.jmp(common);
    }
    emitCommon();
    emitTrapReturn();
    emitSystemCall();
    emitSystemCallReturn();
  }

  /** SDM vol. 3A, "Exception and Interrupt Vectors". */
  private static boolean pushesErrorCode(int vector) {
    return switch (vector) {
      case 8, 10, 11, 12, 13, 14, 17, 21 -> true;
      default -> false;
    };
  }

  private void emitCommon() {
    a.bind(common);
    TrapFrame.pushRegisters(a);
    a.cld();
    if (k.options.isolation()) {
      Label fromKernel = new Label();
      a.test(ptr(RSP, TrapFrame.CS).b(), 3);
      a.je(fromKernel);
      a.mov(RAX, rip(kernelCr3));
      a.mov(CR3, RAX);
      a.mov(RSI, RSP);
      a.mov(RDI, rip(kernelStackTop));
      a.sub(RDI, TrapFrame.SIZE);
      a.mov(RSP, RDI);
      a.mov(ECX, TrapFrame.QUADWORDS);
      a.rep().movsq();
      a.bind(fromKernel);
    }
    a.mov(R15, KernelLayout.DIRECT_MAP);
    a.mov(RDI, RSP);
    a.jmp(k.traps.dispatch);
  }

  private void emitTrapReturn() {
    a.bind(trapReturn);
    if (k.options.isolation()) {
      Label toKernel = new Label();
      a.test(ptr(RSP, TrapFrame.CS).b(), 3);
      a.je(toKernel);
      a.mov(RSI, RSP);
      a.lea(RDI, rip(entryStackTop, -TrapFrame.SIZE));
      a.mov(RSP, RDI);
      a.mov(ECX, TrapFrame.QUADWORDS);
      a.rep().movsq();
      a.mov(RAX, rip(userCr3));
      a.mov(CR3, RAX);
      a.bind(toKernel);
    }
    TrapFrame.popRegisters(a);
    a.add(RSP, TrapFrame.RIP - TrapFrame.VECTOR);
    a.iretq();
  }

  private void emitSystemCall() {
    a.align(16);
    a.bind(systemCallEntry);
    a.mov(rip(scratch), RSP);
    if (k.options.isolation()) {
      a.mov(RSP, rip(kernelCr3));
      a.mov(CR3, RSP);
    }
    a.mov(RSP, rip(kernelStackTop));
    a.push(USER_DATA);
    a.push(rip(scratch));
    a.push(R11);
    a.push(USER_CODE);
    a.push(RCX);
    a.push(0);
    a.push(SystemCalls.VECTOR);
    TrapFrame.pushRegisters(a);
    a.mov(R15, KernelLayout.DIRECT_MAP);
    a.jmp(k.calls.dispatch);
  }

  private void emitSystemCallReturn() {
    a.bind(systemCallReturn);
    TrapFrame.popRegisters(a);
    a.mov(RSP, ptr(RSP, TrapFrame.RSP - TrapFrame.VECTOR));
    if (k.options.isolation()) {
      a.mov(rip(scratch), RAX);
      a.mov(RAX, rip(userCr3));
      a.mov(CR3, RAX);
      a.mov(RAX, rip(scratch));
    }
    a.sysretq();
  }

  void emitData() {
    a.bind(dataStart);
    a.bind(kernelCr3);
    a.dq(0);
    a.bind(userCr3);
    a.dq(0);
    a.bind(kernelStackTop);
    a.dq(0);
    a.bind(scratch);
    a.dq(0);
    Label idt = a.here("idt");
    for (int vector = 0; vector < VECTORS; vector++) {
      gate(GuestKernel.address(stubs[vector]), vector == DOUBLE_FAULT ? IST_DOUBLE_FAULT : 0);
    }
    a.bind(tss);
    a.space(TSS_IO_MAP);
    a.dw(TSS_BYTES);
    a.align(8, 0);
    a.bind(gdt);
    long base = GuestKernel.address(tss);
    a.dq(0, CODE_64, DATA, DATA | DPL_3, CODE_64 | DPL_3);
    a.dq((TSS_BYTES - 1) | (base & 0xFF_FFFF) << 16 | TSS_AVAILABLE | (base >>> 24 & 0xFF) << 56, base >>> 32);
    a.bind(gdtPointerPhysical);
    a.dw(GDT_BYTES - 1);
    a.dd(GuestKernel.address(gdt) - KernelLayout.IMAGE_BASE);
    a.bind(gdtPointer);
    a.dw(GDT_BYTES - 1);
    a.dq(gdt);
    a.bind(idtPointer);
    a.dw(VECTORS * GATE_BYTES - 1);
    a.dq(idt);
    a.align(KernelLayout.PAGE, 0);
    a.bind(entryStack);
    a.space(KernelLayout.PAGE);
    a.bind(entryStackTop);
    a.space(KernelLayout.PAGE);
    a.bind(doubleFaultStackTop);
    a.bind(dataEnd);
  }

  private void gate(long handler, int ist) {
    a.dw((int) (handler & 0xFFFF), KERNEL_CODE);
    a.db(ist, GATE_INTERRUPT);
    a.dw((int) (handler >>> 16 & 0xFFFF));
    a.dd(handler >>> 32, 0);
  }

  /** Loads descriptor tables, segments and the SYSCALL registers; clobbers RAX, RCX, RDX. */
  void emitLoad() {
    a.lgdt(rip(gdtPointer));
    a.lidt(rip(idtPointer));
    a.mov(EAX, KERNEL_DATA);
    a.mov(SS, EAX);
    a.xor(EAX, EAX);
    a.mov(DS, EAX);
    a.mov(ES, EAX);
    a.mov(FS, EAX);
    a.mov(GS, EAX);
    a.lldt(AX);
    a.lea(RAX, rip(entryStackTop));
    a.mov(rip(tss, TSS_RSP0).q(), RAX);
    a.lea(RAX, rip(doubleFaultStackTop));
    a.mov(rip(tss, TSS_IST1).q(), RAX);
    a.mov(EAX, TSS_SELECTOR);
    a.ltr(AX);
    writeMsr(Msr.STAR, 0, STAR_HIGH);
    a.lea(RAX, rip(systemCallEntry));
    a.mov(RDX, RAX);
    a.shr(RDX, 32);
    a.mov(ECX, Msr.LSTAR);
    a.wrmsr();
    writeMsr(Msr.FMASK, Rflags.IF | Rflags.DF | Rflags.TF | Rflags.NT | Rflags.AC, 0);
  }

  private void writeMsr(int msr, int low, int high) {
    a.mov(ECX, msr);
    a.mov(EAX, low);
    a.mov(EDX, high);
    a.wrmsr();
  }

  /**
   * Makes the stack whose end is in RAX the one that the kernel is entered on. Under isolation the processor itself
   * enters on the entry stack, which both sets of tables map, and the frame is moved from there.
   */
  void emitSetKernelStack() {
    a.mov(rip(kernelStackTop), RAX);
    if (!k.options.isolation()) {
      a.mov(rip(tss, TSS_RSP0).q(), RAX);
    }
  }
}
