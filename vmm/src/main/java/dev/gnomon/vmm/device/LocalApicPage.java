package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Gpa;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The page of the local APIC on a machine with several processors: each finds its own {@link LocalApic} there. On the
 * bus it stands for them all, at the address that the running processor has set.
 */
public final class LocalApicPage implements MmioDevice {
  private static final int VERSION = 1;

  private final LocalApic[] apics;
  private final DeviceBus bus;
  private LocalApic selected;

  /**
   * A page that shows the first processor's.
   *
   * @param apics in the order of the processors' numbers
   * @param bus where it is to be registered
   */
  public LocalApicPage(List<LocalApic> apics, DeviceBus bus) {
    this.apics = apics.toArray(new LocalApic[0]);
    this.bus = bus;
    this.selected = this.apics[0];
    for (LocalApic apic : apics) {
      apic.setPageListener(() -> moved(apic));
    }
  }

  private void moved(LocalApic apic) {
    if (apic == selected) {
      bus.move(this, apic.page());
    }
  }

  /** Another processor accesses the page from now on. */
  public void select(int processor) {
    @Gpa long shown = selected.page();
    selected = apics[processor];
    if (selected.page() != shown) {
      bus.move(this, selected.page());
    }
  }

  @Override
  public String name() {
    return "lapics";
  }

  @Override
  public MmioRange range() {
    return selected.range();
  }

  @Override
  public int mmioWidth() {
    return selected.mmioWidth();
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return selected.read(offset, size, nowNs);
  }

  @Override
  public long peek(long offset, int size) {
    return selected.peek(offset, size);
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    selected.write(offset, size, value, nowNs);
  }

  @Override
  public boolean hasTimer() {
    return true;
  }

  @Override
  public long nextDeadline() {
    long next = Long.MAX_VALUE;
    for (LocalApic apic : apics) {
      next = Math.min(next, apic.nextDeadline());
    }
    return next;
  }

  @Override
  public void advanceTo(long nowNs) {
    for (LocalApic apic : apics) {
      apic.advanceTo(nowNs);
    }
  }

  @Override
  public void reset() {
    for (LocalApic apic : apics) {
      apic.reset();
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(apics.length);
    for (LocalApic apic : apics) {
      apic.save(out);
    }
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    int count = in.readInt();
    if (count != apics.length) {
      throw new IOException(name() + ": saved state has " + count + " local APICs, expected " + apics.length);
    }
    for (LocalApic apic : apics) {
      apic.load(in);
    }
  }
}
