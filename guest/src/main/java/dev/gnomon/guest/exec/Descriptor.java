package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.memory.Gva;

/**
 * One segment, system or gate descriptor as read from a table, with the fields that loading it needs (SDM vol. 3A,
 * "Segment Descriptors", "Gate Descriptors"). Reused, one for each role in a transfer.
 * <pre>
 *  segment  63    56   55  54    53  52    51     48   47  46:45 44  43:40   39     16   15      0
 *           base31:24  G | D/B | L | AVL | limit19:16 | P | DPL | S | type | base 23:0 | limit 15:0
 *  gate     63            48       47  46:45 44  43:40    36:32   31        16  15         0
 *           offset 31:16         | P | DPL | 0 | type | count   | selector   | offset 15:0
 *  upper 8 bytes in IA-32e mode (system descriptors, gates): 31:0 base or offset 63:32, 44:40 zero
 * </pre>
 * Access rights are in the format of {@link Segments}: descriptor bits 55:52 and 47:40.
 */
final class Descriptor {
  // System descriptor types.
  static final int TSS16_AVAILABLE = 1;
  static final int LDT = 2;
  static final int TSS16_BUSY = 3;
  static final int CALL_GATE16 = 4;
  static final int TASK_GATE = 5;
  static final int INTERRUPT_GATE16 = 6;
  static final int TRAP_GATE16 = 7;
  static final int TSS_AVAILABLE = 9;
  static final int TSS_BUSY = 0xB;
  static final int CALL_GATE = 0xC;
  static final int INTERRUPT_GATE = 0xE;
  static final int TRAP_GATE = 0xF;
  /** Bit that tells a busy TSS type from an available one. */
  static final int BUSY = 2;

  /** Selector bits: requested privilege level, table indicator (LDT), index. */
  static final int RPL = 3;
  static final int TI = 4;
  static final int INDEX = 0xFFF8;

  private static final int RIGHTS_SHIFT = 40;
  private static final int RIGHTS_MASK = 0xF0FF;
  /** Bits of the upper 8 bytes that must be zero, the type field among them. */
  private static final long UPPER_TYPE = 0x1F00L << 32;

  int selector;
  /** Linear address of the descriptor in its table. */
  @Gva long gva;
  /** First 8 bytes. */
  long low;
  /** Upper 8 bytes of a system descriptor or gate in IA-32e mode, else 0. */
  long high;
  int rights;

  /** Takes over the first 8 bytes. */
  void decode(long descriptor) {
    low = descriptor;
    high = 0;
    rights = (int) (descriptor >>> RIGHTS_SHIFT) & RIGHTS_MASK;
  }

  int type() {
    return rights & Segments.TYPE;
  }

  int dpl() {
    return rights >> Segments.DPL_SHIFT & 3;
  }

  boolean present() {
    return (rights & Segments.P) != 0;
  }

  /** A system segment or gate. */
  boolean system() {
    return (rights & Segments.S) == 0;
  }

  boolean code() {
    return (rights & (Segments.S | Segments.TYPE_CODE)) == (Segments.S | Segments.TYPE_CODE);
  }

  boolean conforming() {
    return (rights & Segments.TYPE_EXPAND_DOWN) != 0;
  }

  boolean writableData() {
    return (rights & (Segments.S | Segments.TYPE_CODE | Segments.TYPE_WRITABLE))
        == (Segments.S | Segments.TYPE_WRITABLE);
  }

  /** Data, or code that may be read. */
  boolean readable() {
    return !system() && (!code() || (rights & Segments.TYPE_WRITABLE) != 0);
  }

  /** CS.L with CS.D clear: 64-bit code in IA-32e mode. */
  boolean code64() {
    return (rights & (Segments.L | Segments.DB)) == Segments.L;
  }

  /** CS.L and CS.D both set: reserved in IA-32e mode. */
  boolean reservedCode() {
    return (rights & (Segments.L | Segments.DB)) == (Segments.L | Segments.DB);
  }

  long base() {
    return low >>> 16 & 0xFF_FFFFL | low >>> 32 & 0xFF00_0000L | high << 32;
  }

  /** Limit in bytes. */
  long limit() {
    long limit = low & 0xFFFFL | low >>> 32 & 0xF_0000L;
    return (rights & Segments.G) != 0 ? limit << 12 | 0xFFF : limit;
  }

  /** The type field of the upper 8 bytes is zero, as it must be in IA-32e mode. */
  boolean upperValid() {
    return (high & UPPER_TYPE) == 0;
  }

  /** Gate: selector of the code segment or TSS. */
  int gateSelector() {
    return (int) (low >>> 16) & 0xFFFF;
  }

  /** Gate: entry point; 16-bit gates have only the low half. */
  long gateOffset() {
    long offset = low & 0xFFFFL;
    return (type() & 8) == 0 ? offset : offset | low >>> 32 & 0xFFFF_0000L | high << 32;
  }

  /** Call gate: parameters to copy. */
  int parameterCount() {
    return (int) (low >>> 32) & 0x1F;
  }

  /** IDT gate in IA-32e mode: interrupt-stack-table index, 0 if none. */
  int ist() {
    return (int) (low >>> 32) & 7;
  }
}
