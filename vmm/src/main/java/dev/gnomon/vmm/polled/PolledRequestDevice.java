package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemorySlot;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** The request device in a reserved page: its registers are guest memory, and the host looks at them once a period. */
public final class PolledRequestDevice implements PolledDevice {
  /** Bytes of shared memory. */
  public static final int PAGE_BYTES = 4096;
  private static final int VERSION = 1;

  private final MemorySlot slot;
  private final long periodNs;
  private final RequestEngine engine;
  private final RequestRegisters page;
  private long nextPoll;

  /**
   * @param gpa where the page lies, a multiple of 4096
   * @param periodNs virtual nanoseconds between polls, at least 1
   */
  public PolledRequestDevice(String name, @Gpa long gpa, long periodNs, GuestPhysicalMemory memory, RequestEngine engine) {
    if (periodNs < 1) {
      throw new IllegalArgumentException(name + ": poll period of " + periodNs + " ns, expected at least 1");
    }
    this.slot = slotOf(name, gpa);
    this.periodNs = periodNs;
    this.engine = engine;
    this.page = new RequestRegisters() {
      @Override
      public long read(int offset, int size) {
        return memory.read(gpa + offset, size);
      }

      @Override
      public void write(int offset, int size, long value) {
        memory.write(gpa + offset, size, value);
      }
    };
    this.nextPoll = periodNs;
  }

  /** The slot that such a device needs; memory layouts are made before devices. */
  public static MemorySlot slotOf(String name, @Gpa long gpa) {
    return new MemorySlot(MemorySlot.Kind.RESERVED, gpa, PAGE_BYTES, name);
  }

  /** The device behind the page. */
  public RequestEngine engine() {
    return engine;
  }

  @Override
  public String name() {
    return slot.name();
  }

  @Override
  public MemorySlot slot() {
    return slot;
  }

  @Override
  public long nextPoll() {
    return nextPoll;
  }

  /** After time has jumped, one poll stands for all that the jump passed over: nothing can have changed between them. */
  @Override
  public void poll(long nowNs) {
    if (nowNs >= nextPoll) {
      engine.step(page);
      nextPoll = (nowNs / periodNs + 1) * periodNs;
    }
  }

  @Override
  public void reset() {
    engine.reset();
    for (int offset = 0; offset < RequestRegisters.SIZE; offset += 8) {
      page.write(offset, 8, 0);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeLong(nextPoll);
    engine.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(name() + ": saved state has version " + version + ", expected " + VERSION);
    }
    nextPoll = in.readLong();
    engine.load(in);
  }
}
