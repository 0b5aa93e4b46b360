package dev.gnomon.bench.verify;

import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Interruption;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.memory.MemoryDigest;
import java.io.ByteArrayOutputStream;

/** One of the machines, with what its guest has written. */
final class Machine {
  /**
   * What a machine is made from.
   *
   * @param name in messages, unique among the machines compared
   */
  record Plan(String name, Guest guest, VmOptions options, boolean memoryGiven) {}

  private static final int SLICE = 2_000_000;

  final Plan plan;
  final Vm vm;
  final GuestRun run;
  private final MemoryDigest digest;
  private final int[] sums;
  /** The instruction count at which the sums were taken. */
  private long summed = -1;
  private final Interruption interruption;
  private final boolean stopsAtLines;
  private final ByteArrayOutputStream output = new ByteArrayOutputStream();
  /** Sums up at which instruction each byte was written. */
  private long outputTimes;
  private RunResult result;

  /** @param stopsAtLines whether {@link #run} returns behind each line that the guest ends on its console */
  Machine(Plan plan, boolean stopsAtLines, Interruption interruption) {
    this.plan = plan;
    this.stopsAtLines = stopsAtLines;
    this.interruption = interruption;
    run = new GuestRun(plan.guest(), plan.options(), plan.memoryGiven(), this::written, interruption);
    vm = run.vm();
    digest = new MemoryDigest(vm.memory(), vm.slots());
    sums = new int[digest.pages()];
  }

  private void written(int value) {
    output.write(value);
    outputTimes = 31 * outputTimes + vm.now();
    if (stopsAtLines && value == '\n') {
      vm.requestStop();
    }
  }

  /** Runs to that count of retired instructions, or to less if the guest ends, a line does or someone interrupts. */
  void runTo(long retired) {
    do {
      result = vm.run(Math.max(0, Math.min(SLICE, retired - vm.retired())));
    } while (result.resumable() && result.detail().isEmpty() && vm.retired() < retired && !interruption.requested());
  }

  /** Lets a guest that ended at another machine end here. */
  void runOneMore() {
    result = vm.run(1);
  }

  /** Checksums of memory, a page each. */
  int[] sums() {
    if (summed != retired()) {
      digest.sums(sums);
      summed = retired();
    }
    return sums;
  }

  /** Guest-physical address of a page by its number in {@link #sums}. */
  @Gpa long address(int page) {
    return digest.address(page);
  }

  long retired() {
    return vm.retired();
  }

  /** Why the last run returned. */
  RunResult result() {
    return result;
  }

  byte[] output() {
    return output.toByteArray();
  }

  int outputSize() {
    return output.size();
  }

  long outputTimes() {
    return outputTimes;
  }
}
