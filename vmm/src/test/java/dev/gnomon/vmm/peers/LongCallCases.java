package dev.gnomon.vmm.peers;

import static dev.gnomon.vmm.peers.LongAssembler.PRESENT;
import static dev.gnomon.vmm.peers.LongGateCases.EDGES;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.CODE1;
import static dev.gnomon.vmm.peers.PeerLayout.CODE3;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.FREE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.LDT;
import static dev.gnomon.vmm.peers.PeerLayout.SCRATCH;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Vector;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Far CALL and JMP in IA-32e mode, through call gates and directly (SDM vol. 2A, "CALL", "JMP"). */
final class LongCallCases {
  /** Code segment that a gate names, behind the gate. */
  private static final int TARGET = FREE + 0x10;

  private final List<LongCase> cases = new ArrayList<>();

  private LongCallCases() {}

  private void add(String name, Consumer<LongAssembler> body) {
    cases.add(new LongCase(name, body));
  }

  static List<LongCase> all() {
    LongCallCases group = new LongCallCases();
    group.privileges();
    group.types();
    group.gates();
    group.stacks();
    group.direct();
    group.pointers();
    return group.cases;
  }

  private static void far(LongAssembler a, boolean call, int selector, long offset, int size) {
    far(a, call, a.farPointer(selector, offset, size));
  }

  private static void far(LongAssembler a, boolean call, Mem pointer) {
    if (call) {
      a.asm.callFar(pointer);
    } else {
      a.asm.jmpFar(pointer);
    }
  }

  private void privileges() {
    for (boolean call : new boolean[] {true, false}) {
      for (int cpl = 0; cpl < 4; cpl++) {
        for (int dpl = 0; dpl < 4; dpl++) {
          for (int rpl : new int[] {0, 3}) {
            for (int code = 0; code < 8; code++) {
              int from = cpl;
              int gateAccess = PRESENT | dpl << 5 | 0xC;
              int access = PRESENT | (code & 3) << 5 | (code < 4 ? 0x1B : 0x1F);
              if (rpl == 3 && cpl != 3 && code != 0) {
                continue;
              }
              add("%s from ring %d by rpl %d through gate of dpl %d to %x".formatted(call ? "call" : "jmp", cpl, rpl,
                  dpl, access), a -> {
                a.descriptor(TARGET, segment(0, 0xFFFFF, access, FLAT64));
                a.callGate(FREE, TARGET, LongAssembler.address(a.popAndDone), gateAccess);
                a.ring(from);
                far(a, call, FREE | rpl, 0x1234, 4);
              });
            }
          }
        }
      }
    }
  }

  private void types() {
    for (boolean call : new boolean[] {true, false}) {
      String op = call ? "call" : "jmp";
      for (int ring : new int[] {0, 3}) {
        for (int type = 0; type < 16; type++) {
          int access = PRESENT | 0x60 | type;
          add("%s from ring %d through type %x".formatted(op, ring, type), a -> {
            a.callGate(FREE, CODE0 | ring, LongAssembler.address(a.popAndDone), access);
            a.ring(ring);
            far(a, call, FREE | 3, 0, 4);
          });
        }
        add("%s from ring %d through absent gate".formatted(op, ring), a -> {
          a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0x6C);
          a.ring(ring);
          far(a, call, FREE, 0, 4);
        });
        for (int flags : new int[] {0x8, 0xA, 0xC, 0xE, 0x2}) {
          for (int access : new int[] {0x9B, 0x9F}) {
            add("%s from ring %d through gate to code %x with flags %x".formatted(op, ring, access, flags), a -> {
              a.descriptor(TARGET, segment(0, 0xFFFFF, access, flags));
              a.callGate(FREE, TARGET, LongAssembler.address(a.popAndDone), 0xEC);
              a.ring(ring);
              far(a, call, FREE, 0, 4);
            });
          }
        }
        for (int selector : new int[] {0, 3, DATA0, TASK, GDT_BYTES, 0xC, CODE0 | 3}) {
          add("%s from ring %d through gate to selector %x".formatted(op, ring, selector), a -> {
            a.callGate(FREE, selector, LongAssembler.address(a.popAndDone), 0xEC);
            a.ring(ring);
            far(a, call, FREE, 0, 4);
          });
        }
        add("%s from ring %d through gate to absent code".formatted(op, ring), a -> {
          a.descriptor(TARGET, segment(0, 0xFFFFF, 0x1A, FLAT64));
          a.callGate(FREE, TARGET, LongAssembler.address(a.popAndDone), 0xEC);
          a.ring(ring);
          far(a, call, FREE, 0, 4);
        });
      }
    }
  }

  private void gates() {
    for (boolean call : new boolean[] {true, false}) {
      String op = call ? "call" : "jmp";
      for (int bits : new int[] {1, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x1F00, 0xC000_0000}) {
        add("%s through gate with bits %x of its last word".formatted(op, bits), a -> {
          a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0xEC);
          a.store(PeerLayout.GDT + FREE + 12, bits);
          far(a, call, FREE, 0, 4);
        });
      }
      for (int count : new int[] {1, 31}) {
        add("%s through gate with %d parameters".formatted(op, count), a -> {
          a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0xEC);
          a.storeByte(PeerLayout.GDT + FREE + 4, count);
          if (call) {
            a.ring(3);
          }
          far(a, call, FREE, 0, 4);
        });
      }
      add("%s through gate in the last slot of the gdt".formatted(op), a -> {
        a.descriptor(GDT_BYTES - 8, PeerLayout.gate(CODE0, LongAssembler.address(a.popAndDone), 0xEC, 0));
        far(a, call, GDT_BYTES - 8, 0, 4);
      });
      add("%s through gate of the ldt".formatted(op), a -> {
        a.asm.mov(Reg.EAX, LOCAL);
        a.asm.lldt(Reg.AX);
        long offset = LongAssembler.address(a.popAndDone);
        a.store64(LDT + 0x10, PeerLayout.gate(CODE0, offset, 0xEC, 0));
        far(a, call, 0x14, 0, 4);
      });
      for (int ring : new int[] {0, 3}) {
        for (long offset : EDGES) {
          add("%s from ring %d through gate to offset %x".formatted(op, ring, offset), a -> {
            a.callGate(FREE, ring == 0 || call ? CODE0 : CODE3, offset, 0xEC);
            a.store(TABLE + 8 * 0x1FF, 0);
            a.store(TABLE, 0);
            a.ring(ring);
            far(a, call, FREE, 0, 4);
          });
        }
        add("%s from 32-bit code in ring %d through gate".formatted(op, ring), a -> {
          a.callGate(FREE, call ? CODE0 : CODE0 + 0x10 * ring, HIGH + LongAssembler.address(a.popAndDone), 0xEC);
          a.farPointer(FREE, 0x5678, 4);
          a.compatible(ring, code -> {
            if (call) {
              code.callFar(Mem.abs(SCRATCH));
            } else {
              code.jmpFar(Mem.abs(SCRATCH));
            }
          });
        });
      }
    }
  }

  private void stacks() {
    for (long pointer : EDGES) {
      for (int size : new int[] {0, 0x20}) {
        add("call with rsp0 %x".formatted(pointer + size), a -> {
          a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0xEC);
          a.stackOf(Vector.SS, 5);
          a.stackOf(Vector.PF, 5);
          a.store64(TSS + TSS_RSP0, pointer + size);
          a.ring(3);
          far(a, true, FREE, 0, 4);
        });
        add("call with rsp %x".formatted(pointer + size), a -> {
          a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0xEC);
          a.stackOf(Vector.SS, 5);
          a.stackOf(Vector.PF, 5);
          Mem target = a.farPointer(FREE, 0, 4);
          a.asm.mov(Reg.RSP, pointer + size);
          far(a, true, target);
        });
      }
    }
    for (int limit : new int[] {11, 12, 18, 19}) {
      add("call to ring 1 with limit %x of the tss".formatted(limit), a -> {
        a.descriptor(FREE + 0x20, segment(TSS, limit, 0x89, 0), 0);
        a.asm.mov(Reg.EAX, FREE + 0x20);
        a.asm.ltr(Reg.AX);
        a.callGate(FREE, CODE1, LongAssembler.address(a.popAndDone), 0xEC);
        a.ring(3);
        far(a, true, FREE, 0, 4);
      });
    }
    for (int shift : new int[] {1, 8, 15}) {
      add("call with rsp0 %d bytes off".formatted(shift), a -> {
        a.callGate(FREE, CODE0, LongAssembler.address(a.popAndDone), 0xEC);
        a.store64(TSS + TSS_RSP0, INNER0 - shift);
        a.ring(3);
        far(a, true, FREE, 0, 4);
      });
    }
    add("call and return through gate", a -> {
      a.code(64, code -> code.retfq());
      a.callGate(FREE, CODE0, LongAssembler.START32, 0xEC);
      a.ring(3);
      far(a, true, FREE, 0, 4);
      a.finish();
    });
  }

  /** To code segments of every size and privilege, without a gate. */
  private void direct() {
    for (boolean call : new boolean[] {true, false}) {
      String op = call ? "call" : "jmp";
      for (int ring : new int[] {0, 3}) {
        for (int flags : new int[] {0x0, 0x8, 0xA, 0xC, 0xE, 0x2}) {
          for (int access : new int[] {0x9B, 0x9F, 0xFB, 0xFF, 0xBF}) {
            add("%s from ring %d to code %x with flags %x".formatted(op, ring, access, flags), a -> {
              a.descriptor(FREE, segment(flags == 0 ? CODE32 : 0, 0xFFFFF, access, flags));
              a.ring(ring);
              far(a, call, FREE | ring, flags == 0 ? 0 : CODE32, 4);
            });
          }
        }
        add("%s from ring %d to code with a small limit".formatted(op, ring), a -> {
          a.descriptor(FREE, segment(0, CODE32 - 1, 0x9F, 4));
          a.ring(ring);
          far(a, call, FREE, CODE32, 4);
        });
        for (int size : new int[] {2, 4, 8}) {
          add("%s from ring %d with an operand of %d bytes".formatted(op, ring, size), a -> {
            a.ring(ring);
            a.store(SCRATCH + 0x20, CODE32);
            far(a, call, PeerLayout.code(ring), size == 2 ? 0xFF00 : CODE32, size);
          });
        }
        for (int selector : new int[] {0, 3, GDT_BYTES, TASK, LOCAL, 0xC, PeerLayout.data(ring)}) {
          add("%s from ring %d to selector %x".formatted(op, ring, selector), a -> {
            a.ring(ring);
            far(a, call, selector, CODE32, 4);
          });
        }
        add("%s from 32-bit code in ring %d to 64-bit code".formatted(op, ring), a -> {
          a.compatible(ring, code -> {
            if (call) {
              code.callFar(PeerLayout.code(ring), CODE32, 4);
            } else {
              code.jmpFar(PeerLayout.code(ring), CODE32, 4);
            }
          });
        });
        for (long offset : EDGES) {
          add("%s from ring %d to offset %x".formatted(op, ring, offset), a -> {
            a.store(TABLE + 8 * 0x1FF, 0);
            a.store(TABLE, 0);
            a.ring(ring);
            far(a, call, PeerLayout.code(ring), offset, 8);
          });
        }
      }
      add("direct far %s in 64-bit code".formatted(op), a -> a.asm.emit((byte) (call ? 0x9A : 0xEA), (byte) 0, (byte) 0,
          (byte) 0, (byte) 0, (byte) CODE0, (byte) 0));
    }
  }

  /** The far pointer itself where it cannot be read. */
  private void pointers() {
    for (long pointer : EDGES) {
      add("call with far pointer at %x".formatted(pointer), a -> {
        a.store(TABLE + 8 * 0x1FF, 0);
        a.store(TABLE, 0);
        a.asm.mov(Reg.RBX, pointer);
        a.asm.callFar(Mem.ptr(Reg.RBX).d());
      });
      add("jmp with far pointer at %x by rbp".formatted(pointer), a -> {
        a.store(TABLE + 8 * 0x1FF, 0);
        a.store(TABLE, 0);
        a.asm.mov(Reg.RBP, pointer);
        a.asm.jmpFar(Mem.ptr(Reg.RBP).d());
      });
    }
  }
}
