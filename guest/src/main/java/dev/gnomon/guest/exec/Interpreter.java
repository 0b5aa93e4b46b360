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
        final int d = w >>> 8 & 31;
        final long a = r[w >>> 13 & 31];
        final long b = r[w >>> 18 & 31];
        final int x = w >>> 23;
        switch (w & 0xFF) {
          case MOV64:
            r[d] = a;
            pc += SIZE;
            continue;
          case MOV32:
            r[d] = a & 0xFFFF_FFFFL;
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
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 0, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[d] = memory.get8(offset) & 0xFFL;
            pc += SIZE;
            continue;
          }
          case LD16: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 1, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[d] = memory.get16(offset) & 0xFFFFL;
            pc += SIZE;
            continue;
          }
          case LD32: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[d] = memory.get32(offset) & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          }
          case LD64: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 7, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[d] = memory.get64(offset);
            pc += SIZE;
            continue;
          }
          case ST8: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 0, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break;
            }
            memory.set8(offset, (byte) r[d]);
            pc += SIZE;
            continue;
          }
          case ST16: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 1, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break;
            }
            memory.set16(offset, (short) r[d]);
            pc += SIZE;
            continue;
          }
          case ST32: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 3, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break;
            }
            memory.set32(offset, (int) r[d]);
            pc += SIZE;
            continue;
          }
          case ST64: {
            int offset = SoftTlb.probe(tlb, a + (b << (x & 3)) + code[pc + 1] & addressMask, 7, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break;
            }
            memory.set64(offset, r[d]);
            pc += SIZE;
            continue;
          }
          case PUSH64: {
            long sp = r[Cpu.RSP] - 8;
            int offset = SoftTlb.probe(tlb, sp, 7, SoftTlb.DENY_STORE);
            if (offset < 0) {
              break;
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
              break;
            }
            memory.set32(offset, (int) a + code[pc + 1]);
            r[Cpu.RSP] = sp;
            pc += SIZE;
            continue;
          }
          case POP64: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 7, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[Cpu.RSP] += 8;
            r[d] = memory.get64(offset);
            pc += SIZE;
            continue;
          }
          case POP32: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
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
            long carry = p & q | (p | q) & ~sum;
            r[d] = sum >>> x;
            result = sum >> x;
            carries = carry & Flags.CF_PO | carry >>> x & Flags.AF;
            pc += SIZE;
            continue;
          }
          case SUB: {
            long p = a << x;
            long q = b + code[pc + 1] << x;
            long difference = p - q;
            long borrow = ~p & q | (~p | q) & difference;
            r[d] = difference >>> x;
            result = difference >> x;
            carries = borrow & Flags.CF_PO | borrow >>> x & Flags.AF;
            pc += SIZE;
            continue;
          }
          case AND:
            result = (a & b + code[pc + 1]) << x >> x;
            carries = 0;
            r[d] = result << x >>> x;
            pc += SIZE;
            continue;
          case OR:
            result = (a | b + code[pc + 1]) << x >> x;
            carries = 0;
            r[d] = result << x >>> x;
            pc += SIZE;
            continue;
          case XOR:
            result = (a ^ b + code[pc + 1]) << x >> x;
            carries = 0;
            r[d] = result << x >>> x;
            pc += SIZE;
            continue;
          case INC: {
            long p = a << x;
            long sum = p + (1L << x);
            result = sum >> x;
            carries = carries & Flags.CF | (carries ^ ~p & sum) >>> 1 & Flags.PO | ((result & 15) == 0 ? Flags.AF : 0);
            r[d] = sum >>> x;
            pc += SIZE;
            continue;
          }
          case DEC: {
            long p = a << x;
            long difference = p - (1L << x);
            result = difference >> x;
            carries = carries & Flags.CF | (carries ^ p & ~difference) >>> 1 & Flags.PO | ((result & 15) == 15 ? Flags.AF : 0);
            r[d] = difference >>> x;
            pc += SIZE;
            continue;
          }
          case SHL: {
            long p = a << x << code[pc + 1] - 1;
            long shifted = p << 1;
            carries = p & Flags.CF | shifted >>> 1 & Flags.PO;
            result = shifted >> x;
            r[d] = shifted >>> x;
            pc += SIZE;
            continue;
          }
          case SHR: {
            long p = a << x;
            long last = p >>> x >>> code[pc + 1] - 1;
            carries = last << 63;
            carries |= (carries ^ p) >>> 1 & Flags.PO;
            result = last >>> 1;
            r[d] = result;
            pc += SIZE;
            continue;
          }
          case SAR: {
            long last = a << x >> x >> code[pc + 1] - 1;
            carries = last << 63 | last << 63 >>> 1;
            result = last >> 1;
            r[d] = result << x >>> x;
            pc += SIZE;
            continue;
          }
          case ROL: {
            long p = a << x >>> x;
            long rotated = (p << code[pc + 1] | p >>> 64 - x - code[pc + 1]) << x;
            r[d] = rotated >>> x;
            carries = carries & ~Flags.CF_PO | rotated >>> x << 63 | rotated >>> 1 & Flags.PO;
            pc += SIZE;
            continue;
          }
          case IMUL: {
            long p = a << x >> x;
            long q = b + code[pc + 1] << x >> x;
            long product = p * q;
            result = product << x >> x;
            carries = (x == 0 ? Math.multiplyHigh(p, q) != product >> 63 : result != product) ? Flags.CF : 0;
            r[d] = result << x >>> x;
            pc += SIZE;
            continue;
          }
          case ZX:
            r[d] = a & code[pc + 1] & 0xFFFF_FFFFL;
            pc += SIZE;
            continue;
          case SX64:
            r[d] = a << x >> x;
            pc += SIZE;
            continue;
          case SX32:
            r[d] = a << x >> x & 0xFFFF_FFFFL;
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
          case SUBJ: {
            long p = a << x;
            long q = b + code[pc + 1] << x;
            long difference = p - q;
            long borrow = ~p & q | (~p | q) & difference;
            r[d] = difference >>> x;
            result = difference >> x;
            carries = borrow & Flags.CF_PO | borrow >>> x & Flags.AF;
            break;
          }
          case ANDJ:
            result = (a & b + code[pc + 1]) << x >> x;
            carries = 0;
            r[d] = result << x >>> x;
            break;
          case DECJ: {
            long p = a << x;
            long difference = p - (1L << x);
            result = difference >> x;
            carries = carries & Flags.CF | (carries ^ p & ~difference) >>> 1 & Flags.PO | ((result & 15) == 15 ? Flags.AF : 0);
            r[d] = difference >>> x;
            break;
          }
          case JCC:
          case JNZ:
          case JMP:
          case FALL:
            break;
          case RET64: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 7, SoftTlb.DENY_LOAD);
            long target = offset < 0 ? 1L << 62 : memory.get64(offset);
            if (target << 16 >> 16 != target) {
              break;
            }
            r[Cpu.RSP] += code[pc + 1];
            rip = target;
            block = finder.find(rip, 0);
            continue blocks;
          }
          case RET32: {
            int offset = SoftTlb.probe(tlb, r[Cpu.RSP], 3, SoftTlb.DENY_LOAD);
            if (offset < 0) {
              break;
            }
            r[Cpu.RSP] = r[Cpu.RSP] + code[pc + 1] & 0xFFFF_FFFFL;
            rip = memory.get32(offset) & 0xFFFF_FFFFL;
            block = finder.find(rip, 0);
            continue blocks;
          }
          case JMPR:
            if (a << 16 >> 16 != a) {
              break;
            }
            rip = a;
            block = finder.find(rip, 0);
            continue blocks;
          default:
            break;
        }
        // What is left: jumps, and everything that takes a call.
        final int op = w & 0xFF;
        if (op >= JMP && op <= JNZ || op == FALL) {
          boolean taken = op == JMP || op != FALL && (op == JNZ ? a != 0 : Flags.condition(code[pc + 2], result, carries));
          int way = taken ? 0 : 1;
          rip += code[block + H_TAKEN + way];
          int link = code[block + H_TAKEN_LINK + way];
          if (link != 0) {
            block = link;
            continue blocks;
          }
          block = finder.chain(block, way, rip);
          rip = cpu.rip;
          continue blocks;
        }
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
          cpu.retired = end - budget - 1;
          return complex.run(code[pc + 1], budget);
        } else {
          cpu.retired = end - budget - 1;
          status = memoryPath.run(pc, n == 1);
        }
        if (status >= 0) {
          if (memoryPath.lookAround) {
            // A device was touched, so the run loop must see to interrupts before the next instruction: this block is the last.
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
}
