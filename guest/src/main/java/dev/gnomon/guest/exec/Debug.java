package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.AnyAddress;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Debug registers, single step and the debug exception (SDM vol. 3B, "Debug Registers", "Debug Exceptions").
 * <pre>
 *  DR6  15 BT | 14 BS | 13 BD | 3:0 B3–B0; the rest fixed
 *  DR7  for breakpoint n: 19+4n:18+4n LEN (0 1, 1 2, 3 4, 2 8 bytes) | 17+4n:16+4n R/W (0 execute, 1 write, 2 port, 3 read or write) |
 *       2n+1:2n G and L enables;   13 GD
 * </pre>
 * While {@link #stepping} holds, the run loop executes one instruction at a time: {@link #instructionBreakpoint} before
 * and {@link #afterInstruction} behind it. What matched in between is gathered in {@code cpu.pendingDebug}, which an
 * event delivered meanwhile drops, unless an instruction raised it.
 */
public final class Debug {
  public static final int DR6_BD = 1 << 13;
  public static final int DR6_BS = 1 << 14;
  public static final int DR6_BT = 1 << 15;
  /** Bits of DR6 that always read 1. */
  public static final int DR6_FIXED = 0xFFFF_0FF0;
  /** Bits of DR6 that software and the processor set. */
  public static final int DR6_WRITABLE = 0xE00F;
  public static final int DR7_GD = 1 << 13;
  /** Bit of DR7 that always reads 1. */
  public static final int DR7_FIXED = 1 << 10;
  /** R/W and LEN fields, GD, LE, GE, and the enables. */
  public static final long DR7_WRITABLE = 0xFFFF_23FFL;

  static final int DR6_HITS = 0xF;
  private static final int DR7_ENABLES = 0xFF;
  private static final int RW_SHIFT = 16;
  private static final int LEN_SHIFT = 18;
  private static final int EXECUTE = 0;
  private static final int WRITE = 1;
  private static final int PORT = 2;
  private static final int READ_WRITE = 3;

  private final Cpu cpu;
  private final LinearMemory linear;

  public Debug(Cpu cpu, LinearMemory linear) {
    this.cpu = cpu;
    this.linear = linear;
  }

  /** Whether the run loop must stop around every instruction. */
  public boolean stepping() {
    return (cpu.systemFlags & (Rflags.TF | Rflags.RF)) != 0 || ((int) cpu.dr[7] & DR7_ENABLES) != 0
        || cpu.pendingDebug != 0;
  }

  /** Follows a change of DR7: with a data breakpoint on, every data access takes the slow path and is matched. */
  public void refresh() {
    boolean data = false;
    for (int n = 0; n < 4; n++) {
      data |= enabled(n) && (type(n) == WRITE || type(n) == READ_WRITE);
    }
    linear.watch = data ? this : null;
    cpu.mmu.bypassSoftData = data;
    if (data) {
      cpu.mmu.softFlush();
    }
  }

  /**
   * Call before each instruction while {@link #stepping}, and before it is fetched.
   *
   * @return true if an instruction breakpoint hit: the fault fields hold the #DB, a fault
   */
  public boolean instructionBreakpoint() {
    cpu.rfLoaded = false;
    cpu.pendingDebug &= DR6_HITS;
    if ((cpu.systemFlags & Rflags.RF) == 0 && !cpu.blockedByMovSs) {
      int hits = instructionHits();
      if (hits != 0) {
        cpu.pendingDebug |= hits;
        cpu.fault(Vector.DB);
        return true;
      }
    }
    if ((cpu.systemFlags & Rflags.TF) != 0) {
      cpu.pendingDebug |= DR6_BS;
    }
    return false;
  }

  /**
   * Call after each instruction, or REP iteration, that completed while {@link #stepping}.
   *
   * @param repeating a REP instruction has iterations left: RF keeps its own breakpoint from hitting again
   * @return OK, or FAULT with the #DB trap in the fault fields
   */
  public int afterInstruction(boolean repeating) {
    if (repeating) {
      cpu.systemFlags |= Rflags.RF;
    } else if (!cpu.rfLoaded) {
      cpu.systemFlags &= ~Rflags.RF;
    }
    if (cpu.blockedByMovSs) {
      cpu.pendingDebug &= DR6_HITS;
      return Status.OK;
    }
    return cpu.pendingDebug == 0 ? Status.OK : cpu.fault(Vector.DB);
  }

  private int instructionHits() {
    int hits = 0;
    long gva = cpu.code64() ? cpu.rip : cpu.base[Segments.CS] + cpu.rip & 0xFFFF_FFFFL;
    for (int n = 0; n < 4; n++) {
      if (enabled(n) && type(n) == EXECUTE && cpu.dr[n] == gva) {
        hits |= 1 << n;
      }
    }
    return hits;
  }

  /**
   * Matches a data access that was made.
   *
   * @param access mode bits of {@link Access}; implicit ones and fetches match nothing
   */
  void data(@Gva long gva, int size, boolean write, int access) {
    if ((access & (Access.IMPLICIT | Access.FETCH)) != 0) {
      return;
    }
    for (int n = 0; n < 4; n++) {
      if (enabled(n) && (type(n) == READ_WRITE || type(n) == WRITE && write) && overlaps(n, gva, size)) {
        cpu.pendingDebug |= 1 << n;
      }
    }
  }

  /** Matches a port access that was made. */
  void port(int port, int size) {
    if ((cpu.cr4 & ControlRegister.CR4_DE) == 0 || ((int) cpu.dr[7] & DR7_ENABLES) == 0) {
      return;
    }
    for (int n = 0; n < 4; n++) {
      if (enabled(n) && type(n) == PORT && overlaps(n, port, size)) {
        cpu.pendingDebug |= 1 << n;
      }
    }
  }

  private boolean enabled(int n) {
    return (cpu.dr[7] >>> 2 * n & 3) != 0;
  }

  private int type(int n) {
    return (int) (cpu.dr[7] >>> RW_SHIFT + 4 * n) & 3;
  }

  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  private boolean overlaps(int n, @AnyAddress long address, int size) {
    int length = switch ((int) (cpu.dr[7] >>> LEN_SHIFT + 4 * n) & 3) {
      case 0 -> 1;
      case 1 -> 2;
      case 2 -> 8;
      default -> 4;
    };
    long first = cpu.dr[n] & -length;
    return address < first + length && first < address + size;
  }

  /** A general-detect fault: the MOV to or from a debug register that DR7.GD forbids. */
  static int generalDetect(Cpu cpu) {
    cpu.pendingDebug = DR6_BD;
    return cpu.fault(Vector.DB);
  }

  /** The guest takes a #DB: DR6 tells why, and GD is off for the handler. */
  static void enterHandler(Cpu cpu) {
    cpu.dr[6] = cpu.dr[6] & ~(long) DR6_HITS | cpu.pendingDebug | DR6_FIXED & 0xFFFF_FFFFL;
    cpu.dr[7] &= ~(long) DR7_GD;
    cpu.pendingDebug = 0;
  }
}
