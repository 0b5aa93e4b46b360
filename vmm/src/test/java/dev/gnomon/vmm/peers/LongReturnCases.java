package dev.gnomon.vmm.peers;

import static dev.gnomon.vmm.peers.LongAssembler.PRESENT;
import static dev.gnomon.vmm.peers.LongGateCases.EDGES;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.FLAT;
import static dev.gnomon.vmm.peers.PeerLayout.FREE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.code;
import static dev.gnomon.vmm.peers.PeerLayout.data;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** IRET and far RET in IA-32e mode (SDM vol. 2A, "IRET"; vol. 2B, "RET"). */
final class LongReturnCases {
  private static final int STACK = STACK3 - 0x180;

  private final List<LongCase> cases = new ArrayList<>();

  private LongReturnCases() {}

  private void add(String name, Consumer<LongAssembler> body) {
    cases.add(new LongCase(name, body));
  }

  static List<LongCase> all() {
    LongReturnCases group = new LongReturnCases();
    group.rings();
    group.codes();
    group.stacks();
    group.pointers();
    group.flags();
    return group.cases;
  }

  private static void iret(Assembler a, int size) {
    switch (size) {
      case 2 -> a.iretw();
      case 4 -> a.iretd();
      default -> a.iretq();
    }
  }

  private static void retf(Assembler a, int size) {
    switch (size) {
      case 2 -> a.retfw();
      case 4 -> a.retfd();
      default -> a.retfq();
    }
  }

  /** A return of each kind: IRET with five slots, RET with four or, to the same ring, two. */
  private void both(String name, int from, int size, long rip, int cs, long rsp, int ss,
      Consumer<LongAssembler> before) {
    add("iret of %d bytes in ring %d %s".formatted(size, from, name), a -> {
      before.accept(a);
      a.ring(from);
      a.frame(size, rip, cs, 0x8D7, rsp, ss);
      iret(a.asm, size);
    });
    add("retf of %d bytes in ring %d %s".formatted(size, from, name), a -> {
      before.accept(a);
      a.ring(from);
      if ((cs & 3) == from) {
        a.frame(size, rip, cs);
      } else {
        a.frame(size, rip, cs, rsp, ss);
      }
      retf(a.asm, size);
    });
  }

  private static void nothing(LongAssembler a) {
    // As the ROM has it.
  }

  private void rings() {
    for (int from = 0; from < 4; from++) {
      for (int to = 0; to < 4; to++) {
        for (int size : new int[] {4, 8}) {
          both("to ring %d".formatted(to), from, size, CODE32, code(to), STACK, data(to), LongReturnCases::nothing);
        }
      }
      for (int size : new int[] {4, 8}) {
        both("to 32-bit code of ring 0", from, size, CODE32, CODE32_0, STACK, DATA0, LongReturnCases::nothing);
        both("to 32-bit code of ring 3", from, size, CODE32, CODE32_3, STACK, data(3), LongReturnCases::nothing);
      }
      both("to 16-bit code of ring 3", from, 2, 0, CODE16_3, 0xFF00, data(3), LongReturnCases::nothing);
      both("to 16-bit code of ring 3", from, 8, 0, CODE16_3, 0x1234_FF00, data(3), LongReturnCases::nothing);
    }
    for (int ring : new int[] {0, 3}) {
      for (int cs : new int[] {code(0), code(3), CODE32_0, CODE32_3}) {
        add("iret from 32-bit code in ring %d to %x".formatted(ring, cs), a -> {
          a.compatible(ring, code -> {
            for (int value : new int[] {data(cs & 3), STACK, 0x8D7, cs, CODE32}) {
              code.push(value);
            }
            code.iretd();
          });
        });
        add("retf from 32-bit code in ring %d to %x".formatted(ring, cs), a -> {
          a.compatible(ring, code -> {
            for (int value : new int[] {data(cs & 3), STACK, cs, CODE32}) {
              code.push(value);
            }
            code.retfd();
          });
        });
      }
    }
    for (int release : new int[] {0, 8, 0xFFF8}) {
      add("retf %x to ring 3".formatted(release), a -> {
        a.asm.sub(Reg.RSP, 8);
        a.frame(8, CODE32, code(3), 0x1111, STACK, data(3));
        a.asm.encode(0xCA, 8, 0, Reg.EAX);
      });
    }
  }

  private void codes() {
    for (int ring : new int[] {0, 3}) {
      for (int type : new int[] {0x11, 0x13, 0x19, 0x1B, 0x1D, 0x1F, 0x2, 0xC}) {
        for (int dpl : new int[] {0, 3}) {
          for (int rpl : new int[] {0, 3}) {
            int access = PRESENT | dpl << 5 | type;
            both("to segment %02x by rpl %d".formatted(access, rpl), ring, 8, CODE32, FREE | rpl, STACK, data(rpl),
                a -> a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT64)));
          }
        }
      }
      for (int flags : new int[] {0x8, 0xA, 0xC, 0xE, 0x2, 0x0}) {
        for (int rpl : new int[] {0, 3}) {
          for (int limit : new int[] {0xFFFFF, 0x17}) {
            both("to code with flags %x and limit %x by rpl %d".formatted(flags, limit, rpl), ring, 8, CODE32,
                FREE | rpl, STACK, data(rpl),
                a -> a.descriptor(FREE, segment(0, limit, 0x9B | rpl << 5, flags)));
          }
        }
      }
      for (int cs : new int[] {0, 3, GDT_BYTES | 3, 0xC | 3, TASK | 3, TASK + 8, 0xFFFB}) {
        both("to selector %x".formatted(cs), ring, 8, CODE32, cs, STACK, data(3), LongReturnCases::nothing);
      }
      both("to absent code", ring, 8, CODE32, FREE | 3, STACK, data(3),
          a -> a.descriptor(FREE, segment(0, 0xFFFFF, 0x7B, FLAT64)));
      both("to code that was not accessed", ring, 8, CODE32, FREE | 3, STACK, data(3),
          a -> a.descriptor(FREE, segment(0, 0xFFFFF, 0xFA, FLAT64)));
    }
  }

  private void stacks() {
    for (int to = 0; to < 4; to++) {
      int ring = to;
      for (int ss : new int[] {0, 1, 2, 3, data(0), data(3), data(1), data(2) ^ 1, code(to), GDT_BYTES | to, LOCAL,
          0xC | to, TASK}) {
        both("to ring %d with ss %x".formatted(to, ss), 0, 8, CODE32, code(ring), STACK, ss,
            LongReturnCases::nothing);
      }
      for (int access : new int[] {0x11, 0x12, 0x13, 0x16, 0x17, 0x1B, 0x2}) {
        both("to ring %d with stack segment %x".formatted(to, access), 0, 8, CODE32, code(ring), STACK, FREE | ring,
            a -> a.descriptor(FREE, segment(0x1000, 0xFFF, PRESENT | ring << 5 | access, 4)));
      }
      both("to ring %d with absent stack segment".formatted(to), 0, 8, CODE32, code(ring), STACK, FREE | ring,
          a -> a.descriptor(FREE, segment(0, 0xFFFFF, 0x13 | ring << 5, FLAT)));
    }
    for (int cs : new int[] {CODE32_0, CODE32_3}) {
      for (int ss : new int[] {0, 3, data(cs & 3), data(1), GDT_BYTES | 3}) {
        both("to 32-bit code %x with ss %x".formatted(cs, ss), 0, 8, CODE32, cs, STACK, ss,
            LongReturnCases::nothing);
      }
    }
    for (long pointer : EDGES) {
      for (int back : new int[] {0x10, 0x30}) {
        for (boolean iret : new boolean[] {false, true}) {
          add("%s with rsp %x".formatted(iret ? "iretq" : "retfq", pointer - back), a -> {
            a.stackOf(Vector.SS, 5);
            a.stackOf(Vector.PF, 5);
            a.stackOf(Vector.GP, 5);
            a.asm.mov(Reg.RSP, pointer - back);
            if (iret) {
              a.asm.iretq();
            } else {
              a.asm.retfq();
            }
          });
        }
      }
    }
  }

  private void pointers() {
    for (long pointer : EDGES) {
      for (int ring : new int[] {0, 3}) {
        both("to rip %x of ring %d".formatted(pointer, ring), 0, 8, pointer, code(ring), STACK, data(ring), a -> {
          a.store(TABLE + 8 * 0x1FF, 0);
          a.store(TABLE, 0);
        });
        both("with new rsp %x to ring %d".formatted(pointer, ring), 0, 8, CODE32, code(ring), pointer, data(ring),
            LongReturnCases::nothing);
      }
      both("to rip %x of 32-bit code".formatted(pointer), 0, 8, pointer, CODE32_3, STACK, data(3), a -> {
        a.store(TABLE + 8 * 0x1FF, 0);
        a.store(TABLE, 0);
      });
      both("with new rsp %x to 32-bit code".formatted(pointer), 0, 8, CODE32, CODE32_3, pointer, data(3),
          LongReturnCases::nothing);
    }
    both("to the upper half", 0, 8, HIGH + CODE32, code(3), STACK, data(3), LongReturnCases::nothing);
  }

  private void flags() {
    for (int ring : new int[] {0, 1, 3}) {
      for (int iopl : new int[] {0, 3}) {
        for (int size : new int[] {4, 8}) {
          for (long flags : new long[] {0x3C_FED7 & ~Rflags.TF, 0x2_0202, 0xFFFF_FFFF_FF00_0002L, 2, 0x4002}) {
            add("iret of %d bytes in ring %d with iopl %d to flags %x".formatted(size, ring, iopl, flags), a -> {
              a.ring(ring, iopl << 12 | 0xCD7);
              a.frame(size, CODE32, code(3), flags, STACK, data(3));
              iret(a.asm, size);
            });
          }
        }
      }
      add("iretq in ring %d with nt".formatted(ring), a -> {
        a.ring(ring, Rflags.NT | Rflags.FIXED);
        a.frame(8, CODE32, code(3), 2, STACK, data(3));
        a.asm.iretq();
      });
      add("base of fs that iretq from ring %d makes null".formatted(ring), a -> {
        a.asm.mov(Reg.EAX, data(ring));
        a.asm.mov(Reg.FS, Reg.AX);
        a.msr(Msr.FS_BASE, HIGH);
        a.ring(ring);
        a.frame(8, CODE32, code(3), 2, STACK, data(3));
        a.asm.iretq();
      });
      add("data segments after iretq from ring %d to ring 3".formatted(ring), a -> {
        a.asm.mov(Reg.EAX, DATA0);
        a.asm.mov(Reg.ES, Reg.AX);
        a.asm.mov(Reg.EAX, code(3));
        a.asm.mov(Reg.GS, Reg.AX);
        a.ring(ring);
        a.frame(8, CODE32, code(3), 2, STACK, data(3));
        a.asm.iretq();
      });
    }
  }
}
