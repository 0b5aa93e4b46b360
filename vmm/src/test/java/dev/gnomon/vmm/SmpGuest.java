package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.boot.BootRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A guest of several processors: the bootstrap processor starts the others by INIT and start-up messages to all, they
 * go from real mode to 64-bit mode with its tables, and each part runs its own code. R12 is the processor's number, the
 * local APIC's page is addressed by RBX.
 */
record SmpGuest(Consumer<Assembler> bootstrap, Consumer<Assembler> others) {
  static final int CODE_SELECTOR = 0x10;
  /** Words that the parts use as they like. */
  static final long DATA = Machines.DATA;
  static final long OTHERS_CODE = 0x180000;
  private static final int DATA_SELECTOR = 0x18;
  private static final long APIC = 0xFEE00000L;
  private static final int TRAMPOLINE_PAGE = 8;
  private static final long TABLE_POINTER = 0x9000;
  private static final long ROOT = 0x9010;
  private static final long BUDGET = 3_000_000;

  /** ICR low words: INIT and start-up to all but the sender. */
  static final int INIT_OTHERS = 0xC4500;
  static final int START_OTHERS = 0xC4600 | TRAMPOLINE_PAGE;

  static VmOptions options(Mode mode, int processors) {
    return Machines.options(mode).withPlatform(
        PlatformOptions.DEFAULT.withMachine(MachineType.PC).withProcessors(new Processors(processors, 100)));
  }

  static void apic(Assembler a, int register, int value) {
    a.mov(ptr(RBX, register).d(), value);
  }

  /** Sends by the ICR to a physical or logical destination. */
  static void send(Assembler a, int destination, int low) {
    apic(a, 0x310, destination << 24);
    apic(a, 0x300, low);
  }

  static void endOfInterrupt(Assembler a) {
    apic(a, 0xB0, 0);
  }

  /** Makes a handler of a vector. */
  static void handler(Assembler a, int vector, Runnable body) {
    Label handler = new Label("handler");
    Label over = new Label("over");
    a.jmp(over);
    a.bind(handler);
    body.run();
    a.iretq();
    a.bind(over);
    InterruptTest.gate(a, vector, handler);
  }

  /** Waits, with PAUSE, until a word has at least a value. */
  static void await(Assembler a, long address, int value) {
    Label top = a.here();
    a.pause();
    a.cmp(abs(address).q(), value);
    a.jb(top);
  }

  /** Interrupts off and asleep for good; NMIs wake it and it sleeps again. */
  static void stop(Assembler a) {
    a.cli();
    Label top = a.here();
    a.hlt();
    a.jmp(top);
  }

  private static void begin(Assembler a) {
    a.mov(EBX, APIC);
    apic(a, 0xF0, 0x1FF);
    a.mov(R12D, ptr(RBX, 0x20).d());
    a.shr(R12, 24);
  }

  Vm boot(VmOptions options) {
    Vm vm = new VmBuilder(options).build();
    Assembler first = new Assembler(64);
    first.mov(RSP, Machines.STACK);
    begin(first);
    first.sgdt(abs(TABLE_POINTER));
    first.mov(RAX, CR3);
    first.mov(abs(ROOT).q(), RAX);
    apic(first, 0x300, INIT_OTHERS);
    apic(first, 0x300, START_OTHERS);
    apic(first, 0x300, START_OTHERS);
    bootstrap.accept(first);
    Machines.boot(vm, first.assemble(Machines.CODE), BootRequest.Entry.LONG);
    vm.guestMemory().write((long) TRAMPOLINE_PAGE << 12, trampoline());
    Assembler other = new Assembler(64);
    other.mov(AX, DATA_SELECTOR);
    other.mov(DS, AX);
    other.mov(ES, AX);
    other.mov(SS, AX);
    begin(other);
    other.mov(RSP, Machines.STACK);
    other.mov(RAX, R12);
    other.shl(RAX, 12);
    other.sub(RSP, RAX);
    others.accept(other);
    vm.guestMemory().write(OTHERS_CODE, other.assemble(OTHERS_CODE));
    return vm;
  }

  private static byte[] trampoline() {
    Assembler a = new Assembler(16);
    a.lgdt(abs(TABLE_POINTER));
    a.mov(EAX, ControlRegister.CR4_PAE);
    a.mov(CR4, EAX);
    a.mov(EAX, abs(ROOT).d());
    a.mov(CR3, EAX);
    a.mov(ECX, Msr.EFER);
    a.rdmsr();
    a.or(EAX, (int) ControlRegister.EFER_LME);
    a.wrmsr();
    a.mov(EAX, ControlRegister.CR0_PG | ControlRegister.CR0_WP | ControlRegister.CR0_NE | ControlRegister.CR0_ET
        | ControlRegister.CR0_PE);
    a.mov(CR0, EAX);
    a.jmpFar(CODE_SELECTOR, OTHERS_CODE, 4);
    return a.assemble((long) TRAMPOLINE_PAGE << 12);
  }

  /** Runs to the guest's exit. */
  Vm run(VmOptions options) {
    Vm vm = boot(options);
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).as(options.mode() + ": " + result).isEqualTo(End.GUEST_EXIT);
    return vm;
  }

  /** Everything that the guest could know, of all processors. */
  static String state(Vm vm) {
    StringBuilder state = new StringBuilder("now=" + vm.now() + " retired=" + vm.retired() + " memory="
        + Machines.memory(vm));
    vm.vcpus().forEach(vcpu -> state.append('\n').append(Machines.state(vcpu.cpu())));
    return state.toString();
  }

  /** Runs in all modes and with blocks of several sizes; all must end alike. @return one of them a mode */
  List<Vm> runEverywhere(int processors) {
    List<Vm> vms = new ArrayList<>();
    String expected = null;
    for (Mode mode : Mode.values()) {
      for (int block : new int[] {1, 8, 64}) {
        Vm vm = run(options(mode, processors).withBlockLimit(block));
        String state = state(vm);
        expected = expected == null ? state : expected;
        assertThat(state).as(mode + " with blocks of " + block).isEqualTo(expected);
        if (block == 64) {
          vms.add(vm);
        }
      }
    }
    return vms;
  }

  static long word(Vm vm, long address) {
    return vm.guestMemory().read(address, 8);
  }
}
