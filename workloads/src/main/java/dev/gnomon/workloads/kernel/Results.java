package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the guest says of itself: region marks, the result and its check, and the status at the end. */
public final class Results {
  /** Status: the result is not the expected one. */
  public static final int WRONG_RESULT = 1;
  /** Status: the kernel could not go on; its last line says why. */
  public static final int PANIC = 2;
  /** Status: the program ended without a result. */
  public static final int NO_RESULT = 3;

  private final GuestKernel k;
  private final Assembler a;
  private final long expected;
  /** EDI: a value of {@link GuestPorts#REGION}. Clobbers RAX, RDX. */
  final Label region = new Label("region_mark");
  /** RDI: result. Prints it. */
  final Label report = new Label("result_report");
  /** Entered by a jump, EDI: the program's exit code. Ends the guest. */
  final Label finish = new Label("guest_finish");
  private final Label panic = new Label("panic");
  private final Label exit = new Label("guest_exit");
  /** The status plus 1; 0 while there is no result. */
  private final Label status;
  private final Map<String, Label> strings = new LinkedHashMap<>();

  Results(GuestKernel k, long expected) {
    this.k = k;
    this.a = k.a;
    this.expected = expected;
    this.status = k.variable("result_status", 8);
  }

  /** A zero-terminated string in the image. */
  Label string(String text) {
    return strings.computeIfAbsent(text, unused -> new Label());
  }

  /** Emits the end of the guest with a message. */
  void panic(String message) {
    a.lea(RDI, rip(string("\n" + k.name + ": " + message + "\n")));
    a.jmp(panic);
  }

  void emit() {
    a.bind(region);
    a.mov(EAX, EDI);
    a.mov(EDX, GuestPorts.REGION);
    a.out(DX, AL);
    a.ret();
    emitReport();
    a.bind(finish);
    Label failed = new Label();
    a.test(EDI, EDI);
    a.jne(failed);
    a.mov(EDI, rip(status).d());
    a.sub(EDI, 1);
    a.jae(failed);
    a.mov(EDI, NO_RESULT);
    a.bind(failed);
    a.jmp(exit);
    a.bind(panic);
    a.call(k.console.putString);
    a.mov(EDI, PANIC);
    a.bind(exit);
    a.mov(EAX, EDI);
    a.mov(EDX, GuestPorts.DEBUG_EXIT);
    a.out(DX, EAX);
    Label stopped = a.here();
    a.cli();
    a.hlt();
    a.jmp(stopped);
  }

  private void emitReport() {
    Label wrong = new Label();
    a.bind(report);
    a.push(RBX);
    a.mov(RBX, RDI);
    a.lea(RDI, rip(string(k.name + ": result ")));
    a.call(k.console.putString);
    a.mov(RDI, RBX);
    a.call(k.console.putHex);
    a.mov(RAX, expected);
    a.cmp(RAX, RBX);
    a.jne(wrong);
    a.lea(RDI, rip(string(" ok\n")));
    a.call(k.console.putString);
    a.mov(rip(status).q(), 1);
    a.xor(EAX, EAX);
    a.pop(RBX);
    a.ret();
    a.bind(wrong);
    a.lea(RDI, rip(string(" WRONG, expected ")));
    a.call(k.console.putString);
    a.mov(RDI, expected);
    a.call(k.console.putHex);
    a.lea(RDI, rip(string("\n")));
    a.call(k.console.putString);
    a.mov(rip(status).q(), WRONG_RESULT + 1);
    a.mov(EAX, WRONG_RESULT);
    a.pop(RBX);
    a.ret();
  }

  void emitStrings() {
    for (Map.Entry<String, Label> string : strings.entrySet()) {
      a.bind(string.getValue());
      a.asciz(string.getKey());
    }
  }
}
