package dev.gnomon.bench.verify;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.KernelGuest;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.Region;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import java.io.DataInput;
import java.io.DataOutput;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VerifierTest {
  private static final int PORT = 0x501;
  private static final long MEMORY = 8 << 20;
  /** The loader's page directory of 2M pages. */
  private static final int PAGE_DIRECTORY = 0x3000;
  private static final long LOOPS = 70_000;

  /** A flat guest with a device that reads a value at a port, and writes memory behind the guest's back at another. */
  private static final class FlatGuest implements Guest, PortDevice {
    private final KernelGuest guest;
    private final int value;
    private Vm vm;

    FlatGuest(Consumer<Assembler> code, int value) {
      Assembler a = new Assembler(64);
      a.mov(RSP, 0x90000);
      code.accept(a);
      guest = new KernelGuest(BootRequest.of("flat", a.assemble(0x100000)).withEntry(BootRequest.Entry.LONG), true);
      this.value = value;
    }

    @Override
    public String name() {
      return "oracle";
    }

    @Override
    public Map<String, String> parameters() {
      return Map.of();
    }

    @Override
    public VmOptions adapt(VmOptions options, boolean memoryGiven) {
      return options;
    }

    @Override
    public void equip(VmBuilder builder, Region region) {
      builder.device(this);
    }

    @Override
    public void boot(Vm machine) {
      vm = machine;
      guest.boot(machine);
    }

    @Override
    public boolean marksRegion() {
      return false;
    }

    @Override
    public Verdict verdict(int status) {
      return guest.verdict(status);
    }

    @Override
    public List<PortRange> ports() {
      return List.of(new PortRange(PORT, 1));
    }

    @Override
    public void reset() {}

    @Override
    public int in(int port, int size, long nowNs) {
      return value;
    }

    @Override
    public int peek(int port, int size) {
      return value;
    }

    @Override
    public void out(int port, int size, int written, long nowNs) {
      vm.guestMemory().write(0x500000, 8, value);
    }

    @Override
    public void save(DataOutput out) {}

    @Override
    public void load(DataInput in) {}
  }

  private static VmOptions options(Mode mode) {
    return VmOptions.of(mode).withMemoryBytes(MEMORY);
  }

  private static Verifier verifier(long every, boolean strict) {
    return new Verifier(new Provenance("0", "verify", Map.of(), CostModel.cascadeLake()), every, strict,
        new Interruption());
  }

  private static void count(Assembler a, long times) {
    a.mov(RCX, times);
    Label loop = a.here();
    a.add(RAX, RCX);
    a.dec(RCX);
    a.jne(loop);
  }

  /** Instructions of the stack's setup and of {@link #count}. */
  private static long counted(long times) {
    return 1 + 1 + 3 * times;
  }

  private static void exit(Assembler a) {
    a.mov(AL, 0);
    a.out(0xF4, AL);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 1000, 999_999, 10_000_000})
  void shouldFindTheInstructionThatReadsSomethingElse(long every) {
    Consumer<Assembler> code = a -> {
      count(a, LOOPS);
      a.mov(DX, PORT);
      a.in(AL, DX);
      // What is overwritten before a comparison would go unseen.
      a.mov(R9, RAX);
      count(a, LOOPS);
      exit(a);
    };
    long loops = every == 1 ? 0 : LOOPS;
    Consumer<Assembler> quick = a -> {
      a.mov(DX, PORT);
      a.in(AL, DX);
      exit(a);
    };
    Verifier verifier = verifier(every, false);
    verifier.add("native", new FlatGuest(loops == 0 ? quick : code, 7), options(Mode.NATIVE), true);
    verifier.add("ept", new FlatGuest(loops == 0 ? quick : code, 7), options(Mode.EPT), true);
    verifier.add("shadow", new FlatGuest(loops == 0 ? quick : code, 9), options(Mode.SHADOW), true);
    VerifyReport report = verifier.run(100_000_000, done -> { });
    VerifyReport.Difference difference = report.difference();
    assertThat(difference.machine()).isEqualTo("shadow");
    assertThat(difference.instructions()).isEqualTo(loops == 0 ? 2 : counted(LOOPS) + 1);
    assertThat(difference.bytes()).isEqualTo("ec");
    assertThat(difference.values()).hasSize(1);
    assertThat(difference.values().get(0).what()).isEqualTo("rax");
    assertThat(difference.values().get(0).left()).endsWith("7");
    assertThat(difference.values().get(0).right()).endsWith("9");
    assertThat(difference.walks().get(0).walk().walks()).isNotEmpty();
  }

  @Test
  void shouldFindTheInstructionBehindWhichMemoryDiffers() {
    Consumer<Assembler> code = a -> {
      count(a, LOOPS);
      a.mov(DX, PORT);
      a.out(DX, AL);
      count(a, LOOPS);
      exit(a);
    };
    Verifier verifier = verifier(50_000, false);
    verifier.add("native", new FlatGuest(code, 0x11), options(Mode.NATIVE), true);
    verifier.add("ept", new FlatGuest(code, 0x22), options(Mode.EPT), true);
    VerifyReport.Difference difference = verifier.run(100_000_000, done -> { }).difference();
    assertThat(difference.instructions()).isEqualTo(counted(LOOPS) + 1);
    assertThat(difference.values()).containsExactly(
        new VerifyReport.Values("memory at gpa 0x500000", "0x0000000000000011", "0x0000000000000022"));
  }

  @Test
  void shouldFindWhereAMissingFlushShows() {
    Consumer<Assembler> code = a -> {
      a.mov(RDI, 0x600000);
      a.mov(RAX, ptr(RDI));
      a.mov(RSI, 0x400000);
      a.mov(RBX, 0x1234);
      a.mov(ptr(RSI), RBX);
      a.mov(RDX, PAGE_DIRECTORY + 3 * 8);
      a.mov(RBX, 0x400000 | PageTableEntry.PS | PageTableEntry.P | PageTableEntry.RW | PageTableEntry.A);
      a.mov(ptr(RDX), RBX);
      a.mov(RAX, ptr(RDI));
      exit(a);
    };
    Verifier verifier = verifier(1_000_000, false);
    verifier.add("native", new FlatGuest(code, 0), options(Mode.NATIVE).withTlb(TlbPolicy.STALE), true);
    verifier.add("shadow", new FlatGuest(code, 0),
        options(Mode.SHADOW).withShadow(ShadowOptions.defaults().withUnsync(false)), true);
    VerifyReport report = verifier.run(1_000_000, done -> { });
    VerifyReport.Difference difference = report.difference();
    assertThat(difference.bytes()).isEqualTo("48 8b 07");
    assertThat(difference.values()).containsExactly(new VerifyReport.Values("rax", "0x0", "0x1234"));
    assertThat(difference.walks()).extracting(VerifyReport.Side::address)
        .containsExactly("rip, fetch", "rip, fetch", "memory operand, read", "memory operand, read");
    assertThat(report.blocks()).isNotEmpty();
    assertThat(report.flat().rows()).hasSize(3);
  }

  private static void clearAccessedWithoutFlush(Assembler a) {
    a.mov(RDI, 0x600000);
    a.mov(RAX, ptr(RDI));
    a.mov(RDX, PAGE_DIRECTORY + 3 * 8);
    a.and(ptr(RDX).q(), ~(int) PageTableEntry.A);
    a.mov(RAX, ptr(RDI));
    exit(a);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldReportApartAccessedFlagsThatAMissingFlushLeaves(boolean strict) {
    Verifier verifier = verifier(1_000_000, strict);
    verifier.add("native", new FlatGuest(VerifierTest::clearAccessedWithoutFlush, 0),
        options(Mode.NATIVE).withTlb(TlbPolicy.STALE), true);
    verifier.add("shadow", new FlatGuest(VerifierTest::clearAccessedWithoutFlush, 0), options(Mode.SHADOW), true);
    VerifyReport report = verifier.run(1_000_000, done -> { });
    if (strict) {
      assertThat(report.difference().values().get(0).what()).isEqualTo("A/D at gpa 0x3018");
    } else {
      assertThat(report.difference()).isNull();
      assertThat(report.accessedDirty()).hasSize(1);
      assertThat(report.accessedDirty().get(0).gpa()).isEqualTo("0x3018");
    }
  }

  @Test
  void shouldFindAGuestThatEndsOnOneMachineOnly() {
    Consumer<Assembler> code = a -> {
      a.mov(DX, PORT);
      a.in(AL, DX);
      a.test(AL, AL);
      Label alive = new Label();
      a.je(alive);
      a.ud2();
      a.bind(alive);
      count(a, 100);
      exit(a);
    };
    Verifier verifier = verifier(1000, false);
    verifier.add("native", new FlatGuest(code, 0), options(Mode.NATIVE), true);
    verifier.add("ept", new FlatGuest(code, 1), options(Mode.EPT), true);
    VerifyReport.Difference difference = verifier.run(100_000, done -> { }).difference();
    assertThat(difference.instructions()).isEqualTo(2);
    assertThat(difference.bytes()).isEqualTo("ec");
  }

  @Test
  void shouldFindNothingWhereMachinesAgreeWithManyComparisonsAndLines() {
    Consumer<Assembler> code = a -> {
      for (int i = 0; i < 5; i++) {
        count(a, 500);
        a.mov(DX, 0x3F8);
        a.mov(AL, '\n');
        a.out(DX, AL);
      }
      exit(a);
    };
    Verifier verifier = verifier(1000, true);
    for (Mode mode : Mode.values()) {
      verifier.add(mode.toString(), new FlatGuest(code, 0), options(mode), true);
    }
    VerifyReport report = verifier.run(100_000_000, done -> { });
    assertThat(report.difference()).isNull();
    assertThat(report.accessedDirty()).isEmpty();
    assertThat(report.lines()).isEqualTo(5);
    assertThat(report.checkpoints()).isGreaterThan(7);
    assertThat(report.end()).isEqualTo("GUEST_EXIT");
    assertThat(report.instructions().values()).containsOnly(report.instructions().get("native"));
  }
}
