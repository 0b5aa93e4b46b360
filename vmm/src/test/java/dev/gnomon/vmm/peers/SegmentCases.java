package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Loads and inspection of segments, far transfers, and limits (SDM vol. 3A, "Protection"). */
final class SegmentCases {
  private static final int PRESENT = 0x80;

  private final List<PeerCase> cases = new ArrayList<>();

  private SegmentCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  /** Loads of data and stack segments of each type, LAR, LSL, VERR, VERW, ARPL, LLDT, LTR. */
  static List<PeerCase> loads() {
    SegmentCases group = new SegmentCases();
    group.loadTypes();
    group.loadSelectors();
    group.systemSegments();
    group.inspection();
    return group.cases;
  }

  /** Direct far jumps and calls, far returns, interrupt returns. */
  static List<PeerCase> transfers() {
    SegmentCases group = new SegmentCases();
    group.directTransfers();
    group.returns();
    group.fastCalls();
    return group.cases;
  }

  /** Limits at each size, expand-down segments, wrap. */
  static List<PeerCase> limits() {
    SegmentCases group = new SegmentCases();
    group.dataLimits();
    group.stackLimits();
    group.codeLimits();
    return group.cases;
  }

  private void loadTypes() {
    int[][] rings = {{0, 0}, {0, 3}, {3, 3}, {3, 0}};
    for (int type = 0; type < 32; type++) {
      for (int dpl : new int[] {0, 3}) {
        for (int[] ring : rings) {
          // Accessed already, but for the cases that ask whether it is set.
          int access = PRESENT | dpl << 5 | type;
          int selector = FREE | ring[1];
          int cpl = ring[0];
          for (Reg register : new Reg[] {DS, SS}) {
            if (type >= 16 && (type & 1) == 0 && !(cpl == 0 && ring[1] == 0)) {
              continue;
            }
            add("mov %s, selector of %02x by rpl %d in ring %d".formatted(register, access, ring[1], cpl), a -> {
              a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT));
              a.ring(cpl);
              a.asm.mov(EAX, selector);
              a.asm.mov(register, AX);
              a.finish();
            });
          }
        }
      }
      int absent = type;
      for (Reg register : new Reg[] {ES, SS, FS}) {
        add("mov %s, selector of absent %02x".formatted(register, type), a -> {
          a.descriptor(FREE, segment(0, 0xFFFFF, absent, FLAT));
          a.asm.mov(EAX, FREE);
          a.asm.mov(register, AX);
          a.finish();
        });
      }
    }
  }

  private void loadSelectors() {
    for (Reg register : new Reg[] {DS, ES, FS, GS, SS}) {
      for (int selector : new int[] {0, 1, 3, 4, 7, GDT_BYTES - 8, GDT_BYTES, 0xFFF8, 0xFFFF, 0xC, 0x84}) {
        for (int cpl : new int[] {0, 3}) {
          add("mov %s, %x in ring %d".formatted(register, selector, cpl), a -> {
            a.localTable();
            a.descriptor(LDT, 8, segment(0, 0xFFFFF, 0xF3, FLAT));
            a.ring(cpl);
            a.asm.mov(EAX, selector);
            a.asm.mov(register, AX);
            a.finish();
          });
        }
      }
    }
    for (Reg register : new Reg[] {DS, ES, FS, GS, SS}) {
      add("pop %s of a bad selector".formatted(register), a -> {
        a.asm.push(0x5555_0000 | GDT_BYTES);
        a.asm.pop(register);
        a.finish();
      });
      add("far pointer into %s".formatted(register), a -> {
        a.store(SCRATCH, 0x1234_5678);
        a.storeWord(SCRATCH + 4, DATA0);
        a.asm.loadFar(register, EBX, Mem.abs(SCRATCH));
        a.asm.push(DATA0);
        a.asm.pop(DS);
        a.finish();
      });
      add("far pointer with a bad selector into %s".formatted(register), a -> {
        a.store(SCRATCH, 0x1234_5678);
        a.storeWord(SCRATCH + 4, CODE0 | 4);
        a.asm.loadFar(register, EBX, Mem.abs(SCRATCH));
        a.finish();
      });
    }
    for (Reg register : new Reg[] {DS, ES, FS, GS}) {
      add("read through null %s".formatted(register), a -> {
        a.asm.xor(EAX, EAX);
        a.asm.mov(register, AX);
        a.asm.mov(EBX, Mem.seg(register, Mem.abs(SCRATCH)));
        a.finish();
      });
    }
  }

  private void systemSegments() {
    for (int type = 0; type < 32; type++) {
      for (int present : new int[] {PRESENT, 0}) {
        int access = present | type;
        add("lldt of %02x".formatted(access), a -> {
          a.descriptor(FREE, segment(LDT, 0x7F, access, 0));
          a.asm.mov(EAX, FREE);
          a.asm.lldt(AX);
          a.finish();
        });
        add("ltr of %02x".formatted(access), a -> {
          a.descriptor(FREE, segment(TSS32, 0x67, access, 0));
          a.asm.mov(EAX, FREE);
          a.asm.ltr(AX);
          a.finish();
        });
      }
    }
    for (int selector : new int[] {0, 3, 4, 0xC, GDT_BYTES, GDT_BYTES - 1, LOCAL | 3, TASK32 | 3}) {
      add("lldt %x".formatted(selector), a -> {
        a.asm.mov(EAX, selector);
        a.asm.lldt(AX);
        a.finish();
      });
      add("ltr %x".formatted(selector), a -> {
        a.asm.mov(EAX, selector);
        a.asm.ltr(AX);
        a.finish();
      });
    }
    List<Consumer<PeerAssembler>> privileged = List.of(a -> a.asm.lldt(AX), a -> a.asm.ltr(AX), a -> a.asm.lgdt(Mem
        .abs(SCRATCH)),
        a -> a.asm.lidt(Mem.abs(SCRATCH)), a -> a.asm.lmsw(AX), a -> a.asm.clts(), a -> a.asm.hlt(), a -> a.asm
            .mov(EAX, CR0),
        a -> a.asm.mov(CR3, EAX), a -> a.asm.mov(EAX, DR0), a -> a.asm.invd(), a -> a.asm.wbinvd(), a -> a.asm
            .invlpg(Mem.abs(SCRATCH)),
        a -> a.asm.rdmsr(), a -> a.asm.wrmsr(), a -> a.asm.cli(), a -> a.asm.sti(), a -> a.asm.in(AL, 0x80), a -> a.asm
            .out(0x80, AL),
        a -> a.asm.smsw(EAX), a -> a.asm.sgdt(Mem.abs(SCRATCH)), a -> a.asm.sidt(Mem.abs(SCRATCH)), a -> a.asm
            .sldt(EAX), a -> a.asm.str(EAX));
    for (int i = 0; i < privileged.size(); i++) {
      Consumer<PeerAssembler> instruction = privileged.get(i);
      for (int ring = 1; ring < 4; ring++) {
        int from = ring;
        add("system instruction %d in ring %d".formatted(i, ring), a -> {
          a.ring(from);
          instruction.accept(a);
          a.finish();
        });
      }
    }
  }

  /** The four instructions' answers for each type, as ZF and what they load. */
  private void inspection() {
    int[][] rings = {{0, 0}, {0, 3}, {3, 3}, {3, 0}, {1, 1}};
    for (int type = 0; type < 32; type++) {
      for (int dpl : new int[] {0, 1, 3}) {
        for (int[] ring : rings) {
          int access = PRESENT | dpl << 5 | type;
          int selector = FREE | ring[1];
          add("inspect %02x by rpl %d in ring %d".formatted(access, ring[1], ring[0]), a -> {
            a.descriptor(FREE, segment(0x12345678, 0x0BCDE, access, 0xD));
            a.ring(ring[0]);
            inspect(a, selector);
          });
        }
      }
      int absent = type;
      add("inspect absent %02x".formatted(type), a -> {
        a.descriptor(FREE, segment(0x12345678, 0x0BCDE, absent, 1));
        inspect(a, FREE);
      });
    }
    for (int selector : new int[] {0, 3, 4, GDT_BYTES, 0xFFFF, 0xC}) {
      add("inspect selector %x".formatted(selector), a -> inspect(a, selector));
    }
    for (int destination = 0; destination < 4; destination++) {
      for (int source = 0; source < 4; source++) {
        int to = 0x1230 | destination;
        int from = 0x4564 | source;
        add("arpl %x, %x".formatted(to, from), a -> {
          a.asm.mov(EAX, to);
          a.asm.mov(EBX, from);
          a.asm.arpl(AX, BX);
          a.finish();
        });
      }
    }
  }

  private static void inspect(PeerAssembler a, int selector) {
    a.asm.mov(EDX, selector);
    a.asm.xor(EDI, EDI);
    a.asm.cmp(EDI, 1);
    a.asm.lar(EBX, EDX);
    zero(a, 1);
    a.asm.lsl(ECX, EDX);
    zero(a, 2);
    a.asm.verr(DX);
    zero(a, 4);
    a.asm.verw(DX);
    zero(a, 8);
    a.asm.lar(SI, DX);
    a.asm.lsl(BP, DX);
    a.asm.cmp(EDI, EDI);
    a.finish();
  }

  /** Sets a bit of EDI if ZF is set, and clears ZF. */
  private static void zero(PeerAssembler a, int bit) {
    Label not = new Label();
    a.asm.jnz(not);
    a.asm.or(EDI, bit);
    a.asm.bind(not);
    a.asm.test(ESP, ESP);
  }

  private void directTransfers() {
    int[][] rings = {{0, 0}, {0, 3}, {3, 3}, {3, 0}};
    for (boolean call : new boolean[] {true, false}) {
      for (int type = 0; type < 32; type++) {
        if (type >= 16 && (type & 1) == 0 || type == 5 || type == 4 || type == 12 || (type & ~10) == 1) {
          continue;
        }
        for (int dpl : new int[] {0, 3}) {
          for (int[] ring : rings) {
            int access = PRESENT | dpl << 5 | type;
            int selector = FREE | ring[1];
            add("far %s to %02x by rpl %d in ring %d".formatted(call ? "call" : "jmp", access, ring[1], ring[0]), a -> {
              a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT));
              a.ring(ring[0]);
              transfer(a, call, selector, PeerAssembler.address(a.popAndDone));
            });
          }
        }
      }
      for (int selector : new int[] {0, 3, 4, GDT_BYTES, FREE, FREE + 8, FREE + 16, FREE + 24}) {
        for (long offset : new long[] {0xFFF, 0x1000, 0x1234_0000L}) {
          add("far %s to %x:%x".formatted(call ? "call" : "jmp", selector, offset), a -> {
            // Absent; limit FFFh; 16-bit; execute-only.
            a.descriptor(FREE, segment(PROGRAM, 0xFFFFF, 0x1B, FLAT));
            a.descriptor(FREE + 8, segment(PeerAssembler.address(a.done) - 0xFFF, 0x1000, 0x9B, 4));
            a.descriptor(FREE + 16, segment(CODE16, 0xFFFF, 0x9B, 0));
            a.descriptor(FREE + 24, segment(PeerAssembler.address(a.done) - 0x1000, 0xFFF, 0x99, 4));
            a.store(CODE16 + 0xFFF, 0x0030_CD90);
            transfer(a, call, selector, offset);
          });
        }
      }
    }
  }

  private static void transfer(PeerAssembler a, boolean call, int selector, long offset) {
    if (call) {
      a.asm.callFar(selector, offset, 4);
    } else {
      a.asm.jmpFar(selector, offset, 4);
    }
  }

  /** RETF and IRET from each ring to code segments and with stack segments of each kind. */
  private void returns() {
    for (boolean interrupt : new boolean[] {false, true}) {
      String what = interrupt ? "iret" : "retf";
      for (int cpl = 0; cpl < 4; cpl++) {
        int from = cpl;
        for (int rpl = 0; rpl < 4; rpl++) {
          for (int type : new int[] {0x13, 0x19, 0x1B, 0x1F, 0xC, 9}) {
            for (int dpl = 0; dpl < 4; dpl++) {
              int selector = FREE | rpl;
              int access = PRESENT | dpl << 5 | type;
              int stack = data(rpl);
              add("%s in ring %d to %02x by rpl %d".formatted(what, cpl, access, rpl), a -> {
                a.descriptor(FREE, segment(0, 0xFFFFF, access, FLAT));
                a.ring(from);
                returning(a, interrupt, selector, PeerAssembler.address(a.done), stack, 0xDDD0);
              });
            }
          }
        }
      }
      for (int stack : new int[] {0, 3, DATA0, DATA0 | 3, DATA1, DATA3 & ~3, CODE3, GDT_BYTES | 3, FREE | 3, FREE + 8
          | 3, LOCAL | 3, 7}) {
        add("%s to ring 3 with stack %x".formatted(what, stack), a -> {
          a.descriptor(FREE, segment(0, 0xFFFFF, 0x73, FLAT));
          a.descriptor(FREE + 8, segment(0, 0xFFFFF, 0xF1, FLAT));
          returning(a, interrupt, CODE3, PeerAssembler.address(a.done), stack, 0xDDD0);
        });
      }
      for (int selector : new int[] {0, 3, 7, GDT_BYTES, FREE, FREE | 3}) {
        add("%s to selector %x".formatted(what, selector), a -> {
          a.descriptor(FREE, segment(0, 0xFFFFF, 0x7B, FLAT));
          returning(a, interrupt, selector, PeerAssembler.address(a.done), DATA3, 0xDDD0);
        });
      }
      for (int cpl : new int[] {0, 3}) {
        add("%s in ring %d behind the limit".formatted(what, cpl), a -> {
          a.descriptor(FREE, segment(0, 0xFFF, 0x9B | cpl << 5, 4));
          a.ring(cpl);
          returning(a, interrupt, FREE | cpl, 0x1000, data(cpl), 0xDDD0);
        });
      }
      add("%s to ring 3 behind the limit".formatted(what), a -> {
        a.descriptor(FREE, segment(0, 0xFFF, 0xFB, 4));
        returning(a, interrupt, FREE | 3, 0x1000, DATA3, 0xDDD0);
      });
      add("%s to ring 3 forgets segments of inner rings".formatted(what), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, 0x9F, FLAT));
        a.descriptor(FREE + 8, segment(0, 0xFFFFF, 0x9B, FLAT));
        int[] selectors = {DATA0, FREE, FREE + 8, DATA2};
        Reg[] registers = {GS, FS, ES, DS};
        for (int i = 0; i < 4; i++) {
          a.asm.mov(EAX, selectors[i]);
          a.asm.mov(registers[i], AX);
        }
        returning(a, interrupt, CODE3, PeerAssembler.address(a.done), DATA3, 0xDDD0);
      });
    }
    // Flags by ring and IOPL.
    for (int ring = 0; ring < 4; ring++) {
      for (int iopl : new int[] {0, 3}) {
        int from = ring;
        for (int flags : new int[] {0x3EFED7 & ~0x2_4300, 0}) {
          add("iret in ring %d with iopl %d to flags %x".formatted(ring, iopl, flags), a -> {
            a.ring(from, Rflags.FIXED | iopl << 12 | (flags == 0 ? 0x240CD5 : 0));
            a.asm.push(flags | Rflags.FIXED);
            a.asm.push(code(from));
            a.asm.push((int) PeerAssembler.address(a.done));
            a.asm.iretd();
          });
          add("popf in ring %d with iopl %d to flags %x".formatted(ring, iopl, flags), a -> {
            a.ring(from, Rflags.FIXED | iopl << 12 | (flags == 0 ? 0x240CD5 : 0));
            a.asm.push(flags | Rflags.FIXED);
            a.asm.popfd();
            a.finish();
          });
        }
      }
    }
    for (int bytes : new int[] {4, 0x10, 0xFFFC}) {
      add("retf %x".formatted(bytes), a -> {
        a.asm.push(CODE0);
        a.asm.push((int) PeerAssembler.address(a.done));
        a.asm.retf(bytes);
      });
      add("retf %x to ring 3".formatted(bytes), a -> {
        a.asm.sub(ESP, 0x20);
        a.asm.push(DATA3);
        a.asm.push(0xDDD0);
        a.asm.sub(ESP, bytes & 0x1F);
        a.asm.push(CODE3);
        a.asm.push((int) PeerAssembler.address(a.done));
        a.asm.retf(bytes & 0x1F);
      });
    }
  }

  private static void returning(PeerAssembler a, boolean interrupt, int selector, long offset, int stack, int pointer) {
    a.asm.push(stack);
    a.asm.push(pointer);
    if (interrupt) {
      a.asm.push(Rflags.FIXED);
    }
    a.asm.push(selector);
    a.asm.push((int) offset);
    if (interrupt) {
      a.asm.iretd();
    } else {
      a.asm.retf();
    }
  }

  private void fastCalls() {
    for (int ring = 0; ring < 4; ring++) {
      int from = ring;
      for (int selector : new int[] {CODE0, CODE0 | 3, 0, 3, 0xFFF8}) {
        add("sysenter in ring %d with cs %x".formatted(ring, selector), a -> {
          sysenter(a, selector);
          a.ring(from, 0xCD7);
          a.asm.sysenter();
        });
        if (selector == CODE0 || selector == 3) {
          add("sysexit in ring %d with cs %x".formatted(ring, selector), a -> {
            // What it wants behind the selector: flat code and data of ring 3.
            sysenter(a, selector == 3 ? 3 : CODE3 - 16 & ~3);
            a.ring(from);
            a.asm.mov(EDX, (int) PeerAssembler.address(a.done));
            a.asm.mov(ECX, 0xDDC0);
            a.asm.sysexit();
          });
        }
      }
    }
  }

  private static void sysenter(PeerAssembler a, int selector) {
    int[] values = {selector, INNER0 - 0x40, (int) PeerAssembler.address(a.done)};
    for (int i = 0; i < values.length; i++) {
      a.asm.mov(ECX, 0x174 + i);
      a.asm.mov(EAX, values[i]);
      a.asm.xor(EDX, EDX);
      a.asm.wrmsr();
    }
  }

  private static final int[][] SEGMENTS = {
      // Limit field, access, flags: expand-up bytes, pages, expand-down of 64 KiB and 4 GiB.
      {0xFFF, 0x93, 4}, {0xFFF, 0x93, 0}, {0, 0x93, 4}, {0, 0x93, 0xC}, {0xFFF, 0x97, 0}, {0xFFF, 0x97, 4}, {0, 0x97,
          0}, {0xFFFF, 0x97, 0},
      {0xFFFFF, 0x97, 0xC}, {0xFFFFF, 0x93, 0xC}, {0xFFF, 0x91, 4}, {0xFFF, 0x9B, 4}, {0xFFF, 0x99, 4}};

  private void dataLimits() {
    for (int[] descriptor : SEGMENTS) {
      for (long offset : new long[] {0, 0xFF8, 0xFFC, 0xFFD, 0xFFE, 0xFFF, 0x1000, 0x1001, 0xFFFD, 0xFFFE, 0xFFFF,
          0x10000, 0xFFFF_FFF8L}) {
        for (int size : new int[] {1, 2, 4, 8}) {
          if (size == 2 && offset != 0xFFE && offset != 0xFFF && offset != 0xFFFF) {
            continue;
          }
          String name = "%d bytes at %x of %x/%x/%x".formatted(size, offset, descriptor[0], descriptor[1],
              descriptor[2]);
          // Writes only where the base keeps them out of the way.
          for (boolean write : new boolean[] {false, true}) {
            if (write && (offset > 0x1100 || size == 2)) {
              continue;
            }
            add((write ? "write " : "read ") + name, a -> {
              a.descriptor(FREE, segment(CODE16 + 0x1000, descriptor[0], descriptor[1], descriptor[2]));
              a.asm.mov(EAX, FREE);
              a.asm.mov(FS, AX);
              a.asm.mov(EBX, (int) offset);
              access(a, FS, size, write);
              a.finish();
            });
          }
        }
      }
    }
  }

  private static void access(PeerAssembler a, Reg segment, int size, boolean write) {
    Mem operand = Mem.seg(segment, Mem.ptr(EBX));
    a.asm.fninit();
    switch (size) {
      case 1 -> {
        if (write) {
          a.asm.mov(operand, AL);
        } else {
          a.asm.cmp(operand.b(), 0);
        }
      }
      case 2 -> {
        if (write) {
          a.asm.mov(operand, AX);
        } else {
          a.asm.test(operand.w(), 0);
        }
      }
      case 4 -> {
        if (write) {
          a.asm.mov(operand, EAX);
        } else {
          a.asm.test(operand.d(), 0);
        }
      }
      // 8 bytes by CMPXCHG8B, which writes what was there; by FILD, which reads.
      default -> {
        if (write) {
          a.asm.cmpxchg8b(operand);
        } else {
          a.asm.encode(0xDF, 0, 5, operand);
        }
      }
    }
    a.asm.cmp(EAX, EAX);
    a.asm.mov(EAX, 0);
    a.asm.mov(EDX, 0);
  }

  private void stackLimits() {
    int[][] stacks = {{0xFFF, 0x93, 4}, {0xFFF, 0x93, 0}, {0xFFF, 0x97, 4}, {0xFFF, 0x97, 0}};
    List<Consumer<PeerAssembler>> instructions = List.of(a -> a.asm.push(EAX), a -> a.asm.pop(EAX), a -> a.asm
        .pushad(), a -> a.asm.popad(),
        a -> a.asm.enter(8, 0), a -> a.asm.enter(8, 2), a -> a.asm.leave(), a -> a.asm.pushw(1), a -> a.asm
            .callFar(CODE0, 0L, 4), a -> a.asm.iretd(),
        a -> a.asm.retf(), a -> a.asm.interrupt(USER), a -> a.asm.mov(EAX, Mem.ptr(EBP)));
    for (int[] stack : stacks) {
      for (int pointer : new int[] {0, 1, 2, 4, 8, 0x20, 0xFFC, 0xFFE, 0x1000, 0x1002, 0x1020, 0x10000}) {
        for (int i = 0; i < instructions.size(); i++) {
          Consumer<PeerAssembler> instruction = instructions.get(i);
          add("stack instruction %d at %x of %x/%x/%x".formatted(i, pointer, stack[0], stack[1], stack[2]), a -> {
            a.descriptor(FREE, segment(CODE16 + 0x1000, stack[0], stack[1], stack[2]));
            // Its faults are delivered to ring 0 on another stack.
            ring3Stack(a, stack, pointer);
            instruction.accept(a);
            a.finish();
          });
        }
      }
    }
  }

  private static void ring3Stack(PeerAssembler a, int[] stack, int pointer) {
    a.descriptor(FREE, segment(CODE16 + 0x1000, stack[0], stack[1] | 0x60, stack[2]));
    a.ring(3);
    a.asm.mov(EAX, FREE | 3);
    a.asm.mov(EBP, pointer);
    a.asm.mov(SS, AX);
    a.asm.mov(ESP, pointer);
  }

  /** Instructions at and across the end of the code segment; near jumps behind it. */
  private void codeLimits() {
    for (int limit : new int[] {0xFFC, 0xFFD, 0xFFE, 0xFFF, 0x1000, 0x1001, 0x1002}) {
      add("instruction at ffc with limit %x".formatted(limit), a -> {
        a.descriptor(FREE, segment(CODE16 + 0x1000, limit, 0x9B, 4));
        // Five bytes: MOV EBX, 30CD30CDh; then INT 30h.
        a.store(CODE16 + 0x1FFC, 0xCD30_CDBBL);
        a.store(CODE16 + 0x2000, 0x30CD_30);
        a.asm.jmpFar(FREE, 0xFFCL, 4);
      });
    }
    for (int kind = 0; kind < 4; kind++) {
      int which = kind;
      for (int limit : new int[] {0x7FF, 0xFFF}) {
        add("near transfer %d to 900 with limit %x".formatted(kind, limit), a -> {
          a.descriptor(FREE, segment(CODE16 + 0x1000, limit, 0x9B, 4));
          int[][] code = {{0xE9, 0xFB, 0x08, 0, 0}, {0xE8, 0xFB, 0x08, 0, 0}, {0xFF, 0xE3}, {0x53, 0xC3}};
          for (int i = 0; i < code[which].length; i++) {
            a.storeByte(CODE16 + 0x1000 + i, code[which][i]);
          }
          a.store(CODE16 + 0x1900, 0x30CD_30CD);
          a.asm.mov(EBX, 0x900);
          a.asm.jmpFar(FREE, 0L, 4);
        });
      }
    }
  }
}
