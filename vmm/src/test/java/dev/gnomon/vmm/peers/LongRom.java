package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.DONE;
import static dev.gnomon.vmm.peers.PeerLayout.FLAT;
import static dev.gnomon.vmm.peers.PeerLayout.GDT;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.HAND_OVER;
import static dev.gnomon.vmm.peers.PeerLayout.IDT;
import static dev.gnomon.vmm.peers.PeerLayout.LDT;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.USER;
import static dev.gnomon.vmm.peers.PeerLayout.gate;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** Cases that begin in 64-bit mode. */
final class LongRom extends CaseRom<LongAssembler> {
  /** Names of the words of a line, in its order. */
  static final List<String> FIELDS = List.of("case", "vector", "error", "rip", "cs", "rflags", "rsp", "ss", "rax",
      "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r11", "r15", "ds", "es", "fs", "gs", "hflags", "hcs", "hrsp",
      "hss", "tr", "ldtr", "cr0", "cr2", "cr3", "cr4", "cr8", "efer", "fsbase", "gsbase", "kernelgsbase");
  private static final Reg[] SAVED = {RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8, R11, R15};
  private static final Reg[] SEGMENTS = {DS, ES, FS, GS};
  private static final int[] MSRS = {Msr.EFER, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE};
  private static final int[] CLEARED_MSRS = {Msr.STAR, Msr.LSTAR, Msr.CSTAR, Msr.FMASK, Msr.SYSENTER_CS,
      Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE};
  private static final long EFER_CASE =
      ControlRegister.EFER_SCE | ControlRegister.EFER_LME | ControlRegister.EFER_NXE;
  private static final long CR0_CASE = 0x8000_0031L;
  private static final int EVERYBODY = 7;
  private static final int LARGE = 0x80;

  private final Label gdtr = new Label("gdtr");

  private LongRom() {
    super(8, FIELDS, VARIABLES, STACK0, RESTORED_END);
  }

  /** A ROM of whole blocks of 64 KiB. @param first number of the first case */
  static byte[] of(List<LongCase> cases, int first) {
    LongRom rom = new LongRom();
    rom.enterLongMode();
    return rom.build(cases.stream().map(LongCase::body).toList(), first);
  }

  @Override
  void store(Mem variable, Label address) {
    a.mov(EAX, address);
    a.mov(variable, RAX);
    a.mov(EAX, 0x0101_0101);
  }

  private void enterLongMode() {
    copyTemplate();
    a.lgdt(Mem.abs(gdtr));
    a.mov(EAX, (int) ControlRegister.CR4_PAE);
    a.mov(CR4, EAX);
    a.mov(EAX, PML4);
    a.mov(CR3, EAX);
    LongAssembler.writeMsr(a, Msr.EFER, EFER_CASE);
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

  @Override
  LongAssembler engine() {
    stubs();
    handler();
    finish();
    printHex();
    reset();
    end();
    Label done = a.here();
    a.interrupt(DONE);
    Label popAndDone = a.here();
    popAndDone(8);
    return new LongAssembler(a, done, popAndDone, stubs[USER]);
  }

  private void handler() {
    a.bind(common);
    for (Reg register : SAVED) {
      a.mov(variable(name(register)), register);
    }
    for (Reg segment : SEGMENTS) {
      a.mov(EAX, segment);
      a.mov(variable(name(segment)), RAX);
    }
    a.cld();
    for (String field : new String[] {"vector", "error", "rip", "cs", "rflags", "rsp", "ss"}) {
      a.pop(variable(field));
    }
    handOver();
  }

  private void finish() {
    saveSystem(CR0, CR2, CR3, CR4, CR8);
    String[] fields = {"efer", "fsbase", "gsbase", "kernelgsbase"};
    for (int i = 0; i < MSRS.length; i++) {
      a.mov(ECX, MSRS[i]);
      a.rdmsr();
      a.shl(RDX, 32);
      a.or(RAX, RDX);
      a.mov(variable(fields[i]), RAX);
    }
    controls();
    report();
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
    resetMemory(STACK0, INNER0, INNER1, INNER2, STACK3 - 0x400, STACK3 - 0x300, STACK3 - 0x200, STACK3 - 0x100,
        ist(1), ist(2), ist(3), ist(4), ist(5), ist(6), ist(7));
    a.mov(Mem.abs(CODE32).w(), DONE << 8 | 0xCD);
    a.lgdt(Mem.abs(gdtr));
    a.lidt(Mem.abs(idtr));
    controls();
    for (int number : CLEARED_MSRS) {
      LongAssembler.writeMsr(a, number, 0);
    }
    LongAssembler.writeMsr(a, Msr.EFER, EFER_CASE);
    a.xor(EAX, EAX);
    a.lldt(AX);
    resetSegments();
    for (int i = 0; i < 16; i++) {
      Reg register = Reg.general(i, 8);
      if (register != RSP) {
        a.mov(register, 0x0101_0101_0101_0101L * (i + 1));
      }
    }
    resetDone();
  }

  private static long code64(int access) {
    return segment(0, 0xFFFFF, access, FLAT64);
  }

  @Override
  byte[] template() {
    ByteBuffer memory = ByteBuffer.allocate(RESTORED_END - GDT).order(ByteOrder.LITTLE_ENDIAN);
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
