package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.EDI;
import static dev.gnomon.guest.asm.Reg.ESI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;

/** What cases are written with, whatever the mode that they begin in. */
abstract sealed class CaseAssembler permits PeerAssembler, LongAssembler {
  final Assembler asm;
  /** Ends the case, from code of any size. */
  final Label done;
  /** Pops six registers and ends the case. */
  final Label popAndDone;
  /** Handler of {@link PeerLayout#USER}. */
  final Label handler;

  CaseAssembler(Assembler asm, Label done, Label popAndDone, Label handler) {
    this.asm = asm;
    this.done = done;
    this.popAndDone = popAndDone;
    this.handler = handler;
  }

  static long address(Label label) {
    return PeerLayout.PROGRAM + label.offset();
  }

  final void store(long address, long value) {
    asm.mov(Mem.abs(address).d(), (int) value);
  }

  final void storeByte(long address, int value) {
    asm.mov(Mem.abs(address).b(), value);
  }

  final void storeWord(long address, int value) {
    asm.mov(Mem.abs(address).w(), value);
  }

  /** Copies code to where it is to run. */
  final void copy(long address, byte[] bytes) {
    Label data = new Label();
    Label behind = new Label();
    asm.jmp(behind);
    asm.bind(data);
    asm.emit(bytes);
    asm.bind(behind);
    asm.mov(ESI, data);
    asm.mov(EDI, (int) address);
    asm.mov(ECX, bytes.length);
    asm.rep().movsb();
  }

  /** Ends the case with its registers in the result. */
  final void finish() {
    asm.interrupt(PeerLayout.DONE);
  }
}
