package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class Pic8259Test {
  private static final int MASTER = 0x20;
  private static final int MASTER_MASK = 0x21;
  private static final int SLAVE = 0xA0;
  private static final int SLAVE_MASK = 0xA1;
  private static final int MASTER_ELCR = 0x4D0;
  private static final int SLAVE_ELCR = 0x4D1;

  private final RecordingLine intr = new RecordingLine();
  private final Pic8259 pic = new Pic8259(intr);
  private final Ports io = new Ports(pic);

  private void initialise(int masterIcw4, int slaveIcw4) {
    io.outb(0x11, MASTER).outb(0x30, MASTER_MASK).outb(0x04, MASTER_MASK).outb(masterIcw4, MASTER_MASK);
    io.outb(0x11, SLAVE).outb(0x38, SLAVE_MASK).outb(0x02, SLAVE_MASK).outb(slaveIcw4, SLAVE_MASK);
  }

  private void initialise() {
    initialise(0x01, 0x01);
  }

  private void pulse(int... irqs) {
    for (int irq : irqs) {
      pic.line(irq).set(true);
      pic.line(irq).set(false);
    }
  }

  private int isr(int port) {
    io.outb(0x0B, port);
    int value = io.inb(port);
    io.outb(0x0A, port);
    return value;
  }

  private void assertAcknowledges(int vector) {
    assertThat(pic.pending()).isTrue();
    assertThat(pic.pendingVector()).isEqualTo(vector);
    assertThat(pic.acknowledge()).isEqualTo(vector);
  }

  @Test
  void shouldPassLinuxProbeBeforeInitialisation() {
    io.outb(0xFF, SLAVE_MASK).outb(0xFB, MASTER_MASK);
    assertThat(io.inb(MASTER_MASK)).isEqualTo(0xFB);
    assertThat(io.inb(SLAVE_MASK)).isEqualTo(0xFF);
  }

  @Test
  void shouldDeliverTimerAndSerialAfterLinuxInitialisation() {
    io.outb(0xFF, MASTER_MASK);
    initialise();
    io.outb(0xFB, MASTER_MASK).outb(0xFF, SLAVE_MASK);
    pic.line(0).set(true);
    assertThat(pic.pending()).as("masked").isFalse();
    assertThat(io.inb(MASTER)).isEqualTo(0x01);

    io.outb(0xFA, MASTER_MASK);
    assertThat(intr.level).isTrue();
    assertAcknowledges(0x30);
    assertThat(intr.level).isFalse();
    io.outb(0xFB, MASTER_MASK).outb(0x60, MASTER).outb(0xFA, MASTER_MASK);
    assertThat(pic.pending()).as("the line is still high, but had no new edge").isFalse();
    pic.line(0).set(false);
    pic.line(0).set(true);
    assertAcknowledges(0x30);
  }

  @Test
  void shouldCascadeSlaveAndNeedBothEois() {
    initialise();
    pulse(12);
    assertAcknowledges(0x3C);
    assertThat(isr(MASTER)).isEqualTo(0x04);
    assertThat(isr(SLAVE)).isEqualTo(0x10);
    pulse(9, 3);
    assertThat(pic.pending()).as("master input 2 is in service").isFalse();
    io.outb(0x64, SLAVE);
    assertThat(pic.pending()).isFalse();
    io.outb(0x62, MASTER);
    assertAcknowledges(0x39);
    io.outb(0x20, SLAVE).outb(0x20, MASTER);
    assertAcknowledges(0x33);
  }

  @Test
  void shouldNestHigherPriorityOnly() {
    initialise();
    pulse(4);
    assertAcknowledges(0x34);
    pulse(4, 5, 7);
    assertThat(pic.pending()).isFalse();
    pulse(1);
    assertAcknowledges(0x31);
    assertThat(isr(MASTER)).isEqualTo(0x12);
    io.outb(0x20, MASTER);
    assertThat(isr(MASTER)).as("non-specific EOI ends the highest").isEqualTo(0x10);
    io.outb(0x20, MASTER);
    assertAcknowledges(0x34);
  }

  @Test
  void shouldReturnSpuriousIrq7WithoutInServiceBitAsLinuxChecks() {
    initialise();
    assertThat(pic.pendingVector()).isEqualTo(-1);
    assertThat(pic.acknowledge()).isEqualTo(0x37);
    io.outb(0x0B, MASTER);
    assertThat(io.inb(MASTER) & 0x80).as("not a real IRQ 7").isZero();
    io.outb(0x0A, MASTER);

    pulse(7);
    assertAcknowledges(0x37);
    assertThat(isr(MASTER) & 0x80).as("a real one").isEqualTo(0x80);
  }

  @Test
  void shouldReturnSpuriousIrq15WithMasterInputInService() {
    initialise();
    pulse(10);
    io.outb(0xFF, SLAVE_MASK);
    assertAcknowledges(0x3F);
    assertThat(isr(SLAVE)).isZero();
    assertThat(isr(MASTER)).isEqualTo(0x04);
    io.outb(0x62, MASTER);
    assertThat(pic.pending()).isFalse();
    io.outb(0x00, SLAVE_MASK);
    assertAcknowledges(0x3A);
  }

  @Test
  void shouldReturnSpuriousIrqWhenLevelLineFallsBeforeAcknowledge() {
    initialise();
    io.outb(0x20, MASTER_ELCR);
    pic.line(5).set(true);
    assertThat(pic.pending()).isTrue();
    pic.line(5).set(false);
    assertThat(pic.pending()).isFalse();
    assertThat(pic.acknowledge()).isEqualTo(0x37);
  }

  @Test
  void shouldRepeatLevelTriggeredRequestUntilLineFalls() {
    initialise();
    io.outb(0xFF, MASTER_ELCR).outb(0xFF, SLAVE_ELCR);
    assertThat(io.inb(MASTER_ELCR)).isEqualTo(0xF8);
    assertThat(io.inb(SLAVE_ELCR)).isEqualTo(0xDE);
    pic.line(11).set(true);
    assertAcknowledges(0x3B);
    io.outb(0x20, SLAVE).outb(0x20, MASTER);
    assertAcknowledges(0x3B);
    pic.line(11).set(false);
    io.outb(0x20, SLAVE).outb(0x20, MASTER);
    assertThat(pic.pending()).isFalse();
  }

  @Test
  void shouldDropLatchedEdgesAndInServiceBitsOnIcw1() {
    initialise();
    pic.line(3).set(true);
    assertAcknowledges(0x33);
    pulse(4);
    initialise();
    assertThat(pic.pending()).isFalse();
    assertThat(isr(MASTER)).isZero();
    assertThat(io.inb(MASTER)).isZero();
    assertThat(io.inb(MASTER_MASK)).as("ICW1 clears the mask").isZero();
    pic.line(3).set(true);
    assertThat(pic.pending()).as("no low-to-high transition since").isFalse();
  }

  @Test
  void shouldRequestNothingWhileInitialisationIsIncomplete() {
    pulse(1);
    assertThat(pic.pending()).isFalse();
    initialise();
    pulse(1);
    io.outb(0x11, MASTER);
    pulse(1);
    assertThat(pic.pending()).isFalse();
    io.outb(0x40, MASTER_MASK).outb(0x04, MASTER_MASK);
    assertThat(pic.pending()).isFalse();
    io.outb(0x01, MASTER_MASK);
    assertAcknowledges(0x41);
  }

  @Test
  void shouldSkipIcw3InSingleModeAndIcw4WhenNotAnnounced() {
    io.outb(0x12, MASTER).outb(0x50, MASTER_MASK).outb(0xEF, MASTER_MASK);
    assertThat(io.inb(MASTER_MASK)).isEqualTo(0xEF);
    pulse(4);
    assertAcknowledges(0x54);
  }

  @Test
  void shouldEndAutomaticallyInAutoEoiMode() {
    initialise(0x03, 0x03);
    pulse(4, 9);
    assertAcknowledges(0x39);
    assertAcknowledges(0x34);
    assertThat(isr(MASTER)).isZero();
    assertThat(isr(SLAVE)).isZero();
  }

  @Test
  void shouldDeliverAllSlaveRequestsInAutoEoiMode() {
    initialise(0x03, 0x03);
    pulse(8, 10, 15);
    assertAcknowledges(0x38);
    assertAcknowledges(0x3A);
    assertAcknowledges(0x3F);
    assertThat(pic.pending()).isFalse();
  }

  @Test
  void shouldRotateInAutoEoiModeWhenSet() {
    initialise(0x03, 0x03);
    io.outb(0x80, MASTER);
    pulse(3, 4);
    assertAcknowledges(0x33);
    pulse(3);
    assertAcknowledges(0x34);
    assertAcknowledges(0x33);
    io.outb(0x00, MASTER);
    pulse(3, 4);
    assertAcknowledges(0x34);
    pulse(4, 3);
    assertAcknowledges(0x34);
  }

  @Test
  void shouldRotatePriorityByEoiAndByCommand() {
    initialise();
    pulse(3);
    pic.acknowledge();
    io.outb(0xA0, MASTER);
    pulse(3, 4);
    assertAcknowledges(0x34);
    io.outb(0xE4, MASTER);
    pulse(5);
    assertAcknowledges(0x35);
    io.outb(0x65, MASTER);
    assertAcknowledges(0x33);
    io.outb(0x63, MASTER);
    io.outb(0xC5, MASTER);
    pulse(0, 5, 6);
    assertAcknowledges(0x36);
    io.outb(0x20, MASTER);
    assertAcknowledges(0x30);
    io.outb(0x20, MASTER);
    assertAcknowledges(0x35);
  }

  @Test
  void shouldLetLowerLevelsThroughInSpecialMaskMode() {
    initialise();
    pulse(3);
    pic.acknowledge();
    pulse(6);
    assertThat(pic.pending()).isFalse();
    io.outb(0x08, MASTER_MASK).outb(0x68, MASTER);
    assertAcknowledges(0x36);
    io.outb(0x20, MASTER);
    assertThat(isr(MASTER)).as("non-specific EOI passes over the masked level").isEqualTo(0x08);
    io.outb(0x48, MASTER);
    pulse(6);
    assertThat(pic.pending()).isFalse();
    io.outb(0x63, MASTER);
    assertAcknowledges(0x36);
  }

  @Test
  void shouldNestWithinSlaveInSpecialFullyNestedMode() {
    initialise(0x11, 0x01);
    pulse(12);
    assertAcknowledges(0x3C);
    pulse(14);
    assertThat(pic.pending()).isFalse();
    pulse(9);
    assertAcknowledges(0x39);
    assertThat(isr(SLAVE)).isEqualTo(0x12);
  }

  @Test
  void shouldAcknowledgeByPolling() {
    initialise();
    io.outb(0xFF, MASTER_MASK).outb(0x0C, MASTER);
    assertThat(io.inb(MASTER)).as("nothing to poll").isZero();
    io.outb(0x00, MASTER_MASK);
    pulse(6, 9);
    io.outb(0x0C, MASTER);
    assertThat(io.bus().peekIn(MASTER, 1)).isEqualTo(0x82);
    assertThat(io.inb(MASTER)).isEqualTo(0x82);
    io.outb(0x0C, SLAVE);
    assertThat(io.inb(SLAVE)).isEqualTo(0x81);
    assertThat(isr(MASTER)).isEqualTo(0x04);
    assertThat(isr(SLAVE)).isEqualTo(0x02);
    io.outb(0x20, SLAVE).outb(0x20, MASTER);
    assertAcknowledges(0x36);
  }

  @Test
  void shouldWithdrawCascadeRequestWhenSlaveIsPolledFirst() {
    initialise();
    pulse(9);
    io.outb(0x0C, SLAVE);
    assertThat(io.inb(SLAVE)).isEqualTo(0x81);
    assertThat(pic.pending()).isFalse();
  }

  @Test
  void shouldPeekWithoutSideEffects() {
    initialise();
    pulse(4);
    io.outb(0x0C, MASTER);
    byte[] before = DeviceFixtures.save(pic);
    for (int port : new int[] {MASTER, MASTER_MASK, SLAVE, SLAVE_MASK, MASTER_ELCR, SLAVE_ELCR}) {
      io.bus().peekIn(port, 1);
    }
    pic.pendingVector();
    assertThat(DeviceFixtures.save(pic)).isEqualTo(before);
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    initialise(0x11, 0x01);
    io.outb(0x20, MASTER_ELCR).outb(0x68, MASTER);
    pulse(4);
    pic.acknowledge();
    pic.line(5).set(true);
    pulse(1, 9);
    Pic8259 copy = new Pic8259();
    DeviceFixtures.load(copy, DeviceFixtures.save(pic));

    assertThat(copy.pending()).isEqualTo(pic.pending());
    assertThat(copy.acknowledge()).isEqualTo(pic.acknowledge()).isEqualTo(0x31);
    for (int command : new int[] {0x20, 0x20, 0x20}) {
      io.outb(command, MASTER);
      copy.out(MASTER, 1, command, 0);
      assertThat(copy.pendingVector()).isEqualTo(pic.pendingVector());
      assertThat(copy.acknowledge()).isEqualTo(pic.acknowledge());
    }
  }

  @Test
  void shouldRefuseLinesThatDevicesCannotHave() {
    assertThatThrownBy(() -> pic.line(2)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("cascade");
    assertThatThrownBy(() -> pic.line(-1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> pic.line(16)).isInstanceOf(IllegalArgumentException.class);
  }
}
