package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** Cases that begin in 32-bit protected mode. */
final class PeerRom extends CaseRom<PeerAssembler> {
  /** Names of the words of a line, in its order. */
  static final List<String> FIELDS = List.of("case", "vector", "error", "eip", "cs", "eflags", "esp", "ss", "v86es",
      "v86ds", "v86fs", "v86gs",
      "gs", "fs", "es", "ds", "edi", "esi", "ebp", "ebx", "edx", "ecx", "eax", "hflags", "hcs", "hesp", "hss", "tr",
          "ldtr", "cr0", "cr2",
      "cr3", "cr4", "dr6", "dr7");
  /** What a result calls the vector behind a 16-bit gate. */
  private static final int VECTOR16 = 0x116;
  /** Index of the stub behind 16-bit gates. */
  private static final int STUB16 = 255;
  private static final int CR0_CASE = 0x31;
  private static final long DR6_RESET = 0xFFFF_0FF0L;
  private static final int DR7_RESET = 0x400;

  private final Label handOver = new Label("hand over");
  private final Label popAndDone = new Label("pop and done");

  private PeerRom() {
    super(4, FIELDS, VARIABLES, STACK0, RESTORED_END);
  }

  /** A ROM of whole blocks of 64 KiB. @param first number of the first case */
  static byte[] of(List<PeerCase> cases, int first) {
    return new PeerRom().build(cases.stream().map(PeerCase::body).toList(), first);
  }

  @Override
  void store(Mem variable, Label address) {
    a.mov(variable, address);
  }

  @Override
  PeerAssembler engine() {
    stubs();
    stub16();
    handler();
    finish();
    printHex();
    reset();
    end();
    Label done = a.here();
    a.interrupt(DONE);
    a.bind(popAndDone);
    popAndDone(4);
    Label pop16AndDone = a.here();
    popAndDone(2);
    Label returner = a.here();
    a.retf(8);
    Label returnTask = a.here();
    a.iretd();
    return new PeerAssembler(a, done, popAndDone, pop16AndDone, stubs[USER], stubs[STUB16], returner, returnTask);
  }

  private void saveRegisters() {
    a.pushad();
    a.push(DS);
    a.push(ES);
    a.push(FS);
    a.push(GS);
    a.mov(EAX, DATA3);
    a.mov(DS, AX);
    a.mov(ES, AX);
    for (String field : new String[] {"gs", "fs", "es", "ds", "edi", "esi", "ebp", "eax", "ebx", "edx", "ecx", "eax"}) {
      a.pop(variable(field));
    }
    a.cld();
  }

  /**
   * Behind a 16-bit gate without error code: for vector {@link PeerLayout#USER} in segment
   * {@link PeerLayout#CODE_NEAR}.
   */
  private void stub16() {
    stubs[STUB16] = a.here();
    saveRegisters();
    a.mov(variable("vector"), VECTOR16);
    for (String field : new String[] {"eip", "cs", "eflags"}) {
      Mem word = variable(field);
      a.pop(word.w());
    }
    Label same = new Label();
    a.mov(EAX, variable("cs"));
    a.mov(ECX, CS);
    a.xor(EAX, ECX);
    a.test(AL, 3);
    a.jz(same);
    a.pop(variable("esp").w());
    a.pop(variable("ss").w());
    a.bind(same);
    a.jmpFar(CODE0, handOver);
  }

  private void handler() {
    a.bind(common);
    saveRegisters();
    for (String field : new String[] {"vector", "error", "eip", "cs", "eflags"}) {
      a.pop(variable(field));
    }
    Label v86 = new Label();
    a.test(variable("eflags"), Rflags.VM);
    a.jnz(v86);
    a.mov(EAX, variable("cs"));
    a.mov(ECX, CS);
    a.xor(EAX, ECX);
    a.test(AL, 3);
    a.jz(handOver);
    a.pop(variable("esp"));
    a.pop(variable("ss"));
    a.jmp(handOver);
    a.bind(v86);
    for (String field : new String[] {"esp", "ss", "v86es", "v86ds", "v86fs", "v86gs"}) {
      a.pop(variable(field));
    }
    a.bind(handOver);
    handOver();
  }

  private void finish() {
    saveSystem(CR0, CR2, CR3, CR4, DR6, DR7);
    a.mov(EAX, CR0_CASE);
    a.mov(CR0, EAX);
    a.xor(EAX, EAX);
    a.mov(CR4, EAX);
    a.mov(DR7, EAX);
    report();
  }

  private void reset() {
    Label gdtr = a.here();
    a.dw(GDT_BYTES - 1);
    a.dd(GDT);
    Label idtr = a.here();
    a.dw(0x7FF);
    a.dd(IDT);
    resetMemory(STACK0, INNER0, INNER1, INNER2, STACK3, STACK3 - 0x100, STACK3 - 0x200, STACK3 - 0x300);
    a.lgdt(Mem.abs(gdtr));
    a.lidt(Mem.abs(idtr));
    a.mov(EAX, CR0_CASE);
    a.mov(CR0, EAX);
    a.xor(EAX, EAX);
    for (Reg register : new Reg[] {CR2, CR3, CR4, DR0, DR1, DR2, DR3}) {
      a.mov(register, EAX);
    }
    a.lldt(AX);
    a.mov(EAX, (int) DR6_RESET);
    a.mov(DR6, EAX);
    a.mov(EAX, DR7_RESET);
    a.mov(DR7, EAX);
    resetSegments();
    Reg[] registers = {EAX, EBX, ECX, EDX, ESI, EDI, EBP};
    for (int i = 0; i < registers.length; i++) {
      a.mov(registers[i], 0x1111_1111 * (i + 1));
    }
    resetDone();
  }

  @Override
  byte[] template() {
    ByteBuffer memory = ByteBuffer.allocate(RESTORED_END - GDT).order(ByteOrder.LITTLE_ENDIAN);
    for (int ring = 0; ring < 4; ring++) {
      memory.putLong(code(ring) & ~7, segment(0, 0xFFFFF, ACCESS_CODE | ring << 5, FLAT));
      memory.putLong(data(ring) & ~7, segment(0, 0xFFFFF, ACCESS_DATA | ring << 5, FLAT));
    }
    memory.putLong(CODE16_0, segment(CODE16, 0xFFFF, ACCESS_CODE, 0));
    memory.putLong(DATA16_0, segment(CODE16, 0xFFFF, ACCESS_DATA, 0));
    memory.putLong(TASK, segment(TSS, 0x67, 0x8B, 0));
    memory.putLong(TASK32, segment(TSS32, 0x67, 0x89, 0));
    memory.putLong(TASK16, segment(TSS16, 0x2B, 0x81, 0));
    memory.putLong(LOCAL, segment(LDT, 0x7F, 0x82, 0));
    memory.putLong(CODE_NEAR, segment(PROGRAM, 0xFFFFF, ACCESS_CODE, FLAT));
    for (int vector = 0; vector < 64; vector++) {
      if (stubs[vector] != null) {
        memory.putLong(IDT - GDT + 8 * vector, gate(CODE0, PeerAssembler.address(stubs[vector]), vector == DONE ? 0xEE
            : 0x8E, 0));
      }
    }
    memory.putLong(IDT - GDT + 8 * HAND_OVER, gate(CODE0, PeerAssembler.address(finish), 0xEE, 0));
    int tss = TSS - GDT;
    memory.putInt(tss + 4, INNER0).putInt(tss + 8, DATA0).putInt(tss + 12, INNER1).putInt(tss + 16, DATA1).putInt(tss
        + 20, INNER2)
        .putInt(tss + 24, DATA2).putInt(tss + 100, 0x68 << 16);
    tasks(memory);
    memory.putInt(DIRECTORY - GDT, TABLE | 7);
    for (int page = 0; page < 1024; page++) {
      memory.putInt(TABLE - GDT + 4 * page, page << 12 | 7);
    }
    return memory.array();
  }

  /** Both tasks begin with popping what is on their stack. */
  private void tasks(ByteBuffer memory) {
    int task = TSS32 - GDT;
    memory.putInt(task + 4, INNER0).putInt(task + 8, DATA0).putInt(task + 32, (int) PeerAssembler.address(popAndDone))
        .putInt(task + 36, Rflags.FIXED);
    for (int i = 0; i < 8; i++) {
      memory.putInt(task + 40 + 4 * i, 0x1000_0000 + i);
    }
    memory.putInt(task + 56, STACK3).putInt(task + 100, 0x68 << 16);
    int[] selectors = {DATA0, CODE0, DATA0, DATA0, DATA3, 0};
    for (int i = 0; i < selectors.length; i++) {
      memory.putInt(task + 72 + 4 * i, selectors[i]);
    }
    task = TSS16 - GDT;
    memory.putShort(task + 2, (short) INNER0).putShort(task + 4, (short) DATA0)
        .putShort(task + 14, (short) (PeerAssembler.address(popAndDone) - PROGRAM)).putShort(task + 16,
        (short) Rflags.FIXED);
    for (int i = 0; i < 8; i++) {
      memory.putShort(task + 18 + 2 * i, (short) (0x2000 + i));
    }
    memory.putShort(task + 26, (short) STACK3);
    // Its stack is one of 16 bits: what the upper halves of the registers become is left open.
    int[] near = {DATA0, CODE_NEAR, DATA16_0, DATA0};
    for (int i = 0; i < near.length; i++) {
      memory.putShort(task + 34 + 2 * i, (short) near[i]);
    }
  }
}
