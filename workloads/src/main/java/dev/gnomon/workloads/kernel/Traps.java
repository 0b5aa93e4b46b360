package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Vector;

/** Dispatch of exceptions and interrupts by vector. */
final class Traps {
  private final GuestKernel k;
  private final Assembler a;
  /** Entered by a jump with the {@link TrapFrame} at RSP and RDI. */
  final Label dispatch = new Label("trap_dispatch");
  /** RDI: frame. Prints it and ends the guest. */
  final Label unexpected = new Label("trap_unexpected");

  Traps(GuestKernel k) {
    this.k = k;
    this.a = k.a;
  }

  void emit() {
    Label table = new Label("trap_table");
    Label spurious = new Label("interrupt_spurious");
    a.bind(dispatch);
    a.mov(RAX, ptr(RDI, TrapFrame.VECTOR));
    a.lea(RCX, rip(table));
    a.call(ptr(RCX, RAX, 8).q());
    a.jmp(k.entry.trapReturn);

    a.bind(spurious);
    a.ret();

    a.bind(unexpected);
    a.mov(RBX, RDI);
    print("\n" + k.name + ": unexpected trap, vector ", TrapFrame.VECTOR);
    print(" error ", TrapFrame.ERROR_CODE);
    print(" rip ", TrapFrame.RIP);
    a.lea(RDI, rip(k.results.string(" cr2 ")));
    a.call(k.console.putString);
    a.mov(RDI, CR2);
    a.call(k.console.putHex);
    k.results.panic("stopped");

    a.align(8, 0);
    a.bind(table);
    for (int vector = 0; vector < EntryCode.VECTORS; vector++) {
      a.dq(switch (vector) {
        case Vector.PF -> k.faults.handle;
        case Timer.VECTOR -> k.timer.handle;
        case Timer.SPURIOUS -> spurious;
        default -> unexpected;
      });
    }
  }

  private void print(String text, int field) {
    a.lea(RDI, rip(k.results.string(text)));
    a.call(k.console.putString);
    a.mov(RDI, ptr(RBX, field));
    a.call(k.console.putHex);
  }
}
