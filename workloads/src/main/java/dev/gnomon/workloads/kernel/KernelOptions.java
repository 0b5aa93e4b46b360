package dev.gnomon.workloads.kernel;

/**
 * How a kernel image behaves; fixed when it is built.
 *
 * @param isolation page-table isolation: two page-table roots for a process, and a CR3 load on each entry and exit of
 *     the kernel
 * @param pcid process-context identifiers, so that CR3 loads keep translations
 * @param hz rate of the timer interrupt in hertz of virtual time, 0 for no timer, else {@link #MIN_HZ} to {@link
 *     #MAX_HZ}
 * @param preempt whether a tick lets the next process run
 * @param freshFrames whether frames never used before are handed out while there are any, rather than those freed last
 */
public record KernelOptions(boolean isolation, boolean pcid, int hz, boolean preempt, boolean freshFrames) {
  /** The slowest that a 16-bit counter at the 8254's clock can be. */
  public static final int MIN_HZ = 19;
  public static final int MAX_HZ = 10_000;

  public KernelOptions {
    if (hz != 0 && (hz < MIN_HZ || hz > MAX_HZ)) {
      throw new IllegalArgumentException("timer of " + hz + " Hz: expected 0 (off) or " + MIN_HZ + " to " + MAX_HZ);
    }
  }

  /** No isolation, no PCIDs, no timer, freed frames first. */
  public static KernelOptions defaults() {
    return new KernelOptions(false, false, 0, false, false);
  }

  public KernelOptions withIsolation(boolean value) {
    return new KernelOptions(value, pcid, hz, preempt, freshFrames);
  }

  public KernelOptions withPcid(boolean value) {
    return new KernelOptions(isolation, value, hz, preempt, freshFrames);
  }

  public KernelOptions withTimer(int hertz, boolean preempting) {
    return new KernelOptions(isolation, pcid, hertz, preempting, freshFrames);
  }

  public KernelOptions withFreshFrames(boolean value) {
    return new KernelOptions(isolation, pcid, hz, preempt, value);
  }
}
