package dev.gnomon.vmm.harness;

/** What a rig's judges found. */
public final class HarnessFailure extends AssertionError {
  private static final long serialVersionUID = 1;

  private final String kind;

  HarnessFailure(String kind, String detail) {
    super(kind + ": " + detail);
    this.kind = kind;
  }

  /** What it is, without the particulars of one schedule: {@code lost wake-up}, for instance. */
  public String kind() {
    return kind;
  }
}
