package dev.gnomon.vmm.polled.dma;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import java.lang.invoke.VarHandle;

/**
 * Modelled host memory as devices write it: through the one physical-write method, so that decoded code is dropped, and told to the guest's
 * memory, so that dirty logs and shadowed guest tables follow. What lies in {@link DeviceFrames} is no guest's and needs neither.
 */
public final class PhysicalDmaMemory implements DmaMemory {
  private final HostMemory memory;
  private final HostMemory own;
  private final GuestPhysicalMemory guest;

  /** @param own what trapped devices keep their registers in */
  public PhysicalDmaMemory(HostMemory memory, HostMemory own, GuestPhysicalMemory guest) {
    this.memory = memory;
    this.own = own;
    this.guest = guest;
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
    } else {
      memory.write(hpa, size, value);
      guest.written(gpa, size);
    }
  }

  @Override
  public boolean compareAndSet(@Gpa long gpa, @Hpa long hpa, int size, long expected, long value) {
    boolean done = of(hpa).compareAndSet(hpa, size, expected, value);
    if (done && own.offset(hpa) < 0) {
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
    of(hpa).writeBytes(hpa, bytes, from, length);
    if (own.offset(hpa) < 0) {
      guest.written(gpa, length);
    }
  }

  @Override
  public void fence() {
    VarHandle.fullFence();
  }
}
