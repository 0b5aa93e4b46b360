package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.memory.BackingSize;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Random guests that edit their own page tables, run in every mode: what they could see must not depend on how memory is virtualized. */
class LockstepTest {
  private static final long BUDGET = 2_000_000;
  private static final long MEMORY = 8 << 20;

  /** All that a guest can see at the end: registers, time, memory with A and D flags, and how the run ended. */
  private record Outcome(RunResult.End end, String registers, int memory, List<String> log) {}

  @Property(tries = 60)
  void shouldRunTheSameInAllModesWhenTheGuestSynchronisesItsEdits(
      @ForAll @Size(min = 100, max = 300) List<@IntRange(max = 1 << 24) Integer> steps, @ForAll @IntRange(max = 7) int configuration) {
    PagingProgram program = new PagingProgram(true);
    byte[] code = program.assemble(steps);
    Outcome reference = run(VmOptions.of(Mode.NATIVE), program, code);
    assertThat(reference.end()).isEqualTo(RunResult.End.GUEST_EXIT);
    for (VmOptions options : variants(configuration)) {
      assertThat(run(options, program, code)).as("%s", options).isEqualTo(reference);
    }
  }

  private static List<VmOptions> variants(int configuration) {
    boolean first = (configuration & 1) != 0;
    boolean second = (configuration & 2) != 0;
    boolean third = (configuration & 4) != 0;
    List<VmOptions> variants = new ArrayList<>();
    variants.add(VmOptions.of(Mode.NATIVE).withBlockLimit(1).withTlb(TlbPolicy.counted(TlbGeometry.SKYLAKE)));
    variants.add(VmOptions.of(Mode.NATIVE).withBlockLimit(8).withTlb(first ? TlbPolicy.STALE : TlbPolicy.FORGETFUL));
    variants.add(VmOptions.of(Mode.EPT).withBlockLimit(third ? 64 : 8).withEptAccessedDirty(first)
        .withTlb(second ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.EPT).withBacking(BackingSize.SIZE_4K).withEptMaxPageShift(12)
        .withTlb(third ? TlbPolicy.STALE : TlbPolicy.UNCOUNTED));
    ShadowOptions shadow = ShadowOptions.defaults().withUnsync(first).withPrefetch(second).withLargePages(third).withAudit(true);
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow).withTlb(first ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow.withUnsync(!first).withLargePages(!third)).withBlockLimit(1));
    return variants;
  }

  private static Outcome run(VmOptions options, PagingProgram program, byte[] code) {
    Vm vm = new VmBuilder(options.withMemoryBytes(MEMORY)).build();
    vm.boot(GuestImages.flat(BootRequest.of("program", code).withLoadAddress(PagingProgram.CODE).withEntry(BootRequest.Entry.LONG)));
    program.poke((gpa, value) -> vm.guestMemory().write(gpa, 8, value));
    RunResult result = vm.run(BUDGET);
    Cpu cpu = vm.cpu();
    List<String> log = new ArrayList<>();
    int memory = 1;
    for (long gpa = 0x200000; gpa < MEMORY; gpa += 4096) {
      memory = 31 * memory + Arrays.hashCode(vm.guestMemory().read(gpa, 4096, 4096));
    }
    for (long gpa = PagingProgram.LOG; gpa < PagingProgram.LOG + 0x4000; gpa += 16) {
      long what = vm.guestMemory().read(gpa, 8);
      if (what != 0) {
        log.add("%d: #%d error %x cr2 %x".formatted((gpa - PagingProgram.LOG) / 16, what >>> 32, what & 0xFFFF_FFFFL,
            vm.guestMemory().read(gpa + 8, 8)));
      }
    }
    String registers = Arrays.toString(Arrays.copyOf(cpu.regs, 16)) + " rip=" + Long.toHexString(cpu.rip) + " rflags="
        + Long.toHexString(cpu.rflags()) + " cr0=" + Long.toHexString(cpu.cr0) + " cr2=" + Long.toHexString(cpu.cr2) + " cr4="
        + Long.toHexString(cpu.cr4) + " retired=" + cpu.retired;
    return new Outcome(result.end(), registers, memory, log);
  }
}
