package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.ept.EptEntry;
import dev.gnomon.ept.EptOptions;
import dev.gnomon.ept.EptViolation;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuState;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.vmm.ExitStatistics.Cause;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Views of memory under EPT in a whole machine: rules for pages, sub-pages, VMFUNC, and a guest that handles its own
 * violations.
 */
class EptViewsTest {
  private static final long BUDGET = 100_000;
  private static final long INFORMATION = 0x200000;
  private static final long PAGE = 0x300000;
  private static final long OTHER = 0x301000;
  private static final long READ_ONLY = EptEntry.READ | EptEntry.EXECUTE | EptEntry.USER_EXECUTE;
  private static final int BUSY = 4;

  private static Vm vm(EptOptions ept, Consumer<Assembler> code) {
    return Machines.boot(Machines.options(Mode.EPT).withEpt(ept), code);
  }

  private static void runToEnd(Vm vm) {
    RunResult result = vm.run(BUDGET);
    assertThat(result.end()).as(result.toString()).isEqualTo(End.GUEST_EXIT);
  }

  private static long restricted(Vm vm) {
    return vm.exits().of(ExitReason.EPT_VIOLATION, Cause.RESTRICTED);
  }

  /** EAX and ECX for VMFUNC, then the instruction. */
  private static void vmfunc(Assembler a, int function, int view) {
    a.mov(EAX, function);
    a.mov(ECX, view);
    a.vmfunc();
  }

  /** Installs a handler for an exception, whose code comes first. */
  private static void handle(Assembler a, int vector, Runnable body) {
    Label start = new Label("start");
    Label handler = new Label("handler");
    a.jmp(start);
    a.bind(handler);
    body.run();
    a.bind(start);
    InterruptTest.loadIdt(a);
    InterruptTest.gate(a, vector, handler);
  }

  /** Keeps the information in R8 to R13, as its layout goes. */
  private static void keepInformation(Assembler a) {
    a.mov(R8D, abs(INFORMATION).d());
    a.mov(R9D, abs(INFORMATION + BUSY).d());
    a.mov(R10, abs(INFORMATION + 8).q());
    a.mov(R11, abs(INFORMATION + 16).q());
    a.mov(R12, abs(INFORMATION + 24).q());
    a.mov(R13, abs(INFORMATION + 32).q());
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 5})
  void shouldLetAGuestHandleItsViolationsAndSwitchViewsWithoutAnExit(int levels) {
    Vm vm = vm(EptOptions.DEFAULT.withLevels(levels).withExceptions(true).withViews(2), a -> {
      handle(a, 20, () -> {
        a.inc(R15);
        keepInformation(a);
        vmfunc(a, 0, 1);
        a.mov(abs(INFORMATION + BUSY).d(), 0);
        a.iretq();
      });
      a.mov(RDX, 0x5555);
      a.mov(abs(PAGE + 8).q(), RDX);
      a.mov(R14, abs(PAGE + 8).q());
      vmfunc(a, 0, 0);
      a.mov(abs(PAGE + 16).q(), RDX);
      Machines.exit(a, 0);
    });
    vm.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, true);
    vm.eptViews().deliverExceptions(0, INFORMATION);
    runToEnd(vm);
    Cpu cpu = vm.cpu();
    assertThat(cpu.regs[15]).as("virtualization exceptions").isEqualTo(2);
    assertThat(cpu.regs[14]).isEqualTo(0x5555);
    assertThat(new long[] {cpu.regs[8], cpu.regs[9], cpu.regs[11], cpu.regs[12], cpu.regs[13]})
        .containsExactly(ExitReason.EPT_VIOLATION, 0xFFFF_FFFFL, PAGE + 16, PAGE + 16, 0);
    assertThat(EptViolation.toString(cpu.regs[10] & ~EptViolation.GVA_USER))
        .isEqualTo("ACC_WRITE|PROT_READ|PROT_EXEC|GVA_IS_VALID|GVA_TRANSLATED|GVA_WRITABLE");
    assertThat(vm.eptViews().current(0)).isEqualTo(1);
    assertThat(restricted(vm)).isZero();
    assertThat(vm.exits().ofReason(ExitReason.VMFUNC)).isZero();
  }

  @Test
  void shouldShowOtherMemoryInAnotherView() {
    Vm vm = vm(EptOptions.DEFAULT.withViews(3), a -> {
      a.mov(abs(PAGE).q(), 1);
      a.mov(abs(OTHER).q(), 2);
      vmfunc(a, 0, 2);
      a.mov(R8, abs(PAGE).q());
      a.mov(abs(PAGE + 8).q(), 3);
      // Emulated, because it reaches a device: the instruction reads its operand in this view too.
      a.mov(RSI, PAGE);
      a.mov(RDI, 0xB8000);
      a.movsb();
      vmfunc(a, 0, 0);
      a.mov(R9, abs(PAGE).q());
      a.mov(R10, abs(OTHER + 8).q());
      Machines.exit(a, 0);
    });
    vm.eptViews().redirect(2, PAGE, OTHER);
    runToEnd(vm);
    assertThat(vm.cpu().regs[8]).isEqualTo(2);
    assertThat(vm.cpu().regs[9]).isEqualTo(1);
    assertThat(vm.cpu().regs[10]).isEqualTo(3);
    assertThat((int) vm.platform().screen().screenText().get(0).charAt(0)).as("code 2 of the screen's font")
        .isEqualTo(0x263B);
    assertThatThrownBy(() -> vm.eptViews().redirect(1, PAGE, 0x4000_0000L)).hasMessageContaining("no memory slot");
  }

  @Test
  void shouldKeepWhatIsCachedOfEachViewOverASwitch() {
    int rounds = 200;
    VmOptions options = Machines.options(Mode.EPT).withTlb(TlbPolicy.counted(TlbGeometry.SKYLAKE))
        .withEpt(EptOptions.DEFAULT.withViews(2));
    Vm vm = Machines.boot(options, a -> {
      a.mov(EDX, rounds);
      Label next = a.here();
      vmfunc(a, 0, 1);
      a.mov(R8, abs(PAGE).q());
      vmfunc(a, 0, 0);
      a.mov(R9, abs(PAGE).q());
      a.dec(EDX);
      a.jnz(next);
      Machines.exit(a, 0);
    });
    vm.eptViews().redirect(1, PAGE, OTHER);
    vm.guestMemory().write(PAGE, 8, 1);
    vm.guestMemory().write(OTHER, 8, 2);
    runToEnd(vm);
    assertThat(vm.cpu().regs[8]).isEqualTo(2);
    assertThat(vm.cpu().regs[9]).isEqualTo(1);
    assertThat(vm.cpu().mmu.statistics.dtlbLoadMisses).as("first touches and their exits, not every round")
        .isLessThan(rounds / 4);
    assertThat(vm.cpu().mmu.statistics.itlbMisses).isLessThan(rounds / 4);
    assertThat(vm.exits().ofReason(ExitReason.EPT_VIOLATION)).isLessThan(rounds / 4);
  }

  /** Rows of SDM vol. 3C, "Functionality of VMFUNC": what the instruction ends as. */
  @ParameterizedTest
  @CsvSource({
      "off,     0,          0,          #UD",
      "on,      0,          0,          ok",
      "on,      0,          1,          ok",
      "on,      0,          2,          exit",
      "on,      0,          511,        exit",
      "on,      0,          512,        exit",
      "on,      0,          -1,         exit",
      "on,      1,          0,          exit",
      "on,      63,         0,          exit",
      "on,      64,         0,          exit",
      "on,      -1,         0,          exit",
      "prefix,  0,          1,          #UD"})
  void shouldSwitchExitOrFault(String how, int function, int view, String expected) {
    Vm vm = vm(EptOptions.DEFAULT.withViews(2), a -> {
      handle(a, 6, () -> Machines.exit(a, 1));
      a.mov(EAX, function);
      a.mov(ECX, view);
      if (how.equals("prefix")) {
        a.db(0x66);
      }
      a.vmfunc();
      Machines.exit(a, 0);
    });
    if (how.equals("off")) {
      vm.eptViews().allowSwitching(false);
    }
    RunResult result = vm.run(BUDGET);
    assertThat(result.status()).as("injected or raised #UD").isEqualTo(expected.equals("ok") ? 1 : 3);
    assertThat(vm.exits().ofReason(ExitReason.VMFUNC)).isEqualTo(expected.equals("exit") ? 1 : 0);
    assertThat(vm.eptViews().current(0)).isEqualTo(expected.equals("ok") ? view : 0);
  }

  @Test
  void shouldHaveNoVmFunctionsNativelyAndInASingleView() {
    for (Mode mode : Mode.values()) {
      Vm vm = Machines.boot(Machines.options(mode), a -> {
        handle(a, 6, () -> Machines.exit(a, 1));
        vmfunc(a, 0, 0);
        Machines.exit(a, 0);
      });
      assertThat(vm.run(BUDGET).status()).isEqualTo(3);
    }
  }

  /** Conditions of SDM vol. 3C, "Convertible EPT Violations"; each row is the one that is not met, or none. */
  @ParameterizedTest
  @CsvSource({"none, 1, 0", "suppressed, 0, 1", "control off, 0, 1", "busy, 0, 1", "delivering, 0, 1"})
  void shouldConvertViolationsOnlyIfAllConditionsHold(String lacking, long exceptions, long exits) {
    boolean delivering = lacking.equals("delivering");
    Vm vm = vm(EptOptions.DEFAULT.withExceptions(true), a -> {
      handle(a, 3, () -> Machines.exit(a, 0));
      Label handler = new Label("handler");
      Label start = new Label("start");
      a.jmp(start);
      a.bind(handler);
      a.inc(R15);
      Machines.exit(a, 0);
      a.bind(start);
      InterruptTest.gate(a, 20, handler);
      if (delivering) {
        a.mov(RSP, PAGE + 0x800);
      } else {
        a.mov(abs(PAGE).q(), 1);
      }
      a.int3();
    });
    vm.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, !lacking.equals("suppressed"));
    if (!lacking.equals("control off")) {
      vm.eptViews().deliverExceptions(0, INFORMATION);
    }
    if (lacking.equals("busy")) {
      vm.guestMemory().write(INFORMATION + BUSY, 4, 1);
    }
    runToEnd(vm);
    assertThat(vm.cpu().regs[15]).isEqualTo(exceptions);
    assertThat(restricted(vm)).isEqualTo(exits);
    assertThat(vm.guestMemory().read(INFORMATION + BUSY, 4) & 0xFFFF_FFFFL)
        .isEqualTo(exceptions > 0 ? 0xFFFF_FFFFL : lacking.equals("busy") ? 1 : 0);
  }

  @Test
  void shouldNotConvertViolationsOfRealMode() {
    Assembler a = new Assembler(16);
    a.mov(BX, 0x8000);
    a.mov(ptr(BX).w(), 0x1234);
    a.mov(AL, 0);
    a.out(0xF4, AL);
    Vm vm = new VmBuilder(Machines.options(Mode.EPT).withEpt(EptOptions.DEFAULT.withExceptions(true))).build();
    vm.boot(GuestImages.flat(BootRequest.of("real", a.assemble(0x7C00))
        .withLoadAddress(0x7C00).withEntry(BootRequest.Entry.REAL)));
    vm.eptViews().setAccess(0, 0x8000, 4096, READ_ONLY, true);
    vm.eptViews().deliverExceptions(0, INFORMATION);
    runToEnd(vm);
    assertThat(restricted(vm)).isEqualTo(1);
    assertThat(vm.guestMemory().read(0x8000, 2)).as("emulated").isEqualTo(0x1234);
  }

  @Test
  void shouldExitWithTheExceptionWhenItIsIntercepted() {
    Vm vm = vm(EptOptions.DEFAULT.withExceptions(true), a -> {
      handle(a, 20, () -> Machines.exit(a, 2));
      a.mov(abs(PAGE).q(), 1);
      Machines.exit(a, 0);
    });
    vm.cpu().intercepts.exceptionBitmap |= 1 << 20;
    vm.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, true);
    vm.eptViews().deliverExceptions(0, INFORMATION);
    assertThat(vm.run(BUDGET).status()).as("reflected").isEqualTo(5);
    assertThat(vm.exits().of(ExitReason.EXCEPTION_NMI, Cause.EXCEPTION, 20)).isEqualTo(1);
  }

  @Test
  void shouldMergeToADoubleFaultAsAPageFaultDoes() {
    Vm vm = vm(EptOptions.DEFAULT.withExceptions(true), a -> {
      // The gate of vector 20 is empty, so that delivery raises #GP.
      handle(a, 8, () -> Machines.exit(a, 4));
      a.mov(abs(PAGE).q(), 1);
      Machines.exit(a, 0);
    });
    vm.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, true);
    vm.eptViews().deliverExceptions(0, INFORMATION);
    assertThat(vm.run(BUDGET).status()).isEqualTo(9);
  }

  @Test
  void shouldEmulateWhatARuleForbidsOrAskTheListener() {
    Consumer<Assembler> guest = a -> {
      a.mov(abs(PAGE).q(), 7);
      a.mov(R8, abs(PAGE).q());
      a.mov(RAX, PAGE + 0x100);
      a.mov(ptr(RAX).d(), 0xC3);
      a.call(RAX);
      a.inc(abs(PAGE).q());
      Machines.exit(a, 0);
    };
    Vm emulated = vm(EptOptions.DEFAULT, guest);
    emulated.eptViews().setAccess(0, PAGE, 4096, 0, false);
    runToEnd(emulated);
    assertThat(emulated.cpu().regs[8]).isEqualTo(7);
    assertThat(emulated.guestMemory().read(PAGE, 8)).isEqualTo(8);
    assertThat(restricted(emulated)).as("write, read, write, fetch, read-modify-write").isEqualTo(5);

    Vm asked = vm(EptOptions.DEFAULT, guest);
    List<String> seen = new ArrayList<>();
    asked.eptViews().setAccess(0, PAGE, 4096, 0, false);
    asked.eptViews().setListener((view, gpa, qualification) -> {
      seen.add(view + " " + Long.toHexString(gpa) + " " + (qualification & 7));
      asked.eptViews().clearRules(0, PAGE, 4096);
      return true;
    });
    runToEnd(asked);
    assertThat(seen).containsExactly("0 300000 2");
    assertThat(asked.guestMemory().read(PAGE, 8)).isEqualTo(8);
    assertThat(asked.cpu().retired).isEqualTo(emulated.cpu().retired);
  }

  @Test
  void shouldRefuseRightsThatMisconfigureAndExceptionsWithoutTheirTables() {
    Vm vm = vm(EptOptions.DEFAULT, a -> Machines.exit(a, 0));
    assertThatThrownBy(() -> vm.eptViews().setAccess(0, PAGE, 1, EptEntry.WRITE, false))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected read with write");
    assertThatThrownBy(() -> vm.eptViews().setAccess(0, PAGE, 1, 0, true)).hasMessageContaining("(ve)");
    assertThatThrownBy(() -> vm.eptViews().deliverExceptions(0, PAGE + 8)).hasMessageContaining("expected a page");
  }

  /**
   * X by the U/S of the page's translation: the guest's pages are user pages or not, its code runs at CPL 0 all the
   * same.
   */
  @ParameterizedTest
  @CsvSource({"true, 1, 0", "true, 0, 1", "false, 1, 1", "false, 0, 0"})
  void shouldJudgeFetchesByTheGuestsTables(boolean userRight, int userPage, long exits) {
    Vm vm = vm(EptOptions.DEFAULT.withModeBasedExecute(true), a -> {
      a.mov(RAX, PAGE);
      a.call(RAX);
      Machines.exit(a, 0);
    });
    vm.guestMemory().write(PAGE, 8, 0xC3);
    setUser(vm, vm.cpu().cr3 & ~0xFFFL, userPage != 0, 4);
    vm.eptViews().setAccess(0, PAGE, 4096, EptEntry.READ | EptEntry.WRITE
        | (userRight ? EptEntry.USER_EXECUTE : EptEntry.EXECUTE),
        false);
    runToEnd(vm);
    assertThat(restricted(vm)).isEqualTo(exits);
  }

  /** Makes all pages user pages or none. */
  private static void setUser(Vm vm, long table, boolean user, int level) {
    for (int i = 0; i < 512; i++) {
      long at = table + 8L * i;
      long entry = vm.guestMemory().read(at, 8);
      if ((entry & 1) != 0) {
        vm.guestMemory().write(at, 8, user ? entry | 4 : entry & ~4L);
        if (level > 1 && (entry & 0x80) == 0) {
          setUser(vm, entry & 0xF_FFFF_FFFF_F000L, user, level - 1);
        }
      }
    }
  }

  @Test
  void shouldGoOnFromASavedStateAsIfNothingHadHappened() throws IOException {
    Consumer<Assembler> guest = a -> {
      handle(a, 20, () -> {
        a.inc(R15);
        a.mov(abs(INFORMATION + BUSY).d(), 0);
        vmfunc(a, 0, 1);
        a.iretq();
      });
      a.mov(EBX, 20);
      Label next = a.here();
      a.inc(abs(PAGE).q());
      a.mov(abs(OTHER + 0x88).q(), RBX);
      a.inc(abs(OTHER + 0x100).q());
      vmfunc(a, 0, 0);
      a.dec(EBX);
      a.jnz(next);
      Machines.exit(a, 0);
    };
    EptOptions ept = EptOptions.DEFAULT.withExceptions(true).withViews(2);
    Vm first = vm(ept, guest);
    first.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, true);
    first.eptViews().protectSubPages(1, OTHER, 0x55555555);
    first.eptViews().redirect(1, PAGE, OTHER + 0x1000);
    first.eptViews().deliverExceptions(0, INFORMATION);
    assertThat(first.run(150).end()).isEqualTo(End.BUDGET);
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(saved);
    CpuState.save(first.cpu(), out);
    first.eptViews().save(out);

    Vm second = vm(ept, a -> Machines.exit(a, 9));
    for (long gpa = 0; gpa < second.options().memoryBytes(); gpa += 4096) {
      if (second.guestMemory().covers(gpa, 4096)) {
        second.guestMemory().write(gpa, first.guestMemory().read(gpa, 4096, 4096));
      }
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(saved.toByteArray()));
    CpuState.load(second.cpu(), in);
    second.eptViews().load(in);
    assertThat(in.read()).as("all is read").isEqualTo(-1);
    assertThat(saved(second)).as("the same state").isEqualTo(saved(first));
    assertThat(second.eptViews().current(0)).isEqualTo(first.eptViews().current(0));
    long before = first.exits().of(ExitReason.EPT_VIOLATION, Cause.SUB_PAGE_WRITE);
    runToEnd(first);
    runToEnd(second);
    assertThat(Machines.state(second.cpu())).isEqualTo(Machines.state(first.cpu()));
    assertThat(Machines.memory(second)).isEqualTo(Machines.memory(first));
    assertThat(first.cpu().regs[15]).isEqualTo(20);
    assertThat(second.exits().of(ExitReason.EPT_VIOLATION, Cause.SUB_PAGE_WRITE))
        .isEqualTo(first.exits().of(ExitReason.EPT_VIOLATION, Cause.SUB_PAGE_WRITE) - before);

    DataInput other = new DataInputStream(new ByteArrayInputStream(saved(first)));
    assertThatThrownBy(() -> vm(EptOptions.DEFAULT, guest).eptViews().load(other)).isInstanceOf(IOException.class)
        .hasMessageContaining("expected 2 with 1");
  }

  private static byte[] saved(Vm vm) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    vm.eptViews().save(new DataOutputStream(bytes));
    return bytes.toByteArray();
  }

  /** A page whose D flag is the only log of its write, and that loses its mapping in the machine that took over. */
  @Test
  void shouldLoseNoDirtyFlagOverASavedState() throws IOException {
    Consumer<Assembler> guest = a -> {
      a.mov(abs(PAGE).q(), 1);
      Label wait = a.here();
      a.jmp(wait);
    };
    Vm first = vm(EptOptions.DEFAULT, guest);
    first.dirtyLog().start("RAM", DirtyLog.Method.DIRTY_FLAGS);
    assertThat(first.run(20).end()).isEqualTo(End.BUDGET);
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(saved);
    first.dirtyLog().save(out);
    first.eptViews().save(out);
    Vm second = vm(EptOptions.DEFAULT, guest);
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(saved.toByteArray()));
    second.dirtyLog().load(in);
    second.eptViews().load(in);
    long flags = EptEntry.ACCESSED | EptEntry.DIRTY;
    assertThat(first.ept().entry(PAGE) & flags).isEqualTo(flags);
    assertThat(second.ept().entry(PAGE) & ~EptEntry.ADDRESS_MASK)
        .isEqualTo(first.ept().entry(PAGE) & ~EptEntry.ADDRESS_MASK);
    second.eptViews().setAccess(0, PAGE, 4096, READ_ONLY, false);
    assertThat(second.dirtyLog().fetchAndClear("RAM")).isEqualTo(first.dirtyLog().fetchAndClear("RAM"))
        .matches(log -> Arrays.stream(log).anyMatch(word -> word != 0));
  }

  /**
   * Bits of the sub-pages that may be written; forbidden stores are emulated, so that memory is the same whatever they
   * are.
   */
  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 1, 0x55555555, 0x80000001})
  void shouldProtectSubPages(int writable) {
    int[] stores = {0, 127, 128, 124, 252, 4088, 2048, 300};
    Vm vm = vm(EptOptions.DEFAULT, a -> {
      for (int offset : stores) {
        a.mov(abs(PAGE + offset).q(), offset + 1);
      }
      a.mov(RDI, PAGE + 0x400);
      a.mov(ECX, 256);
      a.mov(AL, 0xAB);
      a.rep();
      a.stosb();
      Machines.exit(a, 0);
    });
    vm.eptViews().protectSubPages(0, PAGE, writable);
    runToEnd(vm);
    long expected = 0;
    byte[] memory = new byte[4096];
    for (int offset : stores) {
      int last = Math.min(offset + 7, 4095);
      expected += (writable >>> offset / 128 & 1) == 0 || (writable >>> last / 128 & 1) == 0 ? 1 : 0;
      for (int i = 0; i < 8 && offset + i < 4096; i++) {
        memory[offset + i] = (byte) (offset + 1L >>> 8 * i);
      }
    }
    for (int i = 0; i < 256; i++) {
      memory[0x400 + i] = (byte) 0xAB;
      expected += (writable >>> (0x400 + i) / 128 & 1) == 0 ? 1 : 0;
    }
    assertThat(vm.guestMemory().read(PAGE, 4096, 4096)).isEqualTo(memory);
    assertThat(vm.exits().of(ExitReason.EPT_VIOLATION, Cause.SUB_PAGE_WRITE)).isEqualTo(expected);
    assertThat(vm.exits().of(ExitReason.SPP, Cause.SUB_PAGE_FILL)).isEqualTo(1);
    assertThat(restricted(vm)).isZero();
  }
}
