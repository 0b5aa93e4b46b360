package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.device.TimerPage;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A machine that goes back to a point of its run goes on as it did before. */
class CheckpointTest {
  private static final int PAGE_2M = (int) (PageTableEntry.P | PageTableEntry.RW | PageTableEntry.PS);
  private static final long PDPT = Machines.DATA;
  /** Page directories of the first GiB and the second, and behind the latter another one for that. */
  private static final long LOW = PDPT + 0x1000;
  private static final long HIGH = PDPT + 0x2000;

  /** Writes over its own code, its page tables, a page for each processor and a device's port. */
  private static final SmpGuest BUSY = new SmpGuest(a -> {
    Label top = new Label("top");
    Label patched = new Label("patched");
    a.mov(RDI, CR3);
    a.bind(top);
    a.inc(abs(SmpGuest.DATA + 0x1000).q());
    a.mov(EAX, abs(SmpGuest.DATA + 0x1000).d());
    a.mov(abs(patched).d(), EAX);
    a.db(0xB9);
    a.bind(patched);
    a.dd(0);
    a.add(abs(SmpGuest.DATA + 0x1008).q(), RCX);
    a.and(ptr(RDI).q(), ~0x20);
    a.mov(RDX, CR3);
    a.mov(CR3, RDX);
    a.in(AL, 0x40);
    a.add(abs(SmpGuest.DATA + 0x1010).b(), AL);
    a.jmp(top);
  }, a -> {
    Label top = a.here();
    a.inc(abs(SmpGuest.DATA + 0x2000).q());
    a.lock().inc(abs(SmpGuest.DATA + 0x3000).q());
    a.jmp(top);
  });

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunAgainFromThePointAsItDid(Mode mode) {
    Vm vm = BUSY.boot(SmpGuest.options(mode, 3));
    vm.run(23_456);
    Checkpoint point = new Checkpoint(vm);
    String there = SmpGuest.state(vm);
    assertThat(point.changedPages()).isZero();
    vm.run(20_000);
    String later = SmpGuest.state(vm);
    assertThat(later).isNotEqualTo(there);
    for (int round = 0; round < 3; round++) {
      assertThat(point.changedPages()).isBetween(3, 40);
      point.restore();
      assertThat(SmpGuest.state(vm)).isEqualTo(there);
      vm.run(20_000);
      assertThat(SmpGuest.state(vm)).as("round " + round).isEqualTo(later);
    }
    Vm straight = BUSY.boot(SmpGuest.options(mode, 3));
    straight.run(23_456);
    straight.run(20_000);
    assertThat(SmpGuest.state(straight)).as("without a checkpoint").isEqualTo(later);
  }

  /** A polled device's windows, state and next poll go back too. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldTakePolledDevicesBack(Mode mode) {
    Vm vm = new VmBuilder(Machines.options(mode))
        .polled(DeviceSetup.polled(TimerPage::new, PollPolicy.random(3, 100, 900))).build();
    Machines.boot(vm, a -> {
      Label top = a.here();
      a.inc(RBX);
      a.jmp(top);
    });
    long clock = vm.deviceHosts().get(0).windows().get(0).gpa() + TimerPage.NANOSECONDS;
    vm.run(5000);
    Checkpoint point = new Checkpoint(vm);
    final long there = vm.guestMemory().read(clock, 8);
    vm.run(5000);
    final long later = vm.guestMemory().read(clock, 8);
    final long steps = vm.deviceHosts().get(0).steps();
    assertThat(later).isGreaterThan(there);
    point.restore();
    assertThat(vm.guestMemory().read(clock, 8)).isEqualTo(there);
    vm.run(5000);
    assertThat(vm.guestMemory().read(clock, 8)).isEqualTo(later);
    assertThat(vm.deviceHosts().get(0).steps()).isEqualTo(steps);
  }

  /**
   * A PAE guest that flips bits of an entry, and long after that loads CR3 and with it the PDPTE registers; meanwhile
   * it reads from 40000000h.
   */
  private static byte[] paeGuest(long entry, int bits) {
    Assembler a = new Assembler(32);
    a.mov(abs(PDPT).d(), (int) (LOW | PageTableEntry.P));
    a.mov(abs(PDPT + 8).d(), (int) (HIGH | PageTableEntry.P));
    a.mov(abs(LOW).d(), PAGE_2M);
    a.mov(abs(LOW + 8).d(), 0x20_0000 | PAGE_2M);
    a.mov(abs(HIGH).d(), 0x40_0000 | PAGE_2M);
    a.mov(abs(HIGH + 0x1000).d(), 0x60_0000 | PAGE_2M);
    a.mov(abs(0x40_0000).d(), 3);
    a.mov(abs(0x60_0000).d(), 5);
    a.mov(EAX, (int) PDPT);
    a.mov(CR3, EAX);
    a.mov(EAX, ControlRegister.CR4_PAE);
    a.mov(CR4, EAX);
    a.mov(EAX, CR0);
    a.or(EAX, ControlRegister.CR0_PG);
    a.mov(CR0, EAX);
    Label top = a.here();
    a.xor(abs(entry).d(), bits);
    a.invlpg(abs(0x4000_0000));
    a.mov(ECX, 100);
    Label look = a.here();
    a.add(EBX, abs(0x4000_0000).d());
    a.add(EBX, EBX);
    a.dec(ECX);
    a.jnz(look);
    a.mov(EAX, CR3);
    a.mov(CR3, EAX);
    a.jmp(top);
    return a.assemble(Machines.CODE);
  }

  private static void shouldGoOnAlikeAfterAFlip(Mode mode, byte[] guest) {
    Vm vm = Machines.boot(new VmBuilder(Machines.options(mode)).build(), guest, BootRequest.Entry.PROTECTED);
    vm.run(1000);
    Checkpoint point = new Checkpoint(vm);
    vm.run(8);
    String soon = Machines.state(vm.cpu());
    point.restore();
    vm.run(400);
    point.restore();
    vm.run(8);
    assertThat(Machines.state(vm.cpu())).isEqualTo(soon);
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldTakePdpteRegistersBackThoughMemoryHoldsOthers(Mode mode) {
    shouldGoOnAlikeAfterAFlip(mode, paeGuest(PDPT + 8, (int) (HIGH ^ HIGH + 0x1000)));
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldFollowTablesThatWentBack(Mode mode) {
    shouldGoOnAlikeAfterAFlip(mode, paeGuest(HIGH, 0x20_0000));
  }

  /** An interrupt window that was asked for before the point is not asked for once more. */
  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldTakeAnInterruptWindowBack(Mode mode) {
    Vm vm = Machines.boot(Machines.options(mode), a -> {
      Label handler = new Label("handler");
      Label begin = new Label("begin");
      a.jmp(begin);
      a.bind(handler);
      a.iretq();
      a.bind(begin);
      InterruptTest.loadIdt(a);
      InterruptTest.gate(a, DeviceInterruptTest.BASE + 5, handler);
      DeviceInterruptTest.startPics(a, 0xFFDF);
      a.mov(ECX, 1000);
      Label masked = a.here();
      a.dec(ECX);
      a.jnz(masked);
      a.sti();
      Label top = a.here();
      a.jmp(top);
    });
    vm.run(500);
    vm.platform().pic().line(5).set(true);
    vm.run(500);
    Checkpoint point = new Checkpoint(vm);
    Map<String, Long> before = vm.statistics();
    vm.run(5000);
    Map<String, Long> after = vm.statistics();
    point.restore();
    vm.run(5000);
    assertThat(after.get("irq_window_exits")).isEqualTo(before.get("irq_window_exits") + 1);
    for (String counter : List.of("irq_window_exits", "request_irq_exits", "irq_injections")) {
      assertThat(vm.statistics().get(counter) - after.get(counter)).as(counter)
          .isEqualTo(after.get(counter) - before.get(counter));
    }
  }

  /** Whoever decides on turns himself runs one processor at a time, and one that sleeps does not run. */
  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldRunOneProcessorAlone(Mode mode) {
    SmpGuest guest = new SmpGuest(SmpGuest::stop, a -> {
      Label top = a.here();
      a.inc(abs(SmpGuest.DATA).q());
      a.jmp(top);
    });
    Vm vm = guest.boot(SmpGuest.options(mode, 2));
    vm.run(2000);
    Vcpu sleeper = vm.vcpus().get(0);
    Vcpu runner = vm.vcpus().get(1);
    assertThat(vm.runAlone(sleeper, 10).end()).isEqualTo(End.HALTED);
    long before = runner.cpu().retired;
    assertThat(vm.runAlone(runner, 7).end()).isEqualTo(End.BUDGET);
    assertThat(runner.cpu().retired).isEqualTo(before + 7);
    assertThat(vm.current()).isSameAs(runner);
  }

  @Test
  void shouldRefuseStatesOfOtherProcessors() {
    Vm vm = BUSY.boot(SmpGuest.options(Mode.NATIVE, 2));
    assertThatThrownBy(() -> vm.startAll(List.of())).hasMessage("0 states: expected one for each of 2 processors");
  }
}
