package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.ControlRegister;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Page-fault codes, accessed and dirty flags, large pages and PAE paging (SDM vol. 3A, "Paging"). */
final class PagingCases {
  /** A page of the first 4 MiB that cases map as they like. */
  static final int MAPPED = 0x30_0000;
  static final int PAGE_INDEX = MAPPED >> 12;

  private final List<PeerCase> cases = new ArrayList<>();

  private PagingCases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  static List<PeerCase> all() {
    PagingCases group = new PagingCases();
    group.pageFaults();
    group.pageFaultsPae();
    return group.cases;
  }

  private void pageFaults() {
    for (int entry = 0; entry < 8; entry++) {
      for (int directory : new int[] {7, 5, 3, 6}) {
        for (boolean user : new boolean[] {false, true}) {
          for (boolean write : new boolean[] {false, true}) {
            for (boolean wp : new boolean[] {false, true}) {
              if (user && wp) {
                continue;
              }
              int bits = entry;
              // A directory entry of its own: the case's code is mapped by the other.
              add("%s page with entry %x, directory %x, ring %d%s".formatted(write ? "write" : "read", entry,
                  directory, user ? 3 : 0, wp ? ", wp" : ""), a -> {
                a.store(DIRECTORY + 4, TABLE | directory);
                a.store(TABLE + 4 * PAGE_INDEX, CODE16 | bits);
                a.paging(0, wp ? ControlRegister.CR0_WP : 0);
                a.ring(user ? 3 : 0);
                int address = 0x40_0000 + MAPPED;
                if (write) {
                  a.asm.mov(Mem.abs(address), EDX);
                } else {
                  a.asm.mov(EBX, Mem.abs(address));
                }
                // Accessed and dirty flags.
                a.asm.mov(ECX, Mem.abs(TABLE + 4 * PAGE_INDEX));
                a.asm.mov(ESI, Mem.abs(DIRECTORY + 4));
                a.asm.xor(EBX, EBX);
                a.finish();
              });
            }
          }
        }
      }
    }
    for (int pse : new int[] {0, (int) ControlRegister.CR4_PSE}) {
      for (int entry : new int[] {0x87, 0x85, 0x83, 0x20_0087, 0x1087, 0x187, 0xC7}) {
        add("large page %x with cr4 %x".formatted(entry, pse), a -> {
          a.store(DIRECTORY + 4, entry);
          a.paging(pse, 0);
          a.asm.mov(EBX, Mem.abs(0x40_0000 + SCRATCH));
          a.asm.xor(EBX, EBX);
          a.asm.mov(ECX, Mem.abs(DIRECTORY + 4));
          a.finish();
        });
      }
    }
    add("fetch from an absent page", a -> {
      a.store(TABLE + 4 * PAGE_INDEX, 0);
      a.paging(0, 0);
      a.ring(3);
      a.asm.mov(EBX, MAPPED);
      a.asm.jmp(EBX);
    });
    add("write across into an absent page", a -> {
      a.store(TABLE + 4 * PAGE_INDEX, 0);
      a.paging(0, 0);
      a.asm.mov(Mem.abs(MAPPED - 2), EAX);
    });
    add("descriptor table on a supervisor page from ring 3", a -> {
      a.store(TABLE + 4 * (GDT >> 12), GDT | 3);
      a.store(TABLE + 4 * (TSS >> 12), TSS | 3);
      a.store(TABLE + 4 * (IDT >> 12), IDT | 3);
      a.paging(0, 0);
      a.ring(3);
      a.asm.mov(EAX, DATA3);
      a.asm.mov(ES, AX);
      a.finish();
    });
    add("accessed bit of a descriptor on a read-only page", a -> {
      a.descriptor(FREE, segment(0, 0xFFFFF, 0xF2, FLAT));
      a.store(TABLE + 4 * (GDT >> 12), GDT | 5);
      a.paging(0, ControlRegister.CR0_WP);
      a.asm.mov(EAX, FREE);
      a.asm.mov(ES, AX);
    });
  }

  /** Physical-address extension, execute disable and reserved bits. */
  private void pageFaultsPae() {
    long[] entries = {0, 1, 3, 5, 7, 1L << 63 | 7, 1L << 51 | 7, 1L << 51 | 6, 1L << 52 | 7, 0x87, 1L << 63 | 6};
    for (boolean nxe : new boolean[] {false, true}) {
      for (long entry : entries) {
        for (int access = 0; access < 3; access++) {
          for (int ring : new int[] {0, 3}) {
            int how = access;
            add("pae %s of entry %x in ring %d%s".formatted(List.of("read", "write", "fetch").get(access), entry,
                ring, nxe ? ", nxe" : ""), a -> {
              pae(a, nxe);
              a.store(0x7_0000 + 0x2000 + 4, entry >>> 32);
              a.store(0x7_0000 + 0x2000, entry | CODE16 & (entry == 0 ? 0 : -1));
              a.store(CODE16, 0x30CD_30CD);
              a.asm.mov(EAX, CR0);
              a.asm.or(EAX, (int) 0x8000_0000L);
              a.asm.mov(CR0, EAX);
              a.ring(ring);
              switch (how) {
                case 0 -> a.asm.mov(EBX, Mem.abs(0x20_0000));
                case 1 -> a.asm.mov(Mem.abs(0x20_0000), EBX);
                default -> {
                  a.asm.mov(EBX, 0x20_0000);
                  a.asm.jmp(EBX);
                }
              }
              a.finish();
            });
          }
        }
      }
    }
    for (long entry : new long[] {0, 1, 3, 7, 0x19, 0x1E1, 1L << 52 | 1, 1L << 63 | 1}) {
      add("mov cr0 with pdpte %x".formatted(entry), a -> {
        pae(a, true);
        a.store(0x7_0000 + 24, entry);
        a.store(0x7_0000 + 28, entry >>> 32);
        a.asm.mov(EAX, CR0);
        a.asm.or(EAX, (int) 0x8000_0000L);
        a.asm.mov(CR0, EAX);
        a.finish();
      });
    }
  }

  /** Tables at 70000h for the first 2 MiB as a large page and the next 4 KiB by a table. */
  private static void pae(PeerAssembler a, boolean nxe) {
    int root = 0x7_0000;
    a.asm.xor(EAX, EAX);
    a.asm.mov(EDI, root);
    a.asm.mov(ECX, 0x3000 / 4);
    a.asm.rep().stosd();
    a.store(root, root + 0x1000 | 1);
    a.store(root + 0x1000, 0x87);
    a.store(root + 0x1008, root + 0x2000 | 7);
    if (nxe) {
      a.asm.mov(ECX, (int) 0xC000_0080L);
      a.asm.rdmsr();
      a.asm.or(EAX, 0x800);
      a.asm.wrmsr();
      a.asm.xor(ECX, ECX);
      a.asm.xor(EDX, EDX);
    } else {
      a.asm.mov(ECX, (int) 0xC000_0080L);
      a.asm.xor(EAX, EAX);
      a.asm.xor(EDX, EDX);
      a.asm.wrmsr();
      a.asm.xor(ECX, ECX);
    }
    a.asm.mov(EAX, root);
    a.asm.mov(CR3, EAX);
    a.asm.mov(EAX, (int) ControlRegister.CR4_PAE);
    a.asm.mov(CR4, EAX);
  }
}
