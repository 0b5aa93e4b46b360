package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.EAX;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.util.function.Consumer;

/** What cases of 32-bit protected mode are written with. */
final class PeerAssembler extends CaseAssembler {
  /** Offset of 16-bit code in its segment. */
  static final int START16 = 0x100;

  // Entries of the engine that cases use: their offset from PeerLayout.PROGRAM is below 64 KiB.
  final Label pop16AndDone;
  /** Handler of an interrupt without error code, behind a 16-bit gate. */
  final Label handler16;
  /** Returns far with 8 bytes of parameters. */
  final Label returner;
  /** Returns from an interrupt or from a task. */
  final Label returnTask;

  PeerAssembler(Assembler asm, Label done, Label popAndDone, Label pop16AndDone, Label handler, Label handler16,
      Label returner, Label returnTask) {
    super(asm, done, popAndDone, handler);
    this.pop16AndDone = pop16AndDone;
    this.handler16 = handler16;
    this.returner = returner;
    this.returnTask = returnTask;
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
    copy(PeerLayout.CODE16 + START16, code.assemble(START16));
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
