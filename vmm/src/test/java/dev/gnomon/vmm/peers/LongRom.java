package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.COMPARED_END;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.DATA3;
import static dev.gnomon.vmm.peers.PeerLayout.DONE;
import static dev.gnomon.vmm.peers.PeerLayout.FLAT;
import static dev.gnomon.vmm.peers.PeerLayout.GDT;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.HAND_OVER;
import static dev.gnomon.vmm.peers.PeerLayout.IDT;
import static dev.gnomon.vmm.peers.PeerLayout.LDT;
import static dev.gnomon.vmm.peers.PeerLayout.PROGRAM;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.USER;
import static dev.gnomon.vmm.peers.PeerLayout.gate;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Rflags;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** As {@link PeerRom}, for cases that begin in 64-bit mode. */
final class LongRom {
  /** Names of the words of a line, in its order. */
  static final List<String> FIELDS = List.of("case", "vector", "error", "rip", "cs", "rflags", "rsp", "ss", "rax",
      "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r11", "r15", "ds", "es", "fs", "gs", "hflags", "hcs", "hrsp",
      "hss", "tr", "ldtr", "cr0", "cr2", "cr3", "cr4", "cr8", "efer", "fsbase", "gsbase", "kernelgsbase");
  private static final Reg[] SAVED = {RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8, R11, R15};
  private static final Reg[] SEGMENTS = {DS, ES, FS, GS};
  private static final Reg[] CONTROLS = {CR0, CR2, CR3, CR4, CR8};
  private static final int[] MSRS = {Msr.EFER, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE};
  private static final int[] CLEARED_MSRS = {Msr.STAR, Msr.LSTAR, Msr.CSTAR, Msr.FMASK, Msr.SYSENTER_CS,
      Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE};
  private static final long EFER_CASE =
      ControlRegister.EFER_SCE | ControlRegister.EFER_LME | ControlRegister.EFER_NXE;
  private static final long CR0_CASE = 0x8000_0031L;
  private static final int NEXT = VARIABLES + 0x200;
  private static final int RETURN = VARIABLES + 0x208;
  private static final int TEMPLATE_BYTES = RESTORED_END - GDT;
  private static final int EVERYBODY = 7;
  private static final int LARGE = 0x80;

  private final Assembler a = new Assembler(32);
  private final Label common = new Label("common");
  private final Label finish = new Label("finish");
  private final Label reset = new Label("reset");
  private final Label template = new Label("template");
  private final Label hex = new Label("hex");
  private final Label end = new Label("end");
  private final Label gdtr = new Label("gdtr");
  private final Label[] stubs = new Label[64];

  private LongRom() {}

  /** A ROM of whole blocks of 64 KiB. @param first number of the first case */
  static byte[] of(List<LongCase> cases, int first) {
    return new LongRom().build(cases, first);
  }

  private static Mem variable(String field) {
    return Mem.abs(VARIABLES + 8L * FIELDS.indexOf(field)).q();
  }

  private byte[] build(List<LongCase> cases, int first) {
    Label main = new Label("main");
    enterLongMode();
    a.jmp(main);
    LongAssembler writer = engine();
    a.bind(main);
    PeerImage.maskInterrupts(a);
    Label start = new Label();
    a.jmp(start);
    Label next = new Label();
    for (int i = 0; i < cases.size(); i++) {
      a.bind(next);
      if (i == first) {
        a.bind(start);
      }
      next = new Label();
      a.call(reset);
      a.mov(variable("case"), i);
      a.mov(EAX, next);
      a.mov(Mem.abs(NEXT).q(), RAX);
      a.mov(EAX, 0x0101_0101);
      cases.get(i).body().accept(writer);
      writer.finish();
    }
    a.bind(next);
    a.jmp(end);
    a.align(4);
    a.bind(template);
    a.emit(template());
    return PeerImage.of(a.assemble(PROGRAM));
  }

  private void enterLongMode() {
    copyTemplate();
    a.lgdt(Mem.abs(gdtr));
    a.mov(EAX, (int) ControlRegister.CR4_PAE);
    a.mov(CR4, EAX);
    a.mov(EAX, PML4);
    a.mov(CR3, EAX);
    writeMsr(Msr.EFER, EFER_CASE);
    a.mov(EAX, (int) CR0_CASE);
    a.mov(CR0, EAX);
    Label here = new Label();
    a.jmpFar(CODE0, here);
    a.bits(64);
    a.bind(here);
    a.mov(EAX, DATA0);
    a.mov(SS, AX);
    a.mov(ESP, STACK0);
  }

  private void copyTemplate() {
    a.mov(ESI, template);
    a.mov(EDI, GDT);
    a.mov(ECX, TEMPLATE_BYTES / 4);
    a.rep().movsd();
  }

  private void writeMsr(int number, long value) {
    a.mov(ECX, number);
    a.mov(EAX, (int) value);
    a.mov(EDX, (int) (value >>> 32));
    a.wrmsr();
  }

  private LongAssembler engine() {
    for (int vector = 0; vector < 32; vector++) {
      stub(vector, PeerImage.hasErrorCode(vector));
    }
    stub(USER, false);
    stub(DONE, false);
    handler();
    finish();
    a.bind(hex);
    PeerImage.printHex(a, 8);
    reset();
    a.bind(end);
    PeerImage.end(a);
    Label done = a.here();
    a.interrupt(DONE);
    Label popAndDone = a.here();
    for (Reg register : new Reg[] {RAX, RBX, RCX, RDX, RSI, RDI}) {
      a.pop(register);
    }
    a.interrupt(DONE);
    return new LongAssembler(a, done, popAndDone, stubs[USER]);
  }

  private void stub(int vector, boolean errorCode) {
    stubs[vector] = a.here();
    if (!errorCode) {
      a.push(PeerImage.NO_ERROR_CODE);
    }
    a.push(vector);
    a.jmp(common);
  }

  private void handler() {
    a.bind(common);
    for (Reg register : SAVED) {
      a.mov(variable(register.name().toLowerCase()), register);
    }
    for (Reg segment : SEGMENTS) {
      a.mov(EAX, segment);
      a.mov(variable(segment.name().toLowerCase()), RAX);
    }
    a.cld();
    for (String field : new String[] {"vector", "error", "rip", "cs", "rflags", "rsp", "ss"}) {
      a.pop(variable(field));
    }
    a.pushfq();
    a.pop(variable("hflags"));
    a.mov(variable("hrsp"), RSP);
    a.mov(EAX, SS);
    a.mov(variable("hss"), RAX);
    a.mov(EAX, CS);
    a.mov(variable("hcs"), RAX);
    a.test(AL, 3);
    a.jz(finish);
    a.interrupt(HAND_OVER);
  }

  private void finish() {
    a.bind(finish);
    a.mov(EAX, DATA0);
    a.mov(SS, AX);
    a.mov(ESP, STACK0);
    a.xor(EAX, EAX);
    a.str(AX);
    a.mov(variable("tr"), RAX);
    a.sldt(AX);
    a.mov(variable("ldtr"), RAX);
    for (Reg control : CONTROLS) {
      a.mov(RAX, control);
      a.mov(variable(control.name().toLowerCase()), RAX);
    }
    String[] fields = {"efer", "fsbase", "gsbase", "kernelgsbase"};
    for (int i = 0; i < MSRS.length; i++) {
      a.mov(ECX, MSRS[i]);
      a.rdmsr();
      a.shl(RDX, 32);
      a.or(RAX, RDX);
      a.mov(variable(fields[i]), RAX);
    }
    controls();
    a.mov(AL, '#');
    a.out(PeerImage.DEBUG_PORT, AL);
    a.mov(ESI, VARIABLES);
    a.mov(EDI, FIELDS.size());
    Label field = a.here();
    a.lodsq();
    a.call(hex);
    a.dec(EDI);
    a.jnz(field);
    // What changed of the tables: address=value.
    a.mov(ESI, GDT);
    a.mov(EDI, template);
    a.mov(ECX, (COMPARED_END - GDT) / 4);
    Label compare = a.here();
    Label same = new Label();
    a.repe().cmpsd();
    a.jz(same);
    a.push(RCX);
    a.lea(RAX, Mem.ptr(RSI, -4));
    a.call(hex);
    a.mov(EAX, Mem.ptr(RSI, -4));
    a.call(hex);
    a.pop(RCX);
    a.jrcxz(same);
    a.jmp(compare);
    a.bind(same);
    a.mov(AL, '\n');
    a.out(PeerImage.DEBUG_PORT, AL);
    a.jmp(Mem.abs(NEXT).q());
  }

  /** Control registers as a case finds them. */
  private void controls() {
    a.mov(EAX, (int) CR0_CASE);
    a.mov(CR0, RAX);
    a.mov(EAX, (int) ControlRegister.CR4_PAE);
    a.mov(CR4, RAX);
    a.mov(EAX, PML4);
    a.mov(CR3, RAX);
    a.xor(EAX, EAX);
    a.mov(CR2, RAX);
    a.mov(CR8, RAX);
  }

  private void reset() {
    a.bind(gdtr);
    a.dw(GDT_BYTES - 1);
    a.dq(GDT);
    Label idtr = a.here();
    a.dw(0xFFF);
    a.dq(IDT);
    a.bind(reset);
    a.pop(Mem.abs(RETURN).q());
    copyTemplate();
    a.mov(EDI, VARIABLES);
    a.xor(EAX, EAX);
    a.mov(ECX, FIELDS.size());
    a.rep().stosq();
    // What pops read above the stacks.
    for (int top : new int[] {STACK0, INNER0, INNER1, INNER2, STACK3 - 0x400, STACK3 - 0x300,
        STACK3 - 0x200, STACK3 - 0x100, ist(1), ist(2), ist(3), ist(4), ist(5), ist(6), ist(7)}) {
      a.mov(EDI, top);
      a.mov(ECX, 8);
      a.rep().stosq();
    }
    a.mov(Mem.abs(CODE32).w(), DONE << 8 | 0xCD);
    a.lgdt(Mem.abs(gdtr));
    a.lidt(Mem.abs(idtr));
    controls();
    for (int number : CLEARED_MSRS) {
      writeMsr(number, 0);
    }
    writeMsr(Msr.EFER, EFER_CASE);
    a.xor(EAX, EAX);
    a.lldt(AX);
    a.mov(Mem.abs(GDT + TASK + 5).b(), 0x89);
    a.mov(EAX, TASK);
    a.ltr(AX);
    a.mov(EAX, DATA3);
    a.mov(DS, AX);
    a.mov(ES, AX);
    a.mov(EAX, DATA0);
    a.mov(FS, AX);
    a.mov(SS, AX);
    a.mov(ESP, STACK0);
    a.xor(EAX, EAX);
    a.mov(GS, AX);
    a.push(Rflags.FIXED);
    a.popfq();
    for (int i = 0; i < 16; i++) {
      Reg register = Reg.general(i, 8);
      if (register != RSP) {
        a.mov(register, 0x0101_0101_0101_0101L * (i + 1));
      }
    }
    a.jmp(Mem.abs(RETURN).q());
  }

  private static long code64(int access) {
    return segment(0, 0xFFFFF, access, FLAT64);
  }

  private byte[] template() {
    ByteBuffer memory = ByteBuffer.allocate(TEMPLATE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int ring = 0; ring < 4; ring++) {
      memory.putLong(PeerLayout.code(ring) & ~7, code64(PeerLayout.ACCESS_CODE | ring << 5));
      memory.putLong(PeerLayout.data(ring) & ~7, segment(0, 0xFFFFF, PeerLayout.ACCESS_DATA | ring << 5, FLAT));
    }
    memory.putLong(CODE32_0, segment(0, 0xFFFFF, PeerLayout.ACCESS_CODE, FLAT));
    memory.putLong(CODE32_3 & ~7, segment(0, 0xFFFFF, PeerLayout.ACCESS_CODE | 0x60, FLAT));
    memory.putLong(CODE16_3 & ~7, segment(CODE32, 0xFFFF, PeerLayout.ACCESS_CODE | 0x60, 0));
    memory.putLong(TASK, segment(TSS, 0x67, 0x8B, 0));
    memory.putLong(LOCAL, segment(LDT, 0x7F, 0x82, 0));
    for (int vector = 0; vector < 64; vector++) {
      if (stubs[vector] != null) {
        put(memory, vector, stubs[vector], vector == DONE);
      }
    }
    put(memory, HAND_OVER, finish, true);
    int tss = TSS - GDT;
    int[] inner = {INNER0, INNER1, INNER2};
    for (int ring = 0; ring < inner.length; ring++) {
      memory.putLong(tss + TSS_RSP0 + 8 * ring, inner[ring]);
    }
    for (int number = 1; number < 8; number++) {
      memory.putLong(istPointer(number) - GDT, ist(number));
    }
    memory.putShort(tss + 102, (short) 0x68);
    pageTables(memory);
    return memory.array();
  }

  private static void put(ByteBuffer memory, int vector, Label handler, boolean fromAnywhere) {
    memory.putLong(IDT - GDT + 16 * vector, gate(CODE0, LongAssembler.address(handler), fromAnywhere ? 0xEE : 0x8E,
        fromAnywhere ? IST_DONE : 0));
  }

  private static void pageTables(ByteBuffer memory) {
    for (int entry : new int[] {0, 255, 256, 511}) {
      memory.putLong(PML4 - GDT + 8 * entry, PDPT | EVERYBODY);
    }
    for (int entry : new int[] {0, 511}) {
      memory.putLong(PDPT - GDT + 8 * entry, DIRECTORY | EVERYBODY);
      memory.putLong(DIRECTORY - GDT + 8 * entry, TABLE | EVERYBODY);
    }
    memory.putLong(DIRECTORY - GDT + 8, 0x20_0000 | LARGE | EVERYBODY);
    for (int page = 0; page < 512; page++) {
      memory.putLong(TABLE - GDT + 8 * page, page << 12 | EVERYBODY);
    }
  }
}
