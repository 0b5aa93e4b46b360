package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The request device apart from how it is reached: one bounded step looks for one request and serves it. It fetches each register once, so a guest
 * that changes them meanwhile harms only itself, and keeps its state outside of the guest's reach.
 */
public final class RequestEngine {
  /** Operations. */
  public static final int OP_NONE = 0;
  /** {@code a + b}. */
  public static final int OP_ADD = 1;
  /** A pseudorandom function of {@code a}, {@code b} and the machine's seed. */
  public static final int OP_MIX = 2;
  /** Sum of {@code b} bytes of guest memory from guest-physical address {@code a} on, at most {@link #MAX_SUM_BYTES}. */
  public static final int OP_SUM = 3;

  /** Status values. */
  public static final int STATUS_DONE = 0;
  public static final int STATUS_UNKNOWN_OPERATION = 1;
  public static final int STATUS_BAD_ADDRESS = 2;

  /** What one step reads of guest memory at most. */
  public static final int MAX_SUM_BYTES = 4096;

  private static final long GOLDEN_GAMMA = 0x9E37_79B9_7F4A_7C15L;

  private final GuestPhysicalMemory memory;
  private final long seed;
  private int served;
  private long requests;
  private long emptySteps;

  /** @param memory what {@link #OP_SUM} reads */
  public RequestEngine(GuestPhysicalMemory memory, long seed) {
    this.memory = memory;
    this.seed = seed;
  }

  /** Serves the request that is there, if any. @return whether there was one */
  boolean step(RequestRegisters registers) {
    int submitted = (int) registers.read(RequestRegisters.SUBMIT, 4);
    if (submitted == served) {
      emptySteps++;
      return false;
    }
    int operation = (int) registers.read(RequestRegisters.OPERATION, 4);
    long a = registers.read(RequestRegisters.OPERAND_A, 8);
    long b = registers.read(RequestRegisters.OPERAND_B, 8);
    int status = STATUS_DONE;
    long result = 0;
    switch (operation) {
      case OP_NONE -> { }
      case OP_ADD -> result = a + b;
      case OP_MIX -> result = mix(a ^ mix(b ^ seed));
      case OP_SUM -> {
        if (b < 0 || b > MAX_SUM_BYTES || !memory.covers(a, b)) {
          status = STATUS_BAD_ADDRESS;
        } else {
          result = sum(a, (int) b);
        }
      }
      default -> status = STATUS_UNKNOWN_OPERATION;
    }
    registers.write(RequestRegisters.RESULT, 8, result);
    registers.write(RequestRegisters.STATUS, 4, status);
    registers.write(RequestRegisters.COMPLETE, 4, submitted);
    served = submitted;
    requests++;
    return true;
  }

  private long sum(@Gpa long gpa, int length) {
    long sum = 0;
    for (int i = 0; i < length; i++) {
      sum += memory.read(gpa + i, 1);
    }
    return sum;
  }

  /** The finalizer of SplitMix64. */
  private static long mix(long z) {
    z += GOLDEN_GAMMA;
    z = (z ^ z >>> 30) * 0xBF58_476D_1CE4_E5B9L;
    z = (z ^ z >>> 27) * 0x94D0_49BB_1331_11EBL;
    return z ^ z >>> 31;
  }

  /** Requests served since the machine was built. */
  public long requests() {
    return requests;
  }

  /** Steps that found nothing to do. */
  public long emptySteps() {
    return emptySteps;
  }

  void reset() {
    served = 0;
  }

  void save(DataOutput out) throws IOException {
    out.writeInt(served);
    out.writeLong(requests);
    out.writeLong(emptySteps);
  }

  void load(DataInput in) throws IOException {
    served = in.readInt();
    requests = in.readLong();
    emptySteps = in.readLong();
  }
}
