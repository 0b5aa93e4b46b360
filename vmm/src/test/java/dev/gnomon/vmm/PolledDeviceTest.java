package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.device.TimerPage;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.DmaPort;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Polled devices and real guests: what device writes must be seen by, what polling costs in exits, and where devices
 * cannot be.
 */
class PolledDeviceTest {
  private static final long BUDGET = 1_000_000;
  private static final long PERIOD_NS = 500;
  /** Where the first window lies: the first 2 MiB boundary behind RAM. */
  private static final long WINDOW = 8 * Machines.MIB;

  /** Writes memory once, at its tenth poll. */
  private static class Writer implements PolledDevice {
    private static final int WHEN = 10;

    private final long gpa;
    private final int size;
    private final long value;

    Writer(long gpa, int size, long value) {
      this.gpa = gpa;
      this.size = size;
      this.value = value;
    }

    @Override
    public String name() {
      return "writer";
    }

    @Override
    public List<Window> windows() {
      return List.of(Window.anywhere(4096));
    }

    @Override
    public void attach(DeviceContext context) {}

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      if (clock.nanos() / PERIOD_NS != WHEN) {
        return Poll.IDLE;
      }
      if (size == 8) {
        memory.put64(gpa, value);
      } else {
        memory.write(gpa, new byte[] {(byte) value, 0, 0, 0}, 0, 4);
      }
      return Poll.BUSY;
    }
  }

  private static DeviceSetup writer(long gpa, int size, long value) {
    return DeviceSetup.polled(() -> new Writer(gpa, size, value), PollPolicy.period(PERIOD_NS))
        .withDomain(DmaDomain.Policy.ALL_RAM);
  }

  private static Vm build(Mode mode, DeviceSetup... setups) {
    VmBuilder builder = new VmBuilder(Machines.options(mode));
    for (DeviceSetup setup : setups) {
      builder.polled(setup);
    }
    return builder.build();
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunCodeThatADeviceHasWrittenInPlaceOfTheCodeThatRuns(Mode mode) {
    // MOV RSP is seven bytes, the opcode of MOV EBX one.
    Vm vm = build(mode, writer(Machines.CODE + 8, 4, 2));
    Machines.boot(vm, a -> {
      Label loop = a.here();
      a.mov(EBX, 0x01010101);
      a.inc(ECX);
      a.cmp(EBX, 2);
      a.jne(loop);
      Machines.exit(a, 0);
    });
    assertThat(vm.guestMemory().read(Machines.CODE + 8, 4)).as("where the immediate is").isEqualTo(0x01010101);
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().retired).isBetween(10 * PERIOD_NS, 10 * PERIOD_NS + 20);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldFollowAGuestTableThatADeviceHasWritten(Mode mode) {
    long tables = 0x300000;
    long flags = PageTableEntry.P | PageTableEntry.RW;
    Vm vm = build(mode, writer(tables + 0x2000, 8, tables + 0x4000 | flags));
    Machines.boot(vm, a -> {
      a.mov(RDI, 1L << 39);
      a.mov(RAX, CR3);
      Label loop = a.here();
      a.mov(EBX, ptr(RDI));
      // A synchronised shadow page stays as it is over this.
      a.mov(CR3, RAX);
      a.cmp(EBX, 2);
      a.jne(loop);
      Machines.exit(a, 0);
    });
    long root = vm.cpu().cr3 & -4096;
    vm.guestMemory().write(root + 8, 8, tables | flags);
    vm.guestMemory().write(tables, 8, tables + 0x1000 | flags);
    vm.guestMemory().write(tables + 0x1000, 8, tables + 0x2000 | flags);
    vm.guestMemory().write(tables + 0x2000, 8, tables + 0x3000 | flags);
    vm.guestMemory().write(tables + 0x3000, 4, 1);
    vm.guestMemory().write(tables + 0x4000, 4, 2);
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().retired).isBetween(10 * PERIOD_NS, 10 * PERIOD_NS + 20);
  }

  @ParameterizedTest
  @CsvSource({"EPT, WRITE_PROTECTION", "EPT, DIRTY_FLAGS", "EPT, PAGE_MODIFICATION_LOG", "SHADOW, WRITE_PROTECTION"})
  void shouldLogPagesThatADeviceHasWritten(Mode mode, DirtyLog.Method method) {
    Vm vm = build(mode, writer(0x305000, 8, 1));
    Machines.boot(vm, a -> {
      Label loop = a.here();
      a.inc(RBX);
      a.jmp(loop);
    });
    vm.run(100);
    vm.dirtyLog().start("RAM", method);
    vm.run(20 * PERIOD_NS);
    long[] written = vm.dirtyLog().fetchAndClear("RAM");
    assertThat(written[0x205 >> 6] & 1L << 0x205).isNotZero();
    vm.run(20 * PERIOD_NS);
    assertThat(vm.dirtyLog().fetchAndClear("RAM")[0x205 >> 6] & 1L << 0x205).isZero();
  }

  @Test
  void shouldNotLogADevicesWindow() {
    Vm vm = build(Mode.EPT, DeviceSetup.polled(RequestDevice::new, PollPolicy.period(PERIOD_NS)));
    assertThatThrownBy(() -> vm.dirtyLog().start("request", DirtyLog.Method.WRITE_PROTECTION))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("request").hasMessageContaining("no device's");
  }

  private static void exitsOnly(Vm vm, long expected) {
    assertThat(vm.exits().total()).isEqualTo(vm.options().mode().virtual() ? expected : 0);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldTellTheTimeWithoutAnExit(Mode mode) {
    Vm vm = build(mode, DeviceSetup.polled(TimerPage::new, PollPolicy.period(PERIOD_NS)));
    Machines.boot(vm, a -> {
      a.mov(RDI, WINDOW);
      a.mov(RAX, ptr(RSP, -8));
      a.mov(RAX, ptr(RDI));
      Label wait = a.here();
      a.mov(RBX, ptr(RDI, TimerPage.NANOSECONDS));
      a.cmp(RBX, 4000);
      a.jb(wait);
      Machines.exit(a, 0);
    });
    vm.run(4);
    long warm = vm.exits().total();
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[3]).isEqualTo(4000);
    exitsOnly(vm, warm + 1);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldNotLetTheGuestSetTheClock(Mode mode) {
    Vm vm = build(mode, DeviceSetup.polled(TimerPage::new, PollPolicy.period(1000_000)));
    Machines.boot(vm, a -> {
      a.mov(RDI, WINDOW);
      a.mov(ptr(RDI, TimerPage.NANOSECONDS).q(), 1);
      a.mov(RBX, ptr(RDI, TimerPage.NANOSECONDS));
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(vm.cpu().regs[3]).isZero();
    assertThat(E820.of(vm.slots().layout()).entries()).contains(new E820.Entry(WINDOW, 4096, E820.TYPE_RESERVED));
  }

  @Test
  void shouldCountTheFillsOfADevicesPageApart() {
    long[] fills = new long[2];
    for (int uses = 0; uses < 2; uses++) {
      boolean used = uses == 1;
      Vm vm = build(Mode.SHADOW, DeviceSetup.polled(RequestDevice::new, PollPolicy.period(PERIOD_NS)));
      Machines.boot(vm, a -> {
        a.mov(RDI, WINDOW);
        a.mov(RAX, ptr(RSP, -8));
        if (used) {
          a.mov(RAX, ptr(RDI));
          a.mov(ptr(RDI).d(), 1);
          a.mov(RAX, ptr(RDI));
        }
        Machines.exit(a, 0);
      });
      assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
      ExitStatistics exits = vm.exits();
      fills[uses] = exits.of(ExitReason.EXCEPTION_NMI, ExitStatistics.Cause.SHADOW_FILL);
      assertThat(exits.of(ExitReason.EXCEPTION_NMI, ExitStatistics.Cause.DEVICE_FILL, WINDOW >> 12))
          .isBetween(used ? 1L : 0L, used ? 2L : 0L);
      assertThat(exits.causes(ExitReason.EXCEPTION_NMI).stream()
          .anyMatch(row -> row.cause().equals("hidden (device page) 0x800000"))).isEqualTo(used);
    }
    assertThat(fills[1]).isEqualTo(fills[0]);
  }

  private static DeviceSetup ring(int sleepAfter) {
    return DeviceSetup.polled(() -> new SharedRing("ring", Window.anywhere(4096), sleepAfter),
        PollPolicy.period(PERIOD_NS));
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRingTheDoorbellOnlyOfADeviceThatSleeps(Mode mode) {
    int requests = 100;
    List<Long> times = new ArrayList<>();
    for (int sleepAfter : new int[] {0, 2}) {
      Vm vm = build(mode, ring(sleepAfter).withDoorbell(0x610));
      Machines.boot(vm, a -> {
        a.mov(RDI, WINDOW);
        a.xor(EBX, EBX);
        Label next = a.here();
        RingGuest.publish(a, SharedRing.OP_NONE);
        RingGuest.wake(a, 0x610);
        RingGuest.await(a);
        a.mov(ECX, 1000);
        Label work = a.here();
        a.dec(ECX);
        a.jnz(work);
        a.cmp(EBX, requests);
        a.jb(next);
        Machines.exit(a, 0);
      });
      assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
      DeviceHost host = vm.deviceHosts().get(0);
      assertThat(host.completed()).isEqualTo(requests);
      long outs = vm.exits().ofReason(ExitReason.IO_INSTRUCTION);
      if (sleepAfter == 0) {
        assertThat(host.doorbells()).isZero();
        assertThat(outs).isEqualTo(mode.virtual() ? 1 : 0);
      } else {
        assertThat(host.doorbells()).as("it slept while the guest worked")
            .isBetween((long) requests - 1, (long) requests);
        assertThat(outs).isEqualTo(mode.virtual() ? host.doorbells() + 1 : 0);
      }
      times.add(vm.cpu().retired);
    }
    assertThat(times.get(1)).as("no poll to wait for after a doorbell").isLessThan(times.get(0));
  }

  /** Requests, sleeps, is woken by IRQ 5, and so on. */
  @Test
  void shouldWakeASleepingGuestByAnInterruptAlikeInEveryMode() {
    String expected = null;
    for (Mode mode : Mode.values()) {
      Vm vm = build(mode, ring(0).withIrq(5));
      Machines.boot(vm, DeviceInterruptTest.guest(0x25, a -> {
        a.mov(RDI, WINDOW);
        a.mov(EBX, R15D);
        RingGuest.publish(a, SharedRing.OP_NONE);
        DeviceInterruptTest.out(a, 0x20, 0x65);
      }, a -> {
        DeviceInterruptTest.startPics(a, 0xFFDF);
        a.mov(RDI, WINDOW);
        a.mov(ptr(RDI, SharedRing.GUEST_FLAGS).d(), SharedRing.WANTS_INTERRUPT);
        a.xor(EBX, EBX);
        RingGuest.publish(a, SharedRing.OP_NONE);
      }));
      RunResult result = vm.run(BUDGET);
      assertThat(result.end()).as(result.toString()).isEqualTo(End.GUEST_EXIT);
      assertThat(vm.deviceHosts().get(0).interrupts()).isGreaterThanOrEqualTo(4);
      String state = Machines.state(vm.cpu()) + Machines.memory(vm);
      expected = expected == null ? state : expected;
      assertThat(state).as(mode.toString()).isEqualTo(expected);
    }
  }

  /** What a device does in its step, and how the guest fares. */
  private static void shouldSurvive(Mode mode, BiConsumer<DmaPort, long[]> step, String reported) {
    List<String> reports = new ArrayList<>();
    VmBuilder builder = new VmBuilder(Machines.options(mode)).deviceReport(reports::add);
    builder.polled(DeviceSetup.polled(() -> new PolledDevice() {
      private final long[] window = new long[1];

      @Override
      public String name() {
        return "faulty";
      }

      @Override
      public List<Window> windows() {
        return List.of(Window.anywhere(4096));
      }

      @Override
      public void attach(DeviceContext context) {
        window[0] = context.window(0).gpa();
      }

      @Override
      public Poll step(DmaPort memory, VirtualClock clock) {
        step.accept(memory, window);
        return Poll.IDLE;
      }
    }, PollPolicy.period(PERIOD_NS)));
    Vm vm = Machines.boot(builder.build(), a -> {
      a.mov(ECX, 10_000);
      Label loop = a.here();
      a.dec(ECX);
      a.jnz(loop);
      Machines.exit(a, 0);
    });
    assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
    assertThat(reports).singleElement().asString().contains("faulty", reported);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldGoOnWithoutADeviceThatFails(Mode mode) {
    shouldSurvive(mode, (memory, window) -> {
      throw new ArithmeticException("bug");
    }, "stopped in step 1");
    shouldSurvive(mode, (memory, window) -> {
      while (true) {
        memory.fence();
        memory.u8(window[0]);
      }
    }, "accesses");
    shouldSurvive(mode, (memory, window) -> memory.put64(0xFEE00000L, 1), "NO_WRITE");
  }

  /** The same guest and devices: trusted ones, and one on a thread of its own that is given up in the middle. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunAlikeWhereverStepsAreMade(Mode mode) {
    AtomicBoolean over = new AtomicBoolean();
    String expected = null;
    for (Duration limit : List.of(Duration.ZERO, Duration.ofMinutes(5), Duration.ofSeconds(1))) {
      List<String> reports = new ArrayList<>();
      StepLimits limits = StepLimits.DEFAULT.withHostTime(limit);
      VmBuilder builder = new VmBuilder(Machines.options(mode)).deviceReport(reports::add)
          .polled(ring(0).withLimits(limits));
      boolean gives = limit.toSeconds() == 1;
      builder.polled(DeviceSetup.polled(() -> new Writer(Machines.DATA, 8, 1) {
        @Override
        public Poll step(DmaPort memory, VirtualClock clock) {
          while (gives && clock.nanos() > 20 * PERIOD_NS && !over.get()) {
            Thread.onSpinWait();
          }
          return super.step(memory, clock);
        }
      }, PollPolicy.period(PERIOD_NS)).withDomain(DmaDomain.Policy.ALL_RAM).withLimits(limits));
      Vm vm = Machines.boot(builder.build(), a -> {
        a.mov(RDI, WINDOW);
        a.xor(EBX, EBX);
        Label next = a.here();
        RingGuest.publish(a, SharedRing.OP_NONE);
        RingGuest.await(a);
        a.cmp(EBX, 60);
        a.jb(next);
        Machines.exit(a, 0);
      });
      assertThat(vm.run(BUDGET).end()).isEqualTo(End.GUEST_EXIT);
      assertThat(reports).hasSize(gives ? 1 : 0)
          .allMatch(line -> line.startsWith("device writer: stopped in step 21: did not return within 1 s"));
      String state = Machines.state(vm.cpu()) + Machines.memory(vm) + vm.statistics() + vm.exits().reasons();
      expected = expected == null ? state : expected;
      assertThat(state).as(limit.toString()).isEqualTo(expected);
    }
    over.set(true);
  }

  @ParameterizedTest
  @CsvSource({"0xfee00000, lapic0", "0xfec00000, ioapic", "0xfed00000, hpet", "0xb8000, vga", "0x100000, RAM",
      "0xf0000, ROM f0000"})
  void shouldNameBothOwnersWhereAWindowCannotBe(String gpa, String owner) {
    VmOptions options = VmOptions.of(Mode.EPT).withMemoryBytes(8 << 20);
    VmBuilder builder = new VmBuilder(options.withPlatform(options.platform().withMachine(MachineType.PC)));
    builder.polled(DeviceSetup.polled(() -> new RequestDevice("misplaced", Window.at(Long.decode(gpa), 4096), 0),
        PollPolicy.never()));
    assertThatThrownBy(builder::build).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("misplaced")
        .hasMessageContaining(owner);
  }
}
