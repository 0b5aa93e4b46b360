package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.EAX;
import static dev.gnomon.guest.asm.Reg.ECX;
import static dev.gnomon.guest.asm.Reg.EDI;
import static dev.gnomon.guest.asm.Reg.ESI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.util.function.Consumer;

/** What cases are written with. */
final class PeerAssembler {
  /** Offset of 16-bit code in its segment. */
  static final int START16 = 0x100;

  final Assembler asm;
  /** Entries of the engine that cases use: their offset from {@link PeerLayout#PROGRAM} is below 64 KiB. */
  final Label done;
  final Label popAndDone;
  final Label pop16AndDone;
  /** Handlers of an interrupt without error code, behind 32-bit and 16-bit gates. */
  final Label handler;
  final Label handler16;
  /** Returns far with 8 bytes of parameters. */
  final Label returner;
  /** Returns from an interrupt or from a task. */
  final Label returnTask;

  PeerAssembler(Assembler asm, Label done, Label popAndDone, Label pop16AndDone, Label handler, Label handler16,
      Label returner,
      Label returnTask) {
    this.asm = asm;
    this.done = done;
    this.popAndDone = popAndDone;
    this.pop16AndDone = pop16AndDone;
    this.handler = handler;
    this.handler16 = handler16;
    this.returner = returner;
    this.returnTask = returnTask;
  }

  static long address(Label label) {
    return PeerLayout.PROGRAM + label.offset();
  }

  void store(long address, long value) {
    asm.mov(Mem.abs(address).d(), (int) value);
  }

  void storeByte(long address, int value) {
    asm.mov(Mem.abs(address).b(), value);
  }

  void storeWord(long address, int value) {
    asm.mov(Mem.abs(address).w(), value);
  }

  /** Puts a descriptor into the GDT. */
  void descriptor(int selector, long value) {
    descriptor(PeerLayout.GDT, selector, value);
  }

  void descriptor(int table, int selector, long value) {
    store(table + (selector & ~7), value);
    store(table + (selector & ~7) + 4, value >>> 32);
  }

  /** Puts a gate into the IDT. */
  void vector(int vector, long value) {
    store(PeerLayout.IDT + 8L * vector, value);
    store(PeerLayout.IDT + 8L * vector + 4, value >>> 32);
  }

  /** Loads LDTR with the table at {@link PeerLayout#LDT}. */
  void localTable() {
    asm.mov(EAX, PeerLayout.LOCAL);
    asm.lldt(Reg.AX);
  }

  /** Goes on in a ring; its registers but for EAX and ESP are as they were. */
  void ring(int ring) {
    ring(ring, Rflags.FIXED);
  }

  void ring(int ring, int flags) {
    Label there = new Label();
    if (ring != 0) {
      asm.push(PeerLayout.data(ring));
      asm.push(PeerLayout.STACK3 - 0x100 * (4 - ring));
    }
    asm.push(flags);
    asm.push(PeerLayout.code(ring));
    asm.push(there);
    asm.iretd();
    asm.bind(there);
  }

  /** Copies code of 16 bits to {@link #START16} in its segment. */
  void code16(Consumer<Assembler> body) {
    Assembler code = new Assembler(16);
    body.accept(code);
    byte[] bytes = code.assemble(START16);
    Label data = new Label();
    Label behind = new Label();
    asm.jmp(behind);
    asm.bind(data);
    asm.emit(bytes);
    asm.bind(behind);
    asm.mov(ESI, data);
    asm.mov(EDI, PeerLayout.CODE16 + START16);
    asm.mov(ECX, bytes.length);
    asm.rep().movsb();
  }

  /**
   * Enters virtual-8086 mode at {@link #START16}, all segments at {@link PeerLayout#CODE16}, with EFLAGS besides VM.
   */
  void virtual8086(int flags) {
    int segment = PeerLayout.CODE16 >> 4;
    for (int i = 0; i < 4; i++) {
      asm.push(segment);
    }
    asm.push(segment);
    asm.push(0x800);
    asm.push(flags | Rflags.VM | Rflags.FIXED);
    asm.push(segment);
    asm.push(START16);
    asm.iretd();
  }

  /** Ends the case with its registers in the result. */
  void finish() {
    asm.interrupt(PeerLayout.DONE);
  }

  /** Turns paging on with 4K pages, the first 4 MiB mapped to themselves for everybody. */
  void paging(int cr4, long cr0) {
    asm.mov(EAX, PeerLayout.DIRECTORY);
    asm.mov(Reg.CR3, EAX);
    asm.mov(EAX, cr4);
    asm.mov(Reg.CR4, EAX);
    asm.mov(EAX, Reg.CR0);
    asm.or(EAX, (int) (0x8000_0000L | cr0));
    asm.mov(Reg.CR0, EAX);
  }
}
