package dev.gnomon.bench.cli;

/** The command's exit codes. */
public final class ExitCode {
  public static final int DONE = 0;
  public static final int INTERNAL_ERROR = 1;
  /** Unknown option, bad value, unreadable or malformed file. */
  public static final int USAGE = 2;
  /** Triple fault, an exit that the hypervisor has no answer to, or the guest's own report of failure. */
  public static final int GUEST_DIED = 3;
  public static final int BUDGET_USED_UP = 4;
  /** A guest's result is wrong, or modes disagree. */
  public static final int CHECK_FAILED = 5;
  /** Ended by Ctrl-C: 128 and SIGINT, as shells have it. */
  public static final int INTERRUPTED = 130;

  private ExitCode() {}
}
