package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.vmm.DirtyLog.Method;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Dirty logging of a slot: its interface, what it costs in exits, and large pages before and after. */
class DirtyLogTest {
  private static final String RAM = "RAM";
  private static final long BUDGET = 100_000;
  private static final int PAGES = 600;
  /** Page number of {@link Machines#DATA} in the slot, which begins at 1 MiB. */
  private static final int FIRST = 256;

  /** Writes one byte of each of {@link #PAGES} pages, round and round. */
  private static Vm writer(VmOptions options) {
    return Machines.boot(options, a -> {
      Label again = a.here();
      a.mov(RDI, Machines.DATA);
      a.mov(RCX, PAGES);
      Label next = a.here();
      a.mov(ptr(RDI), AL);
      a.add(RDI, 4096);
      a.dec(RCX);
      a.jnz(next);
      a.jmp(again);
    });
  }

  private static final int ROUND = 3 + 4 * PAGES;

  private static BitSet fetch(Vm vm) {
    return BitSet.valueOf(vm.dirtyLog().fetchAndClear(RAM));
  }

  private static BitSet pages(int from, int to) {
    BitSet pages = new BitSet();
    pages.set(from, to);
    return pages;
  }

  @ParameterizedTest
  @CsvSource({"EPT, WRITE_PROTECTION", "EPT, DIRTY_FLAGS", "EPT, PAGE_MODIFICATION_LOG", "SHADOW, WRITE_PROTECTION"})
  void shouldLogEachPageAgainAfterItWasFetched(Mode mode, Method method) {
    Vm vm = writer(Machines.options(mode));
    vm.run(2 * ROUND);
    vm.dirtyLog().start(RAM, method);
    assertThat(fetch(vm)).isEqualTo(pages(0, 0));
    for (int round = 0; round < 3; round++) {
      vm.run(ROUND);
      assertThat(fetch(vm)).isEqualTo(pages(FIRST, FIRST + PAGES));
      assertThat(fetch(vm)).isEqualTo(pages(0, 0));
    }
  }

  @Test
  void shouldExitOnceTheModificationLogIsFull() {
    Vm vm = writer(Machines.options(Mode.EPT));
    vm.run(2 * ROUND);
    vm.dirtyLog().start(RAM, Method.PAGE_MODIFICATION_LOG);
    long exits = vm.exits().total();
    vm.run(2 * ROUND);
    assertThat(vm.exits().ofReason(ExitReason.PML_FULL)).isEqualTo(1);
    assertThat(vm.exits().total() - exits).isEqualTo(1);
    assertThat(vm.exits().reasons().stream().map(ExitStatistics.Row::reasonName)).contains("PML_FULL");
    assertThat(fetch(vm)).isEqualTo(pages(FIRST, FIRST + PAGES));
  }

  @Test
  void shouldExitForNoWriteWhenDirtyFlagsAreTheLog() {
    Vm vm = writer(Machines.options(Mode.EPT));
    vm.run(2 * ROUND);
    vm.dirtyLog().start(RAM, Method.DIRTY_FLAGS);
    long exits = vm.exits().total();
    vm.run(2 * ROUND);
    assertThat(vm.exits().total()).isEqualTo(exits);
    assertThat(fetch(vm)).isEqualTo(pages(FIRST, FIRST + PAGES));
  }

  @Test
  void shouldCountFastFaultsWhenWriteProtectionIsTheLog() {
    Vm vm = writer(Machines.options(Mode.EPT));
    vm.run(2 * ROUND);
    vm.dirtyLog().start(RAM, Method.WRITE_PROTECTION);
    vm.run(2 * ROUND);
    assertThat(vm.statistics()).containsEntry("pf_fast", (long) PAGES);
    assertThat(fetch(vm)).isEqualTo(pages(FIRST, FIRST + PAGES));
  }

  @ParameterizedTest
  @EnumSource(value = Mode.class, names = "NATIVE", mode = EnumSource.Mode.EXCLUDE)
  void shouldNotLogPagesThatAreOnlyRead(Mode mode) {
    Vm vm = Machines.boot(Machines.options(mode), a -> {
      a.mov(RBX, Machines.DATA);
      a.mov(RAX, ptr(RBX));
      a.mov(RAX, ptr(RBX, 0x5000));
      a.mov(ptr(RBX, 0x3000), RAX);
      Machines.exit(a, 0);
    });
    vm.dirtyLog().start(RAM, Method.WRITE_PROTECTION);
    vm.run(BUDGET);
    assertThat(fetch(vm)).isEqualTo(pages(FIRST + 3, FIRST + 4));
  }

  @Test
  void shouldMapByLargePagesAgainOnceTheLogStops() {
    Vm vm = writer(Machines.options(Mode.EPT));
    vm.run(2 * ROUND);
    assertThat(vm.ept().pageShift(Machines.DATA)).isEqualTo(21);
    for (Method method : Method.values()) {
      vm.dirtyLog().start(RAM, method);
      vm.run(ROUND / 3);
      assertThat(vm.ept().pageShift(Machines.DATA)).isEqualTo(12);
      vm.dirtyLog().stop(RAM);
      assertThat(vm.ept().pageShift(Machines.DATA)).isEqualTo(21);
      long exits = vm.exits().total();
      vm.run(2 * ROUND);
      assertThat(vm.exits().total()).isEqualTo(exits);
    }
  }

  @Test
  void shouldKeepWhatDirtyFlagsSaidWhenTheTablesAreThrownAway() {
    Vm vm = writer(Machines.options(Mode.EPT));
    vm.dirtyLog().start(RAM, Method.DIRTY_FLAGS);
    vm.run(ROUND);
    vm.ept().zapAll();
    assertThat(fetch(vm)).isEqualTo(pages(FIRST, FIRST + PAGES));
  }

  @Test
  void shouldRefuseWhatTheMachineCannotLog() {
    Vm nativeMachine = writer(Machines.options(Mode.NATIVE));
    assertThatThrownBy(() -> nativeMachine.dirtyLog().start(RAM, Method.WRITE_PROTECTION))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected a machine with a hypervisor");
    Vm shadow = writer(Machines.options(Mode.SHADOW));
    assertThatThrownBy(() -> shadow.dirtyLog().start(RAM, Method.PAGE_MODIFICATION_LOG))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected EPT with accessed and dirty flags");
    Vm plain = writer(Machines.options(Mode.EPT).withEptAccessedDirty(false));
    assertThatThrownBy(() -> plain.dirtyLog().start(RAM, Method.DIRTY_FLAGS))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected EPT with accessed and dirty flags");
    assertThatThrownBy(() -> plain.dirtyLog().start("ROM", Method.WRITE_PROTECTION))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("ROM");
    assertThatThrownBy(() -> plain.dirtyLog().start("disk", Method.WRITE_PROTECTION))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("disk");
    assertThatThrownBy(() -> plain.dirtyLog().fetchAndClear(RAM)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected one whose writes are logged");
    Vm ept = writer(Machines.options(Mode.EPT));
    ept.dirtyLog().start(RAM, Method.DIRTY_FLAGS);
    assertThatThrownBy(() -> ept.dirtyLog().start("low RAM", Method.WRITE_PROTECTION))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected DIRTY_FLAGS");
    assertThatThrownBy(() -> ept.dirtyLog().start(RAM, Method.DIRTY_FLAGS)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("not logged yet");
  }
}
