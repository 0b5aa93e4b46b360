package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Faults inside delivery, debug exceptions, interrupt shadows and NMIs, control registers (SDM vol. 3A and 3B).
 */
final class EventCases {
  private static final int MAPPED = PagingCases.MAPPED;
  private static final int PAGE_INDEX = PagingCases.PAGE_INDEX;
  private static final int LAPIC = 0xFEE0_0000;

  private final List<PeerCase> cases = new ArrayList<>();

  private EventCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  static List<PeerCase> delivery() {
    EventCases group = new EventCases();
    group.doubleFaults();
    return group.cases;
  }

  static List<PeerCase> debug() {
    EventCases group = new EventCases();
    group.singleSteps();
    group.breakpoints();
    group.shadows();
    return group.cases;
  }

  static List<PeerCase> control() {
    EventCases group = new EventCases();
    group.controlRegisters();
    group.modelRegisters();
    return group.cases;
  }

  /** How to raise each exception in ring 3; paging is on. */
  private static Map<Integer, Consumer<PeerAssembler>> exceptions() {
    Map<Integer, Consumer<PeerAssembler>> all = new LinkedHashMap<>();
    all.put(0, a -> {
      a.asm.xor(ECX, ECX);
      a.asm.div(ECX);
    });
    all.put(3, a -> a.asm.int3());
    all.put(5, a -> {
      a.store(SCRATCH, 1);
      a.store(SCRATCH + 4, 2);
      a.asm.mov(EAX, 3);
      a.asm.bound(EAX, Mem.abs(SCRATCH));
    });
    all.put(6, a -> a.asm.ud2());
    all.put(10, a -> {
      a.asm.push(Rflags.NT | Rflags.FIXED);
      a.asm.popfd();
      a.asm.iretd();
    });
    all.put(11, a -> {
      a.asm.mov(EAX, FREE + 8);
      a.asm.mov(DS, AX);
    });
    all.put(12, a -> {
      a.asm.mov(EAX, FREE | 3);
      a.asm.mov(SS, AX);
    });
    all.put(13, a -> {
      a.asm.mov(EAX, GDT_BYTES);
      a.asm.mov(DS, AX);
    });
    all.put(14, a -> a.asm.mov(EAX, Mem.abs(MAPPED)));
    return all;
  }

  /** What meets the delivery of the first. */
  private static Map<String, Consumer<PeerAssembler>> obstacles(int vector) {
    Map<String, Consumer<PeerAssembler>> all = new LinkedHashMap<>();
    all.put("bad gate (#GP)", a -> a.vector(vector, 0));
    all.put("absent gate (#NP)", a -> a.storeByte(IDT + 8 * vector + 5, 0x6E));
    all.put("null segment (#GP)", a -> a.storeWord(IDT + 8 * vector + 2, 0));
    all.put("absent segment (#NP)", a -> a.storeWord(IDT + 8 * vector + 2, FREE + 16));
    all.put("bad stack of ring 1 (#TS)", a -> {
      a.storeWord(IDT + 8 * vector + 2, CODE1);
      a.storeWord(TSS + 16, 0);
    });
    all.put("absent stack of ring 1 (#SS)", a -> {
      a.storeWord(IDT + 8 * vector + 2, CODE1);
      a.storeWord(TSS + 16, FREE + 24 | 1);
    });
    all.put("unmapped stack of ring 1 (#PF)", a -> {
      a.storeWord(IDT + 8 * vector + 2, CODE1);
      a.store(TSS + 12, MAPPED + 0x1000);
    });
    all.put("full stack of ring 1 (#SS)", a -> {
      a.storeWord(IDT + 8 * vector + 2, CODE1);
      a.store(TSS + 12, 8);
    });
    return all;
  }

  private void doubleFaults() {
    for (Map.Entry<Integer, Consumer<PeerAssembler>> first : exceptions().entrySet()) {
      for (Map.Entry<String, Consumer<PeerAssembler>> second : obstacles(first.getKey()).entrySet()) {
        add("exception %d meets %s".formatted(first.getKey(), second.getKey()), a -> {
          a.descriptor(FREE, segment(0, 0xFFFFF, 0x73, FLAT));
          a.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x73, FLAT));
          a.descriptor(FREE + 16, segment(0, 0xFFFFF, 0x1B, FLAT));
          a.descriptor(FREE + 24, segment(0, 0xFFFFF, 0x33, FLAT));
          a.store(TABLE + 4 * PAGE_INDEX, 0);
          a.storeByte(IDT + 8 * 3 + 5, 0xEE);
          second.getValue().accept(a);
          a.paging(0, 0);
          a.ring(3);
          first.getValue().accept(a);
        });
      }
    }
    for (int vector : new int[] {3, USER}) {
      for (Map.Entry<String, Consumer<PeerAssembler>> second : obstacles(vector).entrySet()) {
        add("int %d meets %s".formatted(vector, second.getKey()), a -> {
          a.vector(vector, gate(CODE0, PeerAssembler.address(a.handler), 0xEE, 0));
          a.descriptor(FREE + 16, segment(0, 0xFFFFF, 0x1B, FLAT));
          a.descriptor(FREE + 24, segment(0, 0xFFFFF, 0x33, FLAT));
          a.store(TABLE + 4 * PAGE_INDEX, 0);
          second.getValue().accept(a);
          a.paging(0, 0);
          a.ring(3);
          a.asm.interrupt(vector);
        });
      }
    }
    add("triple fault", a -> {
      a.vector(6, 0);
      a.vector(8, 0);
      a.vector(13, 0);
      a.asm.ud2();
    });
    add("double fault through a task gate", a -> {
      a.vector(13, 0);
      a.vector(8, gate(TASK32, 0, 0x85, 0));
      a.asm.mov(EAX, GDT_BYTES);
      a.asm.mov(DS, AX);
    });
    add("gate that page faults", a -> {
      // The IDT on a page of its own that is not there.
      a.store(TABLE + 4 * (IDT >> 12), 0);
      a.paging(0, 0);
      a.asm.ud2();
    });
  }

  private static void flags(PeerAssembler a, int flags) {
    a.asm.push(flags | Rflags.FIXED);
    a.asm.popfd();
  }

  private void singleSteps() {
    Map<String, Consumer<PeerAssembler>> next = new LinkedHashMap<>();
    next.put("nop", a -> a.asm.nop());
    next.put("popf without tf", a -> flags(a, 0));
    next.put("pushf", a -> {
      a.asm.pushfd();
      a.asm.nop();
    });
    next.put("int", a -> a.asm.interrupt(USER));
    next.put("int3", a -> a.asm.int3());
    next.put("into not taken", a -> a.asm.into());
    next.put("ud2", a -> a.asm.ud2());
    next.put("mov ss, nop", a -> {
      a.asm.mov(SS, AX);
      a.asm.nop();
      a.asm.nop();
    });
    next.put("pop ss, nop", a -> {
      a.asm.pop(SS);
      a.asm.nop();
      a.asm.nop();
    });
    next.put("mov ss, int", a -> {
      a.asm.mov(SS, AX);
      a.asm.interrupt(USER);
    });
    next.put("lss", a -> {
      a.asm.loadFar(SS, ECX, Mem.abs(SCRATCH));
      a.asm.nop();
    });
    next.put("mov ds", a -> a.asm.mov(ES, AX));
    next.put("sti, nop", a -> {
      a.asm.sti();
      a.asm.nop();
    });
    next.put("rep movsb", a -> {
      a.asm.mov(ECX, 3);
      a.asm.rep().movsb();
    });
    next.put("repeated", a -> a.asm.rep().stosb());
    next.put("far call", a -> a.asm.callFar(CODE0, PeerAssembler.address(a.done), 4));
    next.put("task switch", a -> a.asm.jmpFar(TASK32, 0L, 4));
    next.put("iret", a -> {
      a.asm.push(0x102);
      a.asm.push(CODE0);
      a.asm.push((int) PeerAssembler.address(a.popAndDone));
      a.asm.iretd();
    });
    next.put("iret without tf", a -> {
      a.asm.push(2);
      a.asm.push(CODE0);
      a.asm.push((int) PeerAssembler.address(a.popAndDone));
      a.asm.iretd();
    });
    next.put("mov dr", a -> a.asm.mov(EAX, DR7));
    for (Map.Entry<String, Consumer<PeerAssembler>> entry : next.entrySet()) {
      add("single step, %s".formatted(entry.getKey()), a -> {
        a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), 0xEE, 0));
        a.store(SCRATCH, STACK0 - 0x40);
        a.store(SCRATCH + 4, DATA0);
        a.asm.mov(EDI, SCRATCH + 0x10);
        a.asm.mov(ESI, SCRATCH + 0x20);
        a.asm.mov(ECX, 2);
        a.asm.mov(EAX, DATA0);
        a.asm.push(DATA0);
        flags(a, Rflags.TF);
        entry.getValue().accept(a);
        a.finish();
      });
    }
  }

  private static void breakpoint(PeerAssembler a, int number, long address, int kind, int length) {
    a.asm.mov(EAX, (int) address);
    a.asm.mov(new Reg[] {DR0, DR1, DR2, DR3}[number], EAX);
    a.asm.mov(EAX, DR7);
    a.asm.or(EAX, 1 << 2 * number | kind << 16 + 4 * number | length << 18 + 4 * number);
    a.asm.mov(DR7, EAX);
  }

  private void breakpoints() {
    for (int kind : new int[] {1, 3}) {
      for (int length : new int[] {0, 1, 3}) {
        for (int offset : new int[] {0, 1, 2, 3, 4, 5}) {
          for (boolean write : new boolean[] {false, true}) {
            add("breakpoint %d of length %d, %s at +%d".formatted(kind, length, write ? "write" : "read", offset),
                a -> {
              breakpoint(a, 1, SCRATCH + 4, kind, length);
              if (write) {
                a.asm.mov(Mem.abs(SCRATCH + offset).w(), 1);
              } else {
                a.asm.mov(BX, Mem.abs(SCRATCH + offset));
              }
              a.asm.nop();
              a.asm.xor(EBX, EBX);
              a.finish();
            });
          }
        }
      }
    }
    for (boolean rf : new boolean[] {false, true}) {
      add("instruction breakpoint%s".formatted(rf ? " with rf" : ""), a -> {
        breakpoint(a, 0, PeerAssembler.address(a.popAndDone), 0, 0);
        a.asm.push(rf ? 0x10002 : 2);
        a.asm.push(CODE0);
        a.asm.push((int) PeerAssembler.address(a.popAndDone));
        a.asm.iretd();
      });
    }
    add("instruction breakpoint behind mov ss", a -> {
      Label at = new Label();
      a.asm.mov(EAX, at);
      a.asm.mov(DR0, EAX);
      a.asm.mov(EAX, 0x401);
      a.asm.mov(DR7, EAX);
      a.asm.mov(EAX, DATA0);
      a.asm.mov(SS, AX);
      a.asm.bind(at);
      a.asm.nop();
      a.finish();
    });
    add("general detect", a -> {
      a.asm.mov(EAX, 0x2400);
      a.asm.mov(DR7, EAX);
      a.asm.mov(EAX, DR6);
    });
    for (boolean de : new boolean[] {false, true}) {
      add("dr4%s".formatted(de ? " with debug extensions" : ""), a -> {
        a.asm.mov(EAX, de ? 8 : 0);
        a.asm.mov(CR4, EAX);
        a.asm.emit((byte) 0x0F, (byte) 0x21, (byte) 0xE3);
        a.finish();
      });
      add("port breakpoint%s".formatted(de ? " with debug extensions" : ""), a -> {
        a.asm.mov(EAX, de ? 8 : 0);
        a.asm.mov(CR4, EAX);
        breakpoint(a, 2, 0x80, 2, 0);
        a.asm.out(0x80, AL);
        a.asm.nop();
        a.finish();
      });
    }
    add("reserved bits of dr6 and dr7", a -> {
      a.asm.mov(EAX, -1);
      a.asm.mov(DR6, EAX);
      a.asm.xor(EAX, EAX);
      a.asm.mov(DR7, EAX);
      a.asm.mov(EBX, DR6);
      a.asm.mov(ECX, DR7);
      a.finish();
    });
  }

  /** Self-sent NMIs: taken behind a shadow, and not before IRET. */
  private void shadows() {
    add("nmi", a -> {
      nmi(a);
      a.asm.nop();
      a.finish();
    });
    add("second nmi in the handler", a -> {
      Label handler = new Label();
      Label behind = new Label();
      a.asm.mov(EDI, 0);
      a.asm.mov(EAX, handler);
      a.asm.mov(Mem.abs(IDT + 16).w(), AX);
      a.asm.shr(EAX, 16);
      a.asm.mov(Mem.abs(IDT + 22).w(), AX);
      nmi(a);
      a.asm.nop();
      a.asm.jmp(behind);
      a.asm.bind(handler);
      a.asm.inc(EDI);
      a.asm.cmp(EDI, 2);
      Label second = new Label();
      a.asm.je(second);
      nmi(a);
      a.asm.nop();
      a.asm.mov(ESI, EDI);
      a.asm.bind(second);
      a.asm.iretd();
      a.asm.bind(behind);
      a.asm.mov(ECX, 1000);
      Label wait = a.asm.here();
      a.asm.dec(ECX);
      a.asm.jnz(wait);
      a.asm.xor(EAX, EAX);
      a.finish();
    });
  }

  private static void nmi(PeerAssembler a) {
    a.asm.mov(Mem.abs(LAPIC + 0xF0).d(), 0x1FF);
    a.asm.mov(Mem.abs(LAPIC + 0x310).d(), 0);
    a.asm.mov(Mem.abs(LAPIC + 0x300).d(), 0x4400);
  }

  private void controlRegisters() {
    for (int bit = 0; bit < 32; bit++) {
      long value = 1L << bit;
      add("cr0 with bit %d".formatted(bit), a -> {
        a.asm.mov(EAX, CR0);
        a.asm.xor(EAX, (int) (value & ~1));
        a.asm.mov(CR0, EAX);
        a.asm.mov(EBX, CR0);
        // TS and EM must not be seen by what comes.
        a.asm.xor(EAX, EAX);
        a.finish();
      });
      if (bit < 2 || bit > 10) {
        // What is reserved differs with the features that the processors offer, and QEMU never comes back from a
        // reserved bit.
        continue;
      }
      add("cr4 with bit %d".formatted(bit), a -> {
        a.asm.mov(EAX, (int) value);
        a.asm.mov(CR4, EAX);
        a.asm.mov(EBX, CR4);
        a.asm.xor(EAX, EAX);
        a.finish();
      });
    }
    for (long value : new long[] {0x8000_0030L, 0x8000_0031L, 0x2000_0031L, 0x6000_0031L, 0x30}) {
      if (value == 0x30 || value == 0x8000_0031L) {
        continue;
      }
      add("cr0 %x".formatted(value), a -> {
        a.asm.mov(EAX, (int) value);
        a.asm.mov(CR0, EAX);
        a.asm.mov(EBX, CR0);
        a.asm.xor(EAX, EAX);
        a.finish();
      });
    }
    for (int value : new int[] {0, 1, 2, 4, 8, 0xF, 0xFFFF}) {
      add("lmsw %x".formatted(value), a -> {
        a.asm.mov(EAX, value);
        a.asm.lmsw(AX);
        a.asm.smsw(EBX);
        a.asm.clts();
        a.asm.smsw(CX);
        a.finish();
      });
    }
    for (int number = 1; number < 16; number += number == 1 ? 4 : 1) {
      if (number < 8) {
        int which = number;
        add("mov cr%d".formatted(number), a -> a.asm.emit((byte) 0x0F, (byte) 0x20, (byte) (0xC0 | which << 3)));
      }
    }
    // MOV to and from control registers ignores the mod field.
    add("mov cr0 with a memory form", a -> {
      a.asm.emit((byte) 0x0F, (byte) 0x20, (byte) 0x03);
      a.asm.xor(ESI, ESI);
      a.finish();
    });
  }

  private void modelRegisters() {
    long[][] writes = {{0x277, 0x0007_0406_0007_0406L}, {0x277, 2}, {0x277, 3}, {0x277, 0x0800_0000_0000_0000L},
        {0xC000_0080L, 0x800}, {0xC000_0080L, 0x2},
        {0xC000_0080L, 0x100}, {0x174, 0xFFFF_FFFFL}, {0x12345, 0}, {0xC000_0100L, 0x1234}};
    for (long[] write : writes) {
      add("wrmsr %x of %x".formatted(write[0], write[1]), a -> {
        a.asm.mov(ECX, (int) write[0]);
        a.asm.mov(EAX, (int) write[1]);
        a.asm.mov(EDX, (int) (write[1] >>> 32));
        a.asm.wrmsr();
        a.asm.rdmsr();
        // As it was, for what comes.
        a.asm.mov(EBX, EAX);
        a.asm.mov(ESI, EDX);
        a.asm.xor(EAX, EAX);
        a.asm.xor(EDX, EDX);
        a.asm.wrmsr();
        a.finish();
      });
    }
  }
}
