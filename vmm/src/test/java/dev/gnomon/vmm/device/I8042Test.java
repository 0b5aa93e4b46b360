package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class I8042Test {
  private final List<ResetRequest.Source> resets = new ArrayList<>();
  private final RecordingLine irq = new RecordingLine();
  private final I8042 controller = new I8042(irq, resets::add);
  private final Ports io = new Ports(controller);

  private String answers() {
    StringBuilder text = new StringBuilder();
    while ((io.inb(0x64) & 1) != 0) {
      text.append(String.format("%02X ", io.inb(0x60)));
    }
    return text.toString().trim();
  }

  /** Command at 64h, byte at 60h or -, what is read then. */
  @ParameterizedTest
  @CsvSource({"AA,-,55", "AB,-,00", "A9,-,02", "20,-,65", "21,-,00", "C0,-,80", "D0,-,03", "D2,5A,5A", "D3,5A,5A",
      "D4,F4,", "A7,-,", "A8,-,", "AD,-,",
      "AE,-,", "FF,-,", "DD,-,"})
  void shouldAnswerCommands(String command, String data, String answer) {
    io.outb(Integer.parseInt(command, 16), 0x64);
    if (!data.equals("-")) {
      io.outb(Integer.parseInt(data, 16), 0x60);
    }
    assertThat(answers()).isEqualTo(answer == null ? "" : answer);
    assertThat(resets).isEmpty();
  }

  /** Bytes to the keyboard, its answer with translation on. */
  @ParameterizedTest
  @CsvSource({"FF,FA AA", "F2,FA AB 41", "EE,EE", "F4,FA", "F5,FA", "F6,FA", "ED 07,FA FA", "F3 20,FA FA",
      "F0 00,FA FA 02", "F0 01,FA FA", "00,FE", "E6,FE"})
  void shouldAnswerAsAKeyboard(String bytes, String answer) {
    for (String b : bytes.split(" ")) {
      io.outb(Integer.parseInt(b, 16), 0x60);
    }
    assertThat(answers()).isEqualTo(answer);
  }

  @Test
  void shouldKeepTheCommandByteAndMemory() {
    io.outb(0x60, 0x64).outb(0x04, 0x60).outb(0x7F, 0x64).outb(0x12, 0x60);
    io.outb(0x20, 0x64).outb(0x3F, 0x64);
    assertThat(answers()).as("the auxiliary port stays disabled").isEqualTo("24 12");
    io.outb(0xF2, 0x60);
    assertThat(answers()).as("without translation").isEqualTo("FA AB 83");
  }

  @Test
  void shouldRememberScanCodeSets() {
    io.outb(0xF0, 0x60).outb(1, 0x60).outb(0xF0, 0x60).outb(0, 0x60);
    assertThat(answers()).isEqualTo("FA FA FA FA 01");
  }

  @Test
  void shouldInterruptOnceForEachByte() {
    controller.type(0x1E, 0x9E);
    assertThat(irq.rises).isEqualTo(1);
    assertThat(io.inb(0x64)).isEqualTo(0x15);
    assertThat(io.inb(0x60)).isEqualTo(0x1E);
    assertThat(irq.rises).isEqualTo(2);
    assertThat(io.inb(0x60)).isEqualTo(0x9E);
    assertThat(irq.level).isFalse();
    assertThat(io.inb(0x60)).as("the last byte stays").isEqualTo(0x9E);
    io.outb(0x60, 0x64).outb(0x44, 0x60);
    controller.type(0x1E);
    assertThat(irq.level).as("disabled").isFalse();
  }

  @Test
  void shouldHoldKeysBackWhileTheInterfaceIsDisabled() {
    io.outb(0xAD, 0x64);
    controller.type(0x1E);
    assertThat(answers()).isEmpty();
    io.outb(0x20, 0x64);
    assertThat(answers()).as("the controller itself still answers").isEqualTo("75");
    io.outb(0xAE, 0x64);
    assertThat(answers()).isEqualTo("1E");
  }

  @Test
  void shouldDropKeysWhileItDoesNotScan() {
    io.outb(0xF5, 0x60);
    controller.type(0x1E);
    assertThat(answers()).isEqualTo("FA");
    io.outb(0xF4, 0x60);
    controller.type(0x1E);
    assertThat(answers()).isEqualTo("FA 1E");
  }

  @ParameterizedTest
  @ValueSource(ints = {0xFE, 0xF0})
  void shouldAskForResetByPulses(int command) {
    io.outb(command, 0x64);
    assertThat(resets).containsExactly(ResetRequest.Source.KEYBOARD_CONTROLLER);
  }

  @Test
  void shouldAskForResetByTheOutputPort() {
    io.outb(0xD1, 0x64).outb(0xDF, 0x60);
    assertThat(resets).as("A20 on").isEmpty();
    io.outb(0xD1, 0x64).outb(0xFE, 0x60);
    assertThat(resets).hasSize(1);
  }

  @Test
  void shouldSayWhetherACommandCameLast() {
    io.outb(0xAE, 0x64);
    assertThat(io.inb(0x64) & 8).isEqualTo(8);
    io.outb(0xEE, 0x60);
    assertThat(io.inb(0x64) & 8).isZero();
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    controller.type(1, 2, 3);
    io.inb(0x60);
    io.outb(0xED, 0x60);
    I8042 copy = new I8042(InterruptLine.NONE, resets::add);
    DeviceFixtures.load(copy, DeviceFixtures.save(controller));
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(controller));
    assertThat(copy.in(0x60, 1, 0)).isEqualTo(2);
  }
}
