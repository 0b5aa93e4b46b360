package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.DirtyLog.Method;
import dev.gnomon.vmm.RunResult.End;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whoever writes a page of a logged slot, the log has it, and no other: each way of writing by each method, compared
 * with what passes the physical-write seam of the same guest natively.
 */
class DirtyLogSourcesTest {
  private static final String RAM = "RAM";
  private static final long SLOT = 0x100000;
  private static final long TARGET = 0x300800;
  private static final int FW_CFG_DMA = 0x514;
  private static final long DMA = 0x200000;

  /** A way of writing. */
  private enum Source {
    STORE(a -> a.mov(abs(TARGET).q(), 1)),
    READ_ONLY_ACCESS(a -> a.mov(RAX, abs(TARGET).q())),
    PAGE_CROSSING_STORE(a -> a.mov(abs(TARGET + 0x7FC).q(), 1)),
    /** Emulated, because it reads a device. */
    STRING_FROM_A_DEVICE(a -> {
      a.mov(RSI, 0xB8000);
      a.mov(RDI, TARGET);
      a.mov(ECX, 16);
      a.rep().movsb();
    }),
    /** Emulated: INS writes what the port gives. */
    PORT_STRING(a -> {
      a.mov(DX, 0x61);
      a.mov(RDI, TARGET);
      a.mov(ECX, 8);
      a.rep().insb();
    }),
    PUSH(a -> {
      a.mov(RSP, TARGET);
      a.push(RAX);
    }),
    LOCKED(a -> a.lock().inc(abs(TARGET).q())),
    /** The device writes the signature where the request says, and the request's own first word. */
    DEVICE_BY_DMA(a -> {
      a.mov(abs(DMA).d(), 0x0A000000);
      a.mov(abs(DMA + 4).d(), 0x04000000);
      a.mov(RAX, Long.reverseBytes(TARGET));
      a.mov(abs(DMA + 8).q(), RAX);
      a.mov(EAX, Integer.reverseBytes((int) DMA));
      a.mov(DX, FW_CFG_DMA + 4);
      a.out(DX, EAX);
    }),
    /** A walk through a table in the slot sets A and D there. */
    FLAGS_OF_A_GUEST_TABLE(a -> {
      a.mov(RBX, CR3);
      // A directory of 2-MiB pages at TARGET's page, in place of the table's second GiB: its first page alone is
      // mapped.
      a.mov(RDI, TARGET & -4096);
      a.mov(ptr(RDI).q(), 0x83);
      a.mov(RSI, ptr(RBX));
      a.and(RSI, -4096);
      a.mov(RAX, (TARGET & -4096) + 3);
      a.mov(ptr(RSI, 8).q(), RAX);
      a.mov(CR3, RBX);
      a.mov(RDX, 0x40000000L + 0x1000);
      a.mov(AL, ptr(RDX));
    }, 9);

    final Consumer<Assembler> code;
    /** Instructions of preparation that are not logged. */
    final int before;

    Source(Consumer<Assembler> code) {
      this(code, 0);
    }

    Source(Consumer<Assembler> code, int before) {
      this.code = code;
      this.before = before;
    }
  }

  record Row(Source source, Mode mode, Method method) {}

  static Stream<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (Source source : Source.values()) {
      for (Method method : Method.values()) {
        rows.add(new Row(source, Mode.EPT, method));
      }
      rows.add(new Row(source, Mode.SHADOW, Method.WRITE_PROTECTION));
    }
    return rows.stream();
  }

  private static Vm boot(Mode mode, Source source) {
    VmOptions options = Machines.options(mode);
    return Machines.boot(options.withPlatform(options.platform().withMachine(MachineType.PC)), a -> {
      source.code.accept(a);
      Machines.exit(a, 0);
    });
  }

  private static void finish(Vm vm) {
    assertThat(vm.run(10_000).end()).isEqualTo(End.GUEST_EXIT);
  }

  private static BitSet written(Source source) {
    Vm vm = boot(Mode.NATIVE, source);
    vm.run(source.before);
    BitSet pages = new BitSet();
    HostMemory.WriteListener processor = vm.memory().writeListener();
    vm.memory().setWriteListener((offset, size) -> {
      if (offset >= SLOT) {
        pages.set((int) (offset - SLOT) >>> HostMemory.FRAME_SHIFT);
      }
      processor.beforeWrite(offset, size);
    });
    for (int frame = 0; frame < vm.memory().frames(); frame++) {
      vm.memory().setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    finish(vm);
    return pages;
  }

  @ParameterizedTest
  @MethodSource("rows")
  void shouldLogWhatIsWrittenAndNothingElse(Row row) {
    Vm vm = boot(row.mode, row.source);
    vm.run(row.source.before);
    vm.dirtyLog().start(RAM, row.method);
    finish(vm);
    BitSet expected = written(row.source);
    assertThat(expected.isEmpty()).isEqualTo(row.source == Source.READ_ONLY_ACCESS);
    assertThat(BitSet.valueOf(vm.dirtyLog().fetchAndClear(RAM))).isEqualTo(expected);
  }
}
