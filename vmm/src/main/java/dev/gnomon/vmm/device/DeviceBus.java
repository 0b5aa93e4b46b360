package dev.gnomon.vmm.device;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Routes port and MMIO accesses to devices, keeps their next deadline and counts what reaches each.
 *
 * <p>Reads that nothing answers give all ones, writes are dropped. A port access reaches a device whole if it is
 * naturally aligned, no wider than {@link PortDevice#portWidth()} and inside the device's ports; otherwise it is split
 * into bytes from the lowest port upwards, each for its own owner, as an ISA bus runs a wide cycle to byte-wide
 * devices. Ports wrap at 64 Ki. An MMIO access that leaves a device's range is split into bytes too, one wider than the
 * device into pieces of its width.
 *
 * <p>Sizes are 1, 2, 4 and (MMIO) 8. Values are unsigned in the low {@code 8 * size} bits.
 */
public final class DeviceBus {
  private static final int VERSION = 1;
  private static final int PORT_MASK = PortRange.SPACE - 1;
  /** Slot of everything that nobody answers. */
  private static final int NOBODY = 0;
  private static final int MAX_DEVICES = Short.MAX_VALUE;
  private static final int MAX_SECTION_BYTES = 1 << 24;

  /** Slot of each port's owner. */
  private final short[] portSlots = new short[PortRange.SPACE];
  private Device[] devices = new Device[1];
  private PortDevice[] portDevices = new PortDevice[1];
  private Device[] timers = new Device[0];
  private long[] reads = new long[1];
  private long[] writes = new long[1];

  /** Ranges sorted by address, and the range that the last access hit. */
  private @Gpa long[] mmioStarts = new @Gpa long[0];
  private @Gpa long[] mmioEnds = new @Gpa long[0];
  private MmioDevice[] mmioDevices = new MmioDevice[0];
  private int[] mmioSlots = new int[0];
  private int lastMmio;

  /**
   * Registers a device for its ports, its MMIO range or both. Nothing is registered when it is refused.
   *
   * @throws IllegalArgumentException if it has neither, or its name or an address is already taken
   */
  public void register(Device device) {
    String name = device.name();
    for (int slot = 1; slot < devices.length; slot++) {
      if (devices[slot].name().equals(name)) {
        throw new IllegalArgumentException("device " + name + ": expected a name that no other device on the bus has");
      }
    }
    if (devices.length > MAX_DEVICES) {
      throw new IllegalArgumentException("device " + name + ": expected at most " + MAX_DEVICES + " devices");
    }
    List<PortRange> ports = device instanceof PortDevice p ? p.ports() : List.of();
    MmioRange range = device instanceof MmioDevice m ? m.range() : null;
    if (ports.isEmpty() && range == null) {
      throw new IllegalArgumentException("device " + name + ": expected at least one port range or an MMIO range");
    }
    refuseTakenPorts(name, ports);
    refuseTakenRange(name, range);

    int slot = devices.length;
    devices = append(devices, device);
    portDevices = append(portDevices, device instanceof PortDevice p ? p : null);
    reads = Arrays.copyOf(reads, slot + 1);
    writes = Arrays.copyOf(writes, slot + 1);
    for (PortRange r : ports) {
      Arrays.fill(portSlots, r.first(), r.last() + 1, (short) slot);
    }
    if (range != null) {
      insertRange(range, (MmioDevice) device, slot);
    }
    if (device.hasTimer()) {
      timers = append(timers, device);
    }
  }

  private static <T> T[] append(T[] array, T element) {
    T[] longer = Arrays.copyOf(array, array.length + 1);
    longer[array.length] = element;
    return longer;
  }

  private void refuseTakenPorts(String name, List<PortRange> ports) {
    for (int i = 0; i < ports.size(); i++) {
      PortRange range = ports.get(i);
      for (int port = range.first(); port <= range.last(); port++) {
        if (portSlots[port] != NOBODY) {
          String owner = devices[portSlots[port]].name();
          throw new IllegalArgumentException(
              String.format("%s of %s: port %x already belongs to %s", range, name, port, owner));
        }
      }
      for (PortRange other : ports.subList(0, i)) {
        if (range.first() <= other.last() && other.first() <= range.last()) {
          throw new IllegalArgumentException(range + " of " + name + " overlap " + other + " of " + name);
        }
      }
    }
  }

  private void refuseTakenRange(String name, MmioRange range) {
    for (int i = 0; range != null && i < mmioStarts.length; i++) {
      if (range.start() < mmioEnds[i] && mmioStarts[i] < range.end()) {
        throw new IllegalArgumentException(
            range + " of " + name + " overlaps " + mmioDevices[i].range() + " of " + mmioDevices[i].name());
      }
    }
  }

  /**
   * Moves a registered device's MMIO range, as programmable chips do. Where another device answers already, the moved
   * one does not.
   */
  public void move(MmioDevice device, @Gpa long start) {
    int slot = 1;
    while (devices[slot] != device) {
      slot++;
    }
    removeRange(device);
    MmioRange range = new MmioRange(start, device.range().length());
    for (int i = 0; i < mmioStarts.length; i++) {
      if (range.start() < mmioEnds[i] && mmioStarts[i] < range.end()) {
        return;
      }
    }
    insertRange(range, device, slot);
  }

  private void removeRange(MmioDevice device) {
    int at = 0;
    while (at < mmioDevices.length && mmioDevices[at] != device) {
      at++;
    }
    if (at == mmioDevices.length) {
      return;
    }
    int tail = mmioStarts.length - at - 1;
    System.arraycopy(mmioStarts, at + 1, mmioStarts, at, tail);
    System.arraycopy(mmioEnds, at + 1, mmioEnds, at, tail);
    System.arraycopy(mmioDevices, at + 1, mmioDevices, at, tail);
    System.arraycopy(mmioSlots, at + 1, mmioSlots, at, tail);
    mmioStarts = Arrays.copyOf(mmioStarts, at + tail);
    mmioEnds = Arrays.copyOf(mmioEnds, at + tail);
    mmioDevices = Arrays.copyOf(mmioDevices, at + tail);
    mmioSlots = Arrays.copyOf(mmioSlots, at + tail);
    lastMmio = 0;
  }

  private void insertRange(MmioRange range, MmioDevice device, int slot) {
    int at = 0;
    while (at < mmioStarts.length && mmioStarts[at] < range.start()) {
      at++;
    }
    int tail = mmioStarts.length - at;
    mmioStarts = Arrays.copyOf(mmioStarts, mmioStarts.length + 1);
    mmioEnds = Arrays.copyOf(mmioEnds, mmioEnds.length + 1);
    mmioDevices = Arrays.copyOf(mmioDevices, mmioDevices.length + 1);
    mmioSlots = Arrays.copyOf(mmioSlots, mmioSlots.length + 1);
    System.arraycopy(mmioStarts, at, mmioStarts, at + 1, tail);
    System.arraycopy(mmioEnds, at, mmioEnds, at + 1, tail);
    System.arraycopy(mmioDevices, at, mmioDevices, at + 1, tail);
    System.arraycopy(mmioSlots, at, mmioSlots, at + 1, tail);
    mmioStarts[at] = range.start();
    mmioEnds[at] = range.end();
    mmioDevices[at] = device;
    mmioSlots[at] = slot;
    lastMmio = 0;
  }

  /** Reads {@code size} bytes at an I/O port. */
  public int in(int port, int size, long nowNs) {
    int slot = wholeSlot(port, size);
    if (slot != NOBODY) {
      reads[slot]++;
      return portDevices[slot].in(port & PORT_MASK, size, nowNs);
    }
    int value = 0;
    for (int i = 0; i < size; i++) {
      int p = (port + i) & PORT_MASK;
      int owner = portSlots[p];
      reads[owner]++;
      value |= (owner == NOBODY ? 0xFF : portDevices[owner].in(p, 1, nowNs) & 0xFF) << 8 * i;
    }
    return value;
  }

  /** Writes {@code size} bytes at an I/O port. */
  public void out(int port, int size, int value, long nowNs) {
    int slot = wholeSlot(port, size);
    if (slot != NOBODY) {
      writes[slot]++;
      portDevices[slot].out(port & PORT_MASK, size, value, nowNs);
      return;
    }
    for (int i = 0; i < size; i++) {
      int p = (port + i) & PORT_MASK;
      int owner = portSlots[p];
      writes[owner]++;
      if (owner != NOBODY) {
        portDevices[owner].out(p, 1, value >>> 8 * i & 0xFF, nowNs);
      }
    }
  }

  /** What {@link #in} would return, without side effects and uncounted. */
  public int peekIn(int port, int size) {
    int slot = wholeSlot(port, size);
    if (slot != NOBODY) {
      return portDevices[slot].peek(port & PORT_MASK, size);
    }
    int value = 0;
    for (int i = 0; i < size; i++) {
      int p = (port + i) & PORT_MASK;
      int owner = portSlots[p];
      value |= (owner == NOBODY ? 0xFF : portDevices[owner].peek(p, 1) & 0xFF) << 8 * i;
    }
    return value;
  }

  /** The slot of the device that takes the access whole, or {@link #NOBODY} if it must be split. */
  private int wholeSlot(int port, int size) {
    int first = port & PORT_MASK;
    int slot = portSlots[first];
    if (size == 1 || slot == NOBODY) {
      return slot;
    }
    boolean whole = size <= portDevices[slot].portWidth() && (first & size - 1) == 0
        && portSlots[first + size - 1 & PORT_MASK] == slot;
    return whole ? slot : NOBODY;
  }

  /** Reads {@code size} bytes at a guest-physical address. */
  public long mmioRead(@Gpa long gpa, int size, long nowNs) {
    int i = findRange(gpa);
    if (i >= 0 && mmioEnds[i] - gpa >= size) {
      MmioDevice device = mmioDevices[i];
      int piece = Math.min(size, device.mmioWidth());
      long value = 0;
      for (int done = 0; done < size; done += piece) {
        reads[mmioSlots[i]]++;
        value |= (device.read(Addresses.bits(gpa - mmioStarts[i]) + done, piece, nowNs) & ones(piece)) << 8 * done;
      }
      return value;
    }
    long value = 0;
    for (int k = 0; k < size; k++) {
      int r = findRange(gpa + k);
      reads[r < 0 ? NOBODY : mmioSlots[r]]++;
      value |= (r < 0 ? 0xFF : mmioDevices[r].read(Addresses.bits(gpa + k - mmioStarts[r]), 1, nowNs) & 0xFF) << 8 * k;
    }
    return value;
  }

  /** Writes {@code size} bytes at a guest-physical address. */
  public void mmioWrite(@Gpa long gpa, int size, long value, long nowNs) {
    int i = findRange(gpa);
    if (i >= 0 && mmioEnds[i] - gpa >= size) {
      MmioDevice device = mmioDevices[i];
      int piece = Math.min(size, device.mmioWidth());
      for (int done = 0; done < size; done += piece) {
        writes[mmioSlots[i]]++;
        device.write(Addresses.bits(gpa - mmioStarts[i]) + done, piece, value >>> 8 * done & ones(piece), nowNs);
      }
      return;
    }
    for (int k = 0; k < size; k++) {
      int r = findRange(gpa + k);
      writes[r < 0 ? NOBODY : mmioSlots[r]]++;
      if (r >= 0) {
        mmioDevices[r].write(Addresses.bits(gpa + k - mmioStarts[r]), 1, value >>> 8 * k & 0xFF, nowNs);
      }
    }
  }

  /** What {@link #mmioRead} would return, without side effects and uncounted. */
  public long peekMmio(@Gpa long gpa, int size) {
    long value = 0;
    int step = 1;
    for (int k = 0; k < size; k += step) {
      int r = searchRange(gpa + k);
      if (r < 0) {
        value |= 0xFFL << 8 * k;
        continue;
      }
      step = mmioEnds[r] - gpa >= size && k == 0 ? Math.min(size, mmioDevices[r].mmioWidth()) : step;
      value |= (mmioDevices[r].peek(Addresses.bits(gpa + k - mmioStarts[r]), step) & ones(step)) << 8 * k;
    }
    return value;
  }

  private static long ones(int size) {
    return -1L >>> 64 - 8 * size;
  }

  private int findRange(@Gpa long gpa) {
    int i = lastMmio;
    if (i < mmioStarts.length && gpa >= mmioStarts[i] && gpa < mmioEnds[i]) {
      return i;
    }
    i = searchRange(gpa);
    if (i >= 0) {
      lastMmio = i;
    }
    return i;
  }

  private int searchRange(@Gpa long gpa) {
    int low = 0;
    int high = mmioStarts.length - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (gpa < mmioStarts[middle]) {
        high = middle - 1;
      } else if (gpa >= mmioEnds[middle]) {
        low = middle + 1;
      } else {
        return middle;
      }
    }
    return -1;
  }

  /** The device that owns a port, null if none. */
  public Device portOwner(int port) {
    return devices[portSlots[port & PORT_MASK]];
  }

  /** The device that owns a guest-physical address, null if none. */
  public Device mmioOwner(@Gpa long gpa) {
    int i = searchRange(gpa);
    return i < 0 ? null : mmioDevices[i];
  }

  /** The ranges of all MMIO devices, by address. */
  public List<MmioRange> mmioRanges() {
    List<MmioRange> ranges = new ArrayList<>(mmioDevices.length);
    for (MmioDevice device : mmioDevices) {
      ranges.add(device.range());
    }
    return ranges;
  }

  /** The devices in the order of their registration. */
  public List<Device> devices() {
    return List.of(Arrays.copyOfRange(devices, 1, devices.length));
  }

  /**
   * The earliest deadline of any device (virtual ns), {@link Long#MAX_VALUE} if none. Always exact: it asks the devices
   * with timers.
   */
  public long nextDeadline() {
    long earliest = Long.MAX_VALUE;
    for (Device timer : timers) {
      earliest = Math.min(earliest, timer.nextDeadline());
    }
    return earliest;
  }

  /** {@link #nextDeadline} of all devices but one. */
  public long nextDeadlineWithout(Device device) {
    long earliest = Long.MAX_VALUE;
    for (Device timer : timers) {
      earliest = timer == device ? earliest : Math.min(earliest, timer.nextDeadline());
    }
    return earliest;
  }

  /** Brings every device with a timer up to {@code nowNs}, in the order of registration. */
  public void advanceTo(long nowNs) {
    for (Device timer : timers) {
      timer.advanceTo(nowNs);
    }
  }

  /** Resets every device in the order of registration; the counts stay. */
  public void reset() {
    for (int slot = 1; slot < devices.length; slot++) {
      devices[slot].reset();
    }
  }

  /** The accesses of each device in the order of registration, and last those that nothing answered. */
  public List<AccessCount> accessCounts() {
    List<AccessCount> counts = new ArrayList<>(devices.length);
    for (int slot = 1; slot < devices.length; slot++) {
      counts.add(new AccessCount(devices[slot].name(), reads[slot], writes[slot]));
    }
    counts.add(new AccessCount(AccessCount.ABSENT, reads[NOBODY], writes[NOBODY]));
    return counts;
  }

  /** Writes the counts and the section of each device. */
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.writeInt(devices.length - 1);
    out.writeLong(reads[NOBODY]);
    out.writeLong(writes[NOBODY]);
    for (int slot = 1; slot < devices.length; slot++) {
      ByteArrayOutputStream section = new ByteArrayOutputStream();
      devices[slot].save(new DataOutputStream(section));
      out.writeUTF(devices[slot].name());
      out.writeLong(reads[slot]);
      out.writeLong(writes[slot]);
      out.writeInt(section.size());
      out.write(section.toByteArray());
    }
  }

  /**
   * Reads what {@link #save} wrote.
   *
   * @throws IOException if it was written with other devices, or a section does not fit its device
   */
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, "device bus", VERSION);
    int count = in.readInt();
    if (count != devices.length - 1) {
      throw new IOException("device bus: saved state has " + count + " devices, expected " + (devices.length - 1));
    }
    reads[NOBODY] = in.readLong();
    writes[NOBODY] = in.readLong();
    for (int slot = 1; slot < devices.length; slot++) {
      String name = in.readUTF();
      if (!name.equals(devices[slot].name())) {
        throw new IOException("device bus: saved state has device " + name + ", expected " + devices[slot].name());
      }
      reads[slot] = in.readLong();
      writes[slot] = in.readLong();
      int length = in.readInt();
      if (length < 0 || length > MAX_SECTION_BYTES) {
        throw new IOException(name + ": saved state has " + length + " bytes, expected 0 to " + MAX_SECTION_BYTES);
      }
      byte[] section = new byte[length];
      in.readFully(section);
      ByteArrayInputStream bytes = new ByteArrayInputStream(section);
      devices[slot].load(new DataInputStream(bytes));
      if (bytes.available() != 0) {
        throw new IOException(name + ": saved state has " + bytes.available() + " bytes too many");
      }
    }
  }
}
