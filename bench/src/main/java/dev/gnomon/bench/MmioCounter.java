package dev.gnomon.bench;

import dev.gnomon.guest.cpu.Bus;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.memory.DeviceAddress;
import java.util.List;
import org.eclipse.collections.impl.map.mutable.primitive.LongLongHashMap;

/** Passes all on to the machine's bus and counts accesses to device memory by address. */
final class MmioCounter implements Bus {
  private final Bus bus;
  private final LongLongHashMap reads = new LongLongHashMap();
  private final LongLongHashMap writes = new LongLongHashMap();

  MmioCounter(Bus bus) {
    this.bus = bus;
  }

  List<MmioCount> counts() {
    List<MmioCount> counts = new java.util.ArrayList<>();
    reads.forEachKeyValue((gpa, count) -> counts.add(new MmioCount(gpa, false, count)));
    writes.forEachKeyValue((gpa, count) -> counts.add(new MmioCount(gpa, true, count)));
    return MmioCount.difference(counts, List.of());
  }

  @Override
  public int in(int port, int size) {
    return bus.in(port, size);
  }

  @Override
  public void out(int port, int size, int value) {
    bus.out(port, size, value);
  }

  @Override
  public long mmioRead(@Hpa long hpa, int size) {
    reads.addToValue(Addresses.bits(DeviceAddress.gpa(hpa)), 1);
    return bus.mmioRead(hpa, size);
  }

  @Override
  public void mmioWrite(@Hpa long hpa, int size, long value) {
    writes.addToValue(Addresses.bits(DeviceAddress.gpa(hpa)), 1);
    bus.mmioWrite(hpa, size, value);
  }
}
