package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * The way from protected mode into IA-32e mode, what must be set for it, and the way back (SDM vol. 3A, "Initializing
 * IA-32e Mode", "Transitions to and from Compatibility Mode").
 */
final class ModeCases {
  /** Tables for the first 4 MiB, behind the program. */
  private static final int ROOT = 0x30_0000;
  private static final long PAGED = 0x8000_0031L;
  private static final int UNPAGED = 0x31;
  private static final int PAE = (int) ControlRegister.CR4_PAE;
  private static final int LME = (int) ControlRegister.EFER_LME;

  private final List<PeerCase> cases = new ArrayList<>();

  private ModeCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, a -> {
      efer(a, 0);
      body.accept(a);
    }));
  }

  static List<PeerCase> all() {
    ModeCases group = new ModeCases();
    group.entering();
    group.codeSegments();
    group.inside();
    return group.cases;
  }

  private static void tables(PeerAssembler a) {
    a.asm.xor(EAX, EAX);
    a.asm.mov(EDI, ROOT);
    a.asm.mov(ECX, 0x3000 / 4);
    a.asm.rep().stosd();
    a.store(ROOT, ROOT + 0x1000 | 7);
    a.store(ROOT + 0x1000, ROOT + 0x2000 | 7);
    a.store(ROOT + 0x2000, 0x87);
    a.store(ROOT + 0x2008, 0x20_0087);
    control(a, 3, ROOT);
  }

  private static void control(PeerAssembler a, int number, long value) {
    a.asm.mov(EAX, (int) value);
    a.asm.mov(number == 0 ? CR0 : number == 3 ? CR3 : CR4, EAX);
  }

  private static void efer(PeerAssembler a, int value) {
    a.asm.mov(ECX, Msr.EFER);
    a.asm.mov(EAX, value);
    a.asm.xor(EDX, EDX);
    a.asm.wrmsr();
  }

  /** Reads EFER and CR0 where it stands, then leaves IA-32e mode and ends the case. */
  private static void leave(PeerAssembler a) {
    a.asm.mov(ECX, Msr.EFER);
    a.asm.rdmsr();
    a.asm.mov(ESI, EAX);
    a.asm.mov(EDI, CR0);
    control(a, 0, UNPAGED);
    a.asm.rdmsr();
    a.asm.mov(EBX, EAX);
    efer(a, 0);
    a.finish();
  }

  private void entering() {
    for (int cr4 : new int[] {0, PAE, PAE | (int) ControlRegister.CR4_PSE, (int) ControlRegister.CR4_PSE}) {
      add("paging with efer.lme and cr4 %x".formatted(cr4), a -> {
        tables(a);
        control(a, 4, cr4);
        efer(a, LME);
        control(a, 0, PAGED);
        leave(a);
      });
    }
    for (long cr0 : new long[] {0x8000_0030L, 0xC000_0031L, 0xA000_0031L, 0x8001_0031L}) {
      add("cr0 %x with efer.lme".formatted(cr0), a -> {
        tables(a);
        control(a, 4, PAE);
        efer(a, LME);
        control(a, 0, cr0);
        leave(a);
      });
    }
    add("cr4 with pcid outside IA-32e mode", a -> control(a, 4, PAE | ControlRegister.CR4_PCIDE));
    add("efer.lme with paging on", a -> {
      a.paging(0, 0);
      efer(a, LME);
    });
    add("efer.lma without lme", a -> {
      efer(a, (int) ControlRegister.EFER_LMA);
      a.asm.rdmsr();
      a.finish();
    });
    for (int type : new int[] {0x81, 0x89}) {
      add("paging with task segment %x and efer.lme".formatted(type), a -> {
        a.descriptor(FREE, segment(type == 0x81 ? TSS16 : TSS32, 0x67, type, 0));
        a.asm.mov(EAX, FREE);
        a.asm.ltr(AX);
        tables(a);
        control(a, 4, PAE);
        efer(a, LME);
        control(a, 0, PAGED);
        leave(a);
      });
    }
  }

  /** CS.L and CS.D where paging is switched on. */
  private void codeSegments() {
    for (int flags : new int[] {0xC, 0xE}) {
      add("paging with code of flags %x and efer.lme".formatted(flags), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, 0x9B, flags));
        tables(a);
        control(a, 4, PAE);
        efer(a, LME);
        Label there = new Label();
        a.asm.jmpFar(FREE, there);
        a.asm.bind(there);
        control(a, 0, PAGED);
        leave(a);
      });
    }
  }

  /** What compatibility mode lets happen, as far as it needs no gate of 64 bits. */
  private void inside() {
    add("paging off and on again", a -> {
      tables(a);
      control(a, 4, PAE);
      efer(a, LME);
      control(a, 0, PAGED);
      control(a, 0, UNPAGED);
      control(a, 0, PAGED);
      leave(a);
    });
    add("64-bit code from compatibility mode and back", a -> {
      a.descriptor(FREE, segment(0, 0xFFFFF, 0x9B, 0xA));
      tables(a);
      control(a, 4, PAE);
      efer(a, LME);
      control(a, 0, PAGED);
      Label wide = new Label();
      Label far = new Label();
      Label back = new Label();
      a.asm.jmpFar(FREE, wide);
      a.asm.bind(far);
      a.asm.dd(back);
      a.asm.dw(CODE0);
      a.asm.bind(wide);
      a.asm.bits(64);
      a.asm.mov(RDX, 0x1234_5678_9ABC_DEF0L);
      a.asm.shr(RDX, 16);
      a.asm.mov(EBP, EDX);
      a.asm.jmpFar(Mem.abs(far).d());
      a.asm.bits(32);
      a.asm.bind(back);
      leave(a);
    });
    add("cr3 with bits that compatibility mode ignores", a -> {
      tables(a);
      control(a, 4, PAE);
      efer(a, LME);
      control(a, 0, PAGED);
      control(a, 3, ROOT | 0xFFF);
      a.asm.mov(EBP, CR3);
      leave(a);
    });
  }
}
