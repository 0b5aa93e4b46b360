package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import java.util.Arrays;

/**
 * The port of a domain: translates by its tables, through a small cache of translations that follows every change of
 * them at once.
 */
public final class DomainPort implements DmaPort {
  private static final int PAGE = HostMemory.FRAME_SIZE;
  private static final int CACHE_ENTRIES = 64;
  private static final long NOTHING = -1;

  private final DmaDomain domain;
  private final DmaMemory memory;
  private final StepLimits limits;

  /** Translations by the low bits of the page number: {@code page number << 2 | rights}, and where the page lies. */
  private final long[] tags = new long[CACHE_ENTRIES];
  private final @Hpa long[] pages = new @Hpa long[CACHE_ENTRIES];
  private int generation = -1;

  private int accessesLeft;
  private int bytesLeft;
  private DmaFault fault;
  private long translations;
  private long misses;
  private long accesses;
  private long bytes;
  private long fences;

  public DomainPort(DmaDomain domain, DmaMemory memory, StepLimits limits) {
    this.domain = domain;
    this.memory = memory;
    this.limits = limits;
    beginStep();
  }

  /** The device's step begins: its limits are whole again, and a fault that it did not take is forgotten. */
  public void beginStep() {
    accessesLeft = limits.accesses();
    bytesLeft = limits.bytes();
    fault = null;
  }

  /** The fault that the step has left in the port, null if none. */
  public DmaFault pendingFault() {
    return fault;
  }

  /** Accesses of the step so far. */
  public int stepAccesses() {
    return limits.accesses() - accessesLeft;
  }

  /** Bytes that the step has moved so far. */
  public int stepBytes() {
    return limits.bytes() - bytesLeft;
  }

  /** Translations that the cache did not have. */
  public long misses() {
    return misses;
  }

  public long translations() {
    return translations;
  }

  /** Accesses since the port was made. */
  public long accesses() {
    return accesses;
  }

  /** Bytes moved since the port was made. */
  public long bytes() {
    return bytes;
  }

  /** Fences and compare-and-swaps since the port was made. */
  public long fences() {
    return fences;
  }

  @Override
  public DmaFault takeFault() {
    DmaFault taken = fault;
    fault = null;
    return taken;
  }

  private void charge(int size) {
    accesses++;
    bytes += size;
    if (--accessesLeft < 0 || (bytesLeft -= size) < 0) {
      throw new StepLimitException(limits);
    }
  }

  /** Where a byte and the rest of its page lie, or −1 with the port poisoned. */
  private @Hpa long translate(@Gpa long gpa, boolean write) {
    if (fault != null) {
      return NOTHING;
    }
    if (generation != domain.generation()) {
      generation = domain.generation();
      Arrays.fill(tags, NOTHING);
    }
    translations++;
    long page = Addresses.frame(gpa);
    int slot = (int) page & CACHE_ENTRIES - 1;
    long needed = write ? SecondLevelEntry.WRITE : SecondLevelEntry.READ;
    if (tags[slot] >>> 2 == page && (tags[slot] & needed) != 0
        && page < 1L << SecondLevelEntry.ADDRESS_BITS - HostMemory.FRAME_SHIFT) {
      return pages[slot] + Addresses.offset(gpa, PAGE);
    }
    misses++;
    @Hpa long hpa = domain.table().translate(gpa, write);
    if (hpa < 0) {
      fault = new DmaFault(domain.device(), gpa, write, domain.table().reason());
      domain.faults().record(fault);
      return NOTHING;
    }
    long known = tags[slot] >>> 2 == page ? tags[slot] & SecondLevelEntry.RIGHTS : 0;
    tags[slot] = page << 2 | known | needed;
    pages[slot] = hpa & -PAGE;
    return hpa;
  }

  private static boolean crosses(@Gpa long gpa, int size) {
    return Addresses.offset(gpa, PAGE) + size > PAGE;
  }

  private long load(@Gpa long gpa, int size, boolean again) {
    if (crosses(gpa, size)) {
      long value = 0;
      for (int i = 0; i < size; i++) {
        value |= load(gpa + i, 1, again) << 8 * i;
      }
      return value;
    }
    charge(size);
    @Hpa long hpa = translate(gpa, false);
    return hpa < 0 ? -1L >>> 64 - 8 * size : memory.read(gpa, hpa, size, again);
  }

  @Override
  public long load(@Gpa long gpa, int size) {
    return load(gpa, size, false);
  }

  @Override
  public void store(@Gpa long gpa, int size, long value) {
    if (crosses(gpa, size)) {
      if (translate(gpa, true) >= 0 && translate(gpa + size - 1, true) >= 0) {
        for (int i = 0; i < size; i++) {
          store(gpa + i, 1, value >>> 8 * i & 0xFF);
        }
      }
      return;
    }
    charge(size);
    @Hpa long hpa = translate(gpa, true);
    if (hpa >= 0) {
      memory.write(gpa, hpa, size, value);
    }
  }

  @Override
  public int poll32(@Gpa long gpa) {
    return (int) load(gpa, 4, true);
  }

  @Override
  public long poll64(@Gpa long gpa) {
    return load(gpa, 8, true);
  }

  /** Whether each page of a range can be reached and the step may move as much; if not, the port is poisoned. */
  private boolean reaches(@Gpa long gpa, int length, boolean write) {
    if (length < 0 || length > bytesLeft || Addresses.bits(gpa) > Long.MAX_VALUE - length) {
      if (fault == null) {
        fault = new DmaFault(domain.device(), gpa, write, DmaFault.Reason.BAD_LENGTH);
        domain.faults().record(fault);
      }
      return false;
    }
    for (@Gpa long page = gpa; page < gpa + length; page = (page & -PAGE) + PAGE) {
      if (translate(page, write) < 0) {
        return false;
      }
    }
    return fault == null;
  }

  @Override
  public boolean read(@Gpa long gpa, byte[] into, int from, int length) {
    if (!reaches(gpa, length, false)) {
      return false;
    }
    for (int done = 0; done < length; ) {
      int chunk = (int) Math.min(length - done, PAGE - Addresses.offset(gpa + done, PAGE));
      charge(chunk);
      @Hpa long hpa = translate(gpa + done, false);
      if (hpa < 0) {
        return false;
      }
      memory.read(gpa + done, hpa, into, from + done, chunk);
      done += chunk;
    }
    return true;
  }

  @Override
  public boolean write(@Gpa long gpa, byte[] source, int from, int length) {
    if (!reaches(gpa, length, true)) {
      return false;
    }
    for (int done = 0; done < length; ) {
      int chunk = (int) Math.min(length - done, PAGE - Addresses.offset(gpa + done, PAGE));
      charge(chunk);
      @Hpa long hpa = translate(gpa + done, true);
      if (hpa < 0) {
        return false;
      }
      memory.write(gpa + done, hpa, source, from + done, chunk);
      done += chunk;
    }
    return true;
  }

  @Override
  public byte[] snapshot(@Gpa long gpa, int length) {
    byte[] copy = new byte[Math.max(0, Math.min(length, bytesLeft))];
    return read(gpa, copy, 0, length) ? copy : null;
  }

  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  private boolean compareAndSet(@Gpa long gpa, int size, long expected, long value) {
    if (Addresses.offset(gpa, size) != 0) {
      throw new IllegalArgumentException("compare-and-swap of " + size + " bytes at 0x" + Long.toHexString(gpa)
          + ": expected an aligned address");
    }
    charge(size);
    fences++;
    @Hpa long hpa = translate(gpa, true);
    return hpa >= 0 && memory.compareAndSet(gpa, hpa, size, expected, value);
  }

  @Override
  public boolean cas32(@Gpa long gpa, int expected, int value) {
    return compareAndSet(gpa, 4, expected, value);
  }

  @Override
  public boolean cas64(@Gpa long gpa, long expected, long value) {
    return compareAndSet(gpa, 8, expected, value);
  }

  @Override
  public void fence() {
    fences++;
    memory.fence();
  }
}
