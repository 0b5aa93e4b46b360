package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.LongGateCases.EDGES;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.CODE3;
import static dev.gnomon.vmm.peers.PeerLayout.FREE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.LDT;
import static dev.gnomon.vmm.peers.PeerLayout.SCRATCH;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Fast system calls, control and model-specific registers, and descriptor-table registers in IA-32e mode (SDM vol. 2;
 * vol. 3A, "Fast System Calls in 64-Bit Mode", "Control Registers", "Initializing IA-32e Mode").
 */
final class LongSystemCases {
  private final List<LongCase> cases = new ArrayList<>();

  private LongSystemCases() {}

  private void add(String name, Consumer<LongAssembler> body) {
    cases.add(new LongCase(name, body));
  }

  static List<LongCase> fastCalls() {
    LongSystemCases group = new LongSystemCases();
    group.syscall();
    group.sysret();
    group.sysenter();
    group.sysexit();
    group.swapgs();
    return group.cases;
  }

  static List<LongCase> registers() {
    LongSystemCases group = new LongSystemCases();
    group.leaving();
    group.modelRegisters();
    group.tables();
    return group.cases;
  }

  /** Every bit of the control registers, and what may not be switched in IA-32e mode. */
  static List<LongCase> controlRegisters() {
    LongSystemCases group = new LongSystemCases();
    group.controlBits();
    group.reservedBits();
    return group.cases;
  }

  private static void star(LongAssembler a, int kernel, int user) {
    a.msr(Msr.STAR, (long) user << 48 | (long) kernel << 32 | 0x1234_5678);
    a.msr(Msr.LSTAR, LongAssembler.address(a.done));
  }

  private void syscall() {
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      for (int flags : new int[] {0x2, 0x3CD7, 0x4_0CD7, 0x20_0202}) {
        for (long mask : new long[] {0, 0xFFFF_FFFFL, 0x4700}) {
          add("syscall in ring %d with flags %x and mask %x".formatted(ring, flags, mask), a -> {
            star(a, CODE0, 0x2B);
            a.msr(Msr.FMASK, mask);
            a.ring(from, flags);
            a.asm.syscall();
          });
        }
      }
    }
    for (int selector : new int[] {0, 3, CODE0 | 3, 0xFFF8, 0xFFFF, FREE}) {
      add("syscall with cs %x".formatted(selector), a -> {
        star(a, selector, 0);
        a.ring(3);
        a.asm.syscall();
      });
    }
    add("syscall to the upper half", a -> {
      star(a, CODE0, 0);
      a.msr(Msr.LSTAR, HIGH + LongAssembler.address(a.done));
      a.ring(3);
      a.asm.syscall();
    });
    add("syscall that is not enabled", a -> {
      a.msr(Msr.EFER, ControlRegister.EFER_LME | ControlRegister.EFER_NXE);
      a.asm.syscall();
    });
    add("syscall in 32-bit code", a -> {
      star(a, CODE0, 0);
      a.compatible(3, code -> code.syscall());
    });
    add("syscall at the end of the lower half", a -> {
      star(a, CODE0, 0);
      a.ring(3);
      a.atEdge(code -> code.syscall());
    });
    add("syscall with a stack that is not canonical", a -> {
      star(a, CODE0, 0);
      a.ring(3);
      a.asm.mov(RSP, HOLE);
      a.asm.syscall();
    });
  }

  private static void sysret(LongAssembler a, boolean to64) {
    if (to64) {
      a.asm.sysretq();
    } else {
      a.asm.sysret();
    }
  }

  private void sysret() {
    for (boolean to64 : new boolean[] {false, true}) {
      String op = to64 ? "sysretq" : "sysret";
      for (int ring = 0; ring < 4; ring++) {
        int from = ring;
        add("%s in ring %d".formatted(op, ring), a -> {
          star(a, CODE0, CODE3 - 16);
          a.ring(from);
          a.asm.mov(ECX, CODE32);
          a.asm.mov(R11, 0x2);
          sysret(a, to64);
        });
      }
      for (int selector : new int[] {0, 3, CODE0 | 3, 0xFFF8, 0xFFFF, FREE}) {
        add("%s with selector %x".formatted(op, selector), a -> {
          star(a, CODE0, selector);
          a.asm.mov(ECX, CODE32);
          a.asm.mov(R11, 0xAD7);
          sysret(a, to64);
        });
      }
      for (long pointer : EDGES) {
        add("%s to %x".formatted(op, pointer), a -> {
          star(a, CODE0, CODE3 - 16);
          a.store(TABLE + 8 * 0x1FF, 0);
          a.store(TABLE, 0);
          a.asm.mov(RCX, pointer);
          a.asm.mov(R11, 0x2);
          sysret(a, to64);
        });
      }
      for (long flags : new long[] {0, 0x3CD7, 0x7_0002, 0x3C_0002, 0xFFFF_FFFF_FFC0_0002L, 0x28}) {
        add("%s with flags %x".formatted(op, flags), a -> {
          star(a, CODE0, CODE3 - 16);
          a.asm.mov(ECX, CODE32);
          a.asm.mov(R11, flags);
          sysret(a, to64);
        });
      }
      add("%s to high half of the address space in rcx".formatted(op), a -> {
        star(a, CODE0, CODE3 - 16);
        a.asm.mov(RCX, HIGH + CODE32);
        a.asm.mov(R11, 2);
        sysret(a, to64);
      });
      add("%s that is not enabled".formatted(op), a -> {
        a.msr(Msr.EFER, ControlRegister.EFER_LME | ControlRegister.EFER_NXE);
        a.asm.mov(ECX, CODE32);
        sysret(a, to64);
      });
      add("%s with a stack that is not canonical".formatted(op), a -> {
        star(a, CODE0, CODE3 - 16);
        a.asm.mov(ECX, CODE32);
        a.asm.mov(R11, 2);
        a.asm.mov(RSP, HOLE);
        sysret(a, to64);
      });
    }
    add("sysret in 32-bit code", a -> {
      star(a, CODE0, CODE3 - 16);
      a.compatible(0, code -> code.sysret());
    });
  }

  private static void sysenter(LongAssembler a, long selector, long stack, long entry) {
    a.msr(Msr.SYSENTER_CS, selector);
    a.msr(Msr.SYSENTER_ESP, stack);
    a.msr(Msr.SYSENTER_EIP, entry);
  }

  private void sysenter() {
    for (int ring : new int[] {0, 3}) {
      for (long selector : new long[] {CODE0, CODE0 | 3, 0, 3, 0xFFF8, 0x1_0000, 0x1_0008}) {
        add("sysenter in ring %d with cs %x".formatted(ring, selector), a -> {
          sysenter(a, selector, INNER0 - 0x40, LongAssembler.address(a.done));
          a.ring(ring, 0xCD7);
          a.asm.sysenter();
        });
      }
      add("sysenter in ring %d to the upper half".formatted(ring), a -> {
        sysenter(a, CODE0, HIGH + INNER0, HIGH + LongAssembler.address(a.done));
        a.ring(ring);
        a.asm.sysenter();
      });
      add("sysenter in 32-bit code of ring %d".formatted(ring), a -> {
        sysenter(a, CODE0, HIGH + INNER0, HIGH + LongAssembler.address(a.done));
        a.compatible(ring, code -> code.sysenter());
      });
    }
  }

  private static void sysexit(LongAssembler a, boolean to64) {
    if (to64) {
      a.asm.sysexitq();
    } else {
      a.asm.sysexit();
    }
  }

  private void sysexit() {
    for (boolean to64 : new boolean[] {false, true}) {
      String op = to64 ? "sysexitq" : "sysexit";
      for (int ring : new int[] {0, 1, 3}) {
        for (long selector : new long[] {CODE0, CODE0 | 3, 0, 3, 0xFFF8, 0x1_0000}) {
          add("%s in ring %d with cs %x".formatted(op, ring, selector), a -> {
            sysenter(a, selector, 0, 0);
            a.ring(ring, 0xCD7);
            a.asm.mov(EDX, CODE32);
            a.asm.mov(ECX, STACK3 - 0x180);
            sysexit(a, to64);
          });
        }
      }
      for (long pointer : EDGES) {
        add("%s to %x".formatted(op, pointer), a -> {
          sysenter(a, CODE0, 0, 0);
          a.store(TABLE + 8 * 0x1FF, 0);
          a.store(TABLE, 0);
          a.asm.mov(RDX, pointer);
          a.asm.mov(ECX, STACK3 - 0x180);
          sysexit(a, to64);
        });
        add("%s with stack %x".formatted(op, pointer), a -> {
          sysenter(a, CODE0, 0, 0);
          a.asm.mov(EDX, CODE32);
          a.asm.mov(RCX, pointer);
          sysexit(a, to64);
        });
      }
    }
    add("sysexit in 32-bit code", a -> {
      sysenter(a, CODE0, 0, 0);
      a.compatible(0, code -> {
        code.mov(EDX, CODE32);
        code.mov(ECX, STACK3 - 0x180);
        code.sysexit();
      });
    });
  }

  private void swapgs() {
    for (int ring : new int[] {0, 3}) {
      add("swapgs in ring %d".formatted(ring), a -> {
        a.msr(Msr.KERNEL_GS_BASE, HIGH);
        a.msr(Msr.GS_BASE, 0x1234);
        a.ring(ring);
        a.asm.swapgs();
        a.finish();
      });
    }
    add("swapgs in 32-bit code", a -> a.compatible(0, code -> code.emit((byte) 0x0F, (byte) 1, (byte) 0xF8)));
  }

  private void writeControl(String name, Reg register, long value) {
    add(name, a -> {
      a.asm.mov(RAX, value);
      a.asm.mov(register, RAX);
      a.asm.mov(RBX, register);
      a.asm.xor(EAX, EAX);
      a.finish();
    });
  }

  private void controlBits() {
    for (int bit = 0; bit < 64; bit += bit < 33 ? 1 : 15) {
      writeControl("cr0 with bit %d switched".formatted(bit), CR0, 0x8000_0031L ^ 1L << bit);
    }
    for (long value : new long[] {0xE000_0031L, 0xC000_0031L, 0xA000_0031L, 0x8000_0030L, 0x30, 0, -1L}) {
      writeControl("cr0 %x".formatted(value), CR0, value);
    }
    for (int bit : new int[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 18, 22}) {
      writeControl("cr4 with bit %d".formatted(bit), CR4, ControlRegister.CR4_PAE ^ 1L << bit);
    }
    add("cr4 with pcid where cr3 has one", a -> {
      a.asm.mov(EAX, PML4 | 8);
      a.asm.mov(CR3, RAX);
      a.asm.mov(EAX, (int) (ControlRegister.CR4_PAE | ControlRegister.CR4_PCIDE));
      a.asm.mov(CR4, RAX);
    });
    add("cr0 without paging where cr4 has pcid", a -> {
      a.asm.mov(EAX, (int) (ControlRegister.CR4_PAE | ControlRegister.CR4_PCIDE));
      a.asm.mov(CR4, RAX);
      a.compatible(0, code -> {
        code.mov(EAX, 0x31);
        code.mov(CR0, EAX);
      });
    });
    for (boolean pcid : new boolean[] {false, true}) {
      for (int bit : new int[] {3, 11, 51, 52, 53, 62, 63}) {
        add("cr3 with bit %d%s".formatted(bit, pcid ? " and pcid" : ""), a -> {
          if (pcid) {
            a.asm.mov(EAX, (int) (ControlRegister.CR4_PAE | ControlRegister.CR4_PCIDE));
            a.asm.mov(CR4, RAX);
          }
          a.asm.mov(RAX, 1L << bit | PML4);
          a.asm.mov(CR3, RAX);
          a.asm.mov(RBX, CR3);
          a.asm.xor(EAX, EAX);
          a.finish();
        });
      }
    }
    for (long value : new long[] {1, 8, 15, 16, 0x80, 1L << 32, 1L << 63, -1L}) {
      writeControl("cr8 %x".formatted(value), CR8, value);
    }
    for (int number = 0; number < 16; number++) {
      int which = number;
      if (number != 2 && number != 3) {
        add("mov rax, cr%d".formatted(number), a -> a.asm.emit((byte) (which > 7 ? 0x44 : 0x40), (byte) 0x0F,
            (byte) 0x20, (byte) (0xC0 | (which & 7) << 3)));
      }
      if (number == 1 || number > 4 && number != 8) {
        add("mov cr%d, rax".formatted(number), a -> a.asm.emit((byte) (which > 7 ? 0x44 : 0x40), (byte) 0x0F,
            (byte) 0x22, (byte) (0xC0 | (which & 7) << 3)));
      }
    }
    for (Reg register : new Reg[] {CR0, CR2, CR3, CR4, CR8}) {
      add("mov %s in ring 3".formatted(register), a -> {
        a.ring(3);
        a.asm.mov(RAX, register);
      });
    }
    for (Reg register : new Reg[] {DR0, DR3, DR6, DR7}) {
      for (long value : new long[] {1L << 32, 1L << 63, 0x1234_5678_9ABC_DEF0L}) {
        add("mov %s, %x".formatted(register, value), a -> {
          a.asm.mov(RAX, value);
          a.asm.mov(register, RAX);
          a.asm.mov(RBX, register);
          a.asm.xor(EAX, EAX);
          a.asm.mov(register, RAX);
          a.finish();
        });
      }
    }
    for (int value : new int[] {0, 2, 4, 8, 0xF, 0xFFF0}) {
      add("lmsw %x".formatted(value), a -> {
        a.asm.mov(EAX, value);
        a.asm.lmsw(AX);
        a.asm.smsw(RBX);
        a.finish();
      });
    }
  }

  /** From compatibility mode: what may be switched off, and what that does to EFER. */
  private void leaving() {
    add("paging off and on in 32-bit code", a -> a.compatible(0, code -> {
      code.mov(EAX, 0x31);
      code.mov(CR0, EAX);
      code.mov(ECX, Msr.EFER);
      code.rdmsr();
      code.mov(EBX, EAX);
      code.mov(EAX, (int) 0x8000_0031L);
      code.mov(CR0, EAX);
      code.rdmsr();
      code.interrupt(PeerLayout.DONE);
    }));
    add("lme off and on without paging", a -> a.compatible(0, code -> {
      code.mov(EAX, 0x31);
      code.mov(CR0, EAX);
      code.mov(ECX, Msr.EFER);
      code.mov(EAX, 1);
      code.xor(EDX, EDX);
      code.wrmsr();
      code.rdmsr();
      code.mov(EBX, EAX);
      code.mov(EAX, 0x901);
      code.wrmsr();
      code.rdmsr();
      code.mov(ESI, EAX);
      code.mov(EAX, (int) 0x8000_0031L);
      code.mov(CR0, EAX);
      code.rdmsr();
      code.interrupt(PeerLayout.DONE);
    }));
    for (long efer : new long[] {0, 0x100, 0x400, 0x500, 0x501, 0xD01, 0x900, 0x102, 0x1100, 0x2100, 0x1_0000_0100L}) {
      add("efer %x".formatted(efer), a -> {
        a.msr(Msr.EFER, efer);
        a.asm.rdmsr();
        a.finish();
      });
      add("efer %x in 32-bit code".formatted(efer), a -> a.compatible(0, code -> {
        code.mov(ECX, Msr.EFER);
        code.mov(EAX, (int) efer);
        code.mov(EDX, (int) (efer >>> 32));
        code.wrmsr();
        code.rdmsr();
        code.interrupt(PeerLayout.DONE);
      }));
    }
  }

  private void modelRegisters() {
    for (int number : new int[] {Msr.LSTAR, Msr.CSTAR, Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE, Msr.SYSENTER_ESP,
        Msr.SYSENTER_EIP, Msr.SYSENTER_CS, Msr.STAR, Msr.FMASK}) {
      for (long value : new long[] {HOLE - 1, HOLE, HIGH - 1, HIGH, 1L << 63, -1L, 1L << 32, 0x1234_5678}) {
        add("wrmsr %x of %x".formatted(number, value), a -> {
          a.msr(number, value);
          a.asm.rdmsr();
          a.finish();
        });
      }
    }
    add("upper halves after rdmsr", a -> {
      a.asm.mov(RAX, -1);
      a.asm.mov(RDX, -1);
      a.asm.mov(RCX, 0x5555_5555_0000_0000L | Msr.EFER & 0xFFFF_FFFFL);
      a.asm.rdmsr();
      a.finish();
    });
    add("rdmsr in ring 3", a -> {
      a.asm.mov(ECX, Msr.EFER);
      a.ring(3);
      a.asm.rdmsr();
    });
  }

  private static void load(LongAssembler a, boolean task, int selector) {
    a.asm.mov(EAX, selector);
    if (task) {
      a.asm.ltr(AX);
    } else {
      a.asm.lldt(AX);
    }
  }

  private void tables() {
    for (long base : EDGES) {
      for (boolean gdt : new boolean[] {false, true}) {
        add("%s with base %x".formatted(gdt ? "lgdt" : "lidt", base), a -> {
          a.storeWord(SCRATCH, 0xFFF);
          a.store64(SCRATCH + 2, base);
          if (gdt) {
            a.asm.lgdt(Mem.abs(SCRATCH));
            a.storeWord(SCRATCH, GDT_BYTES - 1);
            a.store64(SCRATCH + 2, PeerLayout.GDT);
            a.asm.lgdt(Mem.abs(SCRATCH));
          } else {
            a.asm.lidt(Mem.abs(SCRATCH));
            a.storeWord(SCRATCH, 0xFFF);
            a.store64(SCRATCH + 2, PeerLayout.IDT);
            a.asm.lidt(Mem.abs(SCRATCH));
          }
          a.finish();
        });
      }
      for (boolean task : new boolean[] {false, true}) {
        add("%s of base %x".formatted(task ? "ltr" : "lldt", base), a -> {
          a.descriptor(FREE, segment(base & 0xFFFF_FFFFL, 0x67, task ? 0x89 : 0x82, 0), base >>> 32);
          load(a, task, FREE);
          a.finish();
        });
      }
    }
    for (boolean task : new boolean[] {false, true}) {
      String op = task ? "ltr" : "lldt";
      for (int type = 0; type < 32; type++) {
        for (int present : new int[] {0, 0x80}) {
          int access = present | type;
          add("%s of type %02x".formatted(op, access), a -> {
            a.descriptor(FREE, segment(task ? TSS : LDT, 0x67, access, 0), 0);
            load(a, task, FREE);
            a.finish();
          });
        }
      }
      for (int bits : new int[] {0x100, 0x1F00, 0x2000, 0xFF}) {
        add("%s with bits %x of the last word".formatted(op, bits), a -> {
          a.descriptor(FREE, segment(task ? TSS : LDT, 0x67, task ? 0x89 : 0x82, 0), (long) bits << 32);
          load(a, task, FREE);
          a.finish();
        });
      }
      for (int selector : new int[] {0, 3, 4, GDT_BYTES, GDT_BYTES - 8, FREE | 3, FREE | 4}) {
        add("%s of selector %x".formatted(op, selector), a -> {
          a.descriptor(FREE, segment(task ? TSS : LDT, 0x67, task ? 0x89 : 0x82, 0), 0);
          a.descriptor(GDT_BYTES - 8, segment(task ? TSS : LDT, 0x67, task ? 0x89 : 0x82, 0));
          load(a, task, selector);
          a.finish();
        });
      }
    }
    for (Reg register : new Reg[] {DS, SS, FS, GS}) {
      for (int ring = 0; ring < 4; ring++) {
        int from = ring;
        for (int selector : new int[] {0, 1, 2, 3}) {
          add("mov %s, %d in ring %d".formatted(register, selector, ring), a -> {
            a.asm.mov(EAX, PeerLayout.DATA3);
            a.asm.mov(FS, AX);
            a.asm.mov(GS, AX);
            a.msr(Msr.FS_BASE, HIGH);
            a.msr(Msr.GS_BASE, HIGH + 1);
            a.ring(from);
            a.asm.mov(EAX, selector);
            a.asm.mov(register, AX);
            a.finish();
          });
        }
      }
      add("mov %s, 0 in 32-bit code".formatted(register), a -> a.compatible(0, code -> {
        code.xor(EAX, EAX);
        code.mov(register, AX);
        code.interrupt(PeerLayout.DONE);
      }));
    }
    for (int type = 0; type < 32; type++) {
      int access = 0xE0 | type;
      add("lar and lsl of type %x".formatted(type), a -> {
        a.descriptor(FREE, segment(0x1000, 0x2345, access, 0xA), 0);
        a.asm.mov(EDX, FREE | 3);
        a.asm.lar(EBX, EDX);
        a.asm.lsl(ESI, EDX);
        a.asm.pushfq();
        a.asm.pop(RDI);
        a.finish();
      });
    }
  }

  private void reservedBits() {
    for (int cr4 : new int[] {0, 0x20, 0x1020}) {
      add("cr4 %x in 32-bit code".formatted(cr4), a -> a.compatible(0, code -> {
        code.mov(EAX, cr4);
        code.mov(CR4, EAX);
        code.mov(EBX, CR4);
        code.interrupt(PeerLayout.DONE);
      }));
    }
    for (int bit : new int[] {15, 19, 26, 29, 30, 31, 33, 40, 63}) {
      writeControl("cr4 with bit %d".formatted(bit), CR4, ControlRegister.CR4_PAE | 1L << bit);
    }
    add("cr4 with a reserved bit in 32-bit code", a -> a.compatible(0, code -> {
      code.mov(EAX, (int) (ControlRegister.CR4_PAE | 1L << 15));
      code.mov(CR4, EAX);
    }));
  }
}
