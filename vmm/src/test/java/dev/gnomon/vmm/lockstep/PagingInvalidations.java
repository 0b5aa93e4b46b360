package dev.gnomon.vmm.lockstep;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.CR3;
import static dev.gnomon.guest.asm.Reg.CR4;
import static dev.gnomon.guest.asm.Reg.RAX;
import static dev.gnomon.guest.asm.Reg.RDI;
import static dev.gnomon.guest.asm.Reg.RSI;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Mmu;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * The invalidations that follow an edit of a {@link PagingProgram}'s page tables, by any means that there is.
 *
 * <pre>
 *  GPA 386000  INVPCID descriptor
 * </pre>
 */
final class PagingInvalidations {
  /** All entries, in place of an index. */
  static final int ALL = -1;
  static final int[] PCIDS = {0, 1, 2, 3, 0xFFF};
  private static final @Gpa long DESCRIPTOR = 0x386000;

  private final PagingProgram.Kind kind;
  private final Assembler a;
  private final Label[] everywhere = new Label[LongModeTables.PT_INDICES];

  PagingInvalidations(PagingProgram.Kind kind, Assembler a) {
    this.kind = kind;
    this.a = a;
    Arrays.setAll(everywhere, index -> new Label());
  }

  /** @param index of the entries in page tables that changed, or {@link #ALL} */
  void synchronise(int index, SplittableRandom random) {
    if (index == ALL || random.nextBoolean()) {
      flushAll();
      return;
    }
    for (@Gva long gva : LongModeTables.addressesOf(index)) {
      for (int top : LongModeTables.TOP_INDICES) {
        if (top == 0 || kind == PagingProgram.Kind.FIVE_LEVELS) {
          a.mov(RAX, LongModeTables.below(top, gva));
          a.invlpg(ptr(RAX));
        }
      }
    }
  }

  /** @param index of the entries in page tables that changed, or {@link #ALL} */
  void synchronisePcids(int index, SplittableRandom random) {
    boolean globals = kind == PagingProgram.Kind.GLOBAL_PCIDS;
    int choice = random.nextInt(globals ? 3 : 6);
    switch (choice) {
      case 0 -> invalidatePcid(Mmu.ALL_CONTEXTS, 0, 0);
      case 1 -> togglePge();
      case 2 -> {
        if (index == ALL) {
          invalidatePcid(Mmu.ALL_CONTEXTS, 0, 0);
        } else {
          a.call(everywhere[index]);
        }
      }
      case 3 -> invalidatePcid(Mmu.RETAIN_GLOBALS, 0, 0);
      case 4 -> {
        for (int pcid : PCIDS) {
          invalidatePcid(Mmu.SINGLE_CONTEXT, pcid, 0);
        }
      }
      default -> {
        a.mov(RSI, CR3);
        for (int i = 0; i < PCIDS.length; i++) {
          a.mov(RAX, rootOf(i));
          a.mov(CR3, RAX);
        }
        a.mov(CR3, RSI);
      }
    }
  }

  /**
   * Subroutines, one for each index in page tables: for all PCIDs INVPCID of each address, and if there are global
   * translations INVLPG, which drops them too.
   */
  void routines() {
    for (int index = 0; index < everywhere.length; index++) {
      a.bind(everywhere[index]);
      for (@Gva long gva : LongModeTables.addressesOf(index)) {
        if (kind == PagingProgram.Kind.GLOBAL_PCIDS) {
          a.mov(RAX, gva);
          a.invlpg(ptr(RAX));
        }
        for (int pcid : PCIDS) {
          invalidatePcid(Mmu.INDIVIDUAL_ADDRESS, pcid, gva);
        }
      }
      a.ret();
    }
  }

  void invalidatePcid(int type, int pcid, @Gva long gva) {
    a.mov(RDI, DESCRIPTOR);
    a.mov(ptr(RDI).q(), pcid);
    a.mov(RAX, gva);
    a.mov(ptr(RDI, 8), RAX);
    a.mov(RAX, type);
    a.invpcid(RAX, ptr(RDI));
  }

  static long rootOf(int context) {
    return LongModeTables.root(context % LongModeTables.ROOT_COUNT) | PCIDS[context];
  }

  private void togglePge() {
    a.mov(RAX, CR4);
    a.xor(RAX, ControlRegister.CR4_PGE);
    a.mov(CR4, RAX);
    a.xor(RAX, ControlRegister.CR4_PGE);
    a.mov(CR4, RAX);
  }

  /** Flushes everything, global translations too. */
  void flushAll() {
    togglePge();
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
  }
}
