package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.AX;
import static dev.gnomon.guest.asm.Reg.CR0;
import static dev.gnomon.guest.asm.Reg.DS;
import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.SP;
import static dev.gnomon.guest.asm.Reg.SS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** x87 exceptions the way of the PC AT: with CR0.NE = 0 they arrive as IRQ 13. */
class CoprocessorErrorTest {
  private static final int VECTOR = 0x75;
  private static final long CODE = 0x7C00;

  private static void show(Assembler a, char letter) {
    a.mov(AL, letter);
    a.out(0xE9, AL);
  }

  private static void port(Assembler a, int port, int value) {
    a.mov(AL, value);
    a.out(port, AL);
  }

  private static byte[] guest(boolean acknowledges) {
    Assembler a = new Assembler(16);
    Label handler = new Label("handler");
    a.xor(AX, AX);
    a.mov(SS, AX);
    a.mov(DS, AX);
    a.mov(SP, 0x1000);
    a.mov(EAX, CR0);
    a.and(EAX, ~0x20);
    a.mov(CR0, EAX);
    Label here = new Label("here");
    a.jmpFar(0, here, 2);
    a.bind(here);
    a.mov(abs(4 * VECTOR + 2).w(), 0);
    a.mov(AX, handler);
    a.mov(abs(4 * VECTOR), AX);
    for (int[] init : new int[][] {{0x20, 0x11}, {0xA0, 0x11}, {0x21, 8}, {0xA1, 0x70}, {0x21, 4}, {0xA1, 2}, {0x21, 1},
        {0xA1, 1}, {0x21, 0xFB},
        {0xA1, 0xDF}}) {
      port(a, init[0], init[1]);
    }
    // FNINIT; FLDCW with the zero-divide exception unmasked; FLD1; FLDZ; FDIVP
    a.mov(abs(0x500).w(), 0x37B);
    a.db(0xDB, 0xE3, 0xD9, 0x2E, 0x00, 0x05, 0xD9, 0xE8, 0xD9, 0xEE);
    a.sti();
    a.db(0xDE, 0xF9);
    show(a, 'a');
    a.db(0x9B);
    show(a, 'b');
    a.db(0x9B);
    show(a, 'c');
    Machines.exit(a, 0);
    a.bind(handler);
    show(a, 'i');
    a.out(0xF0, AL);
    if (acknowledges) {
      a.db(0xDB, 0xE2);
    }
    port(a, 0xA0, 0x20);
    port(a, 0x20, 0x20);
    a.db(0xCF);
    return a.assemble(CODE);
  }

  private static String run(Mode mode, boolean acknowledges) {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    Vm vm = new VmBuilder(Machines.options(mode)).debugConsole(log::write).build();
    vm.boot(GuestImages.flat(BootRequest.of("test", guest(acknowledges)).withLoadAddress(CODE)
        .withEntry(BootRequest.Entry.REAL)));
    assertThat(vm.run(10_000).end()).isEqualTo(RunResult.End.GUEST_EXIT);
    return log + "\n" + Machines.state(vm.cpu());
  }

  private static String inAllModes(boolean acknowledges) {
    List<String> ends = new ArrayList<>();
    for (Mode mode : Mode.values()) {
      ends.add(run(mode, acknowledges));
    }
    assertThat(ends).containsOnly(ends.get(0));
    return ends.get(0).substring(0, ends.get(0).indexOf('\n'));
  }

  @Test
  void shouldInterruptAtTheNextWaitingInstruction() {
    assertThat(inAllModes(true)).isEqualTo("aibc");
  }

  /** Port F0h asserts IGNNE#, so that a handler that leaves the exception pending is not called again. */
  @Test
  void shouldIgnoreTheExceptionThatPortF0Dismissed() {
    assertThat(inAllModes(false)).isEqualTo("aibc");
  }
}
