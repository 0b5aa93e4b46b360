package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.Rflags;
import java.util.function.Consumer;

/** What cases of 64-bit mode are written with. */
final class LongAssembler extends CaseAssembler {
  static final int PRESENT = 0x80;
  /** Where code of 16 and 32 bits goes: behind an instruction that ends the case. */
  static final int START32 = LongLayout.CODE32 + 0x100;

  LongAssembler(Assembler asm, Label done, Label popAndDone, Label handler) {
    super(asm, done, popAndDone, handler);
  }

  void store64(long address, long value) {
    store(address, value);
    store(address + 4, value >>> 32);
  }

  void descriptor(int selector, long low) {
    store64(PeerLayout.GDT + (selector & ~7), low);
  }

  void descriptor(int selector, long low, long high) {
    descriptor(selector, low);
    descriptor(selector + 8, high);
  }

  /** Puts a gate into the IDT. @param ist interrupt stack, 0 for none */
  void vector(int vector, int selector, long offset, int access, int ist) {
    store64(PeerLayout.IDT + 16L * vector, PeerLayout.gate(selector, offset, access, ist));
    store64(PeerLayout.IDT + 16L * vector + 8, offset >>> 32);
  }

  /** Has a vector's handler run on an interrupt stack. */
  void stackOf(int vector, int ist) {
    storeByte(PeerLayout.IDT + 16L * vector + 4, ist);
  }

  /** The handler of {@link PeerLayout#USER} in ring 0 by a gate that every ring may use. */
  void user(int ist) {
    vector(PeerLayout.USER, PeerLayout.CODE0, address(handler), PRESENT | 0x6E, ist);
  }

  void callGate(int selector, int target, long offset, int access) {
    descriptor(selector, PeerLayout.gate(target, offset, access, 0), offset >>> 32);
  }

  void msr(int number, long value) {
    writeMsr(asm, number, value);
  }

  static void writeMsr(Assembler a, int number, long value) {
    a.mov(ECX, number);
    a.mov(EAX, (int) value);
    a.mov(EDX, (int) (value >>> 32));
    a.wrmsr();
  }

  /** Goes on in a ring, in 64-bit mode. */
  void ring(int ring) {
    ring(ring, Rflags.FIXED);
  }

  void ring(int ring, int flags) {
    Label there = new Label();
    asm.push(PeerLayout.data(ring));
    asm.push(LongLayout.STACK3 - 0x100 * (4 - ring));
    asm.push(flags);
    asm.push(PeerLayout.code(ring));
    asm.push(there);
    asm.iretq();
    asm.bind(there);
  }

  /** Enters code of 32 bits in ring 0 or 3. */
  void compatible(int ring, Consumer<Assembler> body) {
    code(32, body);
    enterCompatible(ring);
  }

  /** Enters what {@link #code} put at {@link #START32}. */
  void enterCompatible(int ring) {
    asm.push(PeerLayout.data(ring));
    asm.push(LongLayout.STACK3 - 0x100 * (4 - ring));
    asm.push(Rflags.FIXED);
    asm.push(ring == 0 ? LongLayout.CODE32_0 : LongLayout.CODE32_3);
    asm.push(START32);
    asm.iretq();
  }

  /** Copies code to {@link #START32}. */
  void code(int bits, Consumer<Assembler> body) {
    Assembler code = new Assembler(bits);
    body.accept(code);
    copy(START32, code.assemble(START32));
  }

  /** Puts code so that it ends where the lower canonical half does, and jumps to it. */
  void atEdge(Consumer<Assembler> body) {
    Assembler code = new Assembler(64);
    body.accept(code);
    byte[] bytes = code.assemble(LongLayout.HOLE - code.offset());
    copy(LongLayout.EDGE + 0x1000 - bytes.length, bytes);
    asm.mov(RAX, LongLayout.HOLE - bytes.length);
    asm.jmp(RAX);
  }

  /** Makes a frame on the stack, the first value lowest. @param size bytes of each, 2, 4 or 8 */
  void frame(int size, long... values) {
    asm.sub(RSP, (long) size * values.length);
    for (int i = 0; i < values.length; i++) {
      asm.mov(RAX, values[i]);
      asm.mov(Mem.ptr(RSP, (long) i * size).sized(size), RAX.as(size));
    }
  }

  /** Puts a far pointer at {@link PeerLayout#SCRATCH}. @param size bytes of its offset */
  Mem farPointer(int selector, long offset, int size) {
    store64(PeerLayout.SCRATCH, offset);
    storeWord(PeerLayout.SCRATCH + size, selector);
    return Mem.abs(PeerLayout.SCRATCH).sized(size);
  }
}
