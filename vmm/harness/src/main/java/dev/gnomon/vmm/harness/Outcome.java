package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.dma.DmaFault;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;

/** What one schedule came to, to be judged. Each judge throws a {@link HarnessFailure} that says what it found. */
public final class Outcome {
  private final Rig rig;
  private final History history;
  private final boolean abandoned;

  Outcome(Rig rig, boolean abandoned) {
    this.rig = rig;
    this.history = rig.history();
    this.abandoned = abandoned;
  }

  /** Whether the schedule was given up because it was too long. */
  public boolean isAbandoned() {
    return abandoned;
  }

  /** Whether every driver came to its end. */
  public boolean driversFinished() {
    return rig.drivers().stream().allMatch(DriverActor::isFinished)
        && rig.processors().stream().allMatch(GuestActor::isFinished);
  }

  private static void fail(String kind, String detail) {
    throw new HarnessFailure(kind, detail);
  }

  private Outcome require(boolean condition, String kind, String detail) {
    if (!condition) {
      fail(kind, detail);
    }
    return this;
  }

  /**
   * Nobody waits for somebody who waits: at the end every driver has come to its end. A schedule that was given up says
   * nothing.
   */
  public Outcome assertNoLostWakeup() {
    return require(abandoned || driversFinished(), "lost wake-up", rig.standstill());
  }

  /** Every driver came to its end, within the schedule's length. */
  public Outcome assertFinished() {
    return require(driversFinished(), abandoned ? "too long" : "standstill", rig.standstill());
  }

  /** Nothing in a range trapped. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public Outcome assertNoExits(@Gpa long gpa, long length) {
    for (History.Exit exit : history.exits()) {
      require(exit.gpa() < gpa || exit.gpa() >= gpa + length, "exit",
          exit.reason() + " at 0x" + Long.toHexString(exit.gpa()));
    }
    return this;
  }

  /** No doorbell rang and nothing trapped. */
  public Outcome assertNoExits() {
    return require(history.exits().isEmpty(), "exit", history.exits().isEmpty() ? "" : history.exits().get(0).reason());
  }

  /**
   * At most so many exits of a reason: {@code doorbell}, {@code trap}, or of a real guest KVM's name, such as
   * {@code IO_INSTRUCTION}.
   */
  public Outcome assertExits(String reason, int most) {
    long count = history.exits().stream().filter(exit -> exit.reason().equals(reason)).count();
    return require(count <= most, "exits", count + " by " + reason + ", expected at most " + most);
  }

  /** No request was completed twice, and none that was not there. */
  public Outcome assertCompletedAtMostOnce() {
    history.unknown().forEach((id, count) -> fail("completion of nothing", "request " + id + " was never begun"));
    history.requests().forEach((id, request) -> require(request.completions <= 1, "completed twice",
        "request " + id + " was completed " + request.completions + " times"));
    return this;
  }

  /** Each request was completed once; those that a reset cut short may not have been. */
  public Outcome assertCompletedExactlyOnce() {
    assertCompletedAtMostOnce();
    history.requests().forEach((id,
        request) -> require(abandoned || request.completions == 1 || request.boot < history.resets(), "never completed",
        "request " + id + "; " + rig.standstill()));
    return this;
  }

  /** So many hundredths of the requests took no longer than a time, from begin to end in virtual time. */
  public Outcome assertLatencyBelow(double percentile, Duration limit) {
    long[] times = latencies();
    if (times.length > 0) {
      long at = times[Math.min(times.length - 1, (int) Math.ceil(percentile / 100 * times.length) - 1)];
      require(at <= limit.toNanos(), "latency",
          at + " ns at the " + percentile + "th percentile, expected at most " + limit.toNanos());
    }
    return this;
  }

  private Outcome assertNone(String kind) {
    for (History.Violation violation : history.violations()) {
      require(!violation.kind().equals(kind), kind, violation.detail());
    }
    return this;
  }

  /** No step read bytes twice that the guest could have changed between, unless it said so by a poll. */
  public Outcome assertNoDoubleFetch() {
    return assertNone(History.DOUBLE_FETCH);
  }

  /** The device asked for nothing that it may not have. */
  public Outcome assertDmaConfined() {
    List<DmaFault> faults = rig.faultLog().faults();
    return require(faults.isEmpty(), "refused access", faults.isEmpty() ? "" : faults.get(0).toString());
  }

  /** The device said of no request that it wrote more than it did. */
  public Outcome assertUsedLenWithinWritten() {
    return assertNone(History.LENGTH);
  }

  /** The device touched no RAM before the driver was ready. The rig must {@link Rig#requireReady}. */
  public Outcome assertNoAccessBeforeReady() {
    return assertNone(History.BEFORE_READY);
  }

  /**
   * The device touched no RAM, and was refused none, between a reset and the driver's being ready again. The rig must
   * {@link Rig#requireReady}.
   */
  public Outcome assertNoAccessAfterReset() {
    assertNone(History.AFTER_RESET);
    return history.resets() == 0 ? this : require(rig.faultLog().total() == 0, History.AFTER_RESET,
        rig.faultLog().total() == 0 ? "" : rig.faultLog().faults().get(0).toString());
  }

  /** No step did more. */
  public Outcome assertBoundedStep(int accesses, int bytes) {
    return require(history.maxStepAccesses() <= accesses && history.maxStepBytes() <= bytes, "long step",
        history.maxStepAccesses() + " accesses, "
        + history.maxStepBytes() + " bytes in a step, expected at most " + accesses + " and " + bytes);
  }

  /** A Linux guest's script came to its end with this exit status. */
  public Outcome assertGuestStatus(int expected) {
    assertFinished();
    for (GuestActor processor : rig.processors()) {
      boolean differs = processor instanceof LinuxActor linux && linux.status() != expected;
      require(!differs, "guest status", "expected " + expected + "; " + rig.standstill());
    }
    return this;
  }

  /**
   * At most so many page faults that shadow paging took for a real guest's accesses to windows; each mapping that the
   * guest makes of a window may cost two, once for reading and once for writing. There are none in other modes.
   */
  public Outcome assertWindowFills(int most) {
    return require(history.windowFills() <= most, "window fills", history.windowFills() + ", expected at most " + most);
  }

  /** A condition holds at the end, which came within a virtual time. */
  public Outcome assertEventually(BooleanSupplier condition, Duration within) {
    require(condition.getAsBoolean(), "never came true", rig.standstill());
    return require(rig.scheduler().now <= within.toNanos(), "too late",
        rig.scheduler().now + " ns, expected at most " + within.toNanos());
  }

  /** A condition holds at the end. */
  public Outcome assertThat(BooleanSupplier condition, String what) {
    return require(condition.getAsBoolean(), what, "did not hold at the end");
  }

  /** Latencies of the requests that ended, in virtual ns, ascending. */
  public long[] latencies() {
    return history.requests().values().stream().filter(request -> request.ended >= 0)
        .mapToLong(request -> request.ended - request.begun).sorted().toArray();
  }

  /** What devices and drivers did. */
  public Work work() {
    return rig.work();
  }

  /** Exits of all reasons. */
  public int exits() {
    return history.exits().size();
  }

  /** Page faults that shadow paging took for a real guest's accesses to windows. */
  public int windowFills() {
    return history.windowFills();
  }

  /** Interrupts that reached the drivers. */
  public int interrupts() {
    return history.interrupts();
  }
}
