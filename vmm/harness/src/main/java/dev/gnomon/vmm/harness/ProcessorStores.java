package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.HostMemory;
import java.util.Arrays;

/**
 * The store buffer of one processor of a real guest: its stores that others do not see yet, oldest first. They are laid
 * over memory while the processor runs, so that its own loads, walks and fetches find them, and taken off again before
 * anybody else looks.
 */
final class ProcessorStores {
  /** A store that crosses a cache line becomes visible in pieces (SDM vol. 3A, "Guaranteed Atomic Operations"). */
  private static final int CACHE_LINE = 64;

  private final HostMemory memory;
  /** Told of bytes that change below decoded code. */
  private final HostMemory.WriteListener code;
  private final int depth;
  private int[] offsets;
  private int[] sizes;
  private long[] values;
  /** What memory held below each store. */
  private long[] before;
  private int count;
  /** Stores of instructions that are done, whose values are known. */
  private int done;
  private boolean laid;

  /** @param depth stores that wait at most once an instruction is done */
  ProcessorStores(HostMemory memory, HostMemory.WriteListener code, int depth) {
    this.memory = memory;
    this.code = code;
    this.depth = depth;
    this.offsets = new int[depth];
    this.sizes = new int[depth];
    this.values = new long[depth];
    this.before = new long[depth];
  }

  int count() {
    return count;
  }

  boolean isOverfull() {
    return count > depth;
  }

  /** Offset in host memory of the oldest store, the next to become visible. */
  int headOffset() {
    return offsets[0];
  }

  int headSize() {
    return sizes[0];
  }

  /** What it makes of them. */
  long headValue() {
    return values[0];
  }

  /** What everybody else sees there. */
  long headOld() {
    return laid ? before[0] : memory.load(offsets[0], sizes[0]);
  }

  /** A reset: the stores are gone, and memory is somebody else's business. */
  void forget() {
    count = 0;
    done = 0;
    laid = false;
  }

  private void put(int offset, int size, long value) {
    if ((memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) & HostMemory.FRAME_CODE) != 0) {
      code.beforeWrite(offset, size);
    }
    memory.store(offset, size, value);
  }

  /** The processor is about to run. */
  void layOver() {
    laid = true;
    for (int i = 0; i < count; i++) {
      before[i] = memory.load(offsets[i], sizes[i]);
      put(offsets[i], sizes[i], values[i]);
    }
  }

  /** Memory is as all others see it again. */
  void takeOff() {
    laid = false;
    for (int i = count - 1; i >= 0; i--) {
      put(offsets[i], sizes[i], before[i]);
    }
  }

  /** The instruction that runs is about to store. */
  void push(int offset, int size) {
    for (int at = 0; at < size; ) {
      int toLineEnd = CACHE_LINE - (offset + at & CACHE_LINE - 1);
      int piece = Integer.highestOneBit(Math.min(Math.min(size - at, Long.BYTES), toLineEnd));
      if (!isPushed(offset + at, piece)) {
        pushPiece(offset + at, piece);
      }
      at += piece;
    }
  }

  /** An instruction that begins anew announces its stores again. */
  private boolean isPushed(int offset, int size) {
    for (int i = done; i < count; i++) {
      if (offsets[i] == offset && sizes[i] == size) {
        return true;
      }
    }
    return false;
  }

  private void pushPiece(int offset, int size) {
    if (count == offsets.length) {
      offsets = Arrays.copyOf(offsets, 2 * count);
      sizes = Arrays.copyOf(sizes, 2 * count);
      values = Arrays.copyOf(values, 2 * count);
      before = Arrays.copyOf(before, 2 * count);
    }
    offsets[count] = offset;
    sizes[count] = size;
    before[count++] = memory.load(offset, size);
  }

  /** The instruction is done, its stores are in memory. */
  void instructionDone() {
    for (; done < count; done++) {
      values[done] = memory.load(offsets[done], sizes[done]);
    }
  }

  /** The oldest store becomes visible. */
  void pop() {
    if (!laid) {
      put(offsets[0], sizes[0], values[0]);
    }
    count--;
    done--;
    System.arraycopy(offsets, 1, offsets, 0, count);
    System.arraycopy(sizes, 1, sizes, 0, count);
    System.arraycopy(values, 1, values, 0, count);
    System.arraycopy(before, 1, before, 0, count);
  }
}
