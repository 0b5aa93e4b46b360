package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * Bytes on their way to a serial port, each with the virtual time from which on it may arrive. A byte whose time has
 * come waits here until the receiver has room, as behind a cable with flow control, so that none is lost. Nothing but
 * the times decides when a byte arrives, so equal times give equal runs.
 */
public final class SerialInput {
  private static final int INITIAL = 64;
  private static final int MAX_SAVED = 1 << 24;

  private long[] times = new long[INITIAL];
  private byte[] values = new byte[INITIAL];
  private int head;
  private int count;

  /**
   * Queues a byte.
   *
   * @param dueNs virtual time in nanoseconds; if earlier than that of the byte before it, it comes right behind that
   */
  public void add(long dueNs, int value) {
    if (count == times.length) {
      grow();
    }
    int last = head + count - 1 & times.length - 1;
    int next = head + count & times.length - 1;
    times[next] = count == 0 ? dueNs : Math.max(dueNs, times[last]);
    values[next] = (byte) value;
    count++;
  }

  private void grow() {
    long[] longer = new long[2 * times.length];
    byte[] more = new byte[longer.length];
    for (int i = 0; i < count; i++) {
      longer[i] = times[head + i & times.length - 1];
      more[i] = values[head + i & times.length - 1];
    }
    times = longer;
    values = more;
    head = 0;
  }

  /** When the next byte is due; {@link Long#MAX_VALUE} if there is none. */
  public long nextNs() {
    return count == 0 ? Long.MAX_VALUE : times[head];
  }

  /** Takes the next byte, 0 to 255. @throws IllegalStateException if there is none */
  int take() {
    if (count == 0) {
      throw new IllegalStateException("no byte is left");
    }
    int value = values[head] & 0xFF;
    head = head + 1 & times.length - 1;
    count--;
    return value;
  }

  /** Bytes that have not arrived yet. */
  public int size() {
    return count;
  }

  void save(DataOutput out) throws IOException {
    out.writeInt(count);
    for (int i = 0; i < count; i++) {
      out.writeLong(times[head + i & times.length - 1]);
      out.writeByte(values[head + i & times.length - 1]);
    }
  }

  void load(DataInput in) throws IOException {
    int saved = in.readInt();
    if (saved < 0 || saved > MAX_SAVED) {
      throw new IOException("serial input of " + saved + " bytes: expected at most " + MAX_SAVED);
    }
    Arrays.fill(times, 0);
    head = 0;
    count = 0;
    for (int i = 0; i < saved; i++) {
      add(in.readLong(), in.readByte());
    }
  }
}
