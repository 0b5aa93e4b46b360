package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import java.lang.invoke.VarHandle;

/**
 * Modelled host memory as devices write it: through the one physical-write method, so that decoded code is dropped, and
 * told to the guest's memory, so that dirty logs and shadowed guest tables follow. What lies in {@link DeviceFrames} is
 * no guest's and needs neither.
 */
public final class PhysicalDmaMemory implements DmaMemory {
  /** Has something done by the processor's thread, at an exact point, and returns when it is done. */
  @FunctionalInterface
  public interface Handover {
    void run(Runnable action);
  }

  private final HostMemory memory;
  private final HostMemory own;
  private final GuestPhysicalMemory guest;
  private final Predicate isWindow;
  /** Null as long as devices run on the processor's thread. */
  private volatile Handover handover;

  /** Tells windows from RAM. */
  @FunctionalInterface
  public interface Predicate {
    boolean test(@Gpa long gpa);
  }

  /**
   * @param own what trapped devices keep their registers in
   * @param isWindow whether an address lies in a device's window
   */
  public PhysicalDmaMemory(HostMemory memory, HostMemory own, GuestPhysicalMemory guest, Predicate isWindow) {
    this.memory = memory;
    this.own = own;
    this.guest = guest;
    this.isWindow = isWindow;
  }

  /**
   * Devices run on threads of their own: what they write to windows they write themselves, as long as nothing is
   * derived from those frames; all other writes, of which decoded code, shadow pages or dirty logs may have to hear,
   * the processor's thread does for them. Null to end that.
   */
  public void setHandover(Handover how) {
    handover = how;
  }

  /** Whether a write concerns nobody but those who look at the memory. */
  private boolean isPlain(@Gpa long gpa, @Hpa long hpa) {
    return isWindow.test(gpa) && memory.frameFlags(memory.offset(hpa) >>> HostMemory.FRAME_SHIFT) == 0;
  }

  private HostMemory of(@Hpa long hpa) {
    return own.offset(hpa) >= 0 ? own : memory;
  }

  @Override
  public long read(@Gpa long gpa, @Hpa long hpa, int size, boolean again) {
    return of(hpa).read(hpa, size);
  }

  @Override
  public void write(@Gpa long gpa, @Hpa long hpa, int size, long value) {
    if (own.offset(hpa) >= 0) {
      own.write(hpa, size, value);
    } else if (handover != null && isPlain(gpa, hpa)) {
      memory.store(memory.offset(hpa), size, value);
    } else if (handover != null) {
      handover.run(() -> {
        memory.write(hpa, size, value);
        guest.written(gpa, size);
      });
    } else {
      memory.write(hpa, size, value);
      guest.written(gpa, size);
    }
  }

  @Override
  public boolean compareAndSet(@Gpa long gpa, @Hpa long hpa, int size, long expected, long value) {
    if (own.offset(hpa) >= 0) {
      return own.compareAndSet(hpa, size, expected, value);
    }
    if (handover == null) {
      return compareAndSetHere(gpa, hpa, size, expected, value);
    }
    if (isPlain(gpa, hpa)) {
      int offset = memory.offset(hpa);
      return size == 8 ? memory.cas64(offset, expected, value) : memory.cas32(offset, (int) expected, (int) value);
    }
    boolean[] done = new boolean[1];
    handover.run(() -> done[0] = compareAndSetHere(gpa, hpa, size, expected, value));
    return done[0];
  }

  private boolean compareAndSetHere(@Gpa long gpa, @Hpa long hpa, int size, long expected, long value) {
    boolean done = memory.compareAndSet(hpa, size, expected, value);
    if (done) {
      guest.written(gpa, size);
    }
    return done;
  }

  @Override
  public void read(@Gpa long gpa, @Hpa long hpa, byte[] into, int from, int length) {
    of(hpa).readBytes(hpa, into, from, length);
  }

  @Override
  public void write(@Gpa long gpa, @Hpa long hpa, byte[] bytes, int from, int length) {
    if (own.offset(hpa) >= 0) {
      own.writeBytes(hpa, bytes, from, length);
    } else if (handover == null) {
      writeHere(gpa, hpa, bytes, from, length);
    } else {
      handover.run(() -> writeHere(gpa, hpa, bytes, from, length));
    }
  }

  private void writeHere(@Gpa long gpa, @Hpa long hpa, byte[] bytes, int from, int length) {
    memory.writeBytes(hpa, bytes, from, length);
    guest.written(gpa, length);
  }

  @Override
  public void fence() {
    VarHandle.fullFence();
  }
}
