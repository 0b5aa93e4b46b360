package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Guest memory while an image is loaded: knows what is taken, refuses what lies outside RAM or on top of something
 * else, and finds room for what may go anywhere. Nothing is placed in the first page, where the interrupt vectors and
 * BIOS data of real mode lie.
 */
public final class BootMemory {
  /** Limit for what 32-bit code must reach. */
  public static final @Gpa long LIMIT_4G = 1L << 32;
  private static final @Gpa long FIRST = 0x1000;

  private record Range(@Gpa long start, @Gpa long end, String what) {}

  private final GuestPhysicalMemory memory;
  private final E820 map;
  private final @Gpa long rsdp;
  private final List<Range> taken = new ArrayList<>();

  /** Memory of a machine without ACPI. */
  public BootMemory(GuestPhysicalMemory memory, E820 map) {
    this(memory, map, 0);
  }

  /** @param rsdp address of the ACPI root pointer, 0 if there is none */
  public BootMemory(GuestPhysicalMemory memory, E820 map, @Gpa long rsdp) {
    this.memory = memory;
    this.map = map;
    this.rsdp = rsdp;
  }

  /** Address of the ACPI root pointer, 0 if there is none. */
  @Gpa long rsdp() {
    return rsdp;
  }

  /** The memory map that the guest is told. */
  E820 map() {
    return map;
  }

  /** Takes a fixed range for an image. @throws ImageException if it is not all RAM or part of it is taken */
  void claim(String file, @Gpa long start, long length, String what) {
    if (length == 0) {
      return;
    }
    require(file, start, length, what);
    Range other = overlapping(start, start + length);
    if (other != null) {
      throw new ImageException(file,
          what + " at 0x" + Long.toHexString(start) + " of " + length + " bytes overlaps " + other.what
          + " at 0x" + Long.toHexString(other.start));
    }
    taken.add(new Range(start, start + length, what));
  }

  /** Checks that a fixed range is all RAM; the message says how much memory would do. */
  void require(String file, @Gpa long start, long length, String what) {
    if (map.isRam(start, length)) {
      return;
    }
    @Gpa long end = start + length;
    boolean moreHelps = start >= MemoryLayout.HIGH_START && end > start && end <= HostMemory.MAX_BYTES;
    throw new ImageException(file,
        what + " at 0x" + Long.toHexString(start) + " of " + length + " bytes: expected it within RAM ("
        + ramRanges() + ")" + (moreHelps ? "; " + mebibytes(Addresses.bits(end)) + " MiB of memory would do" : ""));
  }

  private static long mebibytes(long bytes) {
    return bytes + (1 << 20) - 1 >> 20;
  }

  /** Takes the lowest free range at or above {@code from} and below {@code limit}. */
  @Gpa long placeLow(String file, long length, long alignment, @Gpa long from, @Gpa long limit, String what) {
    for (E820.Entry entry : map.entries()) {
      if (entry.type() != E820.TYPE_RAM) {
        continue;
      }
      @Gpa long at = alignUp(Math.max(Math.max(entry.base(), FIRST), from), alignment);
      @Gpa long top = Math.min(entry.end(), limit);
      while (at <= top && length <= top - at) {
        Range other = overlapping(at, at + Math.max(length, 1));
        if (other == null) {
          taken.add(new Range(at, at + length, what));
          return at;
        }
        at = alignUp(other.end, alignment);
      }
    }
    throw noRoom(file, length, limit, what);
  }

  /** Takes the lowest free range below {@code limit}. */
  @Gpa long placeLow(String file, long length, long alignment, @Gpa long limit, String what) {
    return placeLow(file, length, alignment, FIRST, limit, what);
  }

  /** Takes the highest free range below {@code limit}. */
  @Gpa long placeHigh(String file, long length, long alignment, @Gpa long limit, String what) {
    for (int i = map.entries().size() - 1; i >= 0; i--) {
      E820.Entry entry = map.entries().get(i);
      if (entry.type() != E820.TYPE_RAM) {
        continue;
      }
      @Gpa long bottom = Math.max(entry.base(), FIRST);
      @Gpa long at = Math.min(entry.end(), limit) - length & -alignment;
      while (at >= bottom) {
        Range other = overlapping(at, at + Math.max(length, 1));
        if (other == null) {
          taken.add(new Range(at, at + length, what));
          return at;
        }
        at = other.start - length & -alignment;
      }
    }
    throw noRoom(file, length, limit, what);
  }

  private ImageException noRoom(String file, long length, @Gpa long limit, String what) {
    return new ImageException(file,
        what + " of " + length + " bytes: no room below 0x" + Long.toHexString(limit) + " in RAM ("
        + ramRanges() + "); the largest free range has " + largestFree(limit) + " bytes");
  }

  private long largestFree(@Gpa long limit) {
    long largest = 0;
    for (E820.Entry entry : map.entries()) {
      @Gpa long end = Math.min(entry.end(), limit);
      @Gpa long at = Math.max(entry.base(), FIRST);
      while (entry.type() == E820.TYPE_RAM && at < end) {
        Range next = nextTaken(at);
        largest = Math.max(largest, Addresses.bits((next == null ? end : Math.min(next.start, end)) - at));
        at = next == null ? end : Math.max(next.end, at + 1);
      }
    }
    return largest;
  }

  /** The first taken range that ends behind an address, null if there is none. */
  private Range nextTaken(@Gpa long from) {
    Range next = null;
    for (Range range : taken) {
      if (range.end > from && (next == null || range.start < next.start)) {
        next = range;
      }
    }
    return next;
  }

  private static @Gpa long alignUp(@Gpa long value, long alignment) {
    return (value + alignment - 1) & -alignment;
  }

  private Range overlapping(@Gpa long start, @Gpa long end) {
    for (Range range : taken) {
      if (start < range.end && range.start < end) {
        return range;
      }
    }
    return null;
  }

  private String ramRanges() {
    StringBuilder text = new StringBuilder();
    for (E820.Entry entry : map.entries()) {
      if (entry.type() == E820.TYPE_RAM) {
        text.append(text.isEmpty() ? "" : ", ").append("0x").append(Long.toHexString(entry.base())).append("-0x")
            .append(Long.toHexString(entry.end() - 1));
      }
    }
    return text.toString();
  }

  void write(@Gpa long gpa, byte[] bytes) {
    memory.write(gpa, bytes);
  }

  void write(@Gpa long gpa, byte[] bytes, long from, long length) {
    memory.write(gpa, bytes, (int) from, (int) length);
  }

  void zero(@Gpa long gpa, long length) {
    memory.zero(gpa, length);
  }
}
