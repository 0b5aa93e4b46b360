package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DeviceBusTest {
  /** Answers ports with its id and offset, and notes what is written. */
  private static final class PortProbe implements PortDevice {
    private final String name;
    private final List<PortRange> ranges;
    private final int width;
    final List<String> seen = new ArrayList<>();
    long deadline = Long.MAX_VALUE;
    long advancedTo = -1;
    int state;

    PortProbe(String name, int width, PortRange... ranges) {
      this.name = name;
      this.width = width;
      this.ranges = List.of(ranges);
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public List<PortRange> ports() {
      return ranges;
    }

    @Override
    public int portWidth() {
      return width;
    }

    @Override
    public boolean hasTimer() {
      return true;
    }

    @Override
    public long nextDeadline() {
      return deadline;
    }

    @Override
    public void advanceTo(long nowNs) {
      advancedTo = nowNs;
    }

    @Override
    public void reset() {
      seen.add("reset");
    }

    @Override
    public int in(int port, int size, long nowNs) {
      seen.add(String.format("in %x/%d @%d", port, size, nowNs));
      return peek(port, size);
    }

    @Override
    public int peek(int port, int size) {
      return size == 1 ? port & 0xFF : 0x1000 * size + (port & 0xFF);
    }

    @Override
    public void out(int port, int size, int value, long nowNs) {
      seen.add(String.format("out %x/%d=%x", port, size, value));
    }

    @Override
    public void save(DataOutput out) throws IOException {
      out.writeInt(state);
    }

    @Override
    public void load(DataInput in) throws IOException {
      state = in.readInt();
    }
  }

  /** Answers MMIO with the low bytes of the offset. */
  private record MmioProbe(String name, MmioRange range, int mmioWidth, List<String> seen) implements MmioDevice {
    @Override
    public long read(long offset, int size, long nowNs) {
      seen.add(String.format("read %x/%d", offset, size));
      return peek(offset, size);
    }

    @Override
    public void write(long offset, int size, long value, long nowNs) {
      seen.add(String.format("write %x/%d=%x", offset, size, value));
    }

    @Override
    public long peek(long offset, int size) {
      long value = 0;
      for (int i = 0; i < size; i++) {
        value |= (offset + i & 0xFF) << 8 * i;
      }
      return value;
    }

    @Override
    public void reset() {
    }

    @Override
    public void save(DataOutput out) {
    }

    @Override
    public void load(DataInput in) {
    }
  }

  private static MmioProbe mmio(String name, long start, long length, int width) {
    return new MmioProbe(name, new MmioRange(start, length), width, new ArrayList<>());
  }

  private final DeviceBus bus = new DeviceBus();

  @Test
  void shouldReadAllOnesAndDropWritesWhereNothingAnswers() {
    bus.out(0x1234, 4, 7, 0);
    bus.mmioWrite(0xFEC00000L, 8, 7, 0);

    assertThat(bus.in(0x1234, 1, 0)).isEqualTo(0xFF);
    assertThat(bus.in(0x1234, 2, 0)).isEqualTo(0xFFFF);
    assertThat(bus.in(0x1234, 4, 0)).isEqualTo(-1);
    assertThat(bus.mmioRead(0xFEC00000L, 4, 0)).isEqualTo(0xFFFF_FFFFL);
    assertThat(bus.mmioRead(-8, 8, 0)).isEqualTo(-1);
    assertThat(bus.portOwner(0x1234)).isNull();
    assertThat(bus.mmioOwner(0xFEC00000L)).isNull();
    assertThat(bus.accessCounts()).containsExactly(new AccessCount("absent", 7 + 4 + 8, 4 + 8));
  }

  @Test
  void shouldSplitWideAccessIntoBytesForByteWideDevicesAndTheirNeighbours() {
    PortProbe a = new PortProbe("a", 1, new PortRange(0x60, 1), new PortRange(0x64, 1));
    PortProbe b = new PortProbe("b", 1, new PortRange(0x61, 1));
    bus.register(a);
    bus.register(b);

    assertThat(bus.in(0x60, 4, 5)).isEqualTo(0xFFFF_6160);
    bus.out(0x60, 4, 0x44332211, 5);

    assertThat(a.seen).containsExactly("in 60/1 @5", "out 60/1=11");
    assertThat(b.seen).containsExactly("in 61/1 @5", "out 61/1=22");
    assertThat(bus.accessCounts()).containsExactly(
        new AccessCount("a", 1, 1), new AccessCount("b", 1, 1), new AccessCount("absent", 2, 2));
  }

  @Test
  void shouldHandAlignedAccessWholeToDeviceThatIsWideEnough() {
    PortProbe wide = new PortProbe("wide", 4, new PortRange(0xF4, 4));
    bus.register(wide);

    assertThat(bus.in(0xF4, 4, 0)).isEqualTo(0x40F4);
    assertThat(bus.in(0xF5, 2, 0)).isEqualTo(0xF6F5);
    assertThat(bus.in(0xF6, 2, 0)).isEqualTo(0x20F6);
    assertThat(bus.peekIn(0xF6, 4)).isEqualTo(0xFFFFF7F6);
    assertThat(wide.seen).containsExactly("in f4/4 @0", "in f5/1 @0", "in f6/1 @0", "in f6/2 @0");
  }

  @Test
  void shouldWrapPortsAt64Ki() {
    bus.register(new PortProbe("top", 1, new PortRange(0xFFFF, 1)));
    bus.register(new PortProbe("bottom", 1, new PortRange(0, 1)));

    assertThat(bus.in(0xFFFF, 2, 0)).isEqualTo(0x00FF);
    assertThat(bus.in(0x1FFFF, 1, 0)).isEqualTo(0xFF);
    assertThat(bus.accessCounts().get(0).reads()).isEqualTo(2);
  }

  @Test
  void shouldRouteMmioBySortedRangesAndSplitAtTheirEdges() {
    MmioProbe high = mmio("high", 0x2000, 0x100, 4);
    MmioProbe low = mmio("low", 0x1000, 0x1000, 8);
    bus.register(high);
    bus.register(low);

    assertThat(bus.mmioRead(0x1010, 8, 0)).isEqualTo(0x1716151413121110L);
    assertThat(bus.mmioRead(0x2010, 8, 0)).isEqualTo(0x1716151413121110L);
    assertThat(bus.mmioRead(0x1FFE, 4, 0)).isEqualTo(0x0100FFFEL);
    assertThat(bus.mmioRead(0x20FE, 4, 0)).isEqualTo(0xFFFFFFFEL);
    bus.mmioWrite(0x2000, 8, 0x8877665544332211L, 0);
    bus.mmioWrite(0x1FFF, 2, 0xBBAA, 0);

    assertThat(low.seen).containsExactly("read 10/8", "read ffe/1", "read fff/1", "write fff/1=aa");
    assertThat(high.seen).containsExactly("read 10/4", "read 14/4", "read 0/1", "read 1/1", "read fe/1", "read ff/1",
        "write 0/4=44332211", "write 4/4=88776655", "write 0/1=bb");
    assertThat(bus.peekMmio(0x1FFE, 4)).isEqualTo(0x0100FFFEL);
    assertThat(bus.peekMmio(0x20FE, 4)).isEqualTo(0xFFFFFFFEL);
    assertThat(bus.peekMmio(0x2010, 8)).isEqualTo(0x1716151413121110L);
    assertThat(bus.mmioRanges()).containsExactly(low.range(), high.range());
    assertThat(bus.mmioOwner(0x20FF)).isSameAs(high);
  }

  @Test
  void shouldRefuseOverlappingPortsAndNameBothOwners() {
    bus.register(new PortProbe("com1", 1, new PortRange(0x3F8, 8)));

    assertThatThrownBy(() -> bus.register(new PortProbe("modem", 1, new PortRange(0x3F0, 9))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("ports 3f0-3f8 of modem: port 3f8 already belongs to com1");
    assertThat(bus.portOwner(0x3F0)).isNull();
    assertThatThrownBy(
        () -> bus.register(new PortProbe("twice", 1, new PortRange(0x10, 4), new PortRange(0x13, 1))))
        .hasMessage("ports 13-13 of twice overlap ports 10-13 of twice");
  }

  @Test
  void shouldRefuseOverlappingMmioAndNameBothOwners() {
    bus.register(mmio("vga", 0xB8000, 0x8000, 8));

    assertThatThrownBy(() -> bus.register(mmio("rom", 0xBFFFF, 1, 8)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("MMIO bffff-bffff of rom overlaps MMIO b8000-bffff of vga");
    bus.register(mmio("rom", 0xC0000, 1, 8));
    assertThat(bus.devices()).hasSize(2);
  }

  @Test
  void shouldRefuseEmptyAndOverflowingRangesAndRepeatedNames() {
    assertThatThrownBy(() -> new PortRange(0x10, 0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new PortRange(-1, 2)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new PortRange(0xFFFF, 2)).hasMessageContaining("ffff");
    assertThatThrownBy(() -> new PortRange(1, Integer.MAX_VALUE)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new MmioRange(0x1000, 0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new MmioRange(-1, 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new MmioRange(Long.MAX_VALUE, 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> bus.register(new PortProbe("none", 1))).hasMessageContaining("none: expected at least");
    bus.register(mmio("twin", 0, 1, 8));
    assertThatThrownBy(() -> bus.register(mmio("twin", 1, 1, 8))).hasMessageContaining("twin");
  }

  @Test
  void shouldReportEarliestDeadlineOfAnyDeviceEvenIfItChangesBehindTheBus() {
    PortProbe a = new PortProbe("a", 1, new PortRange(1, 1));
    PortProbe b = new PortProbe("b", 1, new PortRange(2, 1));
    bus.register(a);
    bus.register(b);

    assertThat(bus.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    a.deadline = 70;
    b.deadline = 50;
    assertThat(bus.nextDeadline()).isEqualTo(50);
    bus.advanceTo(60);
    assertThat(a.advancedTo).isEqualTo(60);
    assertThat(b.advancedTo).isEqualTo(60);
  }

  @Test
  void shouldSaveAndLoadCountsAndSections() throws IOException {
    PortProbe a = new PortProbe("a", 1, new PortRange(1, 1));
    bus.register(a);
    a.state = 42;
    bus.in(1, 2, 0);
    byte[] saved = saved();
    List<AccessCount> counts = bus.accessCounts();
    a.state = 0;
    bus.in(1, 1, 0);

    bus.load(new DataInputStream(new ByteArrayInputStream(saved)));

    assertThat(a.state).isEqualTo(42);
    assertThat(bus.accessCounts()).isEqualTo(counts);
  }

  @Test
  void shouldRefuseStateOfOtherDevicesOrLengths() throws IOException {
    DeviceBus other = new DeviceBus();
    other.register(new PortProbe("b", 1, new PortRange(1, 1)));
    bus.register(new PortProbe("a", 1, new PortRange(1, 1)));
    byte[] saved = saved();

    assertThatThrownBy(() -> other.load(new DataInputStream(new ByteArrayInputStream(saved))))
        .isInstanceOf(IOException.class).hasMessage("device bus: saved state has device a, expected b");
    assertThatThrownBy(() -> new DeviceBus().load(new DataInputStream(new ByteArrayInputStream(saved))))
        .isInstanceOf(IOException.class).hasMessage("device bus: saved state has 1 devices, expected 0");
    assertThatThrownBy(() -> bus.load(new DataInputStream(new ByteArrayInputStream(saved, 0, saved.length - 1))))
        .isInstanceOf(IOException.class);
    saved[3] = 99;
    assertThatThrownBy(() -> bus.load(new DataInputStream(new ByteArrayInputStream(saved))))
        .hasMessage("device bus: saved state has version 99, expected 1");
  }

  private byte[] saved() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bus.save(new DataOutputStream(bytes));
    return bytes.toByteArray();
  }
}
