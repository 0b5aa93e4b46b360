package dev.gnomon.guest.decode;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Mmu;
import java.util.Arrays;

/**
 * Decoded blocks, keyed by where their bytes lie in host memory and by the mode they were decoded for, so that aliases
 * and address spaces share them. A write to bytes that were decoded drops all blocks of the frame: links between blocks
 * stay within one page, hence one frame, so no link survives. The processors of a machine share one, and only one of
 * them runs at a time.
 */
public final class CodeCache implements HostMemory.WriteListener {
  /** Variant bit beside the MODE_* bits: one instruction, nothing fused, for exact stops. */
  public static final int SINGLE = 1 << 8;
  /** Variant bit: 64-bit code from which a direct branch may lead to an address that is not canonical. */
  public static final int EDGE = 1 << 9;
  /** Largest number of instructions in a block. */
  public static final int MAX_BLOCK = 64;

  private static final int ARENA = 1 << 21;
  private static final int TABLE = 1 << 16;
  /** Index of the block that is rebuilt at each use: instructions that cross a page or do not come from memory. */
  private static final int SCRATCH = 8;
  private static final int CHUNK_SHIFT = 6;

  public final long[] code = new long[ARENA];
  private final int[] table = new int[TABLE];
  private final int[] frameBlocks;
  private final long[] frameChunks;
  private final byte[] page = new byte[HostMemory.FRAME_SIZE + InstructionDecoder.MAX_LENGTH];
  private final HostMemory memory;
  /** Of the processors that run the code. */
  private Mmu[] mmus;
  private final BlockBuilder builder;
  private Instruction[] instructions = new Instruction[1024];
  private int instructionCount;
  private int top;
  private final int limit;
  /** Frame of the block that runs, or −1. */
  private int currentFrame = -1;
  /** Number of flushes; block indices hold between two. */
  public int flushes;
  /** A write hit decoded bytes of the frame that runs. */
  public boolean currentChanged;

  /**
   * Creates an empty cache.
   *
   * @param cpuid which instructions exist
   * @param limit most instructions in a block, 1 to {@link #MAX_BLOCK}
   */
  public CodeCache(HostMemory memory, Mmu mmu, Cpuid cpuid, int limit) {
    if (limit < 1 || limit > MAX_BLOCK) {
      throw new IllegalArgumentException("block limit " + limit + ": expected 1 to " + MAX_BLOCK + " instructions");
    }
    this.memory = memory;
    this.mmus = new Mmu[] {mmu};
    this.limit = limit;
    this.frameBlocks = new int[memory.frames()];
    this.frameChunks = new long[memory.frames()];
    this.builder = new BlockBuilder(this, cpuid);
    flush();
  }

  /** Lets another processor, one with the same instructions, run the code too. */
  public void share(Mmu mmu) {
    mmus = Arrays.copyOf(mmus, mmus.length + 1);
    mmus[mmus.length - 1] = mmu;
  }

  /** Code that somebody remembers may be gone. */
  private void forgetFetches() {
    for (Mmu mmu : mmus) {
      mmu.fetchGeneration++;
    }
  }

  /** The instruction that a {@link MicroOp#COMPLEX} names. */
  public Instruction instruction(int number) {
    return instructions[number];
  }

  /** Keeps a copy of an instruction and numbers it. */
  int keep(Instruction insn) {
    if (instructionCount == instructions.length) {
      instructions = Arrays.copyOf(instructions, 2 * instructionCount);
    }
    instructions[instructionCount] = insn.copy();
    return instructionCount++;
  }

  /** Drops everything. */
  public void flush() {
    flushes++;
    Arrays.fill(table, 0);
    for (int frame = 0; frame < frameBlocks.length; frame++) {
      if (frameBlocks[frame] != 0 || (memory.frameFlags(frame) & HostMemory.FRAME_CODE) != 0) {
        frameBlocks[frame] = 0;
        frameChunks[frame] = 0;
        memory.clearFrameFlags(frame, HostMemory.FRAME_CODE);
      }
    }
    Arrays.fill(instructions, 0, instructionCount, null);
    instructionCount = 1;
    top = SCRATCH + BlockBuilder.MAX_LONGS;
    forgetFetches();
  }

  /** Whether the arena must be flushed before a block is looked up. */
  public boolean full() {
    return top + BlockBuilder.MAX_LONGS > ARENA;
  }

  /** Remembers which frame runs, so that writes to it are noticed. */
  public void enter(int block) {
    currentFrame = (int) code[block + MicroOp.H_OFFSET] >> HostMemory.FRAME_SHIFT;
    currentChanged = false;
  }

  /** Nothing runs. */
  public void leave() {
    currentFrame = -1;
    currentChanged = false;
  }

  /**
   * Finds or decodes the block at an offset in host memory.
   *
   * @param mode MODE_* bits, with {@link #SINGLE} or without
   * @return its index, or −1 if the first instruction crosses into the next page
   */
  public int find(int offset, int mode) {
    int slot = hash(offset, mode);
    int block = table[slot];
    if (block != 0 && code[block + MicroOp.H_OFFSET] == offset && code[block + MicroOp.H_MODE] == mode) {
      return block;
    }
    int frame = offset >>> HostMemory.FRAME_SHIFT;
    for (block = frameBlocks[frame]; block != 0; block = (int) code[block + MicroOp.H_CHAIN]) {
      if (code[block + MicroOp.H_OFFSET] == offset && code[block + MicroOp.H_MODE] == mode) {
        table[slot] = block;
        return block;
      }
    }
    return decode(offset, mode, slot);
  }

  private int decode(int offset, int mode, int slot) {
    int frame = offset >>> HostMemory.FRAME_SHIFT;
    int inPage = offset & HostMemory.FRAME_SIZE - 1;
    int most = (mode & SINGLE) != 0 ? 1 : limit;
    int length = Math.min(HostMemory.FRAME_SIZE - inPage, most * InstructionDecoder.MAX_LENGTH);
    memory.readBytes(memory.hpa(offset), page, 0, length);
    int block = top;
    int end = builder.build(block, page, 0, length, mode, most);
    if (end < 0) {
      return -1;
    }
    code[block + MicroOp.H_OFFSET] = offset;
    code[block + MicroOp.H_MODE] = mode;
    code[block + MicroOp.H_CHAIN] = frameBlocks[frame];
    top = end;
    if ((memory.frameFlags(frame) & HostMemory.FRAME_CODE) == 0) {
      memory.setFrameFlags(frame, HostMemory.FRAME_CODE);
      for (Mmu mmu : mmus) {
        mmu.denyStores(frame << HostMemory.FRAME_SHIFT);
      }
    }
    frameBlocks[frame] = block;
    frameChunks[frame] |= chunks(inPage, (int) code[block + MicroOp.H_LENGTH]);
    table[slot] = block;
    return block;
  }

  /**
   * Decodes one instruction from gathered bytes into the scratch block, which lasts until the next call.
   *
   * @param offset where the first byte lies, or −1 if not in memory
   */
  public int scratch(byte[] bytes, int length, int offset, int mode) {
    int kept = instructionCount;
    builder.build(SCRATCH, bytes, 0, length, mode, 1);
    instructionCount = kept;
    code[SCRATCH + MicroOp.H_OFFSET] = offset;
    code[SCRATCH + MicroOp.H_MODE] = mode | SINGLE;
    return SCRATCH;
  }

  /** Displacement from a block's start of where an exit with this second word leads. */
  public int displacement(int block, long exit) {
    return exit < 0 ? (int) (code[(int) exit + MicroOp.H_OFFSET] - code[block + MicroOp.H_OFFSET]) : (int) exit;
  }

  /**
   * Links an exit to the block that it leads to, if the two lie in one page and last.
   *
   * @param at index of the exit
   */
  public void link(int from, int at, int displacement, int to) {
    long offset = code[from + MicroOp.H_OFFSET];
    boolean lasting = from != SCRATCH && to != SCRATCH && code[from + MicroOp.H_MODE] == code[to + MicroOp.H_MODE]
        && (code[from + MicroOp.H_MODE] & SINGLE) == 0;
    if (lasting && offset + displacement == code[to + MicroOp.H_OFFSET]
        && (offset ^ offset + displacement) >>> HostMemory.FRAME_SHIFT == 0) {
      code[at + 1] = MicroOp.LINKED | code[at + 1] >>> 32 << 32 | to;
    }
  }

  @Override
  public void beforeWrite(int offset, int size) {
    int frame = offset >>> HostMemory.FRAME_SHIFT;
    if ((frameChunks[frame] & chunks(offset & HostMemory.FRAME_SIZE - 1, size)) != 0) {
      invalidate(frame);
    }
    // The frame that runs keeps its flag, since it is decoded again at once, and denying stores takes a search of the
    // soft TLBs.
    if (frameBlocks[frame] == 0 && frame != currentFrame) {
      memory.clearFrameFlags(frame, HostMemory.FRAME_CODE);
    }
  }

  private void invalidate(int frame) {
    for (int block = frameBlocks[frame]; block != 0; block = (int) code[block + MicroOp.H_CHAIN]) {
      int slot = hash((int) code[block + MicroOp.H_OFFSET], (int) code[block + MicroOp.H_MODE]);
      if (table[slot] == block) {
        table[slot] = 0;
      }
    }
    frameBlocks[frame] = 0;
    frameChunks[frame] = 0;
    forgetFetches();
    if (frame == currentFrame) {
      currentChanged = true;
    }
  }

  private static long chunks(int inPage, int length) {
    int first = inPage >>> CHUNK_SHIFT;
    int last = Math.min(inPage + length - 1, HostMemory.FRAME_SIZE - 1) >>> CHUNK_SHIFT;
    return -1L << first & -1L >>> 63 - last;
  }

  private static int hash(int offset, int mode) {
    int h = offset * 0x9E3779B1 ^ mode * 0x85EBCA6B;
    return (h ^ h >>> 16) & TABLE - 1;
  }
}
