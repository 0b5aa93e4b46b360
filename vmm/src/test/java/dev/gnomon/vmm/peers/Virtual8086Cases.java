package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Rflags;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Virtual-8086 mode by IOPL, with and without its extensions and their redirection map (SDM vol. 3B, "8086 Emulation").
 */
final class Virtual8086Cases {
  /** Map of interrupts to redirect, 32 bytes in front of the I/O map. */
  private static final int REDIRECTION = TSS + 0x68;
  private static final int IO_MAP = 0x88;
  private static final int HANDLER16 = 0x400;

  /** Without and with the extensions, if the processor offers them. */
  private static final boolean[] EXTENSIONS = PeerMachine.Gnomon.offersVme() ? new boolean[] {false, true}
      : new boolean[] {false};

  private final List<PeerCase> cases = new ArrayList<>();

  private Virtual8086Cases() {}

  private void add(String name, Consumer<PeerAssembler> body) {
    cases.add(new PeerCase(name, body));
  }

  static List<PeerCase> all() {
    Virtual8086Cases group = new Virtual8086Cases();
    group.instructions();
    group.interrupts();
    group.leaving();
    return group.cases;
  }

  /** Virtual interrupts on and pending, and those of protected mode. */
  static List<PeerCase> virtualInterrupts() {
    Virtual8086Cases group = new Virtual8086Cases();
    group.pendingOnEntry();
    group.protectedMode();
    return group.cases;
  }

  private static Map<String, Consumer<Assembler>> sensitive() {
    Map<String, Consumer<Assembler>> all = new LinkedHashMap<>();
    all.put("cli", Assembler::cli);
    all.put("sti", Assembler::sti);
    all.put("pushf", a -> {
      a.pushf();
      a.pop(BX);
    });
    all.put("pushfd", a -> {
      a.pushfd();
      a.pop(EBX);
    });
    all.put("popf of if", a -> {
      a.push(0x202);
      a.popf();
    });
    all.put("popf of nothing", a -> {
      a.push(0x2);
      a.popf();
    });
    all.put("popf of tf and nt", a -> {
      a.push(0x4C02);
      a.popf();
    });
    all.put("popfd", a -> {
      a.pushd(0x1A_7202);
      a.popfd();
    });
    all.put("iret", a -> {
      a.push(0x4ED6);
      a.push(CODE16 >> 4);
      Label there = new Label();
      a.push(there);
      a.iret();
      a.bind(there);
    });
    all.put("in allowed", a -> a.in(AL, 0x80));
    all.put("in forbidden", a -> a.in(AL, 0x81));
    all.put("in word half allowed", a -> a.in(AX, 0x80));
    all.put("hlt", Assembler::hlt);
    all.put("lgdt", a -> a.lgdt(Mem.abs(0)));
    all.put("lldt", a -> a.lldt(AX));
    all.put("arpl", a -> a.emit((byte) 0x63, (byte) 0xC0));
    all.put("lar", a -> a.lar(BX, AX));
    all.put("smsw", a -> a.smsw(BX));
    all.put("mov cr0", a -> a.mov(EAX, CR0));
    all.put("mov dr7", a -> a.mov(EAX, DR7));
    all.put("clts", Assembler::clts);
    all.put("invlpg", a -> a.invlpg(Mem.abs(0)));
    all.put("rdmsr", Assembler::rdmsr);
    all.put("wbinvd", Assembler::wbinvd);
    all.put("sysenter", Assembler::sysenter);
    all.put("sysexit", Assembler::sysexit);
    all.put("int3", Assembler::int3);
    all.put("into", a -> {
      a.mov(AL, 0x7F);
      a.add(AL, 1);
      a.into();
    });
    all.put("bound", a -> {
      a.mov(AX, 5);
      a.bound(AX, Mem.abs(0x200));
    });
    all.put("lock nop", a -> a.emit((byte) 0xF0, (byte) 0x90));
    all.put("segment wrap", a -> {
      a.mov(BX, 0xFFFF);
      a.mov(AX, Mem.ptr(BX));
    });
    all.put("stack wrap", a -> {
      a.mov(SP, 1);
      a.push(AX);
    });
    all.put("jmp behind the limit", a -> {
      a.emit((byte) 0x66, (byte) 0xE9, (byte) 0, (byte) 0, (byte) 1, (byte) 0);
    });
    return all;
  }

  private static void extensions(PeerAssembler a, boolean vme) {
    if (vme) {
      a.asm.mov(EAX, (int) ControlRegister.CR4_VME);
      a.asm.mov(CR4, EAX);
    }
    // A TSS with redirection map and a map that allows port 80h alone.
    a.asm.mov(EAX, FREE + 0x50);
    a.descriptor(FREE + 0x50, segment(TSS, IO_MAP + 0x20, 0x89, 0));
    a.storeWord(TSS + 102, IO_MAP);
    for (int i = 0; i < 0x20; i += 4) {
      a.store(TSS + IO_MAP + i, i == 0x10 ? 0xFFFF_FFFEL : 0xFFFF_FFFFL);
    }
    a.storeByte(TSS + IO_MAP + 0x20, 0xFF);
    a.asm.ltr(AX);
  }

  private static int flags(int iopl, int extra) {
    return iopl << 12 | extra;
  }

  private void instructions() {
    for (Map.Entry<String, Consumer<Assembler>> entry : sensitive().entrySet()) {
      for (int iopl : new int[] {0, 3}) {
        for (boolean vme : EXTENSIONS) {
          for (int extra : new int[] {0, Rflags.VIP, Rflags.VIF, Rflags.VIF | Rflags.VIP}) {
            boolean virtual = List.of("cli", "sti", "popf of if", "popf of nothing", "pushf", "iret").contains(entry
                .getKey());
            if (extra != 0 && !(vme && virtual)) {
              continue;
            }
            add("%s with iopl %d, %s, flags %x".formatted(entry.getKey(), iopl, vme ? "vme" : "no vme", extra), a -> {
              a.code16(code -> {
                entry.getValue().accept(code);
                code.hlt();
              });
              extensions(a, vme);
              a.store(CODE16 + 0x200, 0x0004_0001);
              a.virtual8086(flags(iopl, extra));
            });
          }
        }
      }
    }
  }

  /** INT n by IOPL, extensions, redirection bit and gate. */
  private void interrupts() {
    for (int iopl = 0; iopl < 4; iopl++) {
      for (boolean vme : EXTENSIONS) {
        for (boolean redirect : new boolean[] {false, true}) {
          for (int access : new int[] {0x8E, 0xEE, 0xEF}) {
            for (int extra : new int[] {0, Rflags.IF, Rflags.VIF}) {
              int flags = flags(iopl, extra);
              if (extra == Rflags.VIF && !vme) {
                continue;
              }
              add("int with iopl %d, %s, %s, gate %02x, flags %x".formatted(iopl, vme ? "vme" : "no vme", redirect
                  ? "redirected" : "not redirected",
                  access, extra), a -> {
                a.code16(code -> code.interrupt(USER));
                extensions(a, vme);
                for (int i = 0; i < 32; i += 4) {
                  a.store(REDIRECTION + i, redirect ? 0 : -1);
                }
                a.store(4 * USER, CODE16 << 12 | HANDLER16);
                // At the handler: IP, CS and flags into registers, then HLT, which faults.
                a.store(CODE16 + HANDLER16, 0xF4_595B58L);
                a.vector(USER, gate(CODE0, PeerAssembler.address(a.handler), access, 0));
                a.virtual8086(flags);
              });
            }
          }
        }
      }
    }
    for (int base : EXTENSIONS.length == 1 ? new int[0] : new int[] {0x10, 0x20, 0x67, 0x88, 0xFFFF}) {
      add("int with map base %x".formatted(base), a -> {
        a.code16(code -> code.interrupt(USER));
        extensions(a, true);
        a.storeWord(TSS + 102, base);
        a.store(4 * USER, CODE16 << 12 | HANDLER16);
        a.store(CODE16 + HANDLER16, 0xF4_595B58L);
        a.virtual8086(0x3000);
      });
    }
  }

  /** Gates that do not lead to ring 0, and IRET from there. */
  private void leaving() {
    for (int selector : new int[] {CODE1, CODE3, DATA0, 0, FREE}) {
      add("int to segment %x".formatted(selector), a -> {
        a.descriptor(FREE, segment(0, 0xFFFFF, 0x9F, FLAT));
        a.code16(code -> code.interrupt(USER));
        a.vector(USER, gate(selector, PeerAssembler.address(a.handler), 0xEE, 0));
        a.virtual8086(0x3000);
      });
    }
    add("int through 16-bit gate", a -> {
      a.code16(code -> code.interrupt(USER));
      a.vector(USER, gate(CODE_NEAR, a.handler16.offset(), 0xE6, 0));
      a.virtual8086(0x3000);
    });
    add("iret from ring 3 with vm set", a -> {
      a.ring(3);
      a.virtual8086(0x3000);
    });
    add("iret to virtual-8086 mode with ip behind the limit", a -> {
      a.asm.push(0);
      a.asm.push(0);
      a.asm.push(0);
      a.asm.push(0);
      a.asm.push(0);
      a.asm.push(0x800);
      a.asm.push(Rflags.VM | 2);
      a.asm.push(CODE16 >> 4);
      a.asm.push(0x1_0000);
      a.asm.iretd();
    });
  }

  /** Virtual interrupts both on and pending where virtual-8086 mode is entered. */
  private void pendingOnEntry() {
    for (boolean vme : EXTENSIONS) {
      for (int iopl = 0; iopl < 4; iopl++) {
        int flags = flags(iopl, Rflags.VIF | Rflags.VIP);
        add("iret to virtual-8086 mode with vif and vip, iopl %d, %s".formatted(iopl, vme ? "vme" : "no vme"), a -> {
          a.code16(code -> {
            code.mov(AX, 0x1234);
            code.nop();
            code.emit((byte) 0x0F, (byte) 0x0B);
          });
          extensions(a, vme);
          a.virtual8086(flags);
        });
        add("task in virtual-8086 mode with vif and vip, iopl %d, %s".formatted(iopl, vme ? "vme" : "no vme"), a -> {
          a.code16(code -> code.emit((byte) 0x0F, (byte) 0x0B));
          extensions(a, vme);
          a.store(TSS32 + 32, PeerAssembler.START16);
          a.store(TSS32 + 36, flags | Rflags.VM | Rflags.FIXED);
          a.store(TSS32 + 56, 0x800);
          for (int segment = 72; segment < 96; segment += 4) {
            a.storeWord(TSS32 + segment, CODE16 >> 4);
          }
          a.asm.jmpFar(TASK32, 0L, 4);
        });
      }
    }
  }

  /** Protected-mode virtual interrupts. */
  private void protectedMode() {
    Map<String, Consumer<PeerAssembler>> all = new LinkedHashMap<>();
    all.put("nop", a -> a.asm.nop());
    all.put("cli", a -> a.asm.cli());
    all.put("sti", a -> a.asm.sti());
    all.put("pushfd", a -> {
      a.asm.pushfd();
      a.asm.pop(EBX);
    });
    all.put("popfd", a -> {
      a.asm.push(0x18_7202);
      a.asm.popfd();
    });
    all.put("popfw", a -> {
      a.asm.pushw(0x7202);
      a.asm.popfw();
    });
    all.put("iretd", a -> {
      Label there = new Label();
      a.asm.push(0x18_0202);
      a.asm.push(CS);
      a.asm.push(there);
      a.asm.iretd();
      a.asm.bind(there);
    });
    for (Map.Entry<String, Consumer<PeerAssembler>> entry : all.entrySet()) {
      for (boolean pvi : EXTENSIONS) {
        for (int ring : new int[] {2, 3}) {
          for (int iopl : new int[] {0, 3}) {
            for (int extra : new int[] {0, Rflags.VIF, Rflags.VIP, Rflags.VIF | Rflags.VIP}) {
              add("%s in ring %d with iopl %d, %s, flags %x".formatted(entry.getKey(), ring, iopl,
                  pvi ? "pvi" : "no pvi", extra), a -> {
                a.asm.mov(EAX, pvi ? (int) ControlRegister.CR4_PVI : 0);
                a.asm.mov(CR4, EAX);
                a.ring(ring, flags(iopl, extra | Rflags.FIXED));
                entry.getValue().accept(a);
                a.finish();
              });
            }
          }
        }
      }
    }
  }
}
