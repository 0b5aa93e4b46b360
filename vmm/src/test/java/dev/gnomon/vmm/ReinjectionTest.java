package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.memory.BackingSize;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/**
 * Events whose delivery exits are delivered once all the same; what the guest's own tables say after its edits
 * holds in every mode.
 */
class ReinjectionTest {
  private static final long BUDGET = 200_000;
  private static final long IDT = 0x210000;
  /** A page that nothing else touches. */
  private static final long FRESH_STACK = 0x500000;
  private static final long PAGE_DIRECTORY = 0x3000;

  private static void loadIdt(Assembler a, int vector, Label handler) {
    Label pointer = new Label("idtr");
    Label over = new Label("over");
    a.jmp(over);
    a.bind(pointer);
    a.dw(0xFFF);
    a.dq(IDT);
    a.bind(over);
    a.lidt(rip(pointer));
    a.mov(RDI, IDT + 16 * vector);
    a.lea(RAX, rip(handler));
    a.mov(ptr(RDI).w(), AX);
    a.mov(ptr(RDI, 2).w(), 0x10);
    a.mov(ptr(RDI, 4).w(), 0x8E00);
    a.shr(RAX, 16);
    a.mov(ptr(RDI, 6).w(), AX);
  }

  /** Takes an INT3 on each of ten stack pages that were never touched. */
  private static final Consumer<Assembler> FRESH_STACKS = a -> {
    Label start = new Label("start");
    Label handler = new Label("handler");
    Label next = new Label("next");
    a.jmp(start);
    a.bind(handler);
    a.inc(RBX);
    a.add(R12, ptr(RSP));
    a.iretq();
    a.bind(start);
    loadIdt(a, 3, handler);
    a.xor(EBX, EBX);
    a.mov(RCX, FRESH_STACK);
    a.mov(EDX, 10);
    a.bind(next);
    a.add(RCX, 4096);
    a.mov(RSP, RCX);
    a.int3();
    a.dec(EDX);
    a.jnz(next);
    Machines.exit(a, 0);
  };

  private static Vm run(Mode mode, Consumer<Assembler> guest) {
    VmOptions options = Machines.options(mode).withBacking(BackingSize.SIZE_4K).withEptMaxPageShift(12);
    Vm vm = Machines.boot(options.withShadow(options.shadow().withPrefetch(false)), guest);
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).as(result.toString()).isEqualTo(End.GUEST_EXIT);
    return vm;
  }

  private static void shouldAgree(Consumer<Assembler> guest) {
    Vm bare = run(Mode.NATIVE, guest);
    for (Mode mode : new Mode[] {Mode.EPT, Mode.SHADOW}) {
      Vm vm = run(mode, guest);
      assertThat(Machines.state(vm.cpu())).as(mode.toString()).isEqualTo(Machines.state(bare.cpu()));
      assertThat(Machines.memory(vm)).as(mode + " memory").isEqualTo(Machines.memory(bare));
    }
  }

  @Test
  void shouldDeliverAnEventOnceThoughItsDeliveryExits() {
    shouldAgree(FRESH_STACKS);
    assertThat(run(Mode.EPT, FRESH_STACKS).cpu().regs[3]).isEqualTo(10);
    assertThat(run(Mode.EPT, FRESH_STACKS).exits().ofReason(ExitReason.EPT_VIOLATION)).isGreaterThanOrEqualTo(10);
    assertThat(run(Mode.SHADOW, FRESH_STACKS).exits().of(ExitReason.EXCEPTION_NMI, ExitStatistics.Cause.SHADOW_FILL))
        .isGreaterThanOrEqualTo(10);
  }

  @Test
  void shouldKeepCr2OverHiddenFaults() {
    shouldAgree(a -> {
      a.mov(RAX, 0x1234);
      a.mov(CR2, RAX);
      a.mov(abs(FRESH_STACK).q(), 1);
      a.mov(RBX, CR2);
      Machines.exit(a, 0);
    });
  }

  @Test
  void shouldDeliverAnEventToAStackInADevicesMemory() {
    shouldAgree(a -> {
      Label start = new Label("start");
      Label handler = new Label("handler");
      a.jmp(start);
      a.bind(handler);
      a.inc(RBX);
      a.mov(RSI, ptr(RSP));
      Machines.exit(a, 0);
      a.bind(start);
      loadIdt(a, 3, handler);
      a.mov(RSP, 0xB8800);
      a.int3();
    });
  }

  @Test
  void shouldFollowTheGuestsEditsOfItsOwnTables() {
    shouldAgree(a -> {
      // Maps 2 MiB at 1 GiB − 2 MiB to each of several places in turn, with INVLPG, and reads a mark through it.
      Label next = new Label("next");
      for (int i = 0; i < 3; i++) {
        a.mov(abs(0x200000L * (i + 1)).q(), 0x1111 * (i + 1));
      }
      a.mov(RDI, PAGE_DIRECTORY + 8 * 511);
      a.mov(RSI, 0x3FE00000L);
      a.mov(ECX, 30);
      a.mov(EBX, 1);
      a.bind(next);
      a.mov(RAX, RBX);
      a.shl(RAX, 21);
      a.or(RAX, 0x83);
      a.mov(ptr(RDI), RAX);
      a.invlpg(ptr(RSI));
      a.add(R12, ptr(RSI));
      a.rol(R12, 3);
      a.inc(ptr(RSI, 64).q());
      a.inc(EBX);
      a.cmp(EBX, 4);
      Label keep = new Label("keep");
      a.jb(keep);
      a.mov(EBX, 1);
      a.bind(keep);
      a.dec(ECX);
      a.jnz(next);
      a.mov(RAX, CR3);
      a.mov(CR3, RAX);
      a.add(R12, ptr(RSI));
      Machines.exit(a, 0);
    });
  }
}
