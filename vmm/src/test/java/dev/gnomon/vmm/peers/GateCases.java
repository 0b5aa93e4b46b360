package dev.gnomon.vmm.peers;

import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Interrupt, trap, call and task gates through every ring (SDM vol. 3A, "Protection" and "Interrupt and Exception
 * Handling").
 */
final class GateCases {
  private static final int PRESENT = 0x80;
  private static final int DATA = FREE + 0x40;
  private static final int CODE_BASE = FREE;

  private final List<PeerCase> cases = new ArrayList<>();

  private GateCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  /** Interrupts of every gate type from and to every ring. */
  static List<PeerCase> interrupts() {
    GateCases group = new GateCases();
    group.interruptTypes();
    group.interruptTargets();
    group.interruptFrames();
    group.interruptStacks();
    return group.cases;
  }

  /** Calls and jumps through gates. */
  static List<PeerCase> calls() {
    GateCases group = new GateCases();
    group.callPrivileges();
    group.callTypes();
    group.callParameters();
    group.callStacks();
    return group.cases;
  }

  private void interruptTypes() {
    for (int type = 0; type < 32; type++) {
      int access = PRESENT | 0x60 | type;
      boolean small = type == 6 || type == 7;
      int target = small ? CODE_NEAR : type == 5 ? TASK32 : CODE0;
      add("int through type %x".formatted(type), a -> {
        a.vector(USER, gate(target, small ? a.handler16.offset() : PeerAssembler.address(a.handler), access, 0));
        a.asm.interrupt(USER);
      });
    }
    for (int dpl = 0; dpl < 4; dpl++) {
      for (int cpl = 0; cpl < 4; cpl++) {
        int access = PRESENT | dpl << 5 | 0xE;
        int from = cpl;
        add("int from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), access, 0));
          a.ring(from);
          a.asm.interrupt(USER);
        });
        add("int3 from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.storeByte(IDT + 8 * 3 + 5, access);
          a.ring(from);
          a.asm.int3();
        });
        add("int1 from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.storeByte(IDT + 8 + 5, access);
          a.ring(from);
          a.asm.int1();
        });
        add("into from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.storeByte(IDT + 8 * 4 + 5, access);
          a.ring(from, 0x802);
          a.asm.into();
        });
      }
    }
    for (int vector : new int[] {USER, 0xFF}) {
      add("int %x through absent gate".formatted(vector), a -> {
        a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), 0x6E, 0));
        a.asm.interrupt(vector);
      });
    }
    add("int through absent gate of low dpl", a -> {
      a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), 0x0E, 0));
      a.ring(3);
      a.asm.interrupt(USER);
    });
    for (int limit : new int[] {8 * USER - 1, 8 * USER + 6, 8 * USER + 7}) {
      add("int 20 with idt limit %x".formatted(limit), a -> {
        a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), 0xEE, 0));
        a.storeWord(SCRATCH, limit);
        a.store(SCRATCH + 2, IDT);
        a.asm.lidt(Mem.abs(SCRATCH));
        a.asm.interrupt(USER);
      });
    }
  }

  /** Descriptors that a gate's selector may name: its access byte. */
  private void interruptTargets() {
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      for (int type : new int[] {0x11, 0x13, 0x17, 0x19, 0x1B, 0x1D, 0x1F, 0x2, 0x9, 0xC}) {
        for (int dpl = 0; dpl < 4; dpl++) {
          int access = PRESENT | dpl << 5 | type;
          add("int from ring %d to segment %02x".formatted(ring, access), a -> {
            a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT));
            a.vector(USER, gate(FREE, PeerAssembler.address(a.handler), 0xEE, 0));
            a.ring(from);
            a.asm.interrupt(USER);
          });
        }
      }
      add("int from ring %d to absent segment".formatted(ring), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, 0x1A, FLAT));
        a.vector(USER, gate(FREE | 1, PeerAssembler.address(a.handler), 0xEE, 0));
        a.ring(from);
        a.asm.interrupt(USER);
      });
      for (int selector : new int[] {0, 3, GDT_BYTES, 0xFFF8, 4, 0xC}) {
        add("int from ring %d to selector %x".formatted(ring, selector), a -> {
          a.vector(USER, gate(selector, PeerAssembler.address(a.handler), 0xEE, 0));
          a.ring(from);
          a.asm.interrupt(USER);
        });
      }
      add("int from ring %d to offset behind the limit".formatted(ring), a -> {
        a.descriptor(FREE, segment(0, 0xFFF, 0x9A, 4));
        a.vector(USER, gate(FREE, 0x1000, 0xEE, 0));
        a.ring(from);
        a.asm.interrupt(USER);
      });
      add("int from ring %d to a segment of the ldt".formatted(ring), a -> {
        a.localTable();
        a.descriptor(LDT, 8, segment(0, 0xFFFFF, 0x9B, FLAT));
        a.vector(USER, gate(0xC, PeerAssembler.address(a.handler), 0xEE, 0));
        a.ring(from);
        a.asm.interrupt(USER);
      });
    }
  }

  private void interruptFrames() {
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      for (int access : new int[] {0xEE, 0xEF}) {
        for (int flags : new int[] {0x3ED7, 0x4ED7, 0x40ED7 & ~0x100, 0x200CD7}) {
          add("frame of int from ring %d through %x with flags %x".formatted(ring, access, flags & ~0x300), a -> {
            a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), access, 0));
            a.ring(from, flags & ~0x300);
            a.asm.interrupt(USER);
          });
        }
      }
      for (int access : new int[] {0xE6, 0xE7}) {
        add("frame of int from ring %d through 16-bit gate %x".formatted(ring, access), a -> {
          a.vector(USER, gate(CODE_NEAR, a.handler16.offset(), access, 0));
          a.ring(from, 0xCD7);
          a.asm.interrupt(USER);
        });
      }
      add("int from ring %d to ring 1".formatted(ring), a -> {
        a.vector(USER, gate(CODE1, PeerAssembler.address(a.handler), 0xEE, 0));
        a.ring(from);
        a.asm.interrupt(USER);
      });
      add("int from ring %d to ring 2".formatted(ring), a -> {
        a.vector(USER, gate(CODE2, PeerAssembler.address(a.handler), 0xEE, 0));
        a.ring(from);
        a.asm.interrupt(USER);
      });
    }
    for (int access : new int[] {0x98, 0x9A, 0xF8, 0xFA}) {
      add("accessed bit of segment %x by int".formatted(access), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT));
        a.vector(USER, gate(FREE, PeerAssembler.address(a.handler), 0xEE, 0));
        a.ring(access >> 5 & 3);
        a.asm.interrupt(USER);
      });
    }
    add("accessed bit of inner stack by int", a -> {
      a.descriptor(DATA, segment(0, 0xFFFFF, 0x92, FLAT));
      a.storeWord(TSS + 8, DATA);
      a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), 0xEE, 0));
      a.ring(3);
      a.asm.interrupt(USER);
    });
    add("error code of #GP from ring 3", a -> {
      a.ring(3);
      a.asm.mov(Reg.EAX, CODE0);
      a.asm.mov(Reg.SS, Reg.AX);
    });
  }

  private void interruptStacks() {
    innerStacks("int", a -> {
      a.vector(USER, gate(CODE1, PeerAssembler.address(a.handler), 0xEE, 0));
      a.ring(3);
      a.asm.interrupt(USER);
    });
  }

  /** Stacks of ring 1 that cannot be used: #TS and #SS, whose handlers are in ring 0. */
  private void innerStacks(String what, Consumer<PeerAssembler> transfer) {
    for (int selector : new int[] {0, DATA1 | 3, CODE1, DATA3, DATA0, DATA1 & ~3, GDT_BYTES, LOCAL, 0xC}) {
      add("%s with inner stack selector %x".formatted(what, selector), a -> {
        a.storeWord(TSS + 16, selector);
        transfer.accept(a);
      });
    }
    for (int access : new int[] {0x32, 0x33, 0xB0, 0xB1, 0xB4, 0xB7, 0xBA, 0x92, 0xF2, 0x82, 0xB3}) {
      add("%s with inner stack segment %x".formatted(what, access), a -> {
        a.descriptor(DATA, segment(0, 0xFFFFF, access, FLAT));
        a.storeWord(TSS + 16, DATA | 1);
        transfer.accept(a);
      });
    }
    for (int pointer : new int[] {0, 4, 8, 16, 20, 24, 0xFFC, 0x1000, 0x1010}) {
      add("%s with inner stack pointer %x and limit fff".formatted(what, pointer), a -> {
        a.descriptor(DATA, segment(0x9000, 0xFFF, 0xB3, 4));
        a.storeWord(TSS + 16, DATA | 1);
        a.store(TSS + 12, pointer);
        transfer.accept(a);
      });
    }
    for (int limit : new int[] {11, 12, 16, 17, 18, 19, 0x66}) {
      add("%s with limit %x of the tss".formatted(what, limit), a -> {
        a.descriptor(FREE + 0x50, segment(TSS, limit, 0x89, 0));
        a.asm.mov(Reg.EAX, FREE + 0x50);
        a.asm.ltr(Reg.AX);
        transfer.accept(a);
      });
    }
    add("%s with 16-bit tss".formatted(what), a -> {
      a.descriptor(FREE + 0x50, segment(TSS16, 0x2B, 0x81, 0));
      a.storeWord(TSS16 + 6, INNER1);
      a.storeWord(TSS16 + 8, DATA1);
      a.asm.mov(Reg.EAX, FREE + 0x50);
      a.asm.ltr(Reg.AX);
      transfer.accept(a);
    });
    add("%s with 16-bit inner stack".formatted(what), a -> {
      a.descriptor(DATA, segment(0x9000, 0xFFFF, 0xB3, 0));
      a.storeWord(TSS + 16, DATA | 1);
      a.store(TSS + 12, 0x1234_1000);
      transfer.accept(a);
    });
  }

  private void far(PeerAssembler a, boolean call, int selector) {
    if (call) {
      a.asm.callFar(selector, 0x1234L, 4);
    } else {
      a.asm.jmpFar(selector, 0x1234L, 4);
    }
  }

  private void callPrivileges() {
    for (boolean call : new boolean[] {true, false}) {
      for (int cpl = 0; cpl < 4; cpl++) {
        for (int dpl = 0; dpl < 4; dpl++) {
          for (int rpl : new int[] {0, 1, 3}) {
            for (int code = 0; code < 8; code++) {
              int from = cpl;
              int gateAccess = PRESENT | dpl << 5 | 0xC;
              int access = PRESENT | (code & 3) << 5 | (code < 4 ? 0x1B : 0x1F);
              int selector = FREE | rpl;
              if (rpl == 1 && (cpl != 1 || code > 4)) {
                continue;
              }
              add("%s from ring %d by rpl %d through gate of dpl %d to %x".formatted(call ? "call" : "jmp", cpl, rpl,
                  dpl, access), a -> {
                a.descriptor(CODE_BASE + 8, segment(0, 0xFFFFF, access, FLAT));
                a.descriptor(FREE, gate(CODE_BASE + 8, PeerAssembler.address(a.popAndDone), gateAccess, 0));
                a.ring(from);
                far(a, call, selector);
              });
            }
          }
        }
      }
    }
  }

  private void callTypes() {
    for (boolean call : new boolean[] {true, false}) {
      String op = call ? "call" : "jmp";
      for (int ring : new int[] {0, 3}) {
        for (int type = 0; type < 16; type++) {
          int access = PRESENT | 0x60 | type;
          boolean small = type == 4;
          int target = type == 5 ? TASK32 : small ? CODE_NEAR : CODE0;
          add("%s from ring %d through type %x".formatted(op, ring, type), a -> {
            a.descriptor(FREE, gate(target, small ? a.popAndDone.offset() : PeerAssembler.address(a.popAndDone),
                access, 0));
            a.ring(ring);
            far(a, call, FREE | 3);
          });
        }
        add("%s from ring %d through absent gate".formatted(op, ring), a -> {
          a.descriptor(FREE, gate(CODE0, PeerAssembler.address(a.popAndDone), 0x6C, 0));
          a.ring(ring);
          far(a, call, FREE);
        });
        for (int selector : new int[] {0, 3, DATA0, TASK, GDT_BYTES, 0xC, CODE0 | 3}) {
          add("%s from ring %d through gate to selector %x".formatted(op, ring, selector), a -> {
            a.descriptor(FREE, gate(selector, PeerAssembler.address(a.popAndDone), 0xEC, 0));
            a.ring(ring);
            far(a, call, FREE);
          });
        }
        add("%s from ring %d through gate to absent code".formatted(op, ring), a -> {
          a.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x1A, FLAT));
          a.descriptor(FREE, gate(FREE + 8, PeerAssembler.address(a.popAndDone), 0xEC, 0));
          a.ring(ring);
          far(a, call, FREE);
        });
        add("%s from ring %d through gate behind the limit".formatted(op, ring), a -> {
          a.descriptor(FREE + 8, segment(0, 0xFFF, 0x9A, 4));
          a.descriptor(FREE, gate(FREE + 8, 0x1000, 0xEC, 0));
          a.ring(ring);
          far(a, call, FREE);
        });
        add("%s from ring %d through gate of the ldt".formatted(op, ring), a -> {
          a.localTable();
          a.descriptor(LDT, 8, gate(CODE0, PeerAssembler.address(a.popAndDone), 0xEC, 0));
          a.ring(ring);
          far(a, call, 0xC | ring);
        });
      }
    }
  }

  private void callParameters() {
    for (int count : new int[] {0, 1, 2, 3, 31}) {
      for (int ring = 0; ring < 4; ring++) {
        int from = ring;
        for (boolean small : new boolean[] {false, true}) {
          add("call from ring %d with %d parameters of %d bits".formatted(ring, count, small ? 16 : 32), a -> {
            a.descriptor(FREE, small ? gate(CODE_NEAR, a.pop16AndDone.offset(), 0xE4, count)
                : gate(CODE0, PeerAssembler.address(a.popAndDone), 0xEC, count));
            a.ring(from);
            for (int i = 0; i < 4; i++) {
              a.asm.push(0x0A0B_0000 + i);
            }
            a.asm.callFar(FREE | 3, 0L, 4);
          });
        }
      }
    }
    // A return that releases the parameters of both stacks.
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      add("return to ring %d with parameters".formatted(ring), a -> {
        a.descriptor(FREE, gate(CODE0, PeerAssembler.address(a.returner), 0xEC, 2));
        a.ring(from);
        a.asm.push(0x1234);
        a.asm.push(0x5678);
        a.asm.callFar(FREE | 3, 0L, 4);
        a.finish();
      });
    }
  }

  private void callStacks() {
    innerStacks("call", a -> {
      a.descriptor(FREE, gate(CODE1, PeerAssembler.address(a.popAndDone), 0xEC, 1));
      a.ring(3);
      a.asm.callFar(FREE | 3, 0L, 4);
    });
  }
}
