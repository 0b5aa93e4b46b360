package dev.gnomon.vmm.device;

/**
 * A run of I/O ports, neither empty nor past FFFFh.
 *
 * @param first the lowest port, 0 to FFFFh
 * @param count how many ports, at least 1
 */
public record PortRange(int first, int count) {
  /** Ports of the I/O address space. */
  static final int SPACE = 0x10000;

  public PortRange {
    if (first < 0 || count < 1 || count > SPACE || first > SPACE - count) {
      throw new IllegalArgumentException(
          String.format("port range at %x of %d ports: expected 1 or more ports inside 0 to ffff", first, count));
    }
  }

  /** The highest port. */
  public int last() {
    return first + count - 1;
  }

  @Override
  public String toString() {
    return String.format("ports %x-%x", first, last());
  }
}
