package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.util.EnumMap;
import java.util.Map;

/**
 * Dispatch of {@link SystemCall} and those calls that are a line or two. Handlers get the frame in RCX besides the
 * arguments.
 */
final class SystemCalls {
  /** What stands in a system call's frame in place of a vector. */
  static final int VECTOR = 0x80;

  private final GuestKernel k;
  private final Assembler a;
  /** Entered by a jump with the {@link TrapFrame} at RSP. */
  final Label dispatch = new Label("syscall_dispatch");
  private final Map<SystemCall, Label> handlers = new EnumMap<>(SystemCall.class);

  SystemCalls(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  void emit() {
    Label table = new Label("syscall_table");
    Label bad = new Label();
    a.bind(dispatch);
    a.cmp(RAX, SystemCall.values().length);
    a.jae(bad);
    a.mov(RCX, RSP);
    a.lea(R8, rip(table));
    a.call(ptr(R8, RAX, 8).q());
    a.mov(ptr(RSP, TrapFrame.RAX_OFFSET), RAX);
    a.jmp(k.entry.systemCallReturn);
    a.bind(bad);
    a.mov(ptr(RSP, TrapFrame.RAX_OFFSET).q(), -1);
    a.jmp(k.entry.systemCallReturn);
    handlers.put(SystemCall.EXIT, k.processes.exit);
    handlers.put(SystemCall.YIELD, k.processes.yield);
    handlers.put(SystemCall.FORK, k.processes.fork);
    handlers.put(SystemCall.WAIT, k.processes.wait);
    handlers.put(SystemCall.REGION, k.results.region);
    handlers.put(SystemCall.REPORT, k.results.report);
    emitProcessCalls();
    emitMemoryCalls();
    emitFaultCalls();
    a.align(8, 0);
    a.bind(table);
    for (SystemCall call : SystemCall.values()) {
      a.dq(handlers.get(call));
    }
  }

  private void handler(SystemCall call) {
    Label label = new Label("sys_" + call.name().toLowerCase(java.util.Locale.ROOT));
    handlers.put(call, label);
    a.bind(label);
  }

  private void emitProcessCalls() {
    handler(SystemCall.GETPID);
    a.mov(RAX, rip(k.processes.current));
    a.mov(RAX, ptr(RAX, ProcessRecord.NUMBER));
    a.ret();
    handler(SystemCall.TICKS);
    a.mov(RAX, rip(k.timer.ticks));
    a.ret();
  }

  private void emitMemoryCalls() {
    handler(SystemCall.MMAP);
    a.mov(RCX, RDX);
    shiftArguments();
    a.jmp(k.spaces.map);
    handler(SystemCall.MUNMAP);
    shiftArguments();
    a.jmp(k.unmapping.unmap);
    handler(SystemCall.MPROTECT);
    a.mov(RCX, RDX);
    shiftArguments();
    a.jmp(k.spaces.protect);
  }

  /** The process becomes the first argument, the first two the second and third. */
  private void shiftArguments() {
    a.mov(RDX, RSI);
    a.mov(RSI, RDI);
    a.mov(RDI, rip(k.processes.current));
  }

  private void emitFaultCalls() {
    handler(SystemCall.FAULT_HANDLER);
    a.mov(RAX, rip(k.processes.current));
    a.mov(ptr(RAX, ProcessRecord.FAULT_HANDLER), RDI);
    a.xor(EAX, EAX);
    a.ret();
    handler(SystemCall.FAULT_RETURN);
    a.mov(RSI, rip(k.processes.current));
    a.add(RSI, ProcessRecord.SAVED_FRAME);
    a.mov(RDI, RCX);
    a.mov(ECX, TrapFrame.QUADWORDS);
    a.rep().movsq();
    // The interrupted code lost no registers, so it goes back by IRETQ.
    a.add(RSP, 8);
    a.jmp(k.entry.trapReturn);
  }
}
