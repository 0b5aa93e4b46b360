package dev.gnomon.vmm.boot;

import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.memory.Gva;

/**
 * A segment register with its hidden part.
 *
 * @param selector visible part
 * @param base linear address
 * @param limit last valid offset in bytes
 * @param rights in the format of {@link Segments}
 */
public record SegmentState(int selector, @Gva long base, long limit, int rights) {
  private static final long LIMIT_4G = 0xFFFF_FFFFL;
  private static final int CODE = Segments.P | Segments.S | Segments.TYPE_CODE | Segments.TYPE_WRITABLE
      | Segments.TYPE_ACCESSED;
  private static final int DATA = Segments.P | Segments.S | Segments.TYPE_WRITABLE | Segments.TYPE_ACCESSED;
  private static final int TSS_BUSY = 0xB;

  /** Flat 32-bit code, ring 0. */
  static SegmentState code32(int selector) {
    return new SegmentState(selector, 0, LIMIT_4G, CODE | Segments.DB | Segments.G);
  }

  /** 64-bit code, ring 0. */
  static SegmentState code64(int selector) {
    return new SegmentState(selector, 0, LIMIT_4G, CODE | Segments.L | Segments.G);
  }

  /** Flat 32-bit data, ring 0. */
  static SegmentState data(int selector) {
    return new SegmentState(selector, 0, LIMIT_4G, DATA | Segments.DB | Segments.G);
  }

  /** Real-mode code. */
  static SegmentState realCode(int selector) {
    return new SegmentState(selector, (long) selector << 4, 0xFFFF, CODE);
  }

  /** Code after a reset: selector F000h with a base that no real-mode load gives. */
  static SegmentState resetCode() {
    return new SegmentState(0xF000, 0xFFFF_0000L, 0xFFFF, CODE);
  }

  /** Real-mode data or stack. */
  static SegmentState realData(int selector) {
    return new SegmentState(selector, (long) selector << 4, 0xFFFF, DATA);
  }

  /** A busy 32- or 64-bit TSS without I/O bitmap: VM entry wants one in TR. */
  static SegmentState tss(int selector, @Gva long base) {
    return new SegmentState(selector, base, 0x67, Segments.P | TSS_BUSY);
  }

  /** An LDTR that names no table. */
  static SegmentState unusable() {
    return new SegmentState(0, 0, 0, Segments.UNUSABLE);
  }

  /**
   * The descriptor that gives this state when loaded (SDM vol. 3A, "Segment Descriptors"); the upper half of a 64-bit
   * TSS's is apart.
   */
  @SuppressWarnings("subtyping") // A descriptor packs the base with limit and rights.
  long descriptor() {
    long units = (rights & Segments.G) != 0 ? limit >>> 12 : limit;
    return units & 0xFFFF | (base & 0xFF_FFFF) << 16 | (rights & 0xFFL) << 40 | (units >>> 16 & 0xF) << 48
        | (long) (rights >>> 12 & 0xF) << 52 | (base >>> 24 & 0xFF) << 56;
  }
}
