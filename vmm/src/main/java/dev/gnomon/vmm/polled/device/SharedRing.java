package dev.gnomon.vmm.polled.device;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.RegisterFile;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/**
 * A ring of requests with one producer, the guest, and one consumer, the device, which serves in order:
 * <pre>
 *  000 producer (32)      guest: requests published since reset, written after the entries
 *  004 guest flags (32)   bit 0: interrupt me after the next completion
 *  040 consumer (32)      device: requests completed since reset, written after statuses and data
 *  044 device flags (32)  bit 0: asleep, ring the doorbell after publishing
 *  080 entries, 64 of 32 bytes; request n in entry n mod 64:
 *      00 id (64)  08 address (64)  10 length (32)  14 operation (32)  18 status (32), the device's  1C result (32), the device's
 * </pre>
 * Operations: 0 none, 1 fill the buffer with the low byte of the id, 2 sum its bytes. Statuses: 0 done, 1 unknown
 * operation, 2 bad buffer.
 *
 * <p>Both sides that go to sleep say so, pass a full fence, and look once more before they do; both that publish pass a
 * full fence before they look whether the other sleeps. Without any of these four fences a wake-up can be lost, because
 * a load may pass an earlier store.
 *
 * <p>A producer index more than 64 ahead, or behind the consumer, is an error that only a reset ends.
 */
public final class SharedRing extends OneWindowDevice {
  public static final int PRODUCER = 0x00;
  public static final int GUEST_FLAGS = 0x04;
  public static final int CONSUMER = 0x40;
  public static final int DEVICE_FLAGS = 0x44;
  public static final int ENTRY_0 = 0x80;
  public static final int ENTRY_BYTES = 32;
  public static final int ENTRIES = 64;
  /** Bytes of the window that mean something. */
  public static final int SIZE = ENTRY_0 + ENTRIES * ENTRY_BYTES;

  /** Fields of an entry. */
  public static final int ID = 0x00;
  public static final int ADDRESS = 0x08;
  public static final int LENGTH = 0x10;
  public static final int OPERATION = 0x14;
  public static final int STATUS = 0x18;
  public static final int RESULT = 0x1C;
  /** Bytes of an entry that the guest writes. */
  private static final int REQUEST_BYTES = STATUS;

  /** Device flag: it sleeps and wants its doorbell rung. */
  public static final int ASLEEP = 1;
  /** Guest flag: it wants an interrupt. */
  public static final int WANTS_INTERRUPT = 1;

  public static final int OP_NONE = 0;
  public static final int OP_FILL = 1;
  public static final int OP_SUM = 2;

  public static final int STATUS_DONE = 0;
  public static final int STATUS_UNKNOWN_OPERATION = 1;
  public static final int STATUS_BAD_BUFFER = 2;

  /** Longest buffer. */
  public static final int MAX_LENGTH = 1 << 16;
  /** Requests that one step serves at most. */
  public static final int BATCH = 8;

  private static final int VERSION = 1;
  /** Durable word: requests completed. */
  private static final int COMPLETED = 0;

  private final int idleStepsBeforeSleep;
  private int consumer;
  private int idle;
  private boolean asleep;

  /** A ring that never sleeps, at a place that the machine chooses. */
  public SharedRing() {
    this("ring", Window.anywhere(4096), 0);
  }

  /**
   * @param window where it lies, 4096 bytes
   * @param idleStepsBeforeSleep steps that find nothing before the device goes to sleep; 0 to never do that, for guests
   *     that ring no doorbell
   */
  public SharedRing(String name, Window window, int idleStepsBeforeSleep) {
    super(name, window);
    this.idleStepsBeforeSleep = idleStepsBeforeSleep;
  }

  @Override
  public RegisterFile registers() {
    return new RegisterFile(SIZE,
        List.of(new RegisterFile.Range(0, CONSUMER), new RegisterFile.Range(ENTRY_0, SIZE - ENTRY_0)),
        List.of(new RegisterFile.Range(PRODUCER, 4)), false);
  }

  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    if (asleep) {
      asleep = false;
      memory.put32(base + DEVICE_FLAGS, 0);
    }
    int pending = memory.poll32(base + PRODUCER) - consumer;
    if (pending < 0 || pending > ENTRIES) {
      context.fail("producer index " + Integer.toUnsignedString(consumer + pending) + " with "
          + Integer.toUnsignedString(consumer)
          + " requests completed: expected at most " + ENTRIES + " more");
      return Poll.DEAD;
    }
    if (pending == 0) {
      return nothing(memory);
    }
    idle = 0;
    for (int i = Math.min(pending, BATCH); i > 0; i--) {
      serve(memory);
    }
    memory.fence();
    if ((memory.poll32(base + GUEST_FLAGS) & WANTS_INTERRUPT) != 0) {
      context.interrupt().raise();
    }
    return Poll.BUSY;
  }

  private Poll nothing(DmaPort memory) {
    if (idleStepsBeforeSleep == 0 || ++idle < idleStepsBeforeSleep) {
      return Poll.IDLE;
    }
    idle = 0;
    memory.put32(base + DEVICE_FLAGS, ASLEEP);
    memory.fence();
    if (memory.poll32(base + PRODUCER) != consumer) {
      memory.put32(base + DEVICE_FLAGS, 0);
      return Poll.BUSY;
    }
    asleep = true;
    return Poll.SLEEP;
  }

  private void serve(DmaPort memory) {
    @Gpa long entry = base + ENTRY_0 + (long) (consumer & ENTRIES - 1) * ENTRY_BYTES;
    byte[] bytes = memory.snapshot(entry, REQUEST_BYTES);
    if (bytes == null) {
      return;
    }
    ByteBuffer request = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long id = request.getLong(ID);
    long result = perform(memory, id, request.getLong(ADDRESS), request.getInt(LENGTH), request.getInt(OPERATION));
    memory.put32(entry + RESULT, (int) result);
    memory.put32(entry + STATUS, (int) (result >>> 32));
    consumer++;
    // From here on the request is not served again, whoever dies; the guest may hear of it only from the next instance.
    context.durable().put(COMPLETED, consumer);
    boolean filled = request.getInt(OPERATION) == OP_FILL && result >>> 32 == STATUS_DONE;
    context.completed(id, filled ? request.getInt(LENGTH) : 0);
    memory.put32(base + CONSUMER, consumer);
  }

  /** @return status in the high half, result in the low one */
  private long perform(DmaPort memory, long id, @Gpa long address, int length, int operation) {
    if (operation == OP_NONE) {
      return 0;
    }
    if (operation != OP_FILL && operation != OP_SUM) {
      return (long) STATUS_UNKNOWN_OPERATION << 32;
    }
    boolean write = operation == OP_FILL;
    if (length < 0 || length > MAX_LENGTH || !context.pin(address, length, write)) {
      return (long) STATUS_BAD_BUFFER << 32;
    }
    byte[] buffer = write ? new byte[length] : memory.snapshot(address, length);
    long sum = 0;
    if (write) {
      Arrays.fill(buffer, (byte) id);
      memory.write(address, buffer, 0, length);
    } else if (buffer != null) {
      for (byte b : buffer) {
        sum += b & 0xFF;
      }
    }
    context.unpin(address, length, write);
    return memory.takeFault() != null ? (long) STATUS_BAD_BUFFER << 32 : sum & 0xFFFF_FFFFL;
  }

  /**
   * What was completed is in the durable state; the guest may not have been told, or may have been told and have
   * changed it.
   */
  @Override
  public void restart(DmaPort memory) {
    consumer = (int) context.durable().get(COMPLETED);
    memory.put32(base + CONSUMER, consumer);
    memory.put32(base + DEVICE_FLAGS, 0);
  }

  @Override
  public void reset() {
    consumer = 0;
    idle = 0;
    asleep = false;
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(consumer);
    out.writeInt(idle);
    out.writeBoolean(asleep);
  }

  @Override
  public void load(DataInput in) throws IOException {
    checkVersion(in, VERSION);
    consumer = in.readInt();
    idle = in.readInt();
    asleep = in.readBoolean();
  }
}
