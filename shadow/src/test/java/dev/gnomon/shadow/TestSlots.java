package dev.gnomon.shadow;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.SlotMap;
import java.util.Arrays;
import java.util.Random;

/**
 * Guest-physical memory of the tests: 8 MiB of RAM from 0, a read-only slot of 2 MiB after it, nothing else. The
 * backing is in 2M-aligned pieces, or in scattered 4-KiB frames.
 */
final class TestSlots implements SlotMap {
  static final long RAM_BYTES = 8L << 20;
  static final long READ_ONLY_BYTES = 2L << 20;
  static final long BYTES = RAM_BYTES + READ_ONLY_BYTES;

  int generation = 1;
  private final boolean large;
  private final int[] hostFrame = new int[(int) (BYTES >> 12)];
  private final boolean[] touched = new boolean[hostFrame.length];
  private final boolean[] removed = new boolean[hostFrame.length];

  TestSlots(boolean large, Random random) {
    this.large = large;
    for (int i = 0; i < hostFrame.length; i++) {
      hostFrame[i] = i;
    }
    if (large) {
      Arrays.fill(touched, true);
      int piece = 512;
      for (int i = 0; i < hostFrame.length; i++) {
        hostFrame[i] = (hostFrame.length / piece - 1 - i / piece) * piece + i % piece;
      }
    } else {
      for (int i = hostFrame.length - 1; i > 0; i--) {
        int j = random.nextInt(i + 1);
        int swap = hostFrame[i];
        hostFrame[i] = hostFrame[j];
        hostFrame[j] = swap;
      }
    }
  }

  void remove(long gfn) {
    removed[(int) gfn] = true;
    generation++;
  }

  void restore(long gfn) {
    removed[(int) gfn] = false;
    generation++;
  }

  @Override
  public int kind(long gpa) {
    if (gpa < 0 || gpa >= BYTES || removed[(int) (gpa >> 12)]) {
      return NONE;
    }
    return gpa < RAM_BYTES ? RAM : READ_ONLY;
  }

  @Override
  public long back(long gpa) {
    if (kind(gpa) == NONE) {
      return -1;
    }
    touched[(int) (gpa >> 12)] = true;
    return HostMemory.VM_DRAM_BASE + ((long) hostFrame[(int) (gpa >> 12)] << 12) + (gpa & 0xFFF);
  }

  @Override
  public long backing(long gpa) {
    return kind(gpa) == NONE || !touched[(int) (gpa >> 12)] ? -1 : back(gpa);
  }

  @Override
  public int mappingShift(long gpa) {
    if (!large || kind(gpa) == NONE) {
      return 12;
    }
    int first = (int) (gpa >> 21) << 9;
    for (int i = first; i < first + 512; i++) {
      if (removed[i]) {
        return 12;
      }
    }
    return 21;
  }

  @Override
  public int generation() {
    return generation;
  }

  long gpa(long hpa) {
    int frame = (int) (hpa - HostMemory.VM_DRAM_BASE >> 12);
    for (int i = 0; i < hostFrame.length; i++) {
      if (hostFrame[i] == frame) {
        return ((long) i << 12) + (hpa & 0xFFF);
      }
    }
    throw new IllegalArgumentException("no guest frame at 0x" + Long.toHexString(hpa));
  }
}
