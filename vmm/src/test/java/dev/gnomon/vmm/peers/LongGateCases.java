package dev.gnomon.vmm.peers;

import static dev.gnomon.vmm.peers.LongAssembler.PRESENT;
import static dev.gnomon.vmm.peers.LongLayout.*;
import static dev.gnomon.vmm.peers.PeerLayout.CODE0;
import static dev.gnomon.vmm.peers.PeerLayout.CODE1;
import static dev.gnomon.vmm.peers.PeerLayout.CODE3;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.FREE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT_BYTES;
import static dev.gnomon.vmm.peers.PeerLayout.IDT;
import static dev.gnomon.vmm.peers.PeerLayout.LDT;
import static dev.gnomon.vmm.peers.PeerLayout.SCRATCH;
import static dev.gnomon.vmm.peers.PeerLayout.TSS;
import static dev.gnomon.vmm.peers.PeerLayout.USER;
import static dev.gnomon.vmm.peers.PeerLayout.segment;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Vector;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Interrupt and trap gates in IA-32e mode (SDM vol. 3A, "64-Bit Mode IDT", "Stack Switching in IA-32e Mode", "Interrupt
 * Stack Table").
 */
final class LongGateCases {
  /** At and around the edges of the canonical halves. */
  static final long[] EDGES = {HOLE - 0x10, HOLE - 1, HOLE, HOLE + 8, HIGH - 0x10, HIGH - 1, HIGH, 1L << 63, 1L << 48,
      0xFFFF_FFFF_FFFF_FFF8L};

  private final List<LongCase> cases = new ArrayList<>();

  private LongGateCases() {}

  private void add(String name, Consumer<LongAssembler> body) {
    cases.add(new LongCase(name, body));
  }

  static List<LongCase> all() {
    LongGateCases group = new LongGateCases();
    group.types();
    group.targets();
    group.frames();
    group.stacks();
    group.interruptStacks();
    return group.cases;
  }

  private void types() {
    for (int type = 0; type < 32; type++) {
      int access = PRESENT | 0x60 | type;
      add("int through type %x".formatted(type), a -> {
        a.vector(USER, CODE0, LongAssembler.address(a.handler), access, 0);
        a.asm.interrupt(USER);
      });
    }
    for (int dpl = 0; dpl < 4; dpl++) {
      for (int cpl = 0; cpl < 4; cpl++) {
        int access = PRESENT | dpl << 5 | 0xE;
        int from = cpl;
        add("int from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.vector(USER, CODE0, LongAssembler.address(a.handler), access, 0);
          a.ring(from);
          a.asm.interrupt(USER);
        });
        add("int3 from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.storeByte(IDT + 16 * 3 + 5, access);
          a.ring(from);
          a.asm.int3();
        });
        add("int1 from ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
          a.storeByte(IDT + 16 + 5, access);
          a.ring(from);
          a.asm.int1();
        });
        if (cpl == 0 || cpl == 3) {
          add("int from 32-bit code in ring %d through gate of dpl %d".formatted(cpl, dpl), a -> {
            a.vector(USER, CODE0, LongAssembler.address(a.handler), access, 0);
            a.compatible(from, code -> code.interrupt(USER));
          });
        }
      }
    }
    for (int vector : new int[] {USER, 0xFF}) {
      add("int %x through absent gate".formatted(vector), a -> {
        a.vector(USER, CODE0, LongAssembler.address(a.handler), 0x6E, 0);
        a.asm.interrupt(vector);
      });
    }
    add("int through absent gate of low dpl", a -> {
      a.vector(USER, CODE0, LongAssembler.address(a.handler), 0x0E, 0);
      a.ring(3);
      a.asm.interrupt(USER);
    });
    for (int limit : new int[] {-1, 6, 7, 8, 14, 15}) {
      add("int 20 with idt limit %x".formatted(16 * USER + limit), a -> {
        a.user(0);
        a.storeWord(SCRATCH, 16 * USER + limit);
        a.store64(SCRATCH + 2, IDT);
        a.asm.lidt(Mem.abs(SCRATCH));
        a.asm.interrupt(USER);
      });
    }
    add("into in 64-bit code", a -> a.asm.emit((byte) 0xCE));
    add("into in 32-bit code", a -> a.compatible(0, code -> {
      code.push(0x802);
      code.popfd();
      code.into();
    }));
  }

  private void targets() {
    for (int ring : new int[] {0, 3}) {
      for (int type : new int[] {0x11, 0x13, 0x17, 0x19, 0x1B, 0x1D, 0x1F, 0x2, 0x9, 0xC}) {
        for (int dpl = 0; dpl < 4; dpl++) {
          int access = PRESENT | dpl << 5 | type;
          add("int from ring %d to segment %02x".formatted(ring, access), a -> {
            a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT64));
            a.vector(USER, FREE, LongAssembler.address(a.handler), 0xEE, 0);
            a.ring(ring);
            a.asm.interrupt(USER);
          });
        }
      }
      // Sizes of code: L, D/B, and G alone.
      for (int flags : new int[] {0x8, 0xA, 0xC, 0xE, 0x2}) {
        for (int access : new int[] {0x9B, 0x9F}) {
          add("int from ring %d to code %x with flags %x".formatted(ring, access, flags), a -> {
            a.descriptor(FREE, segment(0, 0xFFFFF, access, flags));
            a.vector(USER, FREE, LongAssembler.address(a.handler), 0xEE, 0);
            a.ring(ring);
            a.asm.interrupt(USER);
          });
        }
      }
      add("int from ring %d to absent segment".formatted(ring), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, 0x1A, FLAT64));
        a.vector(USER, FREE | 1, LongAssembler.address(a.handler), 0xEE, 0);
        a.ring(ring);
        a.asm.interrupt(USER);
      });
      add("int from ring %d to a segment with base and limit".formatted(ring), a -> {
        a.descriptor(FREE, segment(0x1234, 0xFF, 0x9A, 2));
        a.vector(USER, FREE, LongAssembler.address(a.handler), 0xEE, 0);
        a.ring(ring);
        a.asm.interrupt(USER);
      });
      for (int selector : new int[] {0, 3, GDT_BYTES, 0xFFF8, 4, 0xC, TASK, TASK + 8, CODE0 | 3}) {
        add("int from ring %d to selector %x".formatted(ring, selector), a -> {
          a.vector(USER, selector, LongAssembler.address(a.handler), 0xEE, 0);
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
      for (long offset : EDGES) {
        add("int from ring %d to offset %x".formatted(ring, offset), a -> {
          a.vector(USER, CODE0, offset, 0xEE, 0);
          a.store(TABLE + 8 * 0x1FF, 0);
          a.store(TABLE, 0);
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
      add("int from ring %d to the upper half".formatted(ring), a -> {
        a.vector(USER, CODE0, HIGH + LongAssembler.address(a.handler), 0xEF, 0);
        a.ring(ring);
        a.asm.interrupt(USER);
      });
      add("int from ring %d to a segment of the ldt".formatted(ring), a -> {
        a.asm.mov(Reg.EAX, LOCAL);
        a.asm.lldt(Reg.AX);
        a.store64(LDT + 8, segment(0, 0xFFFFF, 0x9B, FLAT64));
        a.vector(USER, 0xC, LongAssembler.address(a.handler), 0xEE, 0);
        a.ring(ring);
        a.asm.interrupt(USER);
      });
    }
  }

  private void frames() {
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      for (int access : new int[] {0xEE, 0xEF}) {
        for (int flags : new int[] {0x3CD7, 0x4CD7, 0x40CD7, 0x200CD7, 0x1_0202, 0x18_0002}) {
          add("frame of int from ring %d through %x with flags %x".formatted(ring, access, flags), a -> {
            a.vector(USER, CODE0, LongAssembler.address(a.handler), access, 0);
            a.ring(from, flags);
            a.asm.interrupt(USER);
          });
        }
      }
      for (int target : new int[] {CODE1, PeerLayout.CODE2, CODE3}) {
        add("int from ring %d to ring %d".formatted(ring, target & 3), a -> {
          a.vector(USER, target, LongAssembler.address(a.handler), 0xEE, 0);
          a.ring(from);
          a.asm.interrupt(USER);
        });
      }
      for (int shift = 0; shift < 16; shift += 3) {
        int odd = shift;
        add("int from ring %d with stack %d bytes off".formatted(ring, shift), a -> {
          a.user(0);
          a.store64(TSS + TSS_RSP0, INNER0 - 2 * odd);
          a.ring(from);
          a.asm.sub(Reg.RSP, odd);
          a.asm.interrupt(USER);
        });
      }
      add("error code of #GP from ring %d".formatted(ring), a -> {
        a.ring(from);
        a.asm.mov(Reg.EAX, GDT_BYTES | 3);
        a.asm.mov(Reg.DS, Reg.AX);
      });
      add("error code of #PF from ring %d".formatted(ring), a -> {
        a.store(TABLE + 8 * (PAGE >> 12), 0);
        a.ring(from);
        a.asm.mov(Mem.abs(PAGE), Reg.EAX);
      });
    }
    for (int access : new int[] {0x98, 0x9A, 0xF8, 0xFA}) {
      add("accessed bit of segment %x by int".formatted(access), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT64));
        a.vector(USER, FREE, LongAssembler.address(a.handler), 0xEE, 0);
        a.ring(access >> 5 & 3);
        a.asm.interrupt(USER);
      });
    }
  }

  /** The stack of the interrupted code, and that of an inner ring. */
  private void stacks() {
    for (long pointer : EDGES) {
      for (int size : new int[] {0, 0x28}) {
        add("int with rsp %x".formatted(pointer + size), a -> {
          a.user(0);
          a.stackOf(Vector.SS, 5);
          a.stackOf(Vector.PF, 5);
          a.asm.mov(Reg.RSP, pointer + size);
          a.asm.interrupt(USER);
        });
        add("int with rsp0 %x".formatted(pointer + size), a -> {
          a.user(0);
          a.stackOf(Vector.SS, 5);
          a.stackOf(Vector.PF, 5);
          a.store64(TSS + TSS_RSP0, pointer + size);
          a.ring(3);
          a.asm.interrupt(USER);
        });
        add("exception with rsp0 %x".formatted(pointer + size), a -> {
          a.stackOf(Vector.SS, 5);
          a.stackOf(Vector.PF, 5);
          a.stackOf(Vector.DF, 6);
          a.store64(TSS + TSS_RSP0, pointer + size);
          a.ring(3);
          a.asm.mov(Reg.EAX, GDT_BYTES);
          a.asm.mov(Reg.DS, Reg.AX);
        });
      }
    }
    for (int limit : new int[] {11, 12, 18, 19, 20}) {
      add("int to ring 1 with limit %x of the tss".formatted(limit), a -> {
        limit(a, limit);
        a.vector(USER, CODE1, LongAssembler.address(a.handler), 0xEE, 0);
        a.ring(3);
        a.asm.interrupt(USER);
      });
    }
    add("int to ring 0 with limit a of the tss", a -> {
      limit(a, 10);
      a.user(0);
      a.ring(3);
      a.asm.interrupt(USER);
    });
    add("int with rsp0 that is not mapped", a -> {
      a.user(0);
      a.stackOf(Vector.PF, 5);
      a.store(TABLE + 8 * (PAGE >> 12), 0);
      a.store64(TSS + TSS_RSP0, PAGE + 0x1000);
      a.ring(3);
      a.asm.interrupt(USER);
    });
    add("int with rsp0 whose page is for the supervisor", a -> {
      a.user(0);
      a.store(TABLE + 8 * (PAGE >> 12), PAGE | 3);
      a.store64(TSS + TSS_RSP0, PAGE + 0x1000);
      a.ring(3);
      a.asm.interrupt(USER);
    });
    add("int to ring 1 with ss of the interrupted code", a -> {
      a.vector(USER, CODE1, LongAssembler.address(a.handler), 0xEE, 3);
      a.ring(1);
      a.asm.interrupt(USER);
    });
  }

  private void limit(LongAssembler a, int limit) {
    a.descriptor(FREE + 0x10, segment(TSS, limit, 0x89, 0), 0);
    a.asm.mov(Reg.EAX, FREE + 0x10);
    a.asm.ltr(Reg.AX);
  }

  private void interruptStacks() {
    for (int ring : new int[] {0, 3}) {
      for (int ist = 0; ist < 8; ist++) {
        int number = ist;
        for (int shift : new int[] {0, 1, 8, 15}) {
          add("int from ring %d by interrupt stack %d, %d bytes off".formatted(ring, ist, shift), a -> {
            a.user(number);
            if (number != 0) {
              a.store64(istPointer(number), ist(number) - shift);
            }
            a.ring(ring);
            a.asm.interrupt(USER);
          });
        }
        if (ist != 0 && ring == 0) {
          for (int end : new int[] {6, 7, 8}) {
            add("int by interrupt stack %d with limit %d behind its pointer".formatted(ist, end), a -> {
              limit(a, istPointer(number) - TSS + end);
              a.user(number);
              a.asm.interrupt(USER);
            });
          }
        }
      }
      for (int bits : new int[] {8, 0x10, 0x80, 0xF8}) {
        add("int from ring %d with reserved bits %x beside the interrupt stack".formatted(ring, bits), a -> {
          a.user(2 | bits);
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
      for (int bits : new int[] {1, 0x100, 0x1F00, 0xFFFF}) {
        add("int from ring %d with reserved bits %x of the gate's last word".formatted(ring, bits), a -> {
          a.user(0);
          a.store(IDT + 16 * USER + 12, bits);
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
      for (long pointer : EDGES) {
        for (int size : new int[] {0, 0x28}) {
          add("int from ring %d by interrupt stack at %x".formatted(ring, pointer + size), a -> {
            a.user(1);
            a.stackOf(Vector.SS, 5);
            a.stackOf(Vector.PF, 5);
            a.store64(istPointer(1), pointer + size);
            a.ring(ring);
            a.asm.interrupt(USER);
          });
        }
      }
      add("int from ring %d by interrupt stack to ring 1".formatted(ring), a -> {
        a.vector(USER, CODE1, LongAssembler.address(a.handler), 0xEE, 4);
        a.ring(ring);
        a.asm.interrupt(USER);
      });
      add("#GP from ring %d by an interrupt stack".formatted(ring), a -> {
        a.stackOf(Vector.GP, 3);
        a.ring(ring);
        a.asm.mov(Reg.EAX, GDT_BYTES | 4);
        a.asm.mov(Reg.ES, Reg.AX);
      });
      add("int from 32-bit code in ring %d by an interrupt stack".formatted(ring), a -> {
        a.user(3);
        a.compatible(ring, code -> {
          code.mov(Reg.EBX, DATA0 | ring);
          code.interrupt(USER);
        });
      });
    }
    add("interrupt stack of a conforming handler in ring 3", a -> {
      a.descriptor(FREE, segment(0, 0xFFFFF, 0x9F, FLAT64));
      a.vector(USER, FREE, LongAssembler.address(a.handler), 0xEE, 6);
      a.ring(3);
      a.asm.interrupt(USER);
    });
  }
}
