package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemorySlots;

/**
 * The memory that drivers and devices share: what everybody sees, and each agent's store buffer before it. Agents are numbered; a load is answered
 * from the agent's own buffer first.
 */
final class SharedMemory {
  private static final int FRAME = HostMemory.FRAME_SIZE;

  final HostMemory host;
  final MemorySlots slots;
  private final boolean[] dirty;
  private final byte[] zeros = new byte[FRAME];
  private StoreBuffer[] buffers = new StoreBuffer[0];
  private StaleValues stale;
  /** A real guest's stores, and whose they are; null without one. */
  private InvertedBuffer inverted;
  private int invertedAgent;
  private GuestPhysicalMemory guest;
  /** Grows when something that everybody sees changes; and how much of that was each agent's. */
  private long version;
  private long[] own = new long[0];

  SharedMemory(HostMemory host, MemorySlots slots) {
    this.host = host;
    this.slots = slots;
    this.dirty = new boolean[host.frames()];
  }

  /** Zeroes what was written and empties the buffers. */
  void reset(StoreBuffer[] agents) {
    for (int frame = 0; frame < dirty.length && guest == null; frame++) {
      if (dirty[frame]) {
        dirty[frame] = false;
        host.writeBytes(host.hpa(frame << HostMemory.FRAME_SHIFT), zeros, 0, FRAME);
      }
    }
    buffers = agents;
    stale = null;
    version = 0;
    own = new long[agents.length];
  }

  /** Grows when something changes for an agent that is not its own doing. */
  long version(int agent) {
    return version - own[agent];
  }

  /** Memory of a machine with a real guest: it restores the pages itself. */
  void setGuest(GuestPhysicalMemory memory, InvertedBuffer stores, int agent) {
    guest = memory;
    inverted = stores;
    invertedAgent = agent;
  }

  /** A store of a real guest has become visible. */
  void published(int agent) {
    version++;
    own[agent]++;
  }

  void setStale(StaleValues values) {
    stale = values;
  }

  StoreBuffer buffer(int agent) {
    return buffers[agent];
  }

  /** What a store of an agent is to others, of {@link Actor}'s kinds. */
  int storeOp(int agent) {
    StoreBuffer buffer = buffers[agent];
    return buffer.depth() == 0 ? Actor.STORE : buffer.isFull() ? Actor.ANYTHING : Actor.BUFFERED;
  }

  /** Offset of an address that a driver uses, −1 where there is no memory. */
  int offset(@Gpa long gpa) {
    @Hpa long hpa = slots.back(gpa);
    return hpa < 0 ? -1 : host.offset(hpa);
  }

  long load(int agent, @Gpa long gpa, int offset, int size) {
    long value = visible(agent, offset, size);
    if (stale != null) {
      value = stale.load(agent, gpa, size, value);
    }
    StoreBuffer buffer = buffers[agent];
    return buffer.count == 0 ? value : buffer.forward(offset, size, value);
  }

  private long visible(int agent, int offset, int size) {
    long value = host.load(offset, size);
    return inverted == null || agent == invertedAgent ? value : inverted.outside(offset, size, value);
  }

  void store(int agent, @Gpa long gpa, int offset, int size, long value) {
    StoreBuffer buffer = buffers[agent];
    if (buffer.depth() == 0) {
      commit(agent, gpa, offset, size, value);
      return;
    }
    if (buffer.isFull()) {
      flushOne(agent);
    }
    buffer.push(gpa, offset, size, value);
  }

  /** The oldest store becomes visible. */
  void flushOne(int agent) {
    flush(agent, 0);
  }

  /** A store becomes visible, the oldest one unless somebody breaks the rules. */
  void flush(int agent, int index) {
    StoreBuffer buffer = buffers[agent];
    commit(agent, buffer.gpas[index], buffer.offsets[index], buffer.sizes[index], buffer.values[index]);
    buffer.remove(index);
  }

  /** A fence: all stores of an agent become visible. */
  void drain(int agent) {
    while (buffers[agent].count > 0) {
      flushOne(agent);
    }
  }

  /** A store that everybody sees from now on. @param agent −1 if it is nobody's */
  void commit(int agent, @Gpa long gpa, int offset, int size, long value) {
    long old = visible(agent, offset, size);
    dirty[offset >>> HostMemory.FRAME_SHIFT] = true;
    if (old != (size == 8 ? value : value & (1L << 8 * size) - 1)) {
      version++;
      if (agent >= 0) {
        own[agent]++;
      }
      if (stale != null) {
        stale.stored(agent, gpa, size, old, value);
      }
      if (inverted == null || inverted.count() == 0) {
        host.beforeWrite(offset, size);
        host.store(offset, size, value);
      } else {
        for (int i = 0; i < size; i++) {
          if (!inverted.absorb(offset + i, (int) (value >>> 8 * i))) {
            host.beforeWrite(offset + i, 1);
            host.store(offset + i, 1, value >>> 8 * i & 0xFF);
          }
        }
      }
      if (guest != null) {
        guest.written(gpa, size);
      }
    }
  }

  boolean compareAndSet(int agent, @Gpa long gpa, int offset, int size, long expected, long value) {
    drain(agent);
    long mask = size == 8 ? -1 : (1L << 8 * size) - 1;
    if (visible(agent, offset, size) != (expected & mask)) {
      return false;
    }
    commit(agent, gpa, offset, size, value & mask);
    return true;
  }

  /** Bytes to the end of an address's page. */
  static int toPageEnd(@Gpa long gpa) {
    return (int) (FRAME - Addresses.offset(gpa, FRAME));
  }
}
