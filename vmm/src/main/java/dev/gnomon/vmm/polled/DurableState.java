package dev.gnomon.vmm.polled;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * Words that the hypervisor holds for a device: they survive the death of the process that polls, and the guest cannot
 * reach them. What a device must know after {@link PolledDevice#restart} and cannot read from shared memory it keeps
 * here, such as a log of requests in flight. Zero when the device is attached and after a reset.
 */
public final class DurableState {
  /** Words that there are. */
  public static final int WORDS = 64;

  private final long[] words;

  DurableState() {
    this(new long[WORDS]);
  }

  private DurableState(long[] words) {
    this.words = words;
  }

  /** The same words, which whoever has the original cannot change any more. */
  DurableState copy() {
    return new DurableState(words.clone());
  }

  /** @param index 0 to {@link #WORDS} − 1 */
  public long get(int index) {
    return words[index];
  }

  public void put(int index, long value) {
    words[index] = value;
  }

  void clear() {
    Arrays.fill(words, 0);
  }

  void save(DataOutput out) throws IOException {
    for (long word : words) {
      out.writeLong(word);
    }
  }

  void load(DataInput in) throws IOException {
    for (int i = 0; i < WORDS; i++) {
      words[i] = in.readLong();
    }
  }
}
