package dev.gnomon.guest.exec;

import static dev.gnomon.guest.decode.MicroOp.*;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Flags;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.MicroOp;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.SoftTlb;
import dev.gnomon.guest.mmu.Status;

/**
 * The hot loop: runs micro-ops of linked blocks until the budget is used up, an instruction faults or leaves the guest, or a complex instruction has run.
 *
 * <p>The dispatch method stays small (a test holds its size), or HotSpot stops inlining into it and then stops compiling it. So each case does only what
 * succeeds; what a soft-TLB probe turns away breaks out of the switch and is done again, slowly, by {@link MemoryPath}. Instructions of a block are
 * subtracted from the budget at its start; an instruction that stops in the middle gives back those not retired, from its micro-op's ordinal.
 */
public final class Interpreter {
  private final Cpu cpu;
  private final HostMemory memory;
  private final CodeCache cache;
  private final BlockFinder finder;
  private final MemoryPath memoryPath;
  private final WarmOps warm;
  private final ComplexPath complex;

  Interpreter(Cpu cpu, CodeCache cache, BlockFinder finder, MemoryPath memoryPath, WarmOps warm, ComplexPath complex) {
    this.cpu = cpu;
    this.memory = cpu.memory;
    this.cache = cache;
    this.finder = finder;
    this.memoryPath = memoryPath;
    this.warm = warm;
    this.complex = complex;
  }

  /**
   * Runs from {@code cpu.rip}. On return {@code cpu.rip}, flags and {@code cpu.retired} are exact.
   *
   * @param budget most instructions to retire, at least 1
   * @return {@link Status#OK} (budget used up, or an instruction after which the run loop must look around), FAULT, EXIT or RESTART
   */
  int execute(long budget) {
    final Cpu cpu = this.cpu;
    final long[] r = cpu.regs;
    // An index masked by length − 1 needs no bounds check.
    final int registers = r.length - 1;
    final int[] code = cache.code;
    final HostMemory memory = this.memory;
    final long[] tlb = cpu.mmu.data.entries;
    final long addressMask = cpu.code64() ? -1L : 0xFFFF_FFFFL;
    long end = cpu.retired + budget;
    long result = cpu.flagResult;
    long carries = cpu.flagCarries;
    long rip = cpu.rip;
    int status;
    int block = finder.find(rip, 0);
    blocks:
    while (true) {
      if (block <= 0) {
        status = block;
        break;
      }
      int n = code[block];
      if (budget < n) {
        if (budget <= 0) {
          status = Status.OK;
          break;
        }
        block = finder.find(rip, CodeCache.SINGLE);
        if (block <= 0) {
          status = block;
          break;
        }
        n = 1;
      }
      budget -= n;
      r[Cpu.RIP_BASE] = rip;
      int pc = block + HEADER;
      while (true) {
        final int w = code[pc];
        final int d = w >>> 8 & registers;
        final long a = r[w >>> 13 & registers];
        final long b = r[w >>> 18 & registers];
        final int x = w >>> 23;
        slow:
        {
        sideways:
        {
        switch (w & 0xFF) {
          case MOV64:
            r[d] = a;
            pc += SIZE;
            continue;
          case MOVI:
            r[d] = code[pc + 1];
            pc += SIZE;
            continue;
          case MOVI64:
            r[d] = (long) code[pc + 2] << 32 | code[pc + 1] & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          case MOVN:
            r[d] ^= (r[d] ^ a) & -1L >>> x;
            pc += SIZE;
            continue;
          case LEA64:
            r[d] = a + (b << x) + code[pc + 1];
            pc += SIZE;
            continue;
          case LEA32:
            r[d] = a + (b << x) + code[pc + 1] & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          case LD8: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 0, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[d] = memory.get8(offset) & 0xFFL;
            pc += SIZE;
            continue;
          }
          case LD32: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[d] = memory.get32(offset) & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          }
          case LD64: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 7, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[d] = memory.get64(offset);
            pc += SIZE;
            continue;
          }
          case ST8: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 0, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break slow;
            }
            memory.set8(offset, (byte) r[d]);
            pc += SIZE;
            continue;
          }
          case ST32: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 3, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break slow;
            }
            memory.set32(offset, (int) r[d]);
            pc += SIZE;
            continue;
          }
          case ST64: {
            int offset = SoftTlb.probe(tlb, address(a, b, x, code[pc + 1]) & addressMask, 7, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break slow;
            }
            memory.set64(offset, r[d]);
            pc += SIZE;
            continue;
          }
          case PUSH64: {
            long sp = r[Cpu.RSP] - 8;
            int offset = SoftTlb.probe(tlb, sp, 7, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break slow;
            }
            memory.set64(offset, a + code[pc + 1]);
            r[Cpu.RSP] = sp;
            pc += SIZE;
            continue;
          }
          case PUSH32: {
            long sp = r[Cpu.RSP] - 4 & 0xFFFF_FFFFL;
            int offset = SoftTlb.probe(tlb, sp, 3, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break slow;
            }
            memory.set32(offset, (int) a + code[pc + 1]);
            r[Cpu.RSP] = sp;
            pc += SIZE;
            continue;
          }
          case POP64: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 7, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[Cpu.RSP] += 8;
            r[d] = memory.get64(offset);
            pc += SIZE;
            continue;
          }
          case POP32: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[Cpu.RSP] = r[Cpu.RSP] + 4 & 0xFFFF_FFFFL;
            r[d] = memory.get32(offset) & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          }
          case ADD: {
            long p = a << x;
            long q = b + code[pc + 1] << x;
            long sum = p + q;
            r[d] = sum >>> x;
            result = sum >> x;
            carries = Flags.ofSum(p, q, sum, x);
            pc += SIZE;
            continue;
          }
          case SUB: {
            long p = a << x;
            long q = b + code[pc + 1] << x;
            long difference = p - q;
            r[d] = difference >>> x;
            result = difference >> x;
            carries = Flags.ofDifference(p, q, difference, x);
            pc += SIZE;
            continue;
          }
          case AND:
            result = signed(a & b + code[pc + 1], x);
            carries = 0;
            r[d] = unsigned(result, x);
            pc += SIZE;
            continue;
          case OR:
            result = signed(a | b + code[pc + 1], x);
            carries = 0;
            r[d] = unsigned(result, x);
            pc += SIZE;
            continue;
          case XOR:
            result = signed(a ^ b + code[pc + 1], x);
            carries = 0;
            r[d] = unsigned(result, x);
            pc += SIZE;
            continue;
          case INC: {
            long sum = (a << x) + (1L << x);
            result = sum >> x;
            carries = Flags.ofIncrement(carries, sum, x);
            r[d] = sum >>> x;
            pc += SIZE;
            continue;
          }
          case DEC: {
            long difference = (a << x) - (1L << x);
            result = difference >> x;
            carries = Flags.ofDecrement(carries, difference, x);
            r[d] = difference >>> x;
            pc += SIZE;
            continue;
          }
          case SHL: {
            long p = a << x << code[pc + 1] - 1;
            carries = p & Flags.CF_PO;
            result = p << 1 >> x;
            r[d] = p << 1 >>> x;
            pc += SIZE;
            continue;
          }
          case SHR: {
            long p = a << x;
            long last = p >>> x >>> code[pc + 1] - 1;
            carries = Flags.ofRightShift(last, p);
            result = last >>> 1;
            r[d] = result;
            pc += SIZE;
            continue;
          }
          case SAR: {
            long last = a << x >> x >> code[pc + 1] - 1;
            carries = Flags.ofRightShift(last, 0);
            result = last >> 1;
            r[d] = unsigned(result, x);
            pc += SIZE;
            continue;
          }
          case IMUL: {
            long p = signed(a, x);
            long q = signed(b + code[pc + 1], x);
            result = signed(p * q, x);
            carries = Flags.ofProduct(p, q, result);
            r[d] = unsigned(result, x);
            pc += SIZE;
            continue;
          }
          case ZX:
            r[d] = a & code[pc + 1] & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          case SX:
            r[d] = unsigned(signed(a, x), code[pc + 1]);
            pc += SIZE;
            continue;
          case CMOV:
            r[d] = (Flags.condition(code[pc + 2], result, carries) ? a : r[d]) << x >>> x;
            pc += SIZE;
            continue;
          case SET:
            r[d] = Flags.condition(code[pc + 2], result, carries) ? 1 : 0;
            pc += SIZE;
            continue;
          case ADDSEG:
            r[d] = a + cpu.base[code[pc + 1]];
            pc += SIZE;
            continue;
          case SUBX: {
            long p = a << x;
            long q = b + code[pc + 1] << x;
            long difference = p - q;
            r[d] = difference >>> x;
            result = difference >> x;
            carries = Flags.ofDifference(p, q, difference, x);
            if (Flags.condition(code[pc + 2], result, carries)) {
              break sideways;
            }
            pc += 2 * SIZE;
            continue;
          }
          case ANDX:
            result = signed(a & b + code[pc + 1], x);
            carries = 0;
            r[d] = unsigned(result, x);
            if (Flags.condition(code[pc + 2], result, carries)) {
              break sideways;
            }
            pc += 2 * SIZE;
            continue;
          case DECX: {
            long difference = (a << x) - (1L << x);
            result = difference >> x;
            carries = Flags.ofDecrement(carries, difference, x);
            r[d] = difference >>> x;
            if (Flags.condition(code[pc + 2], result, carries)) {
              break sideways;
            }
            pc += 2 * SIZE;
            continue;
          }
          case JCX:
            if (Flags.condition(code[pc + 2], result, carries)) {
              break sideways;
            }
            pc += 2 * SIZE;
            continue;
          case JNZX:
            if (a != 0 == (code[pc + 2] == 0)) {
              break sideways;
            }
            pc += 2 * SIZE;
            continue;
          case GOTO: {
            rip += code[block + H_NEXT];
            int link = code[block + H_LINK];
            if (link != 0) {
              block = link;
              continue blocks;
            }
            block = finder.chain(block, code[block + H_NEXT], block + H_LINK, rip);
            rip = cpu.rip;
            continue blocks;
          }
          case RET64: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 7, SoftTlb.DENY_LOAD);
            long target = offset < 0 ? 1L << 62 : memory.get64(offset);
            if (target << 16 >> 16 != target) {
              break slow;
            }
            r[Cpu.RSP] += code[pc + 1];
            rip = target;
            block = finder.find(rip, 0);
            continue blocks;
          }
          case RET32: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break slow;
            }
            r[Cpu.RSP] = r[Cpu.RSP] + code[pc + 1] & 0xFFFF_FFFFL;
            rip = memory.get32(offset) & 0xFFFF_FFFFL;
            block = finder.find(rip, 0);
            continue blocks;
          }
          case JMPR:
            if (a << 16 >> 16 != a) {
              break slow;
            }
            rip = a;
            block = finder.find(rip, 0);
            continue blocks;
          default:
            break slow;
        }
        }
        // A conditional jump leaves the block: what lies behind it was not retired.
        budget += n - (code[pc + SIZE + 3] >>> 16) - 1;
        rip += code[pc + SIZE + 1];
        int link = code[pc + SIZE + 2];
        if (link != 0) {
          block = link;
          continue blocks;
        }
        block = finder.chain(block, code[pc + SIZE + 1], pc + SIZE + 2, rip);
        rip = cpu.rip;
        continue blocks;
        }
        final int op = w & 0xFF;
        // Exact where it is looked at: a device is touched only by an instruction that is alone in its block.
        cpu.retired = end - budget - 1;
        if (op == WARM) {
          cpu.flagResult = result;
          cpu.flagCarries = carries;
          status = warm.run(code[pc + 2], pc, n == 1);
          result = cpu.flagResult;
          carries = cpu.flagCarries;
        } else if (op == COMPLEX) {
          cpu.flagResult = result;
          cpu.flagCarries = carries;
          cpu.rip = rip;
          return complex.run(code[pc + 1], budget);
        } else {
          status = memoryPath.run(pc, n == 1);
        }
        if (status >= 0) {
          if (memoryPath.lookAround) {
            // A device was touched, so that the run loop must see to interrupts before the next instruction, or code
            // changed, so that links may be stale: this block is the last.
            memoryPath.lookAround = false;
            end -= budget;
            budget = 0;
          }
          if (op >= RET64 && op <= JMPR) {
            rip = r[Cpu.T0];
            block = finder.find(rip, 0);
            continue blocks;
          }
          pc += SIZE;
          continue;
        }
        int meta = code[pc + 3];
        rip += meta & 0xFFFF;
        budget += n - (meta >>> 16);
        break blocks;
      }
    }
    cpu.rip = rip;
    cpu.flagResult = result;
    cpu.flagCarries = carries;
    cpu.retired = end - budget;
    return status;
  }

  private static long address(long a, long b, int x, int displacement) {
    return a + (b << (x & 3)) + displacement;
  }

  /** The low 64 − x bits, sign-extended. */
  private static long signed(long value, int x) {
    return value << x >> x;
  }

  /** The low 64 − x bits, zero-extended. */
  private static long unsigned(long value, int x) {
    return value << x >>> x;
  }
}
