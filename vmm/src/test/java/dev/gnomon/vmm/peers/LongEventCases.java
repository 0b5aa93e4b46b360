package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.LongGateCases.EDGES;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.FLAT;
import static dev.gnomon.vmm.peers.PeerLayout.FREE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.IDT;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.USER;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Faults inside delivery, and addresses that are not canonical, in IA-32e mode (SDM vol. 3A). */
final class LongEventCases {
  private static final Map<String, Consumer<LongAssembler>> BRANCHES = new LinkedHashMap<>();

  static {
    BRANCHES.put("jmp rbx", a -> a.asm.jmp(RBX));
    BRANCHES.put("jmp [scratch]", a -> a.asm.jmp(Mem.abs(PeerLayout.SCRATCH).q()));
    BRANCHES.put("call rbx", a -> a.asm.call(RBX));
    BRANCHES.put("call [scratch]", a -> a.asm.call(Mem.abs(PeerLayout.SCRATCH).q()));
    BRANCHES.put("ret", a -> {
      a.asm.push(RBX);
      a.asm.ret();
    });
    BRANCHES.put("ret 16", a -> {
      a.asm.push(RBX);
      a.asm.ret(16);
    });
  }

  private final List<LongCase> cases = new ArrayList<>();

  private LongEventCases() {}

  private void add(String name, Consumer<LongAssembler> body) {
    cases.add(new LongCase(name, body));
  }

  static List<LongCase> delivery() {
    LongEventCases group = new LongEventCases();
    group.nestedFaults();
    return group.cases;
  }

  static List<LongCase> branches() {
    LongEventCases group = new LongEventCases();
    group.nearBranches();
    group.edges();
    group.operands();
    return group.cases;
  }

  /** How to raise each exception in any ring. */
  private static Map<Integer, Consumer<LongAssembler>> exceptions() {
    Map<Integer, Consumer<LongAssembler>> all = new LinkedHashMap<>();
    all.put(Vector.DE, a -> {
      a.asm.xor(ECX, ECX);
      a.asm.div(ECX);
    });
    all.put(Vector.BP, a -> a.asm.int3());
    all.put(Vector.UD, a -> a.asm.ud2());
    all.put(Vector.NP, a -> {
      a.asm.mov(EAX, FREE + 8);
      a.asm.mov(DS, AX);
    });
    all.put(Vector.SS, a -> {
      a.asm.mov(RBP, HOLE);
      a.asm.mov(EAX, Mem.ptr(RBP));
    });
    all.put(Vector.GP, a -> {
      a.asm.mov(EAX, GDT_BYTES);
      a.asm.mov(DS, AX);
    });
    all.put(Vector.PF, a -> a.asm.mov(EAX, Mem.abs(PAGE)));
    return all;
  }

  /** What meets the delivery of the first. */
  private static Map<String, Consumer<LongAssembler>> obstacles(int vector) {
    Map<String, Consumer<LongAssembler>> all = new LinkedHashMap<>();
    long entry = IDT + 16L * vector;
    all.put("bad gate (#GP)", a -> a.store(entry + 4, 0));
    all.put("absent gate (#NP)", a -> a.storeByte(entry + 5, 0x6E));
    all.put("null segment (#GP)", a -> a.storeWord(entry + 2, 0));
    all.put("absent segment (#NP)", a -> a.storeWord(entry + 2, FREE + 16));
    all.put("32-bit segment (#GP)", a -> a.storeWord(entry + 2, CODE32_0));
    all.put("handler that is not canonical (#GP)", a -> a.store64(entry + 8, HOLE >>> 32));
    all.put("stack that is not canonical (#SS)", a -> {
      a.storeByte(entry + 4, 1);
      a.store64(istPointer(1), HOLE);
    });
    all.put("stack that is not mapped (#PF)", a -> {
      a.storeByte(entry + 4, 1);
      a.store64(istPointer(1), PAGE + 0x1000);
    });
    all.put("stack beyond the tss (#TS)", a -> a.storeByte(entry + 4, 7));
    return all;
  }

  private void nestedFaults() {
    for (int ring : new int[] {0, 3}) {
      for (Map.Entry<Integer, Consumer<LongAssembler>> first : exceptions().entrySet()) {
        for (Map.Entry<String, Consumer<LongAssembler>> second : obstacles(first.getKey()).entrySet()) {
          add("exception %d in ring %d meets %s".formatted(first.getKey(), ring, second.getKey()), a -> {
            prepare(a, first.getKey());
            second.getValue().accept(a);
            a.ring(ring);
            first.getValue().accept(a);
          });
        }
      }
      for (Map.Entry<String, Consumer<LongAssembler>> second : obstacles(USER).entrySet()) {
        add("int in ring %d meets %s".formatted(ring, second.getKey()), a -> {
          a.user(0);
          prepare(a, USER);
          second.getValue().accept(a);
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
    }
    for (Map.Entry<Integer, Consumer<LongAssembler>> first : exceptions().entrySet()) {
      if (first.getKey() != Vector.BP) {
        add("double fault of %d meets a bad gate".formatted(first.getKey()), a -> {
          prepare(a, first.getKey());
          a.store(IDT + 16 * first.getKey() + 4, 0);
          a.store(IDT + 16 * Vector.GP + 4, 0);
          a.store(IDT + 16 * Vector.DF + 4, 0);
          first.getValue().accept(a);
        });
      }
    }
    add("page fault whose handler's stack is not mapped", a -> {
      prepare(a, Vector.PF);
      a.stackOf(Vector.PF, 1);
      a.store64(istPointer(1), PAGE + 0x100);
      a.asm.mov(EAX, Mem.abs(PAGE + 0x123));
    });
    add("gate that is not mapped", a -> {
      prepare(a, Vector.UD);
      a.store(TABLE + 8 * (IDT >> 12), 0);
      a.asm.invlpg(Mem.abs(IDT));
      a.asm.ud2();
    });
  }

  /** A page and a segment that are not there, and a task-state segment that ends before the last interrupt stack. */
  private static void prepare(LongAssembler a, int vector) {
    a.store(TABLE + 8 * (PAGE >> 12), 0);
    a.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x73, FLAT));
    a.descriptor(FREE + 16, segment(0, 0xFFFFF, 0x1B, FLAT64));
    a.storeByte(IDT + 16 * Vector.BP + 5, 0xEE);
    a.descriptor(FREE + 0x20, segment(TSS, istPointer(7) - TSS + 6, 0x89, 0), 0);
    a.asm.mov(EAX, FREE + 0x20);
    a.asm.ltr(AX);
    for (int other : new int[] {Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.PF, Vector.DF}) {
      if (other != vector) {
        a.stackOf(other, 5);
      }
    }
  }

  private void nearBranches() {
    for (Map.Entry<String, Consumer<LongAssembler>> branch : BRANCHES.entrySet()) {
      for (long target : EDGES) {
        for (int ring : new int[] {0, 3}) {
          add("%s to %x in ring %d".formatted(branch.getKey(), target, ring), a -> {
            a.store(TABLE + 8 * 0x1FF, 0);
            a.store(TABLE, 0);
            a.store64(PeerLayout.SCRATCH, target);
            a.ring(ring);
            a.asm.mov(RBX, target);
            branch.getValue().accept(a);
          });
        }
      }
    }
  }

  /** Instructions that end with the lower half, and those that branch out of it. */
  private void edges() {
    for (int ring : new int[] {0, 3}) {
      edge("nop", ring, code -> code.nop());
      edge("int3", ring, code -> code.int3());
      edge("int", ring, code -> code.interrupt(PeerLayout.DONE));
      edge("jmp behind", ring, code -> code.emit((byte) 0xEB, (byte) 0));
      edge("jmp far behind", ring, code -> code.emit((byte) 0xE9, (byte) 0, (byte) 0, (byte) 1, (byte) 0));
      edge("call behind", ring, code -> code.emit((byte) 0xE8, (byte) 0, (byte) 0, (byte) 0, (byte) 0));
      edge("call back", ring, code -> {
        code.interrupt(PeerLayout.DONE);
        code.emit((byte) 0xE8, (byte) -7, (byte) -1, (byte) -1, (byte) -1);
      });
      edge("jz behind", ring, code -> {
        code.xor(EAX, EAX);
        code.emit((byte) 0x74, (byte) 0x10);
      });
      edge("jnz behind, not taken", ring, code -> {
        code.xor(EAX, EAX);
        code.emit((byte) 0x75, (byte) 0x10);
      });
      edge("jz far behind", ring, code -> {
        code.xor(EAX, EAX);
        code.emit((byte) 0x0F, (byte) 0x84, (byte) 0x10, (byte) 0, (byte) 0, (byte) 0);
      });
      edge("loop behind", ring, code -> code.emit((byte) 0xE2, (byte) 0x20));
      edge("jrcxz behind", ring, code -> {
        code.xor(ECX, ECX);
        code.emit((byte) 0xE3, (byte) 0x20);
      });
      edge("jmp behind from before", ring, code -> {
        code.emit((byte) 0xEB, (byte) 0x10);
        for (int i = 0; i < 8; i++) {
          code.nop();
        }
      });
      edge("instruction across", ring, code -> code.emit((byte) 0x48, (byte) 0xB8, (byte) 1));
      edge("load of what is behind", ring, code -> {
        code.emit((byte) 0x48, (byte) 0x8B, (byte) 0x05, (byte) 1, (byte) 0, (byte) 0, (byte) 0);
        code.nop();
      });
    }
    add("jmp back before the upper half", a -> {
      a.storeWord(PAGE, 0xFEEB - 0x1000);
      a.store64(TABLE, PAGE | 7);
      a.asm.invlpg(Mem.abs(0));
      a.asm.mov(RAX, HIGH);
      a.asm.jmp(RAX);
    });
  }

  private void edge(String name, int ring, Consumer<Assembler> body) {
    add("%s at the edge in ring %d".formatted(name, ring), a -> {
      a.ring(ring, Rflags.FIXED);
      a.asm.mov(EBP, CODE0);
      a.atEdge(body);
    });
  }

  /** Data at the edges: #GP, and #SS where RSP or RBP is the base. */
  private void operands() {
    for (long pointer : EDGES) {
      for (int size : new int[] {1, 8}) {
        add("read of %d bytes at %x".formatted(size, pointer), a -> {
          unmapped(a);
          a.asm.mov(RBX, pointer);
          a.asm.mov(RAX.as(size), Mem.ptr(RBX));
        });
        add("write of %d bytes at %x by rbp".formatted(size, pointer), a -> {
          unmapped(a);
          a.asm.mov(RBP, pointer);
          a.asm.mov(Mem.ptr(RBP), RAX.as(size));
        });
      }
      add("push at %x".formatted(pointer + 4), a -> {
        unmapped(a);
        a.stackOf(Vector.SS, 5);
        a.stackOf(Vector.PF, 5);
        a.asm.mov(RSP, pointer + 4);
        a.asm.push(RAX);
      });
      add("call with stack at %x".formatted(pointer + 4), a -> {
        unmapped(a);
        a.stackOf(Vector.SS, 5);
        a.stackOf(Vector.PF, 5);
        a.asm.mov(RSP, pointer + 4);
        a.asm.call(a.done);
      });
      add("read at %x by gs".formatted(pointer), a -> {
        unmapped(a);
        a.msr(Msr.GS_BASE, 0x1000);
        a.asm.mov(RBX, pointer - 0x1000);
        a.asm.mov(RAX, Mem.seg(GS, Mem.ptr(RBX)));
      });
      add("stosb at %x".formatted(pointer), a -> {
        unmapped(a);
        a.asm.mov(RDI, pointer);
        a.asm.stosb();
      });
      add("invlpg at %x".formatted(pointer), a -> {
        a.asm.mov(RDI, pointer);
        a.asm.invlpg(Mem.ptr(RDI));
        a.finish();
      });
    }
  }

  private static void unmapped(LongAssembler a) {
    a.store(TABLE + 8 * 0x1FF, 0);
    a.store(TABLE, 0);
    a.asm.mov(RAX, CR3);
    a.asm.mov(CR3, RAX);
  }
}
