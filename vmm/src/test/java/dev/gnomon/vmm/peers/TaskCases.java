package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.Rflags;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Task switches by JMP, CALL, IRET, interrupts and exceptions, with each check (SDM vol. 3A, "Task Management"). */
final class TaskCases {
  private static final int PRESENT = 0x80;
  private static final int GATE = FREE;
  private static final int SEGMENT = FREE + 8;

  private final List<PeerCase> cases = new ArrayList<>();

  private TaskCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  static List<PeerCase> switches() {
    TaskCases group = new TaskCases();
    group.ways();
    group.checks();
    group.segments();
    group.returns();
    return group.cases;
  }

  /** The transfers that can switch: by name. */
  private enum Way { JMP, CALL, JMP_GATE, CALL_GATE, INT_GATE, FAULT_GATE, IRET }

  private void transfer(PeerAssembler a, Way way, int task) {
    switch (way) {
      case JMP -> a.asm.jmpFar(task, 0L, 4);
      case CALL -> a.asm.callFar(task, 0L, 4);
      case JMP_GATE -> a.asm.jmpFar(GATE | 3, 0L, 4);
      case CALL_GATE -> a.asm.callFar(GATE | 3, 0L, 4);
      case INT_GATE -> a.asm.interrupt(USER);
      case FAULT_GATE -> {
        a.asm.mov(EAX, GDT_BYTES + 0x10);
        a.asm.mov(DS, AX);
      }
      default -> a.asm.iretd();
    }
    a.finish();
  }

  private void prepare(PeerAssembler a, Way way, int task) {
    a.descriptor(GATE, gate(task, 0, 0xE5, 0));
    a.vector(USER, gate(task, 0, 0xE5, 0));
    if (way == Way.FAULT_GATE) {
      a.vector(13, gate(task, 0, 0x85, 0));
    }
    if (way == Way.IRET) {
      a.storeWord(TSS, task);
      a.asm.push(Rflags.NT | Rflags.FIXED);
      a.asm.popfd();
    }
  }

  /** Makes a task of IRET busy, as it would be. */
  private void ready(PeerAssembler a, Way way, int task) {
    if (way == Way.IRET) {
      a.asm.or(Mem.abs(GDT + (task & ~7) + 5).b(), 2);
    }
  }

  private void ways() {
    for (Way way : Way.values()) {
      for (int task : new int[] {TASK32, TASK16, TASK32 | 3}) {
        for (int ring : new int[] {0, 3}) {
          add("%s to task %x in ring %d".formatted(way, task, ring), a -> {
            prepare(a, way, task);
            ready(a, way, task);
            a.ring(ring, (way == Way.IRET ? Rflags.NT : 0) | 0xCD7 | Rflags.FIXED);
            transfer(a, way, task);
          });
        }
      }
      add("%s to task in ring 3".formatted(way), a -> {
        prepare(a, way, TASK32);
        ready(a, way, TASK32);
        int[] selectors = {DATA3, CODE3, DATA3, DATA1, DATA0, 0};
        a.store(TSS32 + 72, selectors[0]);
        a.store(TSS32 + 76, selectors[1]);
        a.store(TSS32 + 80, selectors[2]);
        a.store(TSS32 + 84, DATA3);
        a.store(TSS32 + 36, 0x3CD7);
        transfer(a, way, TASK32);
      });
      add("%s to itself".formatted(way), a -> {
        prepare(a, way, TASK);
        transfer(a, way, TASK);
      });
      add("%s to task with debug trap".formatted(way), a -> {
        prepare(a, way, TASK32);
        ready(a, way, TASK32);
        a.storeWord(TSS32 + 100, 1);
        transfer(a, way, TASK32);
      });
      add("%s to virtual-8086 task".formatted(way), a -> {
        prepare(a, way, TASK32);
        ready(a, way, TASK32);
        a.code16(code -> code.interrupt(DONE));
        a.store(TSS32 + 36, Rflags.VM | 0x3002);
        a.store(TSS32 + 32, PeerAssembler.START16);
        for (int i = 0; i < 6; i++) {
          a.store(TSS32 + 72 + 4 * i, CODE16 >> 4);
        }
        a.store(TSS32 + 4, INNER0);
        transfer(a, way, TASK32);
      });
    }
  }

  private void checks() {
    for (Way way : Way.values()) {
      for (int type = 0; type < 32; type++) {
        int access = PRESENT | type;
        if (type == 12 || type == 4 || type == 5 || type >= 16) {
          if (way == Way.JMP || way == Way.CALL) {
            continue;
          }
        }
        if (type >= 16 && type != 0x13) {
          continue;
        }
        add("%s to descriptor %02x".formatted(way, access), a -> {
          prepare(a, way, SEGMENT);
          a.descriptor(SEGMENT, segment(TSS32, 0x67, access, 0));
          transfer(a, way, SEGMENT);
        });
      }
      for (int access : new int[] {0x09, 0x0B, 0x01}) {
        add("%s to absent task %02x".formatted(way, access), a -> {
          prepare(a, way, SEGMENT);
          a.descriptor(SEGMENT, segment(TSS32, 0x67, access, 0));
          transfer(a, way, SEGMENT);
        });
      }
      for (int limit : new int[] {0, 0x2A, 0x2B, 0x66, 0x67}) {
        for (int type : new int[] {1, 9}) {
          if (type == 1 && limit >= 0x2B || type == 9 && limit == 0x67) {
            continue;
          }
          int access = PRESENT | type | (way == Way.IRET ? 2 : 0);
          add("%s to task %02x with limit %x".formatted(way, access, limit), a -> {
            prepare(a, way, SEGMENT);
            a.descriptor(SEGMENT, segment(TSS32, limit, access, 0));
            transfer(a, way, SEGMENT);
          });
        }
      }
      for (int selector : new int[] {0, 4, 0xC, GDT_BYTES}) {
        if ((way == Way.JMP || way == Way.CALL) && selector < 4) {
          continue;
        }
        add("%s to task selector %x".formatted(way, selector), a -> {
          prepare(a, way, selector);
          transfer(a, way, selector);
        });
      }
    }
    for (int access : new int[] {0x85, 0xA5, 0xE5, 0x65}) {
      for (int ring : new int[] {0, 3}) {
        add("call through task gate %02x in ring %d".formatted(access, ring), a -> {
          a.descriptor(GATE, gate(TASK32, 0, access, 0));
          a.ring(ring);
          a.asm.callFar(GATE | ring, 0L, 4);
        });
        add("int through task gate %02x in ring %d".formatted(access, ring), a -> {
          a.vector(USER, gate(TASK32, 0, access, 0));
          a.ring(ring);
          a.asm.interrupt(USER);
        });
      }
    }
  }

  /** What the new task's segments may be: the fault belongs to the new task. */
  private void segments() {
    int[] slots = {72, 76, 80, 84, 88, 92, 96};
    int[] selectors = {0, 3, DATA0 | 3, DATA3, DATA1, CODE0, CODE3, CODE0 | 3, TASK, GDT_BYTES, 0xC, SEGMENT, SEGMENT
        + 8, SEGMENT + 16, LOCAL};
    for (int slot : slots) {
      for (int selector : selectors) {
        add("task with selector %x at %d".formatted(selector, slot), a -> {
          // Absent data, absent code, absent LDT.
          a.descriptor(SEGMENT, segment(0, 0xFFFFF, 0x13, FLAT));
          a.descriptor(SEGMENT + 8, segment(0, 0xFFFFF, 0x1B, FLAT));
          a.descriptor(SEGMENT + 16, segment(LDT, 0x7F, 0x02, 0));
          a.store(TSS32 + slot, selector);
          a.asm.callFar(TASK32, 0L, 4);
        });
      }
    }
    add("task whose entry is behind its limit", a -> {
      a.descriptor(SEGMENT, segment(0, 0xFFF, 0x9B, 4));
      a.store(TSS32 + 76, SEGMENT);
      a.asm.jmpFar(TASK32, 0L, 4);
    });
    add("task in a conforming segment", a -> {
      a.descriptor(SEGMENT, segment(0, 0xFFFFF, 0x9F, FLAT));
      a.store(TSS32 + 76, SEGMENT | 3);
      a.store(TSS32 + 80, DATA3);
      a.asm.jmpFar(TASK32, 0L, 4);
    });
    add("task with its own ldt", a -> {
      a.descriptor(LDT, 8, segment(0, 0xFFFFF, 0x93, FLAT));
      a.store(TSS32 + 96, LOCAL);
      a.store(TSS32 + 84, 0xC);
      a.asm.jmpFar(TASK32, 0L, 4);
    });
  }

  private void returns() {
    for (int back : new int[] {TASK, 0, TASK32, TASK16, 4, GDT_BYTES}) {
      add("iret with nt to link %x".formatted(back), a -> {
        a.storeWord(TSS, back);
        a.asm.push(Rflags.NT | Rflags.FIXED);
        a.asm.popfd();
        a.asm.iretd();
      });
    }
    for (int task : new int[] {TASK32, TASK16}) {
      add("call to task %x and back".formatted(task), a -> {
        long returning = PeerAssembler.address(a.returnTask);
        if (task == TASK32) {
          a.store(TSS32 + 32, returning);
        } else {
          a.storeWord(TSS16 + 14, (int) (returning - PROGRAM));
        }
        a.asm.push(0xCD7);
        a.asm.popfd();
        a.asm.callFar(task, 0L, 4);
        a.asm.mov(EAX, 0x5A5A);
        a.finish();
      });
    }
    add("call to task that faults", a -> {
      a.store(TSS32 + 32, 0x40_0000);
      a.descriptor(SEGMENT, segment(0, 0x3FFFFF >> 12, 0x9B, FLAT));
      a.store(TSS32 + 76, SEGMENT);
      a.asm.callFar(TASK32, 0L, 4);
    });
  }
}
