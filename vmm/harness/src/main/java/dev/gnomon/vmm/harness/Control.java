package dev.gnomon.vmm.harness;

/**
 * Ways out of the middle of a driver, a device or a schedule. They have no stack; code under test must let them pass.
 */
final class Control extends Error {
  private static final long serialVersionUID = 1;

  /** A driver is left; it comes back by running again over the log of its calls. */
  static final Control SUSPENDED = new Control("a driver gives way");
  /** A device's process dies. */
  static final Control CRASHED = new Control("a device's process dies");
  /** A schedule is given up: too many choices. */
  static final Control ABANDONED = new Control("a schedule is too long");
  /** A schedule differs from one that was run only in the order of accesses that do not matter to each other. */
  static final Control REDUNDANT = new Control("a schedule is like another");

  /** Somebody did not return, and then did, when nobody waited any more. */
  static final Control GIVEN_UP = new Control("a call has returned too late");

  private Control(String message) {
    super(message, null, false, false);
  }
}
