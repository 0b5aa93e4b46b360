package dev.gnomon.guest.memory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.Checksum;

/**
 * The modelled host memory: one flat little-endian store that holds guest RAM, the guest's page tables, EPT and shadow
 * tables.
 *
 * <p>Two regions of host-physical addresses are backed; everything else is a hole (reads of it are the {@code Bus}'s
 * business):
 * <pre>
 *  HPA                                       holds                                    offset in the store
 *  dramBase .. dramBase + dramBytes          guest RAM (native: dramBase = 0)         0 ..
 *  TABLES_BASE .. TABLES_BASE + tableBytes   the hypervisor's EPT and shadow tables   dramBytes ..
 * </pre>
 * A native guest has no tables region, so it cannot reach one; under a hypervisor {@code dramBase} is
 * {@link #VM_DRAM_BASE}, so that a guest-physical address mistaken for a host-physical one never works by accident.
 *
 * <p>Hot code uses offsets ({@code int}, from {@link #offset}); all other code uses host-physical addresses. Aligned
 * accesses are acquire loads and release stores, because devices poll the memory from other threads; misaligned ones
 * are plain with fences (a misaligned access is not atomic on the hardware modelled either once it crosses a cache
 * line).
 *
 * <p>Writers that are not the guest's fast path (walker A/D updates, DMA, hypervisor, debugger, slow stores) pass
 * {@code write*}, the one physical-write seam: it tells the {@link WriteListener} when the frame carries a flag.
 */
public final class HostMemory {
  /** First host-physical address of guest RAM under a hypervisor: 4 GiB, so 1G-aligned. */
  public static final @Hpa long VM_DRAM_BASE = 1L << 32;
  /** First host-physical address of the hypervisor's tables: 64 GiB. */
  public static final @Hpa long TABLES_BASE = 1L << 36;
  /** Width of physical addresses, for guest and host (CPUID leaf 80000008H). */
  public static final int MAXPHYADDR = 46;
  public static final int FRAME_SHIFT = 12;
  public static final int FRAME_SIZE = 1 << FRAME_SHIFT;
  /** Largest store: one direct buffer is indexed by an int. */
  public static final long MAX_BYTES = (1L << 31) - FRAME_SIZE;

  /** Frame flag: decoded blocks were made from this frame. */
  public static final byte FRAME_CODE = 1;
  /** Frame flag: a watcher wants to see each write. */
  public static final byte FRAME_WATCHED = 2;
  /** Frame flag: what the frame holds is to be kept before it changes for the first time. */
  public static final byte FRAME_KEPT = 4;

  private static final VarHandle LONG =
      MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN).withInvokeExactBehavior();
  private static final VarHandle INT =
      MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN).withInvokeExactBehavior();
  private static final VarHandle SHORT =
      MethodHandles.byteBufferViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN).withInvokeExactBehavior();

  /** Hears of writes to flagged frames, before the bytes change. */
  @FunctionalInterface
  public interface WriteListener {
    /** @param offset offset in the store; the write lies within one frame. */
    void beforeWrite(int offset, int size);
  }

  private final ByteBuffer store;
  private final @Hpa long dramBase;
  private final long dramBytes;
  private final long tableBytes;
  private final byte[] frameFlags;
  private WriteListener listener = (offset, size) -> { };

  /**
   * @param dramBase first host-physical address of guest RAM, a multiple of 4 KiB
   * @param dramBytes size of guest RAM, a multiple of 4 KiB, at least one frame
   * @param tableBytes size of the tables region, a multiple of 4 KiB, may be 0
   * @throws IllegalArgumentException if a size is out of range or the Java process cannot reserve that much memory
   */
  public HostMemory(@Hpa long dramBase, long dramBytes, long tableBytes) {
    if (dramBytes < FRAME_SIZE || tableBytes < 0 || dramBytes > MAX_BYTES || tableBytes > MAX_BYTES - dramBytes) {
      throw new IllegalArgumentException("memory of " + dramBytes + " bytes and " + tableBytes
          + " bytes of tables: expected 4096 to " + MAX_BYTES + " bytes together");
    }
    if (((dramBase | dramBytes | tableBytes) & (FRAME_SIZE - 1)) != 0) {
      throw new IllegalArgumentException("memory base and sizes must be multiples of 4096 bytes");
    }
    this.dramBase = dramBase;
    this.dramBytes = dramBytes;
    this.tableBytes = tableBytes;
    try {
      this.store = ByteBuffer.allocateDirect((int) (dramBytes + tableBytes + 64)).alignedSlice(64)
          .order(ByteOrder.LITTLE_ENDIAN);
    } catch (OutOfMemoryError e) {
      throw new IllegalArgumentException("cannot reserve " + ((dramBytes + tableBytes) >> 20)
          + " MiB of memory for the machine; give Java more with -XX:MaxDirectMemorySize or ask for a smaller -m");
    }
    HostLargePages.advise(store);
    this.frameFlags = new byte[(int) ((dramBytes + tableBytes) >> FRAME_SHIFT)];
  }

  public @Hpa long dramBase() {
    return dramBase;
  }

  public long dramBytes() {
    return dramBytes;
  }

  public long tableBytes() {
    return tableBytes;
  }

  /** Frames in the store, guest RAM first, then tables. */
  public int frames() {
    return frameFlags.length;
  }

  /** Who hears of writes to flagged frames, so that another can be put before. */
  public WriteListener writeListener() {
    return listener;
  }

  public void setWriteListener(WriteListener listener) {
    this.listener = listener;
  }

  /** Offset in the store of a host-physical address, or −1 if it is not backed. */
  public int offset(@Hpa long hpa) {
    long d = hpa - dramBase;
    if (d >= 0 && d < dramBytes) {
      return (int) d;
    }
    d = hpa - TABLES_BASE;
    return d >= 0 && d < tableBytes ? (int) (dramBytes + d) : -1;
  }

  /** Host-physical address of an offset in the store. */
  public @Hpa long hpa(int offset) {
    return offset < dramBytes ? dramBase + offset : TABLES_BASE + (offset - dramBytes);
  }

  public byte frameFlags(int frame) {
    return frameFlags[frame];
  }

  public void setFrameFlags(int frame, int flags) {
    frameFlags[frame] |= (byte) flags;
  }

  public void clearFrameFlags(int frame, int flags) {
    frameFlags[frame] &= (byte) ~flags;
  }

  // Offset accessors: aligned fast forms for the interpreter, then any alignment within the store.

  public byte get8(int offset) {
    byte value = store.get(offset);
    VarHandle.acquireFence();
    return value;
  }

  public short get16(int offset) {
    return (short) SHORT.getAcquire(store, offset);
  }

  public int get32(int offset) {
    return (int) INT.getAcquire(store, offset);
  }

  public long get64(int offset) {
    return (long) LONG.getAcquire(store, offset);
  }

  public void set8(int offset, byte value) {
    VarHandle.releaseFence();
    store.put(offset, value);
  }

  public void set16(int offset, short value) {
    SHORT.setRelease(store, offset, value);
  }

  public void set32(int offset, int value) {
    INT.setRelease(store, offset, value);
  }

  public void set64(int offset, long value) {
    LONG.setRelease(store, offset, value);
  }

  public boolean cas64(int offset, long expected, long value) {
    return LONG.compareAndSet(store, offset, expected, value);
  }

  public boolean cas32(int offset, int expected, int value) {
    return INT.compareAndSet(store, offset, expected, value);
  }

  /**
   * Compare-and-swap of 1, 2, 4 or 8 aligned bytes; bytes and words go by the 32-bit word around them, as Java has no
   * smaller CAS.
   *
   * @return false if the bytes were not {@code expected}, or if those beside them changed meanwhile
   */
  public boolean exchange(int offset, int size, long expected, long value) {
    switch (size) {
      case 8:
        return cas64(offset, expected, value);
      case 4:
        return cas32(offset, (int) expected, (int) value);
      default:
        int shift = 8 * (offset & 3);
        int mask = (1 << 8 * size) - 1 << shift;
        int old = get32(offset & ~3);
        return (old & mask) == ((int) expected << shift & mask)
            && cas32(offset & ~3, old, old & ~mask | (int) value << shift & mask);
    }
  }

  /** Zero-extended load of 1, 2, 4 or 8 bytes at any alignment; the bytes lie within the store. */
  public long load(int offset, int size) {
    if ((offset & (size - 1)) == 0) {
      return switch (size) {
        case 1 -> get8(offset) & 0xFFL;
        case 2 -> get16(offset) & 0xFFFFL;
        case 4 -> get32(offset) & 0xFFFF_FFFFL;
        default -> get64(offset);
      };
    }
    long value = switch (size) {
      case 2 -> store.getShort(offset) & 0xFFFFL;
      case 4 -> store.getInt(offset) & 0xFFFF_FFFFL;
      default -> store.getLong(offset);
    };
    VarHandle.acquireFence();
    return value;
  }

  /**
   * Store of 1, 2, 4 or 8 bytes at any alignment, not seen by the {@link WriteListener}: the caller has looked at the
   * frame flags.
   */
  public void store(int offset, int size, long value) {
    if ((offset & (size - 1)) == 0) {
      switch (size) {
        case 1 -> set8(offset, (byte) value);
        case 2 -> set16(offset, (short) value);
        case 4 -> set32(offset, (int) value);
        default -> set64(offset, value);
      }
      return;
    }
    VarHandle.releaseFence();
    switch (size) {
      case 2 -> store.putShort(offset, (short) value);
      case 4 -> store.putInt(offset, (int) value);
      default -> store.putLong(offset, value);
    }
  }

  // Host-physical accessors. Unbacked addresses read all ones and ignore writes, as an absent memory does.

  /** 64-bit read at an 8-byte aligned address. */
  public long read64(@Hpa long hpa) {
    int offset = offset(hpa);
    return offset < 0 ? -1L : get64(offset);
  }

  /** 32-bit zero-extended read at a 4-byte aligned address. */
  public long read32(@Hpa long hpa) {
    int offset = offset(hpa);
    return offset < 0 ? 0xFFFF_FFFFL : get32(offset) & 0xFFFF_FFFFL;
  }

  /** Zero-extended read of 1, 2, 4 or 8 bytes that lie within one frame. */
  public long read(@Hpa long hpa, int size) {
    int offset = offset(hpa);
    return offset < 0 ? -1L >>> (64 - 8 * size) : load(offset, size);
  }

  /** Write of 1, 2, 4 or 8 bytes that lie within one frame, through the write seam. */
  public void write(@Hpa long hpa, int size, long value) {
    int offset = offset(hpa);
    if (offset >= 0) {
      beforeWrite(offset, size);
      store(offset, size, value);
    }
  }

  public void write64(@Hpa long hpa, long value) {
    write(hpa, 8, value);
  }

  /**
   * Atomic replacement through the write seam, at an aligned address of 4 or 8 bytes; false if the old value was
   * another or nothing is there.
   */
  public boolean compareAndSet(@Hpa long hpa, int size, long expected, long value) {
    int offset = offset(hpa);
    if (offset < 0) {
      return false;
    }
    beforeWrite(offset, size);
    return size == 8 ? cas64(offset, expected, value) : cas32(offset, (int) expected, (int) value);
  }

  /** Tells the listener of a write that is about to happen, if the frame carries a flag. */
  public void beforeWrite(int offset, int size) {
    if (frameFlags[offset >>> FRAME_SHIFT] != 0) {
      listener.beforeWrite(offset, size);
    }
  }

  /** Copies bytes out; the range must be backed by one region. */
  public void readBytes(@Hpa long hpa, byte[] into, int from, int length) {
    int offset = checkedOffset(hpa, length);
    if (length > 0) {
      store.get(offset, into, from, length);
    }
  }

  /** Adds bytes to a checksum; the range must be backed by one region. */
  public void addTo(Checksum checksum, @Hpa long hpa, int length) {
    checksum.update(store.slice(checkedOffset(hpa, length), length));
  }

  /** Copies bytes in, through the write seam frame by frame; the range must be backed by one region. */
  public void writeBytes(@Hpa long hpa, byte[] bytes, int from, int length) {
    int offset = checkedOffset(hpa, length);
    for (int done = 0; done < length; ) {
      int chunk = Math.min(length - done, FRAME_SIZE - ((offset + done) & (FRAME_SIZE - 1)));
      beforeWrite(offset + done, chunk);
      store.put(offset + done, bytes, from + done, chunk);
      done += chunk;
    }
  }

  /** Fills bytes of one region, through the write seam. */
  public void fill(@Hpa long hpa, int length, byte value) {
    byte[] bytes = new byte[length];
    java.util.Arrays.fill(bytes, value);
    writeBytes(hpa, bytes, 0, length);
  }

  /**
   * Copies within the store, lowest address first and {@code step} bytes at a time as far as overlap is concerned;
   * neither range crosses a frame and the caller has looked at the frame flags.
   */
  public void move(int from, int to, int length) {
    if (to <= from || to >= from + length) {
      store.put(to, store, from, length);
    } else {
      for (int i = 0; i < length; i++) {
        store.put(to + i, store.get(from + i));
      }
    }
  }

  private int checkedOffset(@Hpa long hpa, int length) {
    int offset = offset(hpa);
    if (length == 0) {
      return 0;
    }
    if (offset < 0 || length < 0 || offset(hpa + length - 1) != offset + length - 1) {
      throw new IllegalArgumentException(
          "host-physical range 0x" + Long.toHexString(hpa) + " + " + length + " bytes is not backed by memory");
    }
    return offset;
  }
}
