package dev.gnomon.guest.asm;

/**
 * A place in the image, used before or after it is bound. As an operand it stands for its address as an immediate; as
 * the target of a jump or in a memory operand, for the place itself.
 */
public final class Label implements Operand {

  private final String name;
  private CodeBuffer owner;
  private Phase phase;
  private int offset;

  /** A label without a name. */
  public Label() {
    this(null);
  }

  /** A label with a name for messages and symbol tables; null for none. */
  public Label(String name) {
    this.name = name;
  }

  /** A label of a fixed address outside the image, usable in any assembler. */
  public static Label absolute(long address) {
    Label label = new Label("0x" + Long.toHexString(address));
    label.phase = new Phase(0, address, true);
    return label;
  }

  /** The name, or null. */
  public String name() {
    return name;
  }

  /** Whether the label has its place. */
  public boolean isBound() {
    return phase != null;
  }

  /** Offset in bytes from the start of the image; the label must be bound. */
  public int offset() {
    if (phase == null) {
      throw new IllegalArgumentException(this + " is not bound: expected a bind() before its offset is asked for");
    }
    return offset;
  }

  /** 0: the instruction gives the size of the immediate. */
  @Override
  public int size() {
    return 0;
  }

  @Override
  public String toString() {
    return name == null ? "unnamed label" : "label " + name;
  }

  void bind(CodeBuffer buffer, Phase place, int at) {
    if (phase != null) {
      throw new IllegalArgumentException(this + " is bound already: expected one bind() per label");
    }
    owner = buffer;
    phase = place;
    offset = at;
  }

  long address(CodeBuffer user, long origin) {
    if (phase == null) {
      throw new IllegalArgumentException(this + " is used but never bound");
    }
    if (owner != null && owner != user) {
      throw new IllegalArgumentException(this + " belongs to another assembler");
    }
    return phase.address(offset, origin);
  }

  /**
   * How offsets become addresses: those of the image's origin, or of a fixed address that the code will be moved or
   * mapped to.
   */
  record Phase(int start, long address, boolean fixed) {

    static final Phase ORIGIN = new Phase(0, 0, false);

    long address(int offset, long origin) {
      return (fixed ? address : origin) + offset - start;
    }
  }
}
