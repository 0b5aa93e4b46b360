package dev.gnomon.guest.exec;

import static dev.gnomon.guest.decode.MicroOp.*;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.VectorOp;
import dev.gnomon.guest.decode.WarmOp;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.SoftTlb;
import dev.gnomon.guest.mmu.Status;

/**
 * The hot loop: runs micro-ops of linked blocks until the budget is used up, an instruction faults or leaves the guest,
 * or a complex instruction has run.
 *
 * <p>The dispatch method stays small (a test holds its size), or HotSpot stops inlining into it and then stops
 * compiling it. Each case does only what succeeds; everything else leaves the loop, is done by {@link #slow}, and the
 * loop is entered anew. So no call lies inside it, and the compiler can keep its locals in registers. An expression
 * that several cases contain the compiler computes before the dispatch, for every micro-op; hence each case serves all
 * operations of one kind, conditions are evaluated in one place, and shifts by a variable width are kept apart.
 *
 * <p>Instructions are subtracted from the budget where a block is left; a block is entered only if the budget covers
 * all of it.
 */
public final class Interpreter {
  private static final long LOW32 = 0xFFFF_FFFFL;
  /** No micro-op has all bits set. */
  private static final int NONE = -1;

  private final Cpu cpu;
  private final long[] regs;
  private final HostMemory memory;
  private final CodeCache cache;
  private final long[] arena;
  private final BlockFinder finder;
  private final MemoryPath memoryPath;
  private final WarmOps warm;
  private final VectorOps vectors;
  private final ComplexPath complex;
  // The run in hand, as it is outside of the loop.
  /** Instructions that may still retire. */
  private long budget;
  /** {@code cpu.retired} when the budget is used up. */
  private long end;
  private int block;
  private long[] tlb;
  private long addressMask;
  /** The last micro-op that set flags and its operands, or NONE if the flags are in the processor's state. */
  private int flags = NONE;
  private long first;
  private long second;
  /** RIP of the block's start less its offset in host memory: the same for all blocks of a page. */
  private long bias;

  Interpreter(Cpu cpu, CodeCache cache, BlockFinder finder, MemoryPath memoryPath, WarmOps warm, VectorOps vectors,
      ComplexPath complex) {
    this.cpu = cpu;
    this.regs = cpu.regs;
    this.memory = cpu.memory;
    this.cache = cache;
    this.arena = cache.code;
    this.finder = finder;
    this.memoryPath = memoryPath;
    this.warm = warm;
    this.vectors = vectors;
    this.complex = complex;
  }

  /**
   * Runs from {@code cpu.rip}. On return {@code cpu.rip}, flags and {@code cpu.retired} are exact.
   *
   * @param most instructions to retire, at least 1
   * @return {@link Status#OK} (budget used up, or an instruction after which the run loop must look around), FAULT,
   *     EXIT or RESTART
   */
  int execute(long most) {
    budget = most;
    end = cpu.retired + most;
    chooseTlb();
    addressMask = cpu.code64() ? -1L : LOW32;
    int pc = enter(finder.find(cpu.rip, 0), cpu.rip);
    while (pc > 0) {
      final long[] r = regs;
      // An index masked by length − 1 needs no bounds check.
      final int registers = r.length - 1;
      final long[] code = arena;
      long w;
      leave:
      {
        loop:
        while (true) {
          w = code[pc];
          final int v = (int) w;
          final int d = v >>> 7 & registers;
          final long a = r[v >>> 12 & registers];
          final long q = r[v >>> 17 & registers] + (w >> 32);
          exit:
          {
            switch (v & 127) {
              case ADD_NF64:
                r[d] = a + q;
                break;
              case ADD_NF32:
                r[d] = (int) a + (int) q & LOW32;
                break;
              case SUB_NF64:
                r[d] = a - q;
                break;
              case SUB_NF32:
                r[d] = (int) a - (int) q & LOW32;
                break;
              case AND_NF64:
                r[d] = a & q;
                break;
              case AND_NF32:
                r[d] = (int) a & (int) q & LOW32;
                break;
              case OR_NF64:
                r[d] = a | q;
                break;
              case OR_NF32:
                r[d] = ((int) a | (int) q) & LOW32;
                break;
              case XOR_NF64:
                r[d] = a ^ q;
                break;
              case XOR_NF32:
                r[d] = ((int) a ^ (int) q) & LOW32;
                break;
              case SUBX64:
                r[d] = a - q;
                flags = v;
                first = a;
                second = q;
                if (Flags.comparison(v >>> 28, a, q)) {
                  break exit;
                }
                break;
              case SUBX32:
                r[d] = (int) a - (int) q & LOW32;
                flags = v;
                first = a;
                second = q;
                if (Flags.comparison(v >>> 28, (int) a, (int) q)) {
                  break exit;
                }
                break;
              case GOTO:
                break exit;
              default:
                break loop;
            }
            pc += SIZE;
            continue;
          }
          final long exit = code[pc + 1];
          final int next = (int) exit;
          final long rest = budget - ordinal(exit) - 1;
          if (exit >= 0 || rest < code[next]) {
            break leave;
          }
          r[Cpu.RIP_BASE] = bias + code[next + H_OFFSET];
          budget = rest;
          block = next;
          pc = next + HEADER;
        }
        final int v = (int) w;
        final int op = v & 127;
        final int d = v >>> 7 & registers;
        final long a = r[v >>> 12 & registers];
        final long immediate = w >> 32;
        final long q = r[v >>> 17 & registers] + immediate;
        final HostMemory memory = this.memory;
        fast:
        {
          final long target;
          final long pointer;
          jump:
          {
            done:
            {
              arithmetic: {
              final long z;
              switch (op) {
                case ADD64, ADD32:
                  z = a + q;
                  break;
                case SUB64, SUB32:
                  z = a - q;
                  break;
                case AND64, AND32:
                  z = a & q;
                  break;
                case OR64, OR32:
                  z = a | q;
                  break;
                case XOR64, XOR32:
                  z = a ^ q;
                  break;
                case SHL_NF64, SHL64, SHL_NF32, SHL32:
                  z = a << q;
                  break;
                case IMUL_NF64, IMUL64, IMUL_NF32, IMUL32:
                  z = a * q;
                  break;
                case SHR_NF64, SHR64, SHR_NF32, SHR32:
                  z = a << (v >>> 22) >>> (v >>> 22) >>> q;
                  break;
                case SAR_NF64, SAR64, SAR_NF32, SAR32:
                  z = a << (v >>> 22) >> (v >>> 22) >> q;
                  break;
                case ANDX64, ANDX32, SUBX, ANDX: {
                  long p = op == SUBX ? a : a & q;
                  long s = op == SUBX ? q : 0;
                  r[d] = op == ANDX32 ? p & LOW32 : p - s;
                  flags = v;
                  first = a;
                  second = q;
                  p = p << (v >>> 22) >> (v >>> 22);
                  s = s << (v >>> 22) >> (v >>> 22);
                  if (Flags.comparison(v >>> 28, p, s)) {
                    break leave;
                  }
                  break arithmetic;
                }
          case LD8, LD16, LD32, LD64, LDW8, LDW16, LDW32, LDW64, ST8, ST16, ST32, ST64: {
            final long gva = a + (q - immediate << (v >>> 22 & 3)) + immediate & addressMask;
            final int offset = SoftTlb.probe(tlb, gva, v >>> 25);
            if (offset < 0) {
              break fast;
            }
            switch (op) {
              case LD32, LDW32:
                r[d] = memory.get32(offset) & LOW32;
                break;
              case LD64, LDW64:
                r[d] = memory.get64(offset);
                break;
              case LD8, LDW8:
                r[d] = memory.get8(offset) & 0xFFL;
                break;
              case LD16, LDW16:
                r[d] = memory.get16(offset) & 0xFFFFL;
                break;
              case ST32:
                memory.set32(offset, (int) r[d]);
                break;
              case ST64:
                memory.set64(offset, r[d]);
                break;
              case ST8:
                memory.set8(offset, (byte) r[d]);
                break;
              default:
                memory.set16(offset, (short) r[d]);
                break;
            }
            break done;
          }
          case JCX, SET, CMOV, INC, DEC, DECX: {
            settle();
            final int x = v >>> 22;
            if (op >= DECX && op <= INC) {
              final long sum = a + (op == INC ? 1 : -1) << x;
              r[d] = sum >>> x;
              cpu.flagResult = sum >> x;
              cpu.flagCarries = op == INC ? Flags.ofIncrement(cpu.flagCarries, sum, x)
                  : Flags.ofDecrement(cpu.flagCarries, sum, x);
              if (op != DECX) {
                break done;
              }
            }
            final boolean holds = Flags.condition(v >>> 28, cpu.flagResult, cpu.flagCarries);
            if (op == SET) {
              r[d] = holds ? 1 : 0;
            } else if (op == CMOV) {
              r[d] = (holds ? a : r[d]) << x >>> x;
            } else if (holds) {
              break leave;
            }
            break done;
          }
          case JNZX:
            if (a != 0 == (v >>> 28 == 0)) {
              break leave;
            }
            break done;
          case PUSH32: {
            final long top = r[Cpu.RSP] - 4 & LOW32;
            final int offset = SoftTlb.probe(tlb, top, SoftTlb.DENY_STORE | 3);
            if (offset < 0) {
              break fast;
            }
            memory.set32(offset, (int) (a + immediate));
            r[Cpu.RSP] = top;
            break done;
          }
          case PUSH64: {
            final long top = r[Cpu.RSP] - 8;
            final int offset = SoftTlb.probe(tlb, top, SoftTlb.DENY_STORE | 7);
            if (offset < 0) {
              break fast;
            }
            memory.set64(offset, a + immediate);
            r[Cpu.RSP] = top;
            break done;
          }
          case POP32, RET32: {
            final long top = r[Cpu.RSP];
            final int offset = SoftTlb.probe(tlb, top, SoftTlb.DENY_LOAD | 3);
            if (offset < 0) {
              break fast;
            }
            if (op == RET32) {
              target = memory.get32(offset) & LOW32;
              pointer = top + immediate & LOW32;
              break jump;
            }
            r[Cpu.RSP] = top + 4 & LOW32;
            r[d] = memory.get32(offset) & LOW32;
            break done;
          }
          case POP64, RET64: {
            final long top = r[Cpu.RSP];
            final int offset = SoftTlb.probe(tlb, top, SoftTlb.DENY_LOAD | 7);
            if (offset < 0) {
              break fast;
            }
            if (op == RET64) {
              target = memory.get64(offset);
              pointer = top + immediate;
              break jump;
            }
            r[Cpu.RSP] = top + 8;
            r[d] = memory.get64(offset);
            break done;
          }
          case JMPR:
            target = a;
            pointer = r[Cpu.RSP];
            break jump;
          case LEA64:
            r[d] = a + (q - immediate << (v >>> 22)) + immediate;
            break done;
          case LEA32:
            r[d] = a + (q - immediate << (v >>> 22)) + immediate & LOW32;
            break done;
          case MOVI64:
            r[d] = code[pc + 1] << 32 | immediate & LOW32;
            break done;
          case MOVN:
            r[d] ^= (r[d] ^ a) & -1L >>> (v >>> 22);
            break done;
          case SX:
            r[d] = a << (v >>> 22) >> (v >>> 22) << immediate >>> immediate;
            break done;
          case ADDSEG:
            r[d] = a + cpu.base[(int) immediate];
            break done;
                default:
                  break fast;
              }
              r[d] = (op & 2) == 0 ? z : z & LOW32;
              if ((op & 1) != 0) {
                flags = v;
                first = a;
                second = q;
              }
              }
            }
            pc += SIZE;
            continue;
          }
          final int next = finder.cached(target);
          final long rest = budget - ordinal(code[pc + 1]) - 1;
          if (next == 0 || rest < code[next]) {
            break fast;
          }
          cache.enter(next);
          r[Cpu.RSP] = pointer;
          r[Cpu.RIP_BASE] = target;
          bias = target - code[next + H_OFFSET];
          budget = rest;
          block = next;
          pc = next + HEADER;
          continue;
        }
        pc = slow(pc);
        continue;
      }
      pc = leave(pc);
    }
    return pc;
  }

  private void chooseTlb() {
    long[] entries = cpu.mmu.data.entries;
    // Storing a reference costs the collector's barrier each time.
    if (tlb != entries) {
      tlb = entries;
    }
  }

  /** As {@link #settle}, and small enough to be inlined where the flags mostly are in the processor's state. */
  private void settleIfNeeded() {
    if (flags != NONE) {
      settle();
    }
  }

  /** Brings the flags into the processor's state. */
  private void settle() {
    int v = flags;
    if (v == NONE) {
      return;
    }
    flags = NONE;
    int op = v & 127;
    int x = x(v);
    int kind = op >= SUBX64 ? (op & 1) == 0 ? SUB_NF64 : AND_NF64 : op & ~3;
    long p = first << x;
    long q = second << x;
    long result;
    long carries = 0;
    switch (kind) {
      case ADD_NF64 -> {
        result = p + q >> x;
        carries = Flags.ofSum(p, q, p + q, x);
      }
      case SUB_NF64 -> {
        result = p - q >> x;
        carries = Flags.ofDifference(p, q, p - q, x);
      }
      case AND_NF64 -> result = (p & q) >> x;
      case OR_NF64 -> result = (p | q) >> x;
      case XOR_NF64 -> result = (p ^ q) >> x;
      case SHL_NF64 -> {
        long last = p << second - 1;
        result = last << 1 >> x;
        carries = last & Flags.CF_PO;
      }
      case IMUL_NF64 -> {
        result = first * second << x >> x;
        carries = Flags.ofProduct(p >> x, q >> x, result);
      }
      case SHR_NF64 -> {
        long last = p >>> x >>> second - 1;
        result = last >>> 1;
        carries = Flags.ofRightShift(last, p);
      }
      default -> {
        long last = p >> x >> second - 1;
        result = last >> 1;
        carries = Flags.ofRightShift(last, 0);
      }
    }
    cpu.flagResult = result;
    cpu.flagCarries = carries;
  }

  /** Enters a block that was just found. @return index of its first micro-op, or a status that ends the run */
  private int enter(int found, long rip) {
    int next = found;
    if (next > 0 && budget < arena[next + H_COUNT]) {
      next = finder.find(rip, CodeCache.SINGLE);
    }
    if (next <= 0) {
      return stop(next, rip);
    }
    block = next;
    bias = rip - arena[next + H_OFFSET];
    regs[Cpu.RIP_BASE] = rip;
    return next + HEADER;
  }

  private int stop(int status, long rip) {
    settleIfNeeded();
    cpu.rip = rip;
    cpu.retired = end - budget;
    return status;
  }

  /**
   * Does what the loop turned away: the micro-op at {@code pc}.
   *
   * @return where to go on, or a status that ends the run
   */
  private int slow(int pc) {
    long w = arena[pc];
    long meta = arena[pc + 1];
    int op = operation(w);
    if (op == VECTOR) {
      return vectors(pc);
    }
    // Memory operations and INVLPG have nothing to do with flags, which the next instruction most likely sets anew.
    if (op == COMPLEX || op == WARM && (int) meta != WarmOp.INVLPG) {
      settleIfNeeded();
    }
    cpu.retired = end - budget + ordinal(meta);
    if (op == COMPLEX) {
      cpu.rip = regs[Cpu.RIP_BASE];
      return complex.run(immediate(w), budget - 1);
    }
    boolean alone = arena[block + H_COUNT] == 1;
    int status = op == WARM ? warm.run((int) meta, pc, alone) : memoryPath.run(pc, alone);
    if (status < 0) {
      budget -= ordinal(meta);
      return stop(status, regs[Cpu.RIP_BASE] + offset(meta));
    }
    if (memoryPath.lookAround) {
      lookAround(ordinal(meta) + 1);
    }
    if (op >= RET32 && op <= JMPR) {
      budget -= ordinal(meta) + 1;
      return to(regs[Cpu.T0]);
    }
    return pc + SIZE;
  }

  /**
   * A device was touched, so the run loop must see to interrupts before the next instruction, or what follows may be
   * fetched from elsewhere: this instruction is the last.
   *
   * @param last its ordinal plus 1
   */
  private void lookAround(int last) {
    memoryPath.lookAround = false;
    end -= budget - last;
    budget = last;
  }

  /**
   * Does the vector micro-op at {@code pc} and those right behind it. Flags stay as they are, but for comparisons.
   *
   * @return as {@link #slow}
   */
  private int vectors(int pc) {
    boolean alone = arena[block + H_COUNT] == 1;
    int at = pc;
    do {
      long meta = arena[at + 1];
      cpu.retired = end - budget + ordinal(meta);
      int status = vectors.run(at, alone);
      if (status < 0) {
        budget -= ordinal(meta);
        return stop(status, regs[Cpu.RIP_BASE] + offset(meta));
      }
      if (VectorOp.setsFlags((int) meta)) {
        flags = NONE;
      }
      if (memoryPath.lookAround) {
        lookAround(ordinal(meta) + 1);
      }
      at += SIZE;
    } while (operation(arena[at]) == VECTOR);
    return at;
  }

  /** Leaves the block by the exit at {@code pc}. */
  private int leave(int pc) {
    long meta = arena[pc + 1];
    budget -= ordinal(meta) + 1;
    int displacement = cache.displacement(block, meta);
    long rip = regs[Cpu.RIP_BASE] + displacement;
    int from = block;
    int flushes = cache.flushes;
    int next = to(finder.truncate(rip));
    if (next > 0 && meta >= 0 && flushes == cache.flushes && rip == regs[Cpu.RIP_BASE]) {
      cache.link(from, pc, displacement, block);
    }
    return next;
  }

  /** Goes on at an instruction pointer, if the budget lasts. */
  private int to(long rip) {
    return budget <= 0 ? stop(Status.OK, rip) : enter(finder.find(rip, 0), rip);
  }
}
