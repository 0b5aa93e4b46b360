package dev.gnomon.vmm.polled.device;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.RegisterFile;
import dev.gnomon.vmm.polled.SplitMix;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * Serves one request at a time from a file of registers:
 * <pre>
 *  00 submit (32)    the guest's request number; written last, it submits
 *  04 operation (32) 0 none | 1 add | 2 mix | 3 sum of memory
 *  08 operand a (64)
 *  10 operand b (64)
 *  18 result (64)
 *  20 complete (32)  the device's copy of the number, written last
 *  24 status (32)    0 done | 1 unknown operation | 2 bad address
 * </pre>
 * A guest writes operation and operands, then a number other than the last to {@code submit}, waits until
 * {@code complete} equals it, and reads result and status. A guest that changes registers meanwhile harms only itself,
 * because each is fetched once.
 */
public final class RequestDevice extends OneWindowDevice {
  public static final int SUBMIT = 0x00;
  public static final int OPERATION = 0x04;
  public static final int OPERAND_A = 0x08;
  public static final int OPERAND_B = 0x10;
  public static final int RESULT = 0x18;
  public static final int COMPLETE = 0x20;
  public static final int STATUS = 0x24;
  /** Bytes of the register file. */
  public static final int SIZE = 0x28;

  /** Operations. */
  public static final int OP_NONE = 0;
  /** {@code a + b}. */
  public static final int OP_ADD = 1;
  /** A pseudorandom function of {@code a}, {@code b} and the machine's seed. */
  public static final int OP_MIX = 2;
  /**
   * Sum of {@code b} bytes of guest memory from guest-physical address {@code a} on, at most {@link #MAX_SUM_BYTES}.
   */
  public static final int OP_SUM = 3;

  /** Status values. */
  public static final int STATUS_DONE = 0;
  public static final int STATUS_UNKNOWN_OPERATION = 1;
  public static final int STATUS_BAD_ADDRESS = 2;

  /** What one step reads of guest memory at most. */
  public static final int MAX_SUM_BYTES = 4096;

  private static final long GOLDEN_GAMMA = 0x9E37_79B9_7F4A_7C15L;
  private static final int VERSION = 1;

  private final long seed;
  private int served;
  private long result;

  /** A device of a name of its own, at a place that the machine chooses. */
  public RequestDevice() {
    this("request", Window.anywhere(4096), 0);
  }

  /** @param window where its registers lie, 4096 bytes */
  public RequestDevice(String name, Window window, long seed) {
    super(name, window);
    this.seed = seed;
  }

  @Override
  public RegisterFile registers() {
    return new RegisterFile(SIZE, List.of(new RegisterFile.Range(0, RESULT)),
        List.of(new RegisterFile.Range(SUBMIT, 4)), false);
  }

  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    int submitted = memory.u32(base + SUBMIT);
    if (submitted == served) {
      return Poll.IDLE;
    }
    int operation = memory.u32(base + OPERATION);
    long a = memory.u64(base + OPERAND_A);
    long b = memory.u64(base + OPERAND_B);
    int status = perform(memory, operation, a, b);
    memory.put64(base + RESULT, result);
    memory.put32(base + STATUS, status);
    memory.put32(base + COMPLETE, submitted);
    served = submitted;
    context.completed(submitted & 0xFFFF_FFFFL);
    return Poll.BUSY;
  }

  private int perform(DmaPort memory, int operation, long a, long b) {
    result = 0;
    switch (operation) {
      case OP_NONE -> { }
      case OP_ADD -> result = a + b;
      case OP_MIX -> result = mix(a ^ mix(b ^ seed));
      case OP_SUM -> {
        return sum(memory, a, b);
      }
      default -> {
        return STATUS_UNKNOWN_OPERATION;
      }
    }
    return STATUS_DONE;
  }

  private int sum(DmaPort memory, @Gpa long gpa, long length) {
    if (length < 0 || length > MAX_SUM_BYTES || !context.pin(gpa, length, false)) {
      return STATUS_BAD_ADDRESS;
    }
    byte[] bytes = memory.snapshot(gpa, (int) length);
    context.unpin(gpa, length, false);
    if (bytes == null) {
      memory.takeFault();
      return STATUS_BAD_ADDRESS;
    }
    for (byte b : bytes) {
      result += b & 0xFF;
    }
    return STATUS_DONE;
  }

  private static long mix(long z) {
    return SplitMix.mix(z + GOLDEN_GAMMA);
  }

  /** The number in {@code complete} was published after everything else, so it tells what was served. */
  @Override
  public void restart(DmaPort memory) {
    served = memory.u32(base + COMPLETE);
  }

  @Override
  public void reset() {
    served = 0;
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(served);
  }

  @Override
  public void load(DataInput in) throws IOException {
    checkVersion(in, VERSION);
    served = in.readInt();
  }
}
