package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.InstructionDecoder;
import dev.gnomon.guest.decode.MicroOp;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.SoftTlb;
import java.util.Arrays;

/**
 * Finds the block at an instruction pointer: instruction fetch with its translation and limit check, a small cache by
 * linear address before it.
 */
final class BlockFinder {
  private static final int SIZE = 1 << 12;
  /** More than the reach of a direct branch from any instruction of a block. */
  private static final long BRANCH_REACH = (1L << 31) + 2 * HostMemory.FRAME_SIZE;

  private final Cpu cpu;
  private final Mmu mmu;
  private final HostMemory memory;
  private final CodeCache cache;
  private final LinearMemory linear;
  private final @Gva long[] linears = new long[SIZE];
  /** Fetch generation and mode under which the entry holds. */
  private final long[] tags = new long[SIZE];
  private final int[] blocks = new int[SIZE];
  private final byte[] gathered = new byte[InstructionDecoder.MAX_LENGTH];

  BlockFinder(Cpu cpu, CodeCache cache, LinearMemory linear) {
    this.cpu = cpu;
    this.mmu = cpu.mmu;
    this.memory = cpu.memory;
    this.cache = cache;
    this.linear = linear;
    Arrays.fill(tags, -1);
  }

  /**
   * Finds or decodes the block at an instruction pointer of the current code segment.
   *
   * @param variant 0 or {@link CodeCache#SINGLE}
   * @return its index, or a negative status: the fetch faulted or left the guest
   */
  int find(long rip, int variant) {
    int mode = cpu.codeMode | variant;
    @Gva long gva = cpu.code64() ? rip : rip + cpu.base[Segments.CS] & 0xFFFF_FFFFL;
    int slot = (int) (gva ^ gva >>> 12) & SIZE - 1;
    if (linears[slot] == gva && tags[slot] == ((long) mmu.fetchGeneration << 32 | mode)) {
      int block = blocks[slot];
      cache.enter(block);
      return block;
    }
    return fetch(rip, gva, mode, slot);
  }

  /** The block at an instruction pointer if it is remembered, else 0. */
  int cached(long rip) {
    @Gva long gva = cpu.code64() ? rip : rip + cpu.base[Segments.CS] & 0xFFFF_FFFFL;
    int slot = (int) (gva ^ gva >>> 12) & SIZE - 1;
    return linears[slot] == gva && tags[slot] == ((long) mmu.fetchGeneration << 32 | cpu.codeMode) ? blocks[slot] : 0;
  }

  /** Where a near jump leads: an instruction pointer as wide as the code segment has it. */
  long truncate(long rip) {
    return cpu.code64() ? rip : rip & ((cpu.codeMode & Cpu.MODE_32) != 0 ? 0xFFFF_FFFFL : 0xFFFFL);
  }

  private int fetch(long rip, @Gva long gva, int mode, int slot) {
    if (cpu.code64()) {
      if (!cpu.canonical(rip)) {
        return cpu.fault(Vector.GP);
      }
    } else if (rip > cpu.limit[Segments.CS]) {
      return cpu.fault(Vector.GP);
    }
    if (cache.full()) {
      cache.flush();
    }
    int offset = fetchOffset(gva);
    if (offset < -1) {
      return offset + 1;
    }
    int variant = nearEdge(gva) ? mode | CodeCache.EDGE : mode;
    int block = offset < 0 ? -1 : cache.find(offset, variant);
    if (block < 0) {
      block = gather(gva, offset, variant);
      if (block < 0) {
        return block;
      }
    } else {
      linears[slot] = gva;
      tags[slot] = (long) mmu.fetchGeneration << 32 | mode;
      blocks[slot] = block;
    }
    if ((mode & Cpu.MODE_FLAT_CODE) == 0 && rip + cache.code[block + MicroOp.H_LENGTH] - 1 > cpu.limit[Segments.CS]) {
      tags[slot] = -1;
      return cpu.fault(Vector.GP);
    }
    cache.enter(block);
    linear.codeChanged = false;
    return block;
  }

  /** Whether a direct branch of the code there can leave its canonical half. */
  private boolean nearEdge(@Gva long gva) {
    return cpu.code64() && !(cpu.canonical(gva + BRANCH_REACH) && cpu.canonical(gva - BRANCH_REACH));
  }

  /** Offset in host memory of a code byte, −1 if it is not in memory, or a status minus one. */
  private int fetchOffset(@Gva long gva) {
    int offset = SoftTlb.probe(mmu.fetch.entries, gva, 0, SoftTlb.DENY_LOAD);
    if (offset >= 0) {
      return offset;
    }
    long hpa = mmu.translate(gva, Access.FETCH | cpu.mmu.dataAccess & Access.USER);
    return hpa < 0 ? linear.failed(hpa) - 1 : memory.offset(hpa);
  }

  /**
   * Decodes one instruction that crosses into the next page, or that does not come from memory (absent memory reads all
   * ones).
   */
  private int gather(@Gva long gva, int offset, int mode) {
    int first = Math.min(InstructionDecoder.MAX_LENGTH,
        HostMemory.FRAME_SIZE - ((int) gva & HostMemory.FRAME_SIZE - 1));
    read(offset, 0, first);
    if (first < InstructionDecoder.MAX_LENGTH) {
      @Gva long next = gva + first;
      if (cpu.code64() && !cpu.canonical(next)) {
        return cpu.fault(Vector.GP);
      }
      int second = fetchOffset(cpu.code64() ? next : next & 0xFFFF_FFFFL);
      if (second < -1) {
        return second + 1;
      }
      read(second, first, InstructionDecoder.MAX_LENGTH - first);
    }
    return cache.scratch(gathered, InstructionDecoder.MAX_LENGTH, offset, mode);
  }

  private void read(int offset, int at, int length) {
    if (offset < 0) {
      Arrays.fill(gathered, at, at + length, (byte) 0xFF);
    } else {
      memory.readBytes(memory.hpa(offset), gathered, at, length);
    }
  }
}
