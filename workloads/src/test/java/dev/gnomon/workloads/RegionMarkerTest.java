package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.gnomon.workloads.kernel.GuestPorts;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RegionMarkerTest implements RegionMarker.Listener {
  private final List<String> marks = new ArrayList<>();
  private final RegionMarker marker = new RegionMarker(this);

  @Override
  public void regionBegin() {
    marks.add("begin");
  }

  @Override
  public void regionEnd() {
    marks.add("end");
  }

  private void out(int value) {
    marker.out(GuestPorts.REGION, 1, value, 0);
  }

  @Test
  void shouldTellOfRegionsAndIgnoreMarksOutOfOrder() {
    out(GuestPorts.REGION_END);
    out(GuestPorts.REGION_BEGIN);
    out(GuestPorts.REGION_BEGIN);
    out(0x55);
    assertThat(marker.in(GuestPorts.REGION, 1, 0)).isEqualTo(1);
    out(GuestPorts.REGION_END);
    out(GuestPorts.REGION_END);
    assertThat(marker.peek(GuestPorts.REGION, 1)).isZero();
    assertThat(marks).containsExactly("begin", "end");
  }

  @Test
  void shouldCloseTheRegionSilentlyOnReset() {
    out(GuestPorts.REGION_BEGIN);
    marker.reset();
    out(GuestPorts.REGION_END);
    assertThat(marks).containsExactly("begin");
  }

  @Test
  void shouldKeepAnOpenRegionInItsState() throws IOException {
    out(GuestPorts.REGION_BEGIN);
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    marker.save(new DataOutputStream(saved));
    marker.reset();
    marker.load(new DataInputStream(new ByteArrayInputStream(saved.toByteArray())));
    out(GuestPorts.REGION_END);
    assertThat(marks).containsExactly("begin", "end");
  }

  @Test
  void shouldRefuseStateOfAnotherVersion() {
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(() -> marker.load(new DataInputStream(new ByteArrayInputStream(new byte[] {0, 0, 0, 9, 1}))))
        .withMessage("region: saved state has version 9, expected 1");
  }
}
