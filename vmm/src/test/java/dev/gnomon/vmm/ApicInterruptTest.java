package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Msr;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Interrupts by local APIC and I/O APIC reach the guest at the same instruction in every mode. */
class ApicInterruptTest {
  private static final PlatformOptions PC = PlatformOptions.DEFAULT.withMachine(MachineType.PC);
  private static final long APIC = 0xFEE00000L;
  private static final long IO_APIC = 0xFEC00000L;
  private static final int VECTOR = 0x41;

  private static void apic(Assembler a, int register, int value) {
    a.mov(EBX, (int) APIC);
    a.mov(ptr(RBX, register).d(), value);
  }

  private static void wrmsr(Assembler a, int msr, long value) {
    a.mov(ECX, msr);
    a.mov(EAX, (int) value);
    a.mov(EDX, (int) (value >>> 32));
    a.wrmsr();
  }

  /** One-shot after so many ns by TSC deadline. */
  private static void deadline(Assembler a, int ns) {
    a.rdtsc();
    a.shl(RDX, 32);
    a.or(RAX, RDX);
    a.add(RAX, ns);
    a.mov(RDX, RAX);
    a.shr(RDX, 32);
    a.mov(ECX, Msr.TSC_DEADLINE);
    a.wrmsr();
  }

  private static void endOfInterrupt(Assembler a) {
    apic(a, 0xB0, 0);
  }

  private static Consumer<Assembler> timerGuest(String kind) {
    return DeviceInterruptTest.guest(VECTOR, a -> {
      if (kind.equals("one-shot")) {
        apic(a, 0x380, 5000);
      } else if (kind.equals("deadline")) {
        deadline(a, 5000);
      }
      endOfInterrupt(a);
    }, a -> {
      DeviceInterruptTest.startPics(a, 0xFFFF);
      apic(a, 0xF0, 0x1FF);
      apic(a, 0x3E0, 0xB);
      int mode = kind.equals("periodic") ? 1 : kind.equals("deadline") ? 2 : 0;
      apic(a, 0x320, mode << 17 | VECTOR);
      if (mode == 2) {
        deadline(a, 5000);
      } else {
        apic(a, 0x380, 5000);
      }
    });
  }

  @ParameterizedTest
  @ValueSource(strings = {"one-shot", "periodic", "deadline"})
  void shouldWakeByTheLocalTimer(String kind) {
    InterruptTest.shouldAgree(PC, timerGuest(kind));
    Vm vm = Machines.boot(Machines.options(Mode.NATIVE).withPlatform(PC), timerGuest(kind));
    vm.run(10_000);
    long first = vm.guestMemory().read(InterruptTest.LOG, 8);
    long second = vm.guestMemory().read(InterruptTest.LOG + 8, 8);
    assertThat(second - first).isBetween(5000L, 5100L);
    assertThat(vm.cpu().retired).isLessThan(1000);
  }

  /** The timer finds the guest busy, so that native code must stop at a deadline that it set itself. */
  @ParameterizedTest
  @CsvSource({"0", "1", "2"})
  void shouldInterruptBusyCodeAtTheSameInstruction(int mode) {
    InterruptTest.shouldAgree(PC, a -> {
      Label handler = new Label("handler");
      Label begin = new Label("begin");
      a.jmp(begin);
      DeviceInterruptTest.handler(a, handler, b -> {
        if (mode == 2) {
          deadline(b, 777);
        } else if (mode == 0) {
          apic(b, 0x380, 777);
        }
        endOfInterrupt(b);
      });
      a.bind(begin);
      InterruptTest.loadIdt(a);
      InterruptTest.gate(a, VECTOR, handler);
      a.xor(R15, R15);
      apic(a, 0x3E0, 0xB);
      apic(a, 0x320, mode << 17 | VECTOR);
      a.sti();
      if (mode == 2) {
        deadline(a, 777);
      } else {
        apic(a, 0x380, 777);
      }
      Label top = a.here();
      a.inc(R8);
      a.xor(abs(Machines.DATA).q(), R8);
      a.jmp(top);
    });
  }

  @ParameterizedTest
  @CsvSource({"2,0,40", "8,1,71", "4,0,3F8"})
  void shouldRouteDevicesThroughTheIoApic(int gsi, int level, String device) {
    InterruptTest.shouldAgree(PC, DeviceInterruptTest.guest(VECTOR, a -> {
      if (device.equals("71")) {
        DeviceInterruptTest.out(a, 0x70, 0x0C);
        a.in(AL, 0x71);
      } else if (device.equals("3F8")) {
        DeviceInterruptTest.outDx(a, 0x3F8, 'x');
      }
      endOfInterrupt(a);
    }, a -> {
      DeviceInterruptTest.startPics(a, 0xFFFF);
      apic(a, 0x350, 0x10700);
      a.mov(EBX, (int) IO_APIC);
      a.mov(ptr(RBX).d(), 0x10 + 2 * gsi);
      a.mov(ptr(RBX, 0x10).d(), level << 15 | VECTOR);
      switch (device) {
        case "40" -> {
          DeviceInterruptTest.out(a, 0x43, 0x34);
          DeviceInterruptTest.out(a, 0x40, 0x00);
          DeviceInterruptTest.out(a, 0x40, 0x10);
        }
        case "71" -> {
          DeviceInterruptTest.out(a, 0x70, 0x0B);
          DeviceInterruptTest.out(a, 0x71, 0x12);
        }
        default -> {
          // Without OUT2, as teaching systems do.
          DeviceInterruptTest.outDx(a, 0x3FC, 0x00);
          DeviceInterruptTest.outDx(a, 0x3F9, 0x02);
        }
      }
    }));
  }

  @Test
  void shouldTakeThe8259ThroughVirtualWire() {
    InterruptTest.shouldAgree(PC, DeviceInterruptTest.guest(0x20, a -> DeviceInterruptTest.out(a, 0x20, 0x60), a -> {
      DeviceInterruptTest.startPics(a, 0xFFFE);
      DeviceInterruptTest.out(a, 0x43, 0x34);
      DeviceInterruptTest.out(a, 0x40, 0x00);
      DeviceInterruptTest.out(a, 0x40, 0x10);
    }));
  }

  @Test
  void shouldHoldSelfInterruptsBackByCr8() {
    Consumer<Assembler> guest = DeviceInterruptTest.guest(VECTOR, ApicInterruptTest::endOfInterrupt, a -> {
      a.sti();
      for (int i = 0; i < 4; i++) {
        a.mov(EAX, 4);
        a.mov(CR8, RAX);
        apic(a, 0x300, 1 << 18 | VECTOR);
        a.inc(R9);
        a.mov(R10, CR8);
        a.xor(EAX, EAX);
        a.mov(CR8, RAX);
        a.inc(R9);
      }
    });
    InterruptTest.shouldAgree(PC, guest);
    Vm vm = Machines.boot(Machines.options(Mode.EPT).withPlatform(PC), guest);
    vm.run(10_000);
    assertThat(vm.cpu().regs[15]).isEqualTo(4);
  }

  @Test
  void shouldDeliverNmiWithInterruptsOff() {
    InterruptTest.shouldAgree(PC, a -> {
      Label handler = new Label("nmi");
      Label begin = new Label("begin");
      a.jmp(begin);
      a.bind(handler);
      a.inc(R15);
      a.iretq();
      a.bind(begin);
      InterruptTest.loadIdt(a);
      InterruptTest.gate(a, 2, handler);
      a.xor(R15, R15);
      a.xor(R9, R9);
      for (int i = 0; i < 3; i++) {
        apic(a, 0x300, 1 << 18 | 0x400);
        apic(a, 0x310, 0);
        apic(a, 0x300, 0x400);
        a.inc(R9);
      }
      Machines.exit(a, 1);
    });
  }

  @Test
  void shouldSwitchToX2ApicAndFaultOnIllegalRegisters() {
    InterruptTest.shouldAgree(PC.withX2Apic(true), DeviceInterruptTest.guest(VECTOR, a -> wrmsr(a, 0x80B, 0), a -> {
      wrmsr(a, Msr.APIC_BASE, APIC | 0xD00);
      wrmsr(a, 0x832, 2 << 17 | VECTOR);
      a.sti();
      for (int i = 0; i < 4; i++) {
        wrmsr(a, 0x83F, VECTOR);
        a.inc(R9);
      }
    }));
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldCountApicAccessesAsMmio(Mode mode) {
    Vm vm = Machines.boot(Machines.options(mode).withPlatform(PC), a -> {
      a.mov(EBX, (int) APIC);
      a.mov(ECX, 50);
      Label top = a.here();
      a.mov(EAX, ptr(RBX, 0x30));
      a.dec(ECX);
      a.jnz(top);
      Machines.exit(a, 0);
    });
    vm.run(10_000);
    assertThat(vm.statistics()).containsEntry("mmio_exits", 50L);
    assertThat(vm.cpu().regs[0] & 0xFFFFFF00L).isEqualTo(0x50000);
    if (mode == Mode.EPT) {
      assertThat(vm.exits().ofReason(ExitReason.EPT_MISCONFIG)).isEqualTo(49);
    } else {
      assertThat(vm.exits().of(ExitReason.EXCEPTION_NMI, ExitStatistics.Cause.MMIO)).isEqualTo(50);
    }
  }

  @Test
  void shouldOfferTheApicOnlyWhereThereIsOne() {
    int apic = 1 << 9;
    Vm minimal = new VmBuilder(Machines.options(Mode.NATIVE)).build();
    assertThat(minimal.cpu().cpuid.query(1, 0)[Cpuid.EDX] & apic).isZero();
    Vm pc = new VmBuilder(Machines.options(Mode.NATIVE).withPlatform(PC)).build();
    int[] leaf = pc.cpu().cpuid.query(1, 0);
    assertThat(leaf[Cpuid.EDX] & apic).isEqualTo(apic);
    assertThat(leaf[Cpuid.ECX] >>> 24 & 1).as("TSC deadline").isEqualTo(1);
    assertThat(leaf[Cpuid.ECX] >>> 21 & 1).as("x2APIC").isZero();
    pc.cpu().apic.writeBase(APIC | 0x100);
    assertThat(leaf[Cpuid.EDX] & apic).isZero();
  }
}
