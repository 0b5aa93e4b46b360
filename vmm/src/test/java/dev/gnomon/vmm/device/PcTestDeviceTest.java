package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PcTestDeviceTest {
  private final RecordingLine[] lines = new RecordingLine[24];
  private final PcTestDevice device = new PcTestDevice(i -> lines[i] = new RecordingLine());
  private final DeviceBus bus = new DeviceBus();

  PcTestDeviceTest() {
    bus.register(device);
  }

  /** Port, size, value written; port, size, value read. */
  @ParameterizedTest
  @CsvSource({"E0,4,12345678,E0,4,12345678", "E0,4,12345678,E0,2,5678", "E0,4,12345678,E2,2,1234", "E1,1,AB,E0,4,AB00",
      "E2,2,CDEF,E0,4,CDEF0000", "E8,1,77,E0,1,77", "EA,1,66,E2,1,66", "E4,4,1000,E0,4,0", "E4,4,1000,E4,4,0"})
  void shouldKeepFourBytes(String port, int size, String value, String readPort, int readSize, String read) {
    bus.out(Integer.parseInt(port, 16), size, Integer.parseUnsignedInt(value, 16), 0);
    assertThat(bus.in(Integer.parseInt(readPort, 16), readSize, 0)).isEqualTo(Integer.parseUnsignedInt(read, 16));
  }

  @Test
  void shouldDriveEachInterruptLine() {
    for (int i = 0; i < 24; i++) {
      bus.out(0x2000 + i, 1, 1, 0);
      assertThat(lines[i].level).isTrue();
      bus.out(0x2000 + i, 1, 0, 0);
      assertThat(lines[i].level).isFalse();
      assertThat(lines[i].rises).isEqualTo(1);
    }
  }

  /** Offset and size. */
  @ParameterizedTest
  @CsvSource({"0,1", "1,2", "FFFC,4", "8,8", "FFF8,8"})
  void shouldKeepDeviceMemory(String offset, int size) {
    long gpa = 0xFF00_0000L + Integer.parseInt(offset, 16);
    long value = 0xF123_4567_89AB_CDEFL >>> 64 - 8 * size;
    bus.mmioWrite(gpa, size, value, 0);
    assertThat(bus.mmioRead(gpa, size, 0)).isEqualTo(value);
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    bus.out(0xE0, 4, 0x1234, 0);
    bus.mmioWrite(0xFF00_1000L, 4, 99, 0);
    PcTestDevice copy = new PcTestDevice(i -> InterruptLine.NONE);
    DeviceFixtures.load(copy, DeviceFixtures.save(device));
    assertThat(copy.peek(0xE0, 4)).isEqualTo(0x1234);
    assertThat(copy.peek(0x1000L, 4)).isEqualTo(99);
  }
}
