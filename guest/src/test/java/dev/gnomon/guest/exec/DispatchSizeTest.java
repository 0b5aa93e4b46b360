package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import org.junit.jupiter.api.Test;
import org.objectweb.asm.ClassReader;

/**
 * Holds the size of the interpreter's dispatch method. HotSpot compiles no method of more than 8,000 bytecodes, and
 * stops inlining into one that grows past
 * that by what it has inlined: a dispatch method that is too large runs 15 to 25 times slower.
 */
class DispatchSizeTest {
  private static final int LIMIT = 2500;
  // Sizes in a class file (JVM specification, "The class File Format").
  private static final int MEMBER_HEADER = 6;
  private static final int ATTRIBUTE_HEADER = 6;
  private static final int CODE_LENGTH = ATTRIBUTE_HEADER + 4;

  @Test
  void shouldKeepDispatchMethodSmall() throws IOException {
    assertThat(codeSize(Interpreter.class, "execute")).isPositive().isLessThan(LIMIT);
  }

  /** Bytes of code of the only method of that name. */
  private static int codeSize(Class<?> type, String name) throws IOException {
    ClassReader reader;
    try (InputStream file = type.getResourceAsStream(type.getSimpleName() + ".class")) {
      reader = new ClassReader(file);
    }
    char[] buffer = new char[reader.getMaxStringLength()];
    // Behind access flags, this and super class come the interfaces, then fields, then methods.
    int at = reader.header + 6;
    at += 2 + 2 * reader.readUnsignedShort(at);
    int size = 0;
    for (int table = 0; table < 2; table++) {
      int members = reader.readUnsignedShort(at);
      at += 2;
      for (int member = 0; member < members; member++) {
        boolean wanted = table == 1 && name.equals(reader.readUTF8(at + 2, buffer));
        int attributes = reader.readUnsignedShort(at + MEMBER_HEADER);
        at += MEMBER_HEADER + 2;
        for (int attribute = 0; attribute < attributes; attribute++) {
          if (wanted && "Code".equals(reader.readUTF8(at, buffer))) {
            size = reader.readInt(at + CODE_LENGTH);
          }
          at += ATTRIBUTE_HEADER + reader.readInt(at + 2);
        }
      }
    }
    return size;
  }
}
