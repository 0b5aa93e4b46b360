package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class VgaTextTest {
  private static final int CRTC_INDEX = 0x3D4;
  private static final int CRTC_DATA = 0x3D5;
  private static final long SCREEN = 0xB8000;

  private final VgaText vga = new VgaText();
  private final Ports io = new Ports(vga);

  private void crtc(int index, int value) {
    io.outb(index, CRTC_INDEX).outb(value, CRTC_DATA);
  }

  private void print(int row, int column, String text) {
    for (int i = 0; i < text.length(); i++) {
      long gpa = SCREEN + 2L * (row * 80 + column + i);
      io.bus().mmioWrite(gpa, 2, 0x1700 | text.charAt(i), 0);
    }
  }

  @Test
  void shouldShowBlankScreenOfTwentyFiveLinesAfterReset() {
    assertThat(vga.screenText()).hasSize(25).allSatisfy(line -> assertThat(line).hasSize(80).isBlank());
  }

  @Test
  void shouldShowWhatIsWrittenIntoTextMemory() {
    print(0, 0, "Memtest86+");
    print(24, 75, "right");
    assertThat(vga.screenText().get(0)).startsWith("Memtest86+ ");
    assertThat(vga.screenText().get(24)).endsWith(" right");
    assertThat(vga.cell(0, 0)).isEqualTo(0x174D);
  }

  @Test
  void shouldReadAndWriteMemoryInEverySize() {
    DeviceBus bus = io.bus();
    bus.mmioWrite(SCREEN + 1, 8, 0x8877665544332211L, 0);
    assertThat(bus.mmioRead(SCREEN + 1, 8, 0)).isEqualTo(0x8877665544332211L);
    assertThat(bus.mmioRead(SCREEN + 2, 4, 0)).isEqualTo(0x55443322L);
    assertThat(bus.mmioRead(SCREEN + 7, 2, 0)).isEqualTo(0x8877L);
    bus.mmioWrite(SCREEN + 8, 1, 0xFF, 0);
    assertThat(bus.mmioRead(SCREEN + 8, 1, 0)).isEqualTo(0xFF);
    bus.mmioWrite(SCREEN + 0x7FFC, 8, -1L, 0);
    assertThat(bus.mmioRead(SCREEN + 0x7FFC, 4, 0)).isEqualTo(0xFFFF_FFFFL);
    assertThat(bus.peekMmio(SCREEN + 1, 4)).isEqualTo(0x44332211L);
  }

  @Test
  void shouldPassLinuxConsoleMemoryProbe() {
    DeviceBus bus = io.bus();
    long saved = bus.mmioRead(SCREEN, 4, 0);
    bus.mmioWrite(SCREEN, 2, 0xAA55, 0);
    bus.mmioWrite(SCREEN + 2, 2, 0x55AA, 0);
    assertThat(bus.mmioRead(SCREEN, 2, 0)).isEqualTo(0xAA55);
    assertThat(bus.mmioRead(SCREEN + 2, 2, 0)).isEqualTo(0x55AA);
    bus.mmioWrite(SCREEN, 4, saved, 0);
    assertThat(vga.screenText().get(0)).isBlank();
  }

  @Test
  void shouldFollowCursorRegisters() {
    int cell = 12 * 80 + 34;
    crtc(0x0E, cell >> 8);
    crtc(0x0F, cell & 0xFF);
    assertThat(vga.cursor()).isEqualTo(new TextCursor(12, 34, true, 13, 14));
    io.outb(0x0E, CRTC_INDEX);
    assertThat(io.inb(CRTC_DATA)).isEqualTo(cell >> 8);
    crtc(0x0A, 0x20);
    assertThat(vga.cursor().visible()).isFalse();
    crtc(0x0A, 0x0F);
    assertThat(vga.cursor().visible()).as("ends above its start").isFalse();
    crtc(0x0A, 0x00);
    crtc(0x0E, 25 * 80 >> 8);
    crtc(0x0F, 25 * 80 & 0xFF);
    assertThat(vga.cursor()).isEqualTo(new TextCursor(25, 0, false, 0, 14));
  }

  @Test
  void shouldScrollByStartAddressAndWrapInMemory() {
    print(2, 0, "third");
    crtc(0x0D, 160);
    assertThat(vga.screenText().get(0)).startsWith("third");
    assertThat(vga.cursor().row()).isEqualTo(-2);
    crtc(0x0C, 0xFF);
    crtc(0x0D, 0xFF);
    assertThat(vga.screenText().get(2)).as("cell 159 of a screen that starts one cell before cell 0")
        .isEqualTo(" third".concat(" ".repeat(74)));
  }

  @Test
  void shouldLockCrtcTimingRegisters() {
    crtc(0x00, 0x77);
    io.outb(0x00, CRTC_INDEX);
    assertThat(io.inb(CRTC_DATA)).isEqualTo(0x5F);
    crtc(0x07, 0x00);
    assertThat(io.inb(CRTC_DATA)).as("line compare bit stays writable").isEqualTo(0x0F);
    crtc(0x11, 0x0E);
    crtc(0x00, 0x77);
    assertThat(io.inb(CRTC_DATA)).isEqualTo(0x77);
  }

  @Test
  void shouldReadAbsentRegistersAsZero() {
    crtc(0x80, 0xFF);
    assertThat(io.inb(CRTC_DATA)).isZero();
    io.outb(0xFF, 0x3C4).outb(0xAA, 0x3C5);
    assertThat(io.inb(0x3C5)).isZero();
    io.outb(0xFF, 0x3CE).outb(0xAA, 0x3CF);
    assertThat(io.inb(0x3CF)).isZero();
  }

  @Test
  void shouldKeepRegisterFilesThatProbesReadBack() {
    assertThat(io.inb(0x3CC)).isEqualTo(0x67);
    io.outb(0x63, 0x3C2);
    assertThat(io.inb(0x3CC)).isEqualTo(0x63);
    io.outb(2, 0x3C4).outb(0x0F, 0x3C5);
    assertThat(io.inb(0x3C5)).isEqualTo(0x0F);
    io.outb(6, 0x3CE);
    assertThat(io.inb(0x3CF)).as("text memory at B8000").isEqualTo(0x0E);
    io.inb(0x3DA);
    io.outb(0x10, 0x3C0).outb(0x04, 0x3C0).outb(0x10 | 0x20, 0x3C0);
    assertThat(io.inb(0x3C1)).isEqualTo(0x04);
    io.outb(5, 0x3C8).outb(1, 0x3C9).outb(2, 0x3C9).outb(0xFF, 0x3C9).outb(5, 0x3C7);
    assertThat(io.inb(0x3C9)).isEqualTo(1);
    assertThat(io.inb(0x3C9)).isEqualTo(2);
    assertThat(io.inb(0x3C9)).isEqualTo(0x3F);
  }

  @Test
  void shouldRestartAttributeAddressingByReadingStatus() {
    io.inb(0x3DA);
    io.outb(0x01, 0x3C0);
    io.inb(0x3DA);
    io.outb(0x02, 0x3C0).outb(0x15, 0x3C0).outb(0x01, 0x3C0);
    assertThat(io.inb(0x3C1)).as("register 1 was not written").isEqualTo(0x01);
    io.inb(0x3DA);
    io.outb(0x02, 0x3C0);
    assertThat(io.inb(0x3C1)).isEqualTo(0x15);
  }

  @Test
  void shouldPassThroughRetraceSeventyTimesASecond() {
    int retraces = 0;
    int last = 0;
    for (io.now = 0; io.now < 1_000_000_000; io.now += 10_000) {
      int status = io.inb(0x3DA) & 0x08;
      assertThat(status == 0 || (io.inb(0x3DA) & 1) != 0).as("retrace is blank").isTrue();
      retraces += status != 0 && last == 0 ? 1 : 0;
      last = status;
    }
    assertThat(retraces).isEqualTo(70);
  }

  @Test
  void shouldShowCodePage437() {
    int[] codes = {0xC9, 0xCD, 0xBA, 0xB1, 0xDB, 0x00, 0x01, 0xF8, 0x7F, 0xFF};
    for (int i = 0; i < codes.length; i++) {
      io.bus().mmioWrite(SCREEN + 2L * i, 1, codes[i], 0);
    }
    assertThat(vga.screenText().get(0)).startsWith("╔═║▒█ ☺°⌂\u00a0");
  }

  @Test
  void shouldContinueFromSavedStateAndForgetItOnReset() throws IOException {
    print(3, 3, "kept");
    crtc(0x0F, 77);
    io.outb(7, 0x3C8).outb(1, 0x3C9);
    VgaText copy = new VgaText();
    DeviceFixtures.load(copy, DeviceFixtures.save(vga));
    assertThat(copy.screenText()).isEqualTo(vga.screenText());
    assertThat(copy.cursor()).isEqualTo(vga.cursor());
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(vga));
    copy.reset();
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(new VgaText()));
  }
}
