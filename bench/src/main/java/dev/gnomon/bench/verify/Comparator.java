package dev.gnomon.bench.verify;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.RunResult;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Compares two machines at one instruction count, by what their guests can see. */
final class Comparator {
  private static final int PAGE = HostMemory.FRAME_SIZE;
  private static final long ACCESSED_DIRTY = PageTableEntry.A | PageTableEntry.D;
  private static final int MAX_MEMORY_DIFFERENCES = 20;
  private static final int SHOWN_OUTPUT = 40;

  /** One thing that differs. */
  record Difference(String what, String left, String right) {}

  /** An entry of the guest's tables of which only A or D differ. @param instructions when that was first seen */
  record AccessedDirty(@Gpa long gpa, long left, long right, String machine, long instructions) {}

  private final boolean strict;
  private final Map<Long, AccessedDirty> apart = new LinkedHashMap<>();

  /** @param strict whether A and D of the guest's tables differing is a difference like any other */
  Comparator(boolean strict) {
    this.strict = strict;
  }

  /** What was reported apart, in the order of its discovery. */
  List<AccessedDirty> apart() {
    return List.copyOf(apart.values());
  }

  /** Whether anything differs; as {@link #differences}, but ends at the first. */
  boolean differ(Machine left, Machine right) {
    return !differences(left, right, 1).isEmpty();
  }

  List<Difference> differences(Machine left, Machine right) {
    return differences(left, right, Integer.MAX_VALUE);
  }

  private List<Difference> differences(Machine left, Machine right, int enough) {
    List<Difference> found = new ArrayList<>();
    end(left, right, found);
    registers(left, right, found);
    output(left, right, found);
    if (found.size() < enough) {
      memory(left, right, found, enough);
    }
    if (found.size() < enough) {
      List<String> leftScreen = left.vm.platform().screen().screenText();
      List<String> rightScreen = right.vm.platform().screen().screenText();
      if (!leftScreen.equals(rightScreen)) {
        found.add(new Difference("VGA screen", String.join("|", leftScreen).strip(),
            String.join("|", rightScreen).strip()));
      }
    }
    return found;
  }

  private static void end(Machine left, Machine right, List<Difference> found) {
    RunResult a = left.result();
    RunResult b = right.result();
    if (a != null && b != null && (a.end() != b.end() || a.status() != b.status())) {
      found.add(new Difference("end", a.end() + " " + a.detail(), b.end() + " " + b.detail()));
    }
  }

  private static void registers(Machine left, Machine right, List<Difference> found) {
    for (int i = 0; i < left.vm.vcpus().size(); i++) {
      String prefix = left.vm.vcpus().size() == 1 ? "" : "vcpu" + i + " ";
      Map<String, Long> b = Registers.of(right.vm.vcpus().get(i).cpu());
      Registers.of(left.vm.vcpus().get(i).cpu()).forEach((name, value) -> {
        if (!value.equals(b.get(name))) {
          found.add(new Difference(prefix + name, "0x" + Long.toHexString(value),
              "0x" + Long.toHexString(b.get(name))));
        }
      });
    }
  }

  private static void output(Machine left, Machine right, List<Difference> found) {
    if (left.outputSize() == right.outputSize() && left.outputTimes() == right.outputTimes()) {
      return;
    }
    byte[] a = left.output();
    byte[] b = right.output();
    int at = Arrays.mismatch(a, b);
    found.add(at < 0 ? new Difference("console output", "the same bytes", "at other instructions")
        : new Difference("console output from byte " + at, shown(a, at), shown(b, at)));
  }

  private static String shown(byte[] output, int from) {
    int length = Math.min(SHOWN_OUTPUT, output.length - from);
    return '"' + new String(output, Math.min(from, output.length), Math.max(0, length), StandardCharsets.ISO_8859_1)
        .replace("\n", "\\n").replace("\r", "\\r") + '"';
  }

  private void memory(Machine left, Machine right, List<Difference> found, int enough) {
    int[] a = left.sums();
    int[] b = right.sums();
    int from = 0;
    while (found.size() < enough) {
      int page = Arrays.mismatch(a, from, a.length, b, from, b.length);
      if (page < 0) {
        return;
      }
      page(left, right, left.address(from + page), found);
      from += page + 1;
    }
  }

  private void page(Machine left, Machine right, @Gpa long page, List<Difference> found) {
    int entry = left.vm.cpu().longMode() || (left.vm.cpu().cr4 & ControlRegister.CR4_PAE) != 0 ? 8 : 4;
    List<Difference> here = new ArrayList<>();
    List<AccessedDirty> flags = new ArrayList<>();
    for (@Gpa long gpa = page; gpa < page + PAGE; gpa += entry) {
      long a = left.vm.guestMemory().read(gpa, entry);
      long b = right.vm.guestMemory().read(gpa, entry);
      if (a == b) {
        continue;
      }
      if ((a & b & PageTableEntry.P) != 0 && ((a ^ b) & ~ACCESSED_DIRTY) == 0) {
        flags.add(new AccessedDirty(gpa, a, b, right.plan.name(), left.retired()));
      } else {
        here.add(new Difference("memory at gpa 0x" + Long.toHexString(gpa), hex(a, entry), hex(b, entry)));
      }
    }
    if (here.isEmpty() && !strict && looksLikeTable(left, page, entry)) {
      flags.forEach(flag -> apart.putIfAbsent(Addresses.bits(flag.gpa()), flag));
      return;
    }
    for (AccessedDirty flag : flags) {
      here.add(new Difference("A/D at gpa 0x" + Long.toHexString(flag.gpa()), hex(flag.left(), entry),
          hex(flag.right(), entry)));
    }
    found.addAll(here.subList(0, Math.min(here.size(), MAX_MEMORY_DIFFERENCES)));
  }

  /**
   * Whether each present entry of a page could be one of a table: no address beyond memory, none of the reserved bits.
   */
  private static boolean looksLikeTable(Machine machine, @Gpa long page, int entry) {
    long reserved = entry == 4 ? 0 : (1L << 52) - (1L << HostMemory.MAXPHYADDR);
    for (@Gpa long gpa = page; gpa < page + PAGE; gpa += entry) {
      long value = machine.vm.guestMemory().read(gpa, entry);
      if ((value & PageTableEntry.P) != 0 && (value & reserved) != 0) {
        return false;
      }
    }
    return true;
  }

  private static String hex(long value, int size) {
    return String.format("0x%0" + 2 * size + "x", value);
  }
}
