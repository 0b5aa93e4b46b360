package dev.gnomon.guest.exec;

import static dev.gnomon.guest.decode.WarmOp.*;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.MicroOp;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Status;
import java.lang.invoke.VarHandle;

/** The operations of {@code WarmOp}: each case does one, on the processor's registers and lazy flags. */
final class WarmOps {
  /** Polynomial 11EDC6F41H, bit-reflected. */
  private static final int CASTAGNOLI = 0x82F6_3B78;

  private final Cpu cpu;
  private final long[] r;
  private final CodeCache cache;
  private final LinearMemory linear;
  private final Operands operands;
  private final MemoryPath memoryPath;
  // What LDX saw, for STX: the value, and the flags to go back to if another writer was faster.
  private long exclusiveValue;
  private long savedResult;
  private long savedCarries;

  WarmOps(Cpu cpu, CodeCache cache, LinearMemory linear, Operands operands, MemoryPath memoryPath) {
    this.cpu = cpu;
    this.r = cpu.regs;
    this.cache = cache;
    this.linear = linear;
    this.operands = operands;
    this.memoryPath = memoryPath;
  }

  /**
   * Runs one operation.
   *
   * @param pc its micro-op
   * @param alone the instruction is the only one of its block
   */
  int run(int operation, int pc, boolean alone) {
    long w = cache.code[pc];
    int immediate = MicroOp.immediate(w);
    int d = MicroOp.d(w);
    long a = r[MicroOp.a(w)];
    long b = r[MicroOp.b(w)];
    int x = MicroOp.x(w);
    switch (operation) {
      case ADC, SBB:
        addWithCarry(operation == SBB, d, a, b + immediate, x);
        return Status.OK;
      case NOT:
        r[d] = ~a << x >>> x;
        return Status.OK;
      case SHIFT, SHIFT + 1, SHIFT + 2, SHIFT + 3, SHIFT + 4, SHIFT + 5, SHIFT + 6, SHIFT + 7:
        shift(operation - SHIFT, d, a, (int) b + immediate, x);
        return Status.OK;
      case SHLD, SHRD:
        doubleShift(operation == SHRD, d, a, b, (int) r[Cpu.T1], x);
        return Status.OK;
      case MUL, IMUL1:
        multiply(operation == IMUL1, a, x);
        return Status.OK;
      case DIV, IDIV:
        return divide(operation == IDIV, a, x);
      case BT, BTS, BTR, BTC:
        bitTest(operation, d, a, (int) b + immediate & 63 - x, x);
        return Status.OK;
      case BSF, BSR:
        bitScan(operation == BSR, d, a << x >>> x, x);
        return Status.OK;
      case BSWAP:
        r[d] = x == 0 ? Long.reverseBytes(a) : x == 32 ? Integer.reverseBytes((int) a) & 0xFFFF_FFFFL : 0;
        return Status.OK;
      case CMPXCHG: {
        long p = r[Cpu.RAX] << x;
        long q = a << x;
        subtractFlags(p, q, x);
        r[d] = (p == q ? b : a) << x >>> x;
        return Status.OK;
      }
      case CMPXCHG_ACC:
        if (!Flags.zf(cpu.flagResult)) {
          write(Cpu.RAX, a, x);
        }
        return Status.OK;
      case CWD:
        write(Cpu.RDX, a << x >> 63, x);
        return Status.OK;
      case LAHF:
        r[Cpu.RAX] = r[Cpu.RAX] & ~0xFF00L | (cpu.rflags() & 0xD5 | Rflags.FIXED) << 8;
        return Status.OK;
      case SAHF:
        cpu.setStatusFlags((int) (r[Cpu.RAX] >>> 8) & 0xD5 | (Flags.of(cpu.flagCarries) ? Rflags.OF : 0));
        return Status.OK;
      case FLAG:
        flag(immediate);
        return Status.OK;
      case MOVH:
        r[d] = r[d] & ~0xFF00L | (a & 0xFF) << 8;
        return Status.OK;
      case HIGH:
        r[d] = a >>> 8 & 0xFF;
        return Status.OK;
      case BITADDR: {
        int log = 6 - (x == 0 ? 0 : x == 32 ? 1 : 2);
        r[d] = a + ((b << x >> x >> log) << log - 3);
        return Status.OK;
      }
      case LDW, LDX:
        return loadForWrite(operation == LDX, d, memoryPath.address(w, immediate), 1 << (x >>> 3),
            MemoryPath.stack(w), alone);
      case STX:
        return storeExclusive(r[d], memoryPath.address(w, immediate), 1 << (x >>> 3), alone);
      case FENCE:
        VarHandle.fullFence();
        return Status.OK;
      case LINEAR: {
        int status = operands.linearize(x & 7, a, immediate, (x & 8) != 0);
        if (status == Status.OK) {
          r[d] = Addresses.bits(cpu.linear);
        }
        return status;
      }
      case UD:
        return cpu.fault(Vector.UD);
      case GP:
        return cpu.fault(Vector.GP);
      case PUSH:
        linear.alone = alone;
        return push(a + immediate, 1 << x);
      case PEEK: {
        linear.alone = alone;
        int status = operands.load(Segments.SS, a & stackMask(), 1 << x);
        memoryPath.lookAround |= linear.mustLookAround();
        if (status == Status.OK) {
          r[d] = cpu.value;
        }
        return status;
      }
      case ADDSP:
        setStackPointer(a + immediate);
        return Status.OK;
      case LEA16:
        r[d] = a + b + immediate & 0xFFFF;
        return Status.OK;
      case LOOP:
        r[d] = loop(immediate, x) ? 1 : 0;
        return Status.OK;
      case PAUSE:
        return cpu.intercepts.enabled && cpu.intercepts.pause
            ? cpu.vmExit(ExitReason.PAUSE_INSTRUCTION, 0, immediate) : Status.OK;
      case CHECKRIP:
        return checkTarget(a);
      case SELECT:
        r[d] = a != 0 ? r[Cpu.T1] : r[Cpu.T2];
        return Status.OK;
      case INVLPG:
        return invalidatePage(memoryPath.address(w, immediate), MicroOp.condition(w));
      case POPCNT:
        r[d] = Long.bitCount(a << x);
        cpu.setStatusFlags(r[d] == 0 ? Rflags.ZF : 0);
        return Status.OK;
      case CRC32:
        r[d] = checksum((int) a, b, 64 - x);
        return Status.OK;
      default:
        throw new AssertionError("no warm operation " + operation);
    }
  }

  /** CRC-32C, its polynomial and all data bit-reflected (SDM vol. 2A, "CRC32"). @return zero-extended */
  private static long checksum(int sum, long data, int bits) {
    int value = sum;
    for (int at = 0; at < bits; at += 8) {
      value ^= (int) (data >>> at) & 0xFF;
      for (int i = 0; i < 8; i++) {
        value = value >>> 1 ^ -(value & 1) & CASTAGNOLI;
      }
    }
    return value & 0xFFFF_FFFFL;
  }

  /** INVLPG. If what is fetched may have changed, nothing that was found before runs behind it. */
  private int invalidatePage(@Gva long gva, int length) {
    if (cpu.cpl != 0) {
      return cpu.fault(Vector.GP);
    }
    if (cpu.intercepts.enabled && cpu.intercepts.invlpg) {
      cpu.vmExit(ExitReason.INVLPG, Addresses.bits(gva), length);
      cpu.exit.guestLinear = gva;
      return Status.EXIT;
    }
    if (cpu.canonical(gva)) {
      int generation = cpu.mmu.fetchGeneration;
      cpu.mmu.invlpg(gva);
      memoryPath.lookAround |= generation != cpu.mmu.fetchGeneration;
    }
    return Status.OK;
  }

  /** Writes the low 64 − x bits of a register as the processor does. */
  private void write(int register, long value, int x) {
    switch (x) {
      case 0 -> r[register] = value;
      case 32 -> r[register] = value & 0xFFFF_FFFFL;
      default -> {
        long mask = -1L >>> x;
        r[register] = r[register] & ~mask | value & mask;
      }
    }
  }

  private void subtractFlags(long p, long q, int x) {
    long difference = p - q;
    cpu.flagResult = difference >> x;
    cpu.flagCarries = Flags.ofDifference(p, q, difference, x);
  }

  private void addWithCarry(boolean subtract, int d, long a, long b, int x) {
    long carryIn = Flags.cf(cpu.flagCarries) ? 1L << x : 0;
    long p = a << x;
    long q = b << x;
    long value = subtract ? p - q - carryIn : p + q + carryIn;
    r[d] = value >>> x;
    cpu.flagResult = value >> x;
    cpu.flagCarries = subtract ? Flags.ofDifference(p, q, value, x) : Flags.ofSum(p, q, value, x);
  }

  /**
   * ROL ROR RCL RCR SHL SHR SAL SAR of left-aligned operands by a count that is masked here; a count of 0 changes no
   * flag.
   */
  private void shift(int kind, int d, long a, int count, int x) {
    int width = 64 - x;
    int c = count & (width == 64 ? 63 : 31);
    long z = a << x >>> x;
    if (c == 0) {
      r[d] = z;
      return;
    }
    boolean cf;
    long value;
    boolean of;
    switch (kind) {
      case 0, 1 -> {
        int turn = c % width;
        int left = kind == 0 ? turn : (width - turn) % width;
        value = left == 0 ? z : (z << left | z >>> width - left) << x >>> x;
        boolean top = (value >>> width - 1 & 1) != 0;
        cf = kind == 0 ? (value & 1) != 0 : top;
        of = kind == 0 ? top != cf : top != ((value >>> width - 2 & 1) != 0);
        cpu.flagCarries = cpu.flagCarries & ~Flags.CF_PO | Flags.carries(cf, of);
        r[d] = value;
        return;
      }
      case 2, 3 -> {
        value = z;
        cf = Flags.cf(cpu.flagCarries);
        int turn = c % (width + 1);
        for (int i = 0; i < turn; i++) {
          if (kind == 2) {
            boolean out = (value >>> width - 1 & 1) != 0;
            value = (value << 1 | (cf ? 1 : 0)) << x >>> x;
            cf = out;
          } else {
            boolean out = (value & 1) != 0;
            value = value >>> 1 | (cf ? 1L << width - 1 : 0);
            cf = out;
          }
        }
        boolean top = (value >>> width - 1 & 1) != 0;
        of = kind == 2 ? top != cf : top != ((value >>> width - 2 & 1) != 0);
        cpu.flagCarries = cpu.flagCarries & ~Flags.CF_PO | Flags.carries(cf, of);
        r[d] = value;
        return;
      }
      case 4, 6 -> {
        value = c >= width ? 0 : z << c << x >>> x;
        cf = c <= width && (z >>> width - c & 1) != 0;
        of = (value >>> width - 1 & 1) != 0 != cf;
      }
      case 5 -> {
        value = c >= width ? 0 : z >>> c;
        cf = c <= width && (z >>> c - 1 & 1) != 0;
        of = (z >>> width - 1 & 1) != 0;
      }
      default -> {
        long s = a << x >> x;
        value = s >> Math.min(c, 63) << x >>> x;
        cf = (s >> Math.min(c - 1, 63) & 1) != 0;
        of = false;
      }
    }
    cpu.flagResult = value << x >> x;
    cpu.flagCarries = Flags.carries(cf, of);
    r[d] = value;
  }

  private void doubleShift(boolean right, int d, long a, long b, int count, int x) {
    int width = 64 - x;
    int c = count & (width == 64 ? 63 : 31);
    long z = a << x >>> x;
    if (c == 0) {
      r[d] = z;
      return;
    }
    long y = b << x >>> x;
    long value;
    boolean cf;
    if (width == 16) {
      // Counts above 16 are undefined; the processor shifts the destination in again behind the source.
      long low48 = right ? z | y << 16 | z << 32 : z << 32 | y << 16 | z;
      value = right ? low48 >>> c & 0xFFFF : low48 << c >>> 32 & 0xFFFF;
      cf = right ? (low48 >>> c - 1 & 1) != 0 : (low48 >>> 48 - c & 1) != 0;
    } else if (right) {
      value = (z >>> c | y << width - c) << x >>> x;
      cf = (z >>> c - 1 & 1) != 0;
    } else {
      value = (z << c | y >>> width - c) << x >>> x;
      cf = (z >>> width - c & 1) != 0;
    }
    boolean of = ((value ^ z) >>> width - 1 & 1) != 0;
    r[d] = value;
    cpu.flagResult = value << x >> x;
    cpu.flagCarries = Flags.carries(cf, of);
  }

  /** MUL and IMUL of the accumulator; SF, ZF, AF and PF are undefined and taken from the low half. */
  private void multiply(boolean signed, long operand, int x) {
    boolean overflow;
    long low;
    if (x == 0) {
      low = r[Cpu.RAX] * operand;
      long high = Math.multiplyHigh(r[Cpu.RAX], operand);
      if (signed) {
        overflow = high != low >> 63;
      } else {
        high += (r[Cpu.RAX] >> 63 & operand) + (operand >> 63 & r[Cpu.RAX]);
        overflow = high != 0;
      }
      r[Cpu.RAX] = low;
      r[Cpu.RDX] = high;
    } else {
      int width = 64 - x;
      long product = signed ? (r[Cpu.RAX] << x >> x) * (operand << x >> x)
          : (r[Cpu.RAX] << x >>> x) * (operand << x >>> x);
      low = product << x >> x;
      overflow = signed ? product != low : product >>> width != 0;
      if (width == 8) {
        write(Cpu.RAX, product, 48);
      } else {
        write(Cpu.RAX, product, x);
        write(Cpu.RDX, product >>> width, x);
      }
    }
    cpu.flagResult = low;
    cpu.flagCarries = overflow ? Flags.CF : 0;
  }

  /** DIV and IDIV; #DE on a zero divisor or a quotient that does not fit. Flags are undefined and left as they were. */
  private int divide(boolean signed, long operand, int x) {
    int width = 64 - x;
    long divisor = signed ? operand << x >> x : operand << x >>> x;
    if (divisor == 0) {
      return cpu.fault(Vector.DE);
    }
    long quotient;
    long remainder;
    if (width == 64) {
      return divide128(signed, divisor);
    }
    long dividend = width == 8 ? r[Cpu.RAX] & 0xFFFF : (r[Cpu.RAX] & -1L >>> x) | (r[Cpu.RDX] & -1L >>> x) << width;
    if (signed) {
      int up = 64 - 2 * width;
      dividend = dividend << up >> up;
      if (dividend == Long.MIN_VALUE && divisor == -1) {
        return cpu.fault(Vector.DE);
      }
      quotient = dividend / divisor;
      remainder = dividend % divisor;
      if (quotient << x >> x != quotient) {
        return cpu.fault(Vector.DE);
      }
    } else {
      quotient = Long.divideUnsigned(dividend, divisor);
      remainder = Long.remainderUnsigned(dividend, divisor);
      if (quotient >>> width != 0) {
        return cpu.fault(Vector.DE);
      }
    }
    if (width == 8) {
      write(Cpu.RAX, quotient & 0xFF | remainder << 8, 48);
    } else {
      write(Cpu.RAX, quotient, x);
      write(Cpu.RDX, remainder, x);
    }
    return Status.OK;
  }

  private int divide128(boolean signed, long divisor) {
    long low = r[Cpu.RAX];
    long high = r[Cpu.RDX];
    boolean negative = signed && high < 0;
    boolean negativeDivisor = signed && divisor < 0;
    if (negative) {
      low = -low;
      high = ~high + (low == 0 ? 1 : 0);
    }
    long magnitude = negativeDivisor ? -divisor : divisor;
    if (Long.compareUnsigned(high, magnitude) >= 0) {
      return cpu.fault(Vector.DE);
    }
    long quotient;
    long rest;
    if (high == 0) {
      quotient = Long.divideUnsigned(low, magnitude);
      rest = Long.remainderUnsigned(low, magnitude);
    } else {
      quotient = 0;
      rest = high;
      for (int i = 63; i >= 0; i--) {
        boolean carry = rest < 0;
        rest = rest << 1 | low >>> i & 1;
        if (carry || Long.compareUnsigned(rest, magnitude) >= 0) {
          rest -= magnitude;
          quotient |= 1L << i;
        }
      }
    }
    boolean negativeQuotient = negative != negativeDivisor;
    if (signed && (negativeQuotient ? quotient < 0 && quotient != Long.MIN_VALUE : quotient < 0)) {
      return cpu.fault(Vector.DE);
    }
    r[Cpu.RAX] = negativeQuotient ? -quotient : quotient;
    r[Cpu.RDX] = negative ? -rest : rest;
    return Status.OK;
  }

  /** CF = the bit; ZF is kept, OF, SF, AF and PF are undefined and kept too. */
  private void bitTest(int operation, int d, long a, int bit, int x) {
    boolean set = (a >>> bit & 1) != 0;
    boolean of = Flags.of(cpu.flagCarries);
    cpu.flagCarries = cpu.flagCarries & ~Flags.CF_PO | Flags.carries(set, of);
    long mask = 1L << bit;
    switch (operation) {
      case BTS -> r[d] = (a | mask) << x >>> x;
      case BTR -> r[d] = (a & ~mask) << x >>> x;
      case BTC -> r[d] = (a ^ mask) << x >>> x;
      default -> { }
    }
  }

  /**
   * ZF tells a zero source, which leaves the destination as it was, with 32 bits its upper half too (some older
   * processors clear that).
   */
  private void bitScan(boolean reverse, int d, long source, int x) {
    if (source == 0) {
      cpu.setStatusFlags((int) cpu.rflags() & Rflags.STATUS | Rflags.ZF);
      return;
    }
    r[d] = reverse ? 63 - Long.numberOfLeadingZeros(source) : Long.numberOfTrailingZeros(source);
    cpu.setStatusFlags((int) cpu.rflags() & Rflags.STATUS & ~Rflags.ZF);
  }

  private void flag(int which) {
    long carries = cpu.flagCarries;
    switch (which) {
      case 3 -> cpu.systemFlags &= ~Rflags.DF;
      case 4 -> cpu.systemFlags |= Rflags.DF;
      default -> {
        boolean cf = which == 1 || which == 2 && !Flags.cf(carries);
        cpu.flagCarries = carries & ~Flags.CF_PO | Flags.carries(cf, Flags.of(carries));
      }
    }
  }

  private int loadForWrite(boolean exclusive, int d, @Gva long gva, int size, boolean stack, boolean alone) {
    linear.alone = alone;
    int status = memoryPath.check(gva, size, stack);
    if (status == Status.OK) {
      status = linear.loadForWrite(gva, size);
      memoryPath.lookAround |= linear.mustLookAround();
    }
    if (status == Status.OK) {
      r[d] = cpu.value;
      if (exclusive) {
        exclusiveValue = cpu.value;
        savedResult = cpu.flagResult;
        savedCarries = cpu.flagCarries;
      }
    }
    return status;
  }

  private int storeExclusive(long value, @Gva long gva, int size, boolean alone) {
    linear.alone = alone;
    int status = linear.storeExclusive(gva, size, exclusiveValue, value);
    memoryPath.lookAround |= linear.mustLookAround();
    if (status == Status.RESTART) {
      cpu.flagResult = savedResult;
      cpu.flagCarries = savedCarries;
    }
    return status;
  }

  private long stackMask() {
    return cpu.code64() ? -1L : (cpu.codeMode & Cpu.MODE_STACK32) != 0 ? 0xFFFF_FFFFL : 0xFFFFL;
  }

  private void setStackPointer(long value) {
    long mask = stackMask();
    // A 16-bit stack pointer leaves the upper half of ESP alone.
    r[Cpu.RSP] = mask == 0xFFFFL ? r[Cpu.RSP] & ~mask | value & mask : value & mask;
  }

  private int push(long value, int size) {
    long sp = r[Cpu.RSP] - size & stackMask();
    int status = operands.store(Segments.SS, sp, size, value);
    memoryPath.lookAround |= linear.mustLookAround();
    if (status == Status.OK) {
      setStackPointer(sp);
    }
    return status;
  }

  /** LOOPNE, LOOPE, LOOP, JCXZ with a counter of 2^log bytes. */
  private boolean loop(int kind, int log) {
    int x = 64 - (8 << log);
    if (kind == 3) {
      return r[Cpu.RCX] << x == 0;
    }
    write(Cpu.RCX, r[Cpu.RCX] - 1, x);
    boolean more = r[Cpu.RCX] << x != 0;
    boolean zero = Flags.zf(cpu.flagResult);
    return more && (kind == 2 || zero == (kind == 1));
  }

  private int checkTarget(long target) {
    boolean valid = cpu.code64() ? cpu.canonical(target) : target <= cpu.limit[Segments.CS];
    return valid ? Status.OK : cpu.fault(Vector.GP);
  }
}
