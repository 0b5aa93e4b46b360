package dev.gnomon.guest.asm;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The growing image: bytes, labels, references to labels, and the data directives. */
abstract sealed class CodeBuffer permits Encoder {

  /** What values a reference may hold without losing bits. */
  enum Range {
    /** Sign-extended by the processor. */
    SIGNED,
    /** Signed or unsigned: the processor uses just these bits. */
    EITHER,
    /** Taken modulo its size, as EIP is in 32-bit code. */
    WRAPPING
  }

  /** Bytes to fill in: the address of label + addend, less that of minus unless null. */
  private record Fixup(int position, int size, Range range, Label label, long addend, Label minus) {
  }

  private static final int INITIAL_CAPACITY = 256;

  private final List<Fixup> fixups = new ArrayList<>();
  private final List<Label> bound = new ArrayList<>();
  private byte[] bytes = new byte[INITIAL_CAPACITY];
  private int length;
  private Label.Phase phase = Label.Phase.ORIGIN;

  /** Current offset in bytes from the start of the image. */
  public final int offset() {
    return length;
  }

  /** Gives the label the current place. */
  public final void bind(Label label) {
    label.bind(this, phase, length);
    bound.add(label);
  }

  /** A new label bound to the current place. */
  public final Label here() {
    return here(null);
  }

  /** A new named label bound to the current place. */
  public final Label here(String name) {
    Label label = new Label(name);
    bind(label);
    return label;
  }

  /**
   * From here on, labels get addresses as if the current place lay at {@code address} whatever the image's origin:
   * for code that is copied or mapped elsewhere before it runs.
   */
  public final void phase(long address) {
    phase = new Label.Phase(length, address, true);
  }

  /** Ends {@link #phase}: labels get addresses from the image's origin again. */
  public final void dephase() {
    phase = Label.Phase.ORIGIN;
  }

  /** Bytes as they are. */
  public final void emit(byte... raw) {
    reserve(raw.length);
    System.arraycopy(raw, 0, bytes, length, raw.length);
    length += raw.length;
  }

  /** Data bytes, each −128 to 255. */
  public final void db(int... values) {
    for (int value : values) {
      putChecked(value, 1);
    }
  }

  /** Little-endian words of 2 bytes, each −8000H to FFFFH. */
  public final void dw(int... values) {
    for (int value : values) {
      putChecked(value, 2);
    }
  }

  /** Little-endian doublewords of 4 bytes, each −80000000H to FFFFFFFFH. */
  public final void dd(long... values) {
    for (long value : values) {
      putChecked(value, 4);
    }
  }

  /** Little-endian quadwords of 8 bytes. */
  public final void dq(long... values) {
    for (long value : values) {
      put(value, 8);
    }
  }

  /** The address of a label in 2 bytes. */
  public final void dw(Label label) {
    reference(label, 0, 2, Range.EITHER);
  }

  /** The address of a label in 4 bytes. */
  public final void dd(Label label) {
    reference(label, 0, 4, Range.EITHER);
  }

  /** The address of a label in 8 bytes. */
  public final void dq(Label label) {
    reference(label, 0, 8, Range.EITHER);
  }

  /** The distance {@code end − start} in {@code size} bytes (1, 2, 4, 8), for example a length in a header. */
  public final void distance(int size, Label end, Label start) {
    addFixup(new Fixup(length, size, Range.EITHER, end, 0, start));
  }

  /** The characters of a US-ASCII string, with no terminator. */
  public final void ascii(String text) {
    emit(text.getBytes(StandardCharsets.US_ASCII));
  }

  /** The characters of a US-ASCII string and a zero byte. */
  public final void asciz(String text) {
    ascii(text);
    put(0, 1);
  }

  /** {@code count} zero bytes. */
  public final void space(int count) {
    fill(count, 0);
  }

  /** {@code count} bytes of {@code value}. */
  public final void fill(int count, int value) {
    if (count < 0) {
      throw new IllegalArgumentException("fill of " + count + " bytes: expected 0 or more");
    }
    reserve(count);
    Arrays.fill(bytes, length, length + count, (byte) value);
    length += count;
  }

  /** Fills with bytes of {@code value} up to a multiple of {@code boundary} (a power of 2) from the image's start. */
  public final void align(int boundary, int value) {
    fill(padding(boundary), value);
  }

  /** Fills with zeros up to an offset from the start of the image, which must not lie behind. */
  public final void org(int offset) {
    if (offset < length) {
      throw new IllegalArgumentException(
          "org 0x" + Integer.toHexString(offset) + " lies behind the current offset 0x" + Integer.toHexString(length));
    }
    space(offset - length);
  }

  /**
   * The finished image, to be placed at address {@code origin}. May be called again, for other origins and after more
   * code.
   *
   * @throws IllegalArgumentException if a label is not bound or out of reach of a reference to it
   */
  public final byte[] assemble(long origin) {
    byte[] image = Arrays.copyOf(bytes, length);
    for (Fixup fixup : fixups) {
      long value = fixup.label.address(this, origin) + fixup.addend;
      if (fixup.minus != null) {
        value -= fixup.minus.address(this, origin);
      }
      if (!fits(value, fixup.size, fixup.range)) {
        throw new IllegalArgumentException(fixup.label + " out of reach at offset 0x"
            + Integer.toHexString(fixup.position) + ": " + hex(value) + " does not fit " + fixup.size * 8 + " bits");
      }
      for (int i = 0; i < fixup.size; i++) {
        image[fixup.position + i] = (byte) (value >> 8 * i);
      }
    }
    return image;
  }

  /** Address of a bound label when the image lies at {@code origin}. */
  public final long addressOf(Label label, long origin) {
    return label.address(this, origin);
  }

  /** Names and addresses of the bound labels that have a name, in binding order, with the image at {@code origin}. */
  public final Map<String, Long> symbols(long origin) {
    Map<String, Long> symbols = new LinkedHashMap<>();
    for (Label label : bound) {
      if (label.name() != null) {
        symbols.putIfAbsent(label.name(), label.address(this, origin));
      }
    }
    return symbols;
  }

  final int padding(int boundary) {
    if (Integer.bitCount(boundary) != 1) {
      throw new IllegalArgumentException("alignment " + boundary + ": expected a power of 2");
    }
    return -length & boundary - 1;
  }

  final void put(long value, int size) {
    reserve(size);
    for (int i = 0; i < size; i++) {
      bytes[length++] = (byte) (value >> 8 * i);
    }
  }

  final void putChecked(long value, int size) {
    requireFits(value, size, Range.EITHER);
    put(value, size);
  }

  /** A reference to the address of a label. */
  final void reference(Label label, long addend, int size, Range range) {
    addFixup(new Fixup(length, size, range, label, addend, null));
  }

  /** A reference relative to the place {@code trailing} bytes behind the end of its own field. */
  final void relative(Label label, long addend, int size, int trailing, Range range) {
    Label end = new Label();
    end.bind(this, phase, length + size + trailing);
    addFixup(new Fixup(length, size, range, label, addend, end));
  }

  static void requireFits(long value, int size, Range range) {
    if (!fits(value, size, range)) {
      throw new IllegalArgumentException("value " + hex(value) + " does not fit " + size * 8 + " bits"
          + (range == Range.SIGNED ? " sign-extended" : ""));
    }
  }

  static boolean fits(long value, int size, Range range) {
    if (size == 8 || range == Range.WRAPPING) {
      return true;
    }
    int unusedBits = 64 - size * 8;
    return value << unusedBits >> unusedBits == value
        || range == Range.EITHER && value << unusedBits >>> unusedBits == value;
  }

  static String hex(long value) {
    return value < 0 ? "-0x" + Long.toHexString(-value) : "0x" + Long.toHexString(value);
  }

  private void addFixup(Fixup fixup) {
    fixups.add(fixup);
    put(0, fixup.size);
  }

  private void reserve(int count) {
    if (length + count > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(length + count, bytes.length * 2));
    }
  }
}
