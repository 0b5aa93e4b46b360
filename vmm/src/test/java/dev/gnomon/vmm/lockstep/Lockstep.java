package dev.gnomon.vmm.lockstep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;
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
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.memory.BackingSize;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/** Runs one guest on machines that differ in what it must not be able to see, and compares all that it could see. */
final class Lockstep {
  static final long BUDGET = 2_000_000;
  static final long MEMORY = 8 << 20;
  /** {@link #variants} takes configurations from 0 to this. */
  static final int MAX_CONFIGURATION = 7;
  /** Programs a try; more for a long search. */
  private static final int REPEAT = Integer.getInteger("gnomon.lockstep.repeat", 1);
  private static final int OTHER_SEEDS = 0x9E3779B1;
  private static final long LOG_BYTES = 0x8000;

  /** All that a guest can see at the end: registers, time, memory with A and D flags, and how the run ended. */
  record Outcome(RunResult.End end, String registers, long memory, List<String> log) {}

  private Lockstep() {}

  /** Runs the guest natively with nothing cached but soft TLBs, then in every variant, and expects the same. */
  static void check(GuestProgram program, int configuration) {
    Outcome reference = run(VmOptions.of(Mode.NATIVE), program);
    assertThat(reference.end()).as("%s %s", reference.registers(), reference.log()).isEqualTo(RunResult.End.GUEST_EXIT);
    List<VmOptions> variants = variants(configuration);
    List<Outcome> outcomes = variants.parallelStream().map(options -> run(options, program)).toList();
    for (int i = 0; i < outcomes.size(); i++) {
      assertThat(outcomes.get(i)).as("%s", variants.get(i)).isEqualTo(reference);
    }
  }

  /** The seeds, and as many lists made of them as the system property {@code gnomon.lockstep.repeat} asks for. */
  static List<List<Integer>> repeated(List<Integer> seeds) {
    List<List<Integer>> lists = new ArrayList<>();
    for (int i = 0; i < REPEAT; i++) {
      int offset = i * OTHER_SEEDS;
      lists.add(seeds.stream().map(seed -> seed + offset).toList());
    }
    return lists;
  }

  /**
   * Machines of all modes; the three bits of a configuration choose among TLB policies, block lengths and the switches
   * of EPT and shadow paging.
   */
  static List<VmOptions> variants(int configuration) {
    boolean first = (configuration & 1) != 0;
    boolean second = (configuration & 2) != 0;
    boolean third = (configuration & 4) != 0;
    List<VmOptions> variants = new ArrayList<>();
    variants.add(VmOptions.of(Mode.NATIVE).withBlockLimit(1).withTlb(TlbPolicy.counted(TlbGeometry.SKYLAKE)));
    variants.add(VmOptions.of(Mode.NATIVE).withBlockLimit(8).withTlb(first ? TlbPolicy.STALE : TlbPolicy.FORGETFUL));
    variants.add(VmOptions.of(Mode.EPT).withBlockLimit(third ? 64 : 8).withEptAccessedDirty(first)
        .withEpt(EptOptions.DEFAULT.withLevels(second ? 5 : 4).withModeBasedExecute(third))
        .withTlb(second ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.EPT).withBacking(BackingSize.SIZE_4K).withEptMaxPageShift(12)
        .withEpt(EptOptions.DEFAULT.withLevels(first ? 5 : 4).withModeBasedExecute(second).withExceptions(third)
            .withViews(first ? 2 : 1))
        .withTlb(third ? TlbPolicy.STALE : TlbPolicy.UNCOUNTED));
    ShadowOptions shadow = ShadowOptions.defaults().withUnsync(first).withPrefetch(second).withLargePages(third)
        .withAudit(true);
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow)
        .withTlb(first ? TlbPolicy.counted(TlbGeometry.SKYLAKE) : TlbPolicy.UNCOUNTED));
    variants.add(VmOptions.of(Mode.SHADOW).withShadow(shadow.withUnsync(!first).withLargePages(!third))
        .withBlockLimit(1));
    return variants;
  }

  /** A machine with the guest loaded. */
  static Vm boot(VmBuilder builder, GuestProgram program) {
    // Its data would overwrite longer code, which would then run wild.
    assertThat(program.code().length).isLessThanOrEqualTo(GuestProgram.MAX_CODE_BYTES);
    Vm vm = builder.build();
    program.equip(vm.cpu().cpuid);
    InitialState state = GuestImages.flat(BootRequest.of("program", program.code()).withLoadAddress(GuestProgram.CODE)
        .withEntry(program.entry())).load(vm.bootMemory());
    program.poke((gpa, value) -> vm.guestMemory().write(gpa, 8, value));
    vm.start(program.start(state));
    return vm;
  }

  static Outcome run(VmOptions options, GuestProgram program) {
    Vm vm = boot(new VmBuilder(options.withMemoryBytes(MEMORY)), program);
    return outcome(vm, vm.run(BUDGET));
  }

  static Outcome outcome(Vm vm, RunResult result) {
    CRC32C memory = new CRC32C();
    for (@Gpa long gpa = GuestProgram.LOG; gpa < MEMORY; gpa += GuestProgram.PAGE) {
      memory.update(vm.guestMemory().read(gpa, 4096, 4096));
    }
    return new Outcome(result.end(), registers(vm.cpu()), memory.getValue(), log(vm));
  }

  private static String registers(Cpu cpu) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      text.append(Long.toHexString(cpu.regs[i])).append(' ');
    }
    return text + "rip=" + Long.toHexString(cpu.rip) + " rflags=" + Long.toHexString(cpu.rflags()) + " cr0="
        + Long.toHexString(cpu.cr0)
        + " cr2=" + Long.toHexString(cpu.cr2) + " cr3=" + Long.toHexString(cpu.cr3) + " cr4="
        + Long.toHexString(cpu.cr4)
        + " retired=" + cpu.retired + " skipped=" + cpu.skippedNs;
  }

  private static List<String> log(Vm vm) {
    List<String> log = new ArrayList<>();
    for (@Gpa long gpa = GuestProgram.LOG; gpa < GuestProgram.LOG + LOG_BYTES; gpa += 16) {
      long what = vm.guestMemory().read(gpa, 8);
      if (what != 0) {
        log.add("%d: #%d error %x cr2 %x".formatted((gpa - GuestProgram.LOG) / 16, what >>> 32, what & 0xFFFF_FFFFL,
            vm.guestMemory().read(gpa + 8, 8)));
      }
    }
    return log;
  }
}
