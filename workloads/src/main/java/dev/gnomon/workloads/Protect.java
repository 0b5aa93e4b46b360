package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.SystemCall;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * A write barrier as garbage collectors build it: all memory is made read-only, each page is written, and the fault
 * handler in user mode makes that page writable again. The result is the sum of the pages, one for each write, and the
 * number of handler calls.
 */
final class Protect implements Workload {
  /** Where the handler counts: registers are those of the interrupted code again once it returns. */
  private static final long COUNTER = KernelLayout.USER_STACK_TOP - 8;

  @Override
  public String name() {
    return "protect";
  }

  @Override
  public String description() {
    return "mprotect, then a write fault and its handler for each page";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 512 << 10, 1 << 12, 1 << 29, "memory that is protected"),
        PageSize.parameter(),
        Parameter.count("iterations", 20, 1, 1_000_000, "times that all of it is protected"));
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    int pages = (int) page.pages(size);
    int iterations = values.count("iterations");
    long expected = 2L * pages * iterations;
    Program program = Program.user(code -> emit(code, page, size, pages, iterations));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, PageSize page, long size, int pages, int iterations) {
    Assembler a = code.a;
    Label handler = new Label("protect_handler");
    Label start = new Label();
    a.jmp(start);
    a.bind(handler);
    a.mov(ESI, page.bytes);
    a.mov(EDX, 1);
    code.call(SystemCall.MPROTECT);
    a.mov(RAX, COUNTER);
    a.inc(ptr(RAX).q());
    code.call(SystemCall.FAULT_RETURN);

    a.bind(start);
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    a.mov(RDI, handler);
    code.call(SystemCall.FAULT_HANDLER);
    TouchAll.emitTouch(a, size, page);
    code.regionBegin();
    a.mov(R12D, iterations);
    Label loop = a.here();
    code.protect(KernelLayout.USER_HEAP, size, false);
    code.checkCall();
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, pages);
    Label write = a.here();
    a.inc(ptr(RDX).q());
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(write);
    a.dec(R12D);
    a.jne(loop);
    code.regionEnd();
    a.mov(RAX, COUNTER);
    a.mov(RBX, ptr(RAX));
    TouchAll.emitSum(a, pages, page);
  }
}
