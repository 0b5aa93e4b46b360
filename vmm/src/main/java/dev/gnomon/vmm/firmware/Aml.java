package dev.gnomon.vmm.firmware;

/**
 * Writes the few constructs of the ACPI Machine Language that a description of a machine without power states needs
 * (ACPI specification 6, "ACPI Machine Language (AML) Specification"). Each method gives the encoding of one term;
 * terms nest as arguments. Names are segments of four characters, shorter ones padded with underscores, separated by
 * dots.
 */
final class Aml {
  private static final int ZERO_OP = 0x00;
  private static final int ONE_OP = 0x01;
  private static final int NAME_OP = 0x08;
  private static final int BYTE_PREFIX = 0x0A;
  private static final int WORD_PREFIX = 0x0B;
  private static final int DWORD_PREFIX = 0x0C;
  private static final int QWORD_PREFIX = 0x0E;
  private static final int STRING_PREFIX = 0x0D;
  private static final int SCOPE_OP = 0x10;
  private static final int BUFFER_OP = 0x11;
  private static final int PACKAGE_OP = 0x12;
  private static final int METHOD_OP = 0x14;
  private static final int DUAL_NAME_PREFIX = 0x2E;
  private static final int MULTI_NAME_PREFIX = 0x2F;
  private static final int EXT_PREFIX = 0x5B;
  private static final int ARG0_OP = 0x68;
  private static final int STORE_OP = 0x70;
  private static final int DEVICE_OP = 0x82;
  private static final int IF_OP = 0xA0;
  private static final int RETURN_OP = 0xA4;
  private static final int SEGMENT = 4;
  /** Lengths below fit into a PkgLength of one byte, and so on. */
  private static final int LENGTH_1 = 1 << 6;
  private static final int LENGTH_2 = 1 << 12;
  private static final int LENGTH_3 = 1 << 20;

  private Aml() {}

  /** The method's first argument. */
  static byte[] argument0() {
    return new byte[] {ARG0_OP};
  }

  static byte[] join(byte[]... terms) {
    TableBytes out = new TableBytes();
    for (byte[] term : terms) {
      out.bytes(term);
    }
    return out.toArray();
  }

  private static byte[] op(int op, byte[]... terms) {
    return new TableBytes().u8(op).bytes(join(terms)).toArray();
  }

  /** An operator whose terms are preceded by their length. */
  private static byte[] sized(int op, byte[]... terms) {
    byte[] body = join(terms);
    return op(op, packageLength(body.length), body);
  }

  /** PkgLength, which counts itself. */
  private static byte[] packageLength(int body) {
    TableBytes out = new TableBytes();
    if (body + 1 < LENGTH_1) {
      return out.u8(body + 1).toArray();
    }
    int more = body + 2 < LENGTH_2 ? 1 : body + 3 < LENGTH_3 ? 2 : 3;
    int length = body + 1 + more;
    return out.u8(more << 6 | length & 0xF).value(more, length >> 4).toArray();
  }

  /** A path; one that begins with a backslash starts at the root. */
  static byte[] path(String text) {
    TableBytes out = new TableBytes();
    String rest = text;
    if (rest.startsWith("\\")) {
      out.text("\\");
      rest = rest.substring(1);
    }
    if (rest.isEmpty()) {
      return out.u8(0).toArray();
    }
    String[] segments = rest.split("\\.");
    if (segments.length == 2) {
      out.u8(DUAL_NAME_PREFIX);
    } else if (segments.length > 2) {
      out.u8(MULTI_NAME_PREFIX).u8(segments.length);
    }
    for (String segment : segments) {
      out.text(segment, SEGMENT, '_');
    }
    return out.toArray();
  }

  static byte[] integer(long value) {
    if (value == 0 || value == 1) {
      return new byte[] {(byte) (value == 0 ? ZERO_OP : ONE_OP)};
    }
    TableBytes out = new TableBytes();
    if (value >>> 8 == 0) {
      return out.u8(BYTE_PREFIX).u8(value).toArray();
    }
    if (value >>> 16 == 0) {
      return out.u8(WORD_PREFIX).u16(value).toArray();
    }
    return value >>> 32 == 0 ? out.u8(DWORD_PREFIX).u32(value).toArray() : out.u8(QWORD_PREFIX).u64(value).toArray();
  }

  static byte[] string(String text) {
    return new TableBytes().u8(STRING_PREFIX).text(text).u8(0).toArray();
  }

  static byte[] buffer(byte[] bytes) {
    return sized(BUFFER_OP, integer(bytes.length), bytes);
  }

  /** A package. @param elements at most 255 */
  static byte[] packageOf(byte[]... elements) {
    return sized(PACKAGE_OP, new byte[] {(byte) elements.length}, join(elements));
  }

  static byte[] name(String name, byte[] value) {
    return op(NAME_OP, path(name), value);
  }

  static byte[] scope(String name, byte[]... terms) {
    return sized(SCOPE_OP, path(name), join(terms));
  }

  static byte[] device(String name, byte[]... terms) {
    return join(new byte[] {EXT_PREFIX}, sized(DEVICE_OP, path(name), join(terms)));
  }

  /** A method that is not serialized. */
  static byte[] method(String name, int arguments, byte[]... terms) {
    return sized(METHOD_OP, path(name), new byte[] {(byte) arguments}, join(terms));
  }

  static byte[] ifTrue(byte[] condition, byte[]... terms) {
    return sized(IF_OP, condition, join(terms));
  }

  static byte[] store(byte[] value, byte[] target) {
    return op(STORE_OP, value, target);
  }

  static byte[] returnValue(byte[] value) {
    return op(RETURN_OP, value);
  }

  /**
   * A compressed EISA identifier such as {@code PNP0A03}: three letters of five bits, four hexadecimal digits, highest
   * byte first.
   */
  static byte[] eisaId(String id) {
    int letters = 0;
    for (int i = 0; i < 3; i++) {
      letters = letters << 5 | id.charAt(i) - 0x40;
    }
    int value = letters << 16 | Integer.parseInt(id.substring(3), 16);
    return new TableBytes().u8(DWORD_PREFIX).u32(Integer.reverseBytes(value)).toArray();
  }
}
