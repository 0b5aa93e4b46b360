package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Mxcsr;
import java.util.Arrays;

/**
 * The image of x87 and SSE state that FXSAVE stores and that is the legacy region of an XSAVE area (SDM vol. 2A,
 * "FXSAVE"), by 8-byte words:
 * <pre>
 *  byte  0   FOP | tags | FSW | FCW          63:48 47:40 39:32 31:16 15:0
 *        8   FIP, with REX.W 64 bits         otherwise 32 bits, FCS is 0
 *       16   FDP, the same
 *       24   MXCSR_MASK | MXCSR
 *       32   ST(0) to ST(7), 16 bytes each
 *      160   XMM0 to XMM15, outside 64-bit mode to XMM7
 *      416   not written
 * </pre>
 * The selectors FCS and FDS are deprecated, and CPUID says so.
 */
final class LegacyRegion {
  static final int BYTES = 512;
  /** Words of the parts: x87 control, MXCSR, x87 registers, XMM registers. */
  static final int MXCSR = 24 / 8;
  static final int REGISTERS = 32 / 8;
  static final int XMM = 160 / 8;

  private static final int TAGS_SHIFT = 32;
  private static final int OPCODE_SHIFT = 48;
  private static final int OPCODE_BITS = 0x7FF;
  private static final int LEGACY_XMM_REGISTERS = 8;

  final long[] words = new long[BYTES / 8];
  private final Cpu cpu;

  LegacyRegion(Cpu cpu) {
    this.cpu = cpu;
  }

  /** The word behind the last XMM register. */
  static int end(boolean mode64) {
    return XMM + 2 * (mode64 ? Cpu.XMM_REGISTERS : LEGACY_XMM_REGISTERS);
  }

  private static long pointers(boolean wide) {
    return wide ? -1L : 0xFFFF_FFFFL;
  }

  /** Fills in the x87 state. @param wide REX.W */
  void collectX87(boolean wide) {
    words[0] = cpu.fpuControl | (long) FpuWord.visible(cpu.fpuStatus, cpu.fpuControl) << 16
        | (long) cpu.fpuValid << TAGS_SHIFT | (long) cpu.fpuOpcode << OPCODE_SHIFT;
    words[1] = cpu.fpuInstruction & pointers(wide);
    words[2] = cpu.fpuData & pointers(wide);
    for (int i = 0; i < Cpu.FPU_REGISTERS; i++) {
      int register = physical(i);
      words[REGISTERS + 2 * i] = cpu.fpuSignificand[register];
      words[REGISTERS + 2 * i + 1] = cpu.fpuExponent[register];
    }
  }

  void collectMxcsr() {
    words[MXCSR] = cpu.mxcsr | (long) Mxcsr.DEFINED << 32;
  }

  void collectXmm(boolean mode64) {
    System.arraycopy(cpu.xmm, 0, words, XMM, end(mode64) - XMM);
  }

  /** MXCSR in the image has a reserved bit. */
  boolean badMxcsr() {
    return ((int) words[MXCSR] & ~Mxcsr.DEFINED) != 0;
  }

  /** Takes over the x87 state. @param wide REX.W */
  void distributeX87(boolean wide) {
    cpu.fpuControl = (int) words[0] & FpuWord.CONTROL_WRITABLE | FpuWord.CONTROL_FIXED;
    cpu.fpuStatus = (int) (words[0] >>> 16) & 0xFFFF & ~(FpuWord.ES | FpuWord.B);
    cpu.fpuValid = (int) (words[0] >>> TAGS_SHIFT) & 0xFF;
    cpu.fpuOpcode = (int) (words[0] >>> OPCODE_SHIFT) & OPCODE_BITS;
    cpu.fpuInstruction = words[1] & pointers(wide);
    cpu.fpuData = words[2] & pointers(wide);
    for (int i = 0; i < Cpu.FPU_REGISTERS; i++) {
      int register = physical(i);
      cpu.fpuSignificand[register] = words[REGISTERS + 2 * i];
      cpu.fpuExponent[register] = (int) words[REGISTERS + 2 * i + 1] & 0xFFFF;
    }
  }

  void distributeMxcsr() {
    cpu.mxcsr = (int) words[MXCSR];
  }

  void distributeXmm(boolean mode64) {
    System.arraycopy(words, XMM, cpu.xmm, 0, end(mode64) - XMM);
  }

  /**
   * The initial configuration of x87 state (SDM vol. 1, "State Component Bitmaps", "XINUSE"): that of FNINIT and
   * registers of 0.
   */
  void initializeX87() {
    cpu.fpuControl = FpuWord.INITIAL_CONTROL;
    cpu.fpuStatus = 0;
    cpu.fpuValid = 0;
    cpu.fpuOpcode = 0;
    cpu.fpuInstruction = 0;
    cpu.fpuData = 0;
    Arrays.fill(cpu.fpuSignificand, 0);
    Arrays.fill(cpu.fpuExponent, 0);
  }

  void initializeXmm(boolean mode64) {
    Arrays.fill(cpu.xmm, 0, end(mode64) - XMM, 0);
  }

  /** Whether the x87 state is another than the initial one. */
  boolean x87InUse() {
    long any = cpu.fpuControl ^ FpuWord.INITIAL_CONTROL | cpu.fpuStatus | cpu.fpuValid | cpu.fpuOpcode
        | cpu.fpuInstruction | cpu.fpuData;
    for (int i = 0; i < Cpu.FPU_REGISTERS; i++) {
      any |= cpu.fpuSignificand[i] | cpu.fpuExponent[i];
    }
    return any != 0;
  }

  /** Whether an XMM register that the mode can name is not 0; MXCSR does not count. */
  boolean xmmInUse(boolean mode64) {
    long any = 0;
    for (int i = 0; i < end(mode64) - XMM; i++) {
      any |= cpu.xmm[i];
    }
    return any != 0;
  }

  private int physical(int stackRegister) {
    return (cpu.fpuStatus >>> FpuWord.TOP_SHIFT) + stackRegister & Cpu.FPU_REGISTERS - 1;
  }
}
