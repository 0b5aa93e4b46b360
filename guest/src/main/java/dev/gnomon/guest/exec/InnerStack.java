package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Finds the stack of an inner ring in the current TSS (SDM vol. 3A, "Stack Switching", "Task-State Segment").
 * <pre>
 *  16-bit TSS   2 + 4n: SP, SS of ring n
 *  32-bit TSS   4 + 8n: ESP, SS of ring n
 *  64-bit TSS   4 + 8n: RSP of ring n     28 + 8n: RSP of interrupt stack n, 1 to 7
 * </pre>
 */
final class InnerStack {
  private static final int FIRST16 = 2;
  private static final int FIRST32 = 4;
  private static final int FIRST_IST = 28;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final SegmentLoader segments;
  /** The stack segment found by {@link #select}, checked. */
  final Descriptor ss = new Descriptor();
  /** The stack pointer found. */
  long pointer;

  InnerStack(Cpu cpu, LinearMemory linear, SegmentLoader segments) {
    this.cpu = cpu;
    this.linear = linear;
    this.segments = segments;
  }

  /** Outside IA-32e mode. @param ext EXT bit of error codes */
  int select(int level, int ext) {
    boolean wide = (cpu.rights[Segments.TR] & 8) != 0;
    int offset = wide ? FIRST32 + 8 * level : FIRST16 + 4 * level;
    int size = wide ? 4 : 2;
    if (offset + size + 1 > cpu.limit[Segments.TR]) {
      return cpu.fault(Vector.TS, SegmentLoader.errorCode(cpu.selector[Segments.TR]) | ext);
    }
    int status = read(offset, size);
    if (status < 0) {
      return status;
    }
    pointer = cpu.value;
    status = read(offset + size, 2);
    if (status < 0) {
      return status;
    }
    int selector = (int) cpu.value;
    if (SegmentLoader.isNull(selector)) {
      return cpu.fault(Vector.TS, ext);
    }
    status = segments.fetchStack(selector, ss, level, Vector.TS, ext);
    return status < 0 ? status : segments.probeAccessed(ss);
  }

  /** Ring stack in IA-32e mode. */
  int selectLong(int level, int ext) {
    return readPointer(FIRST32 + 8 * level, ext);
  }

  /** Interrupt stack in IA-32e mode. @param ist 1 to 7 */
  int selectIst(int ist, int ext) {
    return readPointer(FIRST_IST + 8 * ist, ext);
  }

  private int readPointer(int offset, int ext) {
    if (offset + 7 > cpu.limit[Segments.TR]) {
      return cpu.fault(Vector.TS, SegmentLoader.errorCode(cpu.selector[Segments.TR]) | ext);
    }
    int status = read(offset, 8);
    if (status < 0) {
      return status;
    }
    pointer = cpu.value;
    return cpu.canonical(pointer) ? Status.OK : cpu.fault(Vector.SS, ext);
  }

  private int read(int offset, int size) {
    return linear.read(segments.wrap(cpu.base[Segments.TR] + offset), size, Access.IMPLICIT);
  }
}
