package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.ExitStatistics.Cause;
import dev.gnomon.vmm.RunResult.End;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The machine as a whole, in each mode: how runs end, what devices and absent memory do, what exits are counted. */
class VmTest {
  private static final long BUDGET = 100_000;

  private static Vm boot(Mode mode, Consumer<Assembler> code) {
    return Machines.boot(Machines.options(mode), code);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndWithTheStatusThatTheGuestGives(Mode mode) {
    Vm vm = boot(mode, a -> Machines.exit(a, 21));
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).isEqualTo(End.GUEST_EXIT);
    assertThat(result.status()).isEqualTo(43);
    assertThat(vm.cpu().retired).isEqualTo(3);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldStopAtTheBudgetAndGoOn(Mode mode) {
    Consumer<Assembler> loop = a -> {
      Label top = a.here();
      a.inc(RAX);
      a.add(RBX, RAX);
      a.jmp(top);
    };
    Vm whole = boot(mode, loop);
    assertThat(whole.run(1000).end()).isEqualTo(End.BUDGET);
    assertThat(whole.cpu().retired).isEqualTo(1000);
    Vm pieces = boot(mode, loop);
    for (int done = 0, step = 1; done < 1000; done += step, step = Math.min(step + 3, 1000 - done)) {
      assertThat(pieces.run(step).end()).isEqualTo(End.BUDGET);
    }
    assertThat(Machines.state(pieces.cpu())).isEqualTo(Machines.state(whole.cpu()));
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldReportATripleFaultWithRegisters(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.mov(RBX, 0x1234567);
      a.ud2();
    });
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).isEqualTo(End.TRIPLE_FAULT);
    assertThat(result.detail()).startsWith("triple fault at rip 0x10000").doesNotContain("\n");
    assertThat(result.registers()).contains("RBX=0000000001234567");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndWhenHaltedForEver(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.cli();
      a.hlt();
    });
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).isEqualTo(End.HALTED);
    assertThat(result.detail()).contains("with interrupts off");
    assertThat(vm.cpu().retired).isEqualTo(3);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndWhenHaltedWithATimerBehindAMask(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.sti();
      a.hlt();
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.HALTED);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndAtAReset(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.mov(DX, 0xCF9);
      a.mov(AL, 6);
      a.out(DX, AL);
      a.hlt();
    });
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).isEqualTo(End.RESET);
    assertThat(result.detail()).contains("CF9_HARD");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEndWhenSwitchedOff(Mode mode) {
    PlatformOptions pc = PlatformOptions.DEFAULT.withMachine(MachineType.PC);
    Vm vm = Machines.boot(Machines.options(mode).withPlatform(pc), a -> {
      a.mov(DX, 0x604);
      a.mov(EAX, 0x3400);
      a.out(DX, EAX);
      a.hlt();
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.POWER_OFF);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldTakeATripleFaultWithAnEmptyIdtForAReset(Mode mode) {
    RunResult result = boot(mode, a -> {
      a.mov(RBX, Machines.DATA);
      a.lidt(ptr(RBX));
      a.int3();
    }).run(BUDGET);
    assertThat(result.end()).isEqualTo(End.RESET);
    assertThat(result.detail()).contains("empty IDT");
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldWriteStringsToAPort(Mode mode) {
    StringBuilder console = new StringBuilder();
    Vm vm = Machines.boot(new VmBuilder(Machines.options(mode)).debugConsole(c -> console.append((char) c)).build(),
        a -> {
      Label text = new Label("text");
      a.lea(RSI, rip(text));
      a.mov(ECX, 5);
      a.mov(DX, 0xE9);
      a.rep().outsb();
      Machines.exit(a, 0);
      a.bind(text);
      a.ascii("hello");
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(console).hasToString("hello");
    assertThat(vm.cpu().regs[dev.gnomon.guest.cpu.Cpu.RCX]).isZero();
    if (mode.virtual()) {
      assertThat(vm.exits().of(ExitReason.IO_INSTRUCTION, Cause.PORT_STRING_OUT, 0xE9)).isEqualTo(5);
      assertThat(vm.statistics()).containsEntry("io_exits", 6L);
    } else {
      assertThat(vm.exits().total()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldReadOnesFromAbsentPortsAndKeepTheRestOfRax(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.movabs(RAX, 0x1122334455667788L);
      a.mov(DX, 0x1F0);
      a.in(AL, DX);
      a.mov(RBX, RAX);
      a.in(AX, DX);
      a.mov(RCX, RAX);
      a.in(EAX, DX);
      a.mov(RSI, RAX);
      Machines.exit(a, 0);
    });
    vm.run(BUDGET);
    long[] regs = vm.cpu().regs;
    assertThat(regs[3]).isEqualTo(0x11223344556677FFL);
    assertThat(regs[1]).isEqualTo(0x112233445566FFFFL);
    assertThat(regs[6]).isEqualTo(0xFFFFFFFFL);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldReachVideoMemoryAndNothingBehindIt(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.mov(abs(0xB8000).w(), 0x0741);
      a.mov(EBX, abs(0xB8000));
      a.mov(RCX, abs(0xA0000));
      a.mov(RSI, abs(0x900000));
      a.mov(RDI, abs(0xA0000 - 4));
      Machines.exit(a, 0);
    });
    vm.run(BUDGET);
    assertThat(vm.platform().screen().screenText().get(0)).startsWith("A");
    assertThat(vm.cpu().regs[3] & 0xFFFF).isEqualTo(0x741);
    assertThat(vm.cpu().regs[1]).isEqualTo(-1);
    assertThat(vm.cpu().regs[6]).isEqualTo(-1);
    assertThat(vm.cpu().regs[7]).as("half memory, half hole").isEqualTo(0xFFFFFFFF00000000L);
    if (mode.virtual()) {
      assertThat(vm.statistics().get("mmio_exits")).isGreaterThanOrEqualTo(5);
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldDropWritesToReadOnlyMemory(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.mov(RAX, abs(0xF0000));
      a.mov(abs(0xF0000).q(), 5);
      a.mov(RBX, abs(0xF0000));
      a.lock().inc(abs(0xF0008).q());
      a.mov(RCX, abs(0xF0008));
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[3]).isEqualTo(-1);
    assertThat(vm.cpu().regs[1]).isEqualTo(-1);
    if (mode == Mode.EPT) {
      assertThat(vm.exits().of(ExitReason.EPT_VIOLATION, Cause.READ_ONLY_WRITE)).isEqualTo(2);
    } else if (mode == Mode.SHADOW) {
      assertThat(vm.exits().of(ExitReason.EXCEPTION_NMI, Cause.READ_ONLY_WRITE)).isEqualTo(2);
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldBackMemoryOnFirstTouch(Mode mode) {
    VmOptions options = Machines.options(mode).withBacking(dev.gnomon.vmm.memory.BackingSize.SIZE_4K)
        .withEptMaxPageShift(12);
    options = options.withShadow(options.shadow().withPrefetch(false));
    Vm vm = Machines.boot(options, a -> {
      a.mov(abs(0x300000).b(), 1);
      Label touch = new Label("touch");
      a.mov(RDI, 0x400000);
      a.mov(ECX, 10);
      a.bind(touch);
      a.mov(ptr(RDI).b(), 1);
      a.add(RDI, 4096);
      a.dec(ECX);
      a.jnz(touch);
      Machines.exit(a, 0);
    });
    vm.run(3);
    int before = vm.slots().residentFrames();
    vm.run(BUDGET);
    assertThat(vm.slots().residentFrames() - before).isEqualTo(mode.virtual() ? 10 : 0);
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldAnswerAnUnknownHypercall(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.emit((byte) 0x0F, (byte) 0x01, (byte) 0xC1);
      a.mov(RBX, RAX);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[3]).isEqualTo(-1000);
    assertThat(vm.statistics()).containsEntry("hypercalls", 1L);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldEmulateRepeatedMovesBetweenDeviceAndMemory(Mode mode) {
    Vm vm = boot(mode, a -> {
      a.mov(RDI, 0xB8000);
      a.mov(ECX, 4);
      a.movabs(RAX, 0x0744074307420741L);
      a.rep().stosq();
      a.mov(RSI, 0xB8000);
      a.mov(RDI, Machines.DATA);
      a.mov(ECX, 32);
      a.rep().movsb();
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.guestMemory().read(Machines.DATA + 24, 8)).isEqualTo(0x0744074307420741L);
    assertThat(vm.platform().screen().screenText().get(0)).startsWith("ABCDABCDABCDABCD");
  }
}
