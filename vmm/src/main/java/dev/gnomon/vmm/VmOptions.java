package dev.gnomon.vmm;

import dev.gnomon.ept.EptOptions;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowOptions;
import dev.gnomon.vmm.memory.BackingSize;
import java.util.Objects;

/**
 * What a machine is made of. Two machines of equal options run equal guests equally, whatever the host.
 *
 * @param mode native, EPT or shadow
 * @param memoryBytes where RAM ends, a multiple of 4096
 * @param backing size of the pieces in which the host backs a VM's memory
 * @param nsPerInstruction virtual nanoseconds that one retired instruction takes, 1 to a million
 * @param seed of everything random
 * @param tlb what the processor keeps of translations, and whether that is counted
 * @param blockLimit most instructions in a decoded block; results do not depend on it
 * @param eptMaxPageShift log2 of the largest EPT page: 12, 21 or 30
 * @param eptAccessedDirty whether EPT keeps A and D flags
 * @param shadow switches of the shadow MMU
 * @param tableBytes host memory for EPT or shadow tables, 0 for as much as mode and memory call for
 * @param platform the devices
 * @param ept form of the EPT tables
 */
public record VmOptions(Mode mode, long memoryBytes, BackingSize backing, long nsPerInstruction, long seed,
    TlbPolicy tlb, int blockLimit, int eptMaxPageShift, boolean eptAccessedDirty, ShadowOptions shadow, long tableBytes,
    PlatformOptions platform, EptOptions ept) {
  public static final long DEFAULT_MEMORY_BYTES = 64L << 20;
  public static final int DEFAULT_BLOCK_LIMIT = 64;
  /** A millisecond: timers would have nothing to time beyond that. */
  private static final long MAX_NS_PER_INSTRUCTION = 1_000_000;

  public VmOptions {
    Objects.requireNonNull(mode);
    Objects.requireNonNull(backing);
    Objects.requireNonNull(tlb);
    Objects.requireNonNull(shadow);
    Objects.requireNonNull(platform);
    Objects.requireNonNull(ept);
    if (nsPerInstruction < 1 || nsPerInstruction > MAX_NS_PER_INSTRUCTION) {
      throw new IllegalArgumentException(nsPerInstruction + " ns per instruction: expected 1 to "
          + MAX_NS_PER_INSTRUCTION);
    }
    if (eptMaxPageShift != 12 && eptMaxPageShift != 21 && eptMaxPageShift != 30) {
      throw new IllegalArgumentException("largest EPT page of 2^" + eptMaxPageShift + " bytes: expected 12, 21 or 30");
    }
    int processors = platform.processors().count();
    // Each processor holds on to the pages of its root.
    int roots = ShadowOptions.ROOT_PAGES * (processors - 1);
    if (shadow.pageLimit() - roots < ShadowOptions.MIN_PAGE_LIMIT) {
      throw new IllegalArgumentException("shadow page limit of " + shadow.pageLimit() + ": expected at least "
          + (ShadowOptions.MIN_PAGE_LIMIT + roots) + " with " + processors + " processors");
    }
    if (tableBytes < 0 || (tableBytes & 4095) != 0) {
      throw new IllegalArgumentException("host memory of " + tableBytes
          + " bytes for tables: expected a multiple of 4096");
    }
  }

  /** A machine with the defaults: 64 MiB, backed by 2M pieces, 1 ns an instruction, nothing counted. */
  public static VmOptions of(Mode mode) {
    return new VmOptions(mode, DEFAULT_MEMORY_BYTES, BackingSize.SIZE_2M, 1, 0, TlbPolicy.UNCOUNTED,
        DEFAULT_BLOCK_LIMIT, 30, true, ShadowOptions.defaults(), 0, PlatformOptions.DEFAULT, EptOptions.DEFAULT);
  }

  public VmOptions withMode(Mode value) {
    return new VmOptions(value, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withMemoryBytes(long value) {
    return new VmOptions(mode, value, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withBacking(BackingSize value) {
    return new VmOptions(mode, memoryBytes, value, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withNsPerInstruction(long value) {
    return new VmOptions(mode, memoryBytes, backing, value, seed, tlb, blockLimit, eptMaxPageShift, eptAccessedDirty,
        shadow, tableBytes, platform, ept);
  }

  public VmOptions withSeed(long value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, value, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withTlb(TlbPolicy value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, value, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withBlockLimit(int value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, value, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withEptMaxPageShift(int value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, value,
        eptAccessedDirty, shadow, tableBytes, platform, ept);
  }

  public VmOptions withEptAccessedDirty(boolean value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift, value,
        shadow, tableBytes, platform, ept);
  }

  public VmOptions withShadow(ShadowOptions value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, value, tableBytes, platform, ept);
  }

  public VmOptions withTableBytes(long value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, value, platform, ept);
  }

  public VmOptions withPlatform(PlatformOptions value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, value, ept);
  }

  public VmOptions withEpt(EptOptions value) {
    return new VmOptions(mode, memoryBytes, backing, nsPerInstruction, seed, tlb, blockLimit, eptMaxPageShift,
        eptAccessedDirty, shadow, tableBytes, platform, value);
  }
}
