package dev.gnomon.guest.mmu;

import java.util.Arrays;
import java.util.List;

/**
 * The second model of the permission rule: the table of SDM vol. 3A, "Determination of Access Rights", looked up row by
 * row. 0 and 1 must match, a dash matches both; exactly one row matches each combination.
 */
final class PermissionTable {
  static final String TABLE = """
      mode access us rw nx wp smep smap ac implicit allowed
      U    R      0  -  -  -  -    -    -  -        0
      U    R      1  -  -  -  -    -    -  -        1
      U    W      0  -  -  -  -    -    -  -        0
      U    W      1  0  -  -  -    -    -  -        0
      U    W      1  1  -  -  -    -    -  -        1
      U    F      0  -  -  -  -    -    -  -        0
      U    F      1  -  0  -  -    -    -  -        1
      U    F      1  -  1  -  -    -    -  -        0
      S    R      0  -  -  -  -    -    -  -        1
      S    R      1  -  -  -  -    0    -  -        1
      S    R      1  -  -  -  -    1    0  -        0
      S    R      1  -  -  -  -    1    1  0        1
      S    R      1  -  -  -  -    1    1  1        0
      S    W      0  1  -  -  -    -    -  -        1
      S    W      0  0  -  0  -    -    -  -        1
      S    W      0  0  -  1  -    -    -  -        0
      S    W      1  1  -  -  -    0    -  -        1
      S    W      1  1  -  -  -    1    0  -        0
      S    W      1  1  -  -  -    1    1  0        1
      S    W      1  1  -  -  -    1    1  1        0
      S    W      1  0  -  0  -    0    -  -        1
      S    W      1  0  -  0  -    1    0  -        0
      S    W      1  0  -  0  -    1    1  0        1
      S    W      1  0  -  0  -    1    1  1        0
      S    W      1  0  -  1  -    -    -  -        0
      S    F      0  -  0  -  -    -    -  -        1
      S    F      0  -  1  -  -    -    -  -        0
      S    F      1  -  -  -  1    -    -  -        0
      S    F      1  -  0  -  0    -    -  -        1
      S    F      1  -  1  -  0    -    -  -        0
      """;
  private static final List<String[]> ROWS = TABLE.lines().skip(1).map(line -> line.trim().split(" +")).toList();

  private PermissionTable() {}

  static boolean allowed(int access, boolean us, boolean rw, boolean nx, PagingContext c) {
    String[] wanted = {(access & Access.USER) != 0 ? "U" : "S",
        (access & Access.FETCH) != 0 ? "F" : (access & Access.WRITE) != 0 ? "W" : "R",
        bit(us), bit(rw), bit(nx), bit(c.wp), bit(c.smep), bit(c.smap),
        bit((access & Access.SMAP_OVERRIDE) != 0), bit((access & Access.IMPLICIT) != 0)};
    List<String[]> found = ROWS.stream().filter(row -> matches(row, wanted)).toList();
    if (found.size() != 1) {
      throw new AssertionError(found.size() + " rows match " + Arrays.toString(wanted));
    }
    return found.get(0)[wanted.length].equals("1");
  }

  private static boolean matches(String[] row, String[] wanted) {
    for (int i = 0; i < wanted.length; i++) {
      if (!row[i].equals("-") && !row[i].equals(wanted[i])) {
        return false;
      }
    }
    return true;
  }

  private static String bit(boolean value) {
    return value ? "1" : "0";
  }

  /** Each kind of access that a processor makes: user and supervisor, read, write and fetch, AC, implicit. */
  static int[] accesses() {
    return new int[] {
        Access.USER, Access.USER | Access.WRITE, Access.USER | Access.FETCH,
        0, Access.WRITE, Access.FETCH,
        Access.SMAP_OVERRIDE, Access.SMAP_OVERRIDE | Access.WRITE,
        Access.IMPLICIT, Access.IMPLICIT | Access.WRITE,
        Access.IMPLICIT | Access.SMAP_OVERRIDE, Access.IMPLICIT | Access.SMAP_OVERRIDE | Access.WRITE};
  }
}
