package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemorySlots;

/**
 * The memory that drivers and devices share: what everybody sees, and each agent's store buffer before it. Agents are
 * numbered; a load is answered from the agent's own buffer first. Those of a real guest's processors are
 * {@link ProcessorStores}.
 */
final class SharedMemory {
  private static final int FRAME = HostMemory.FRAME_SIZE;

  final HostMemory host;
  final MemorySlots slots;
  private final boolean[] dirty;
  private final byte[] zeros = new byte[FRAME];
  private StoreBuffer[] buffers = new StoreBuffer[0];
  private StaleValues stale;
  /** A machine with a real guest, which restores its pages itself; null without one. */
  private GuestPhysicalMemory guest;
  /** The stores that lie over memory, null if memory is as everybody sees it. */
  private ProcessorStores over;
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
    over = null;
    version = 0;
    own = new long[agents.length];
  }

  /** Grows when something changes for an agent that is not its own doing. */
  long version(int agent) {
    return version - own[agent];
  }

  void setGuest(GuestPhysicalMemory memory) {
    guest = memory;
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

  /** A processor is about to run: memory becomes as it sees it. @param stores null if it has no store buffer */
  void show(ProcessorStores stores) {
    if (over != stores) {
      showAll();
      over = stores;
      stores.layOver();
    }
  }

  /** Memory becomes as everybody sees it. */
  void showAll() {
    if (over != null) {
      over.takeOff();
      over = null;
    }
  }

  /** A guest is reset: its stores are gone, and memory with them. */
  void forgetStores() {
    over = null;
  }

  long load(int agent, @Gpa long gpa, int offset, int size) {
    long value = visible(offset, size);
    if (stale != null) {
      value = stale.load(agent, offset, size, value);
    }
    StoreBuffer buffer = buffers[agent];
    return buffer.count == 0 ? value : buffer.forward(offset, size, value);
  }

  /** What everybody sees. */
  long visible(int offset, int size) {
    showAll();
    return host.load(offset, size);
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

  /** A processor's oldest store becomes visible. */
  void flush(int agent, ProcessorStores stores) {
    int offset = stores.headOffset();
    int size = stores.headSize();
    long old = stores.headOld();
    long value = stores.headValue();
    stores.pop();
    if (old != value) {
      published(agent);
      if (stale != null) {
        stale.stored(agent, offset, size, old, value);
      }
    }
  }

  /** All stores of a processor become visible. */
  void drain(int agent, ProcessorStores stores) {
    while (stores.count() > 0) {
      flush(agent, stores);
    }
  }

  /** Something has changed for everybody but the agent whose doing it is. */
  void published(int agent) {
    version++;
    own[agent]++;
  }

  /** A fence: all stores of an agent become visible. */
  void drain(int agent) {
    while (buffers[agent].count > 0) {
      flushOne(agent);
    }
  }

  /** A store that everybody sees from now on. @param agent −1 if it is nobody's */
  void commit(int agent, @Gpa long gpa, int offset, int size, long value) {
    long old = visible(offset, size);
    dirty[offset >>> HostMemory.FRAME_SHIFT] = true;
    if (old != (size == 8 ? value : value & (1L << 8 * size) - 1)) {
      if (agent >= 0) {
        published(agent);
      } else {
        version++;
      }
      if (stale != null) {
        stale.stored(agent, offset, size, old, value);
      }
      host.beforeWrite(offset, size);
      host.store(offset, size, value);
      if (guest != null) {
        guest.written(gpa, size);
      }
    }
  }

  boolean compareAndSet(int agent, @Gpa long gpa, int offset, int size, long expected, long value) {
    drain(agent);
    long mask = size == 8 ? -1 : (1L << 8 * size) - 1;
    if (visible(offset, size) != (expected & mask)) {
      return false;
    }
    commit(agent, gpa, offset, size, value & mask);
    return true;
  }
}
