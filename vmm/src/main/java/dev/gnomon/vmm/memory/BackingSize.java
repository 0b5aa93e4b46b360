package dev.gnomon.vmm.memory;

/**
 * Size of the naturally aligned pieces in which the host gives a VM its memory, as a host with or without huge pages
 * would.
 */
public enum BackingSize {
  SIZE_4K("4k", 12),
  SIZE_2M("2m", 21),
  SIZE_1G("1g", 30);

  private final String text;
  private final int shift;

  BackingSize(String text, int shift) {
    this.text = text;
    this.shift = shift;
  }

  /** log2 of the size in bytes. */
  public int shift() {
    return shift;
  }

  /** Size in bytes. */
  public long bytes() {
    return 1L << shift;
  }

  /** The size of that name: {@code 4k}, {@code 2m} or {@code 1g} in either case. */
  public static BackingSize parse(String text) {
    for (BackingSize size : values()) {
      if (size.text.equalsIgnoreCase(text)) {
        return size;
      }
    }
    throw new IllegalArgumentException("backing \"" + text + "\": expected 4k, 2m or 1g");
  }

  @Override
  public String toString() {
    return text;
  }
}
