package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ApicPort;
import dev.gnomon.guest.cpu.Msr;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LocalApicTest {
  private static final long ENABLED = LocalApic.BASE | ApicPort.BASE_ENABLE | ApicPort.BASE_BSP;
  private static final long X2 = ENABLED | ApicPort.BASE_X2APIC;

  private final ApicBus bus = new ApicBus();
  private final DeviceBus memory = new DeviceBus();
  private long offset;
  private int nmis;
  private long now;
  private final LocalApic apic = new LocalApic(0, bus, () -> offset, () -> nmis++, true);
  private final LocalApic second = new LocalApic(1, bus, () -> 0, () -> { }, true);

  @BeforeEach
  void plugIn() {
    memory.register(apic);
    write(0xF0, 0x1FF);
    second.write(0xF0, 4, 0x1FF, 0);
  }

  private int read(int register) {
    return (int) memory.mmioRead(LocalApic.BASE + register, 4, now);
  }

  private void write(int register, int value) {
    memory.mmioWrite(LocalApic.BASE + register, 4, value & 0xFFFF_FFFFL, now);
  }

  private void interrupt(int vector, boolean level) {
    bus.send(LocalApicBits.FIXED, vector, level, 0, false, false);
  }

  private int bit(int base, int vector) {
    return read(base + vector / 32 * 0x10) >>> vector % 32 & 1;
  }

  private void runTo(long ns) {
    while (memory.nextDeadline() <= ns) {
      now = memory.nextDeadline();
      memory.advanceTo(now);
    }
    now = ns;
  }

  @ParameterizedTest
  @CsvSource({"020,0", "030,50014", "080,0", "090,0", "0A0,0", "0D0,0", "0E0,FFFFFFFF", "0F0,FF", "100,0", "180,0",
      "200,0", "280,0", "300,0", "310,0",
      "320,10000", "330,10000", "340,10000", "350,700", "360,10000", "370,10000", "380,0", "390,0", "3E0,0"})
  void shouldHaveTheManualsValuesAfterResetAndKvmsInLint0(String register, String value) {
    apic.reset();
    assertThat(read(Integer.parseInt(register, 16))).isEqualTo(Integer.parseUnsignedInt(value, 16));
    assertThat(apic.base()).isEqualTo(ENABLED);
  }

  @ParameterizedTest
  @CsvSource({"020,0", "030,50014", "080,FF", "0A0,0", "0D0,FF000000", "0F0,3FF", "0E0,FFFFFFFF", "300,CC6FF",
      "310,FFFFFFFF", "320,700FF", "330,107FF",
      "340,107FF", "350,1A7FF", "360,1A7FF", "370,100FF", "390,0", "3E0,B"})
  void shouldKeepOnlyWritableBits(String register, String value) {
    int at = Integer.parseInt(register, 16);
    write(at, at == 0x300 ? 0xFFFF_F6FF : -1);
    assertThat(read(at)).isEqualTo(Integer.parseUnsignedInt(value, 16));
  }

  @Test
  void shouldServeTheHighestVectorFirst() {
    interrupt(0x31, false);
    interrupt(0x51, false);
    interrupt(0x52, false);
    assertThat(apic.acknowledge()).isEqualTo(0x52);
    assertThat(read(0xA0)).isEqualTo(0x50);
    assertThat(apic.pending()).as("same class").isFalse();
    interrupt(0x60, false);
    assertThat(apic.acknowledge()).as("higher class nests").isEqualTo(0x60);
    assertThat(bit(0x100, 0x60) & bit(0x100, 0x52)).isEqualTo(1);
    assertThat(bit(0x200, 0x60)).isZero();
    write(0xB0, 0);
    assertThat(apic.pending()).isFalse();
    write(0xB0, 0);
    assertThat(apic.acknowledge()).isEqualTo(0x51);
    write(0xB0, 0);
    assertThat(apic.acknowledge()).isEqualTo(0x31);
    write(0xB0, 0);
    assertThat(read(0xA0)).isZero();
    assertThat(apic.acknowledge()).as("spurious").isEqualTo(0xFF);
    assertThat(bit(0x100, 0xFF)).as("spurious vectors are not in service").isZero();
  }

  @ParameterizedTest
  @CsvSource({"00,41,true", "3F,41,true", "40,41,false", "4F,4F,false", "4F,50,true", "F0,FF,false"})
  void shouldHoldBackByTaskPriority(String tpr, String vector, boolean pending) {
    write(0x80, Integer.parseInt(tpr, 16));
    interrupt(Integer.parseInt(vector, 16), false);
    assertThat(apic.pending()).isEqualTo(pending);
    assertThat(read(0xA0)).isEqualTo(Integer.parseInt(tpr, 16));
    assertThat(apic.taskPriority()).isEqualTo(Integer.parseInt(tpr, 16) >> 4);
    apic.setTaskPriority(0);
    assertThat(read(0x80)).isZero();
    assertThat(apic.pending()).isTrue();
  }

  @Test
  void shouldNoteTriggerModes() {
    interrupt(0x45, true);
    assertThat(bit(0x180, 0x45)).isEqualTo(1);
    interrupt(0x45, false);
    assertThat(bit(0x180, 0x45)).isZero();
  }

  @Test
  void shouldRefuseIllegalVectors() {
    interrupt(0x0F, false);
    write(0x300, 0x0F | 1 << 18);
    assertThat(read(0x280)).as("not before a write").isZero();
    write(0x280, 0);
    assertThat(read(0x280)).isEqualTo(0x60);
    write(0x370, 0xEE);
    write(0x3D0, 1);
    assertThat(apic.acknowledge()).as("error interrupt").isEqualTo(0xEE);
    write(0x280, 0);
    assertThat(read(0x280)).isEqualTo(0x80);
  }

  @Test
  void shouldMaskEverythingWhileSoftwareDisabled() {
    write(0x350, 0x700);
    write(0xF0, 0xFF);
    assertThat(read(0x350)).isEqualTo(0x10700);
    write(0x350, 0x700);
    assertThat(read(0x350)).as("masks cannot be cleared").isEqualTo(0x10700);
    interrupt(0x50, false);
    assertThat(apic.pending()).isFalse();
    assertThat(bit(0x200, 0x50)).isZero();
  }

  @Test
  void shouldBeginInVirtualWireMode() {
    apic.reset();
    assertThat(apic.acceptsExtInt()).as("for software that knows no APIC").isTrue();
    second.reset();
    assertThat(second.acceptsExtInt()).as("of the bootstrap processor alone").isFalse();
    apic.setAsFirmware();
    assertThat(apic.acceptsExtInt()).isTrue();
    assertThat(read(0x350)).isEqualTo(0x700);
    assertThat(read(0x360)).isEqualTo(0x400);
    assertThat(read(0xF0)).isEqualTo(0x1FF);
    write(0x350, 0x10700);
    assertThat(apic.acceptsExtInt()).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"31,31,false", "10031,-1,false", "431,-1,true", "731,-1,false"})
  void shouldDeliverLint0ByItsEntry(String entry, String vector, boolean nmi) {
    write(0x350, Integer.parseInt(entry, 16));
    apic.setLint0(true);
    apic.setLint0(true);
    int expected = Integer.parseInt(vector, 16);
    assertThat(apic.pending() ? apic.acknowledge() : -1).isEqualTo(expected);
    assertThat(nmis).isEqualTo(nmi ? 1 : 0);
  }

  /** ICR low and high, and who gets vector 41h: bit 0 this one, bit 1 the other. */
  @ParameterizedTest
  @CsvSource({"00041,00000000,1", "00041,01000000,2", "00041,05000000,0", "00041,FF000000,3", "40041,0,1",
      "80041,0,3", "C0041,0,2", "00841,01000000,1",
      "00841,02000000,2", "00841,03000000,3", "00841,04000000,0", "00141,FF000000,1", "0C041,00000000,1"})
  void shouldSendInterruptsToTheirDestinations(String low, String high, int takers) {
    write(0xD0, 0x0100_0000);
    second.write(0xD0, 4, 0x0200_0000, 0);
    write(0x310, Integer.parseUnsignedInt(high, 16));
    write(0x300, Integer.parseInt(low, 16));
    assertThat((apic.pending() ? 1 : 0) | (second.pending() ? 2 : 0)).isEqualTo(takers);
    assertThat(read(0x300) & 1 << 12).as("delivery status").isZero();
  }

  @Test
  void shouldMatchClusters() {
    write(0xE0, 0x0FFF_FFFF);
    write(0xD0, 0x2100_0000);
    assertThat(apic.isDestination(0x23, false, true)).isTrue();
    assertThat(apic.isDestination(0x22, false, true)).isFalse();
    assertThat(apic.isDestination(0x11, false, true)).isFalse();
    assertThat(apic.isDestination(0xFF, false, true)).isTrue();
  }

  @Test
  void shouldPreferTheProcessorOfLowestPriority() {
    write(0x80, 0x20);
    bus.send(LocalApicBits.LOWEST_PRIORITY, 0x41, false, 0xFF, false, false);
    assertThat(second.pending()).isTrue();
    assertThat(apic.pending()).isFalse();
  }

  @Test
  void shouldSendNmiInitAndStartup() {
    write(0x300, 0x0400);
    assertThat(nmis).isEqualTo(1);
    write(0x310, 0x0100_0000);
    write(0x300, 0xC500);
    assertThat(second.takeInit()).isTrue();
    assertThat(second.takeInit()).isFalse();
    assertThat(second.startupVector()).isEqualTo(-1);
    write(0x300, 0x8500);
    assertThat(second.takeInit()).as("de-assert").isFalse();
    write(0x300, 0x0699);
    assertThat(second.startupVector()).isEqualTo(0x99);
  }

  @ParameterizedTest
  @CsvSource({"0,2", "1,4", "2,8", "3,16", "8,32", "9,64", "A,128", "B,1"})
  void shouldDivideByTheTable(String dcr, int divider) {
    write(0x3E0, Integer.parseInt(dcr, 16));
    write(0x320, 0x40);
    write(0x380, 1000);
    assertThat(memory.nextDeadline()).isEqualTo(1000L * divider);
    now = 10L * divider;
    assertThat(read(0x390)).isEqualTo(990);
    runTo(1000L * divider - 1);
    assertThat(apic.pending()).isFalse();
    runTo(1000L * divider);
    assertThat(apic.acknowledge()).isEqualTo(0x40);
    assertThat(read(0x390)).isZero();
    assertThat(memory.nextDeadline()).as("one shot").isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldRepeatInPeriodicMode() {
    write(0x3E0, 0xB);
    write(0x320, 0x2_0040);
    write(0x380, 500);
    for (int i = 1; i < 4; i++) {
      assertThat(memory.nextDeadline()).isEqualTo(500 * i);
      runTo(500 * i);
      assertThat(apic.acknowledge()).isEqualTo(0x40);
      assertThat(read(0x390)).isEqualTo(500);
      write(0xB0, 0);
    }
    now = 10_120;
    assertThat(read(0x390)).as("late, but in phase").isEqualTo(380);
    write(0x380, 0);
    assertThat(memory.nextDeadline()).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void shouldRunOnBehindTheMask() {
    write(0x3E0, 0xB);
    write(0x320, 0x1_0040);
    write(0x380, 500);
    assertThat(memory.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    now = 200;
    assertThat(read(0x390)).isEqualTo(300);
    now = 600;
    write(0x320, 0x40);
    assertThat(apic.pending()).isFalse();
  }

  @Test
  void shouldGoOnAtANewRate() {
    write(0x3E0, 0xB);
    write(0x320, 0x40);
    write(0x380, 500);
    now = 100;
    write(0x3E0, 0);
    assertThat(read(0x390)).isEqualTo(400);
    assertThat(memory.nextDeadline()).isEqualTo(900);
  }

  @Test
  void shouldExpireAtATimeStamp() {
    offset = 1_000_000;
    write(0x320, 0x4_0040);
    assertThat(apic.writeMsr(Msr.TSC_DEADLINE, 1_000_700, now)).isTrue();
    assertThat(apic.readMsr(Msr.TSC_DEADLINE, now)).isEqualTo(1_000_700);
    assertThat(memory.nextDeadline()).isEqualTo(700);
    offset += 100;
    assertThat(memory.nextDeadline()).as("the TSC was moved").isEqualTo(600);
    write(0x380, 5);
    assertThat(read(0x390)).as("no counting").isZero();
    runTo(600);
    assertThat(apic.acknowledge()).isEqualTo(0x40);
    assertThat(apic.readMsr(Msr.TSC_DEADLINE, now)).isZero();
    write(0xB0, 0);
    apic.writeMsr(Msr.TSC_DEADLINE, 1, now);
    assertThat(apic.acknowledge()).as("in the past").isEqualTo(0x40);
    apic.writeMsr(Msr.TSC_DEADLINE, -1, now);
    assertThat(memory.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    write(0x320, 0x40);
    assertThat(apic.readMsr(Msr.TSC_DEADLINE, now)).as("another mode disarms").isZero();
    apic.writeMsr(Msr.TSC_DEADLINE, 5_000_000, now);
    assertThat(memory.nextDeadline()).isEqualTo(Long.MAX_VALUE);
  }

  /** SDM, "x2APIC State Transitions": from, to, legal. */
  @ParameterizedTest
  @CsvSource({"x,x,true", "x,2,true", "x,d,true", "2,2,true", "2,x,false", "2,d,true", "d,x,true", "d,2,false",
      "d,d,true", "x,i,false", "d,i,false"})
  void shouldAllowLegalChangesOfMode(char from, char to, boolean legal) {
    assertThat(apic.writeBase(base(from), now)).isTrue();
    assertThat(apic.writeBase(base(to), now)).isEqualTo(legal);
    assertThat(apic.base()).isEqualTo(legal ? base(to) : base(from));
  }

  private static long base(char mode) {
    return switch (mode) {
      case 'x' -> ENABLED;
      case '2' -> X2;
      case 'i' -> X2 & ~ApicPort.BASE_ENABLE;
      default -> ENABLED & ~ApicPort.BASE_ENABLE;
    };
  }

  @Test
  void shouldVanishWhenDisabled() {
    write(0x350, 0x10700);
    apic.writeBase(base('d'), now);
    assertThat(read(0x30)).isEqualTo(-1);
    assertThat(apic.acceptsExtInt()).as("the 8259 reaches the processor's INTR pin").isTrue();
    interrupt(0x41, false);
    apic.writeBase(base('x'), now);
    assertThat(apic.pending()).isFalse();
    assertThat(read(0xF0)).as("as after a reset").isEqualTo(0xFF);
  }

  @Test
  void shouldMoveItsPageWithTheBase() {
    apic.setPageListener(() -> memory.move(apic, apic.page()));
    int version = read(0x30);
    apic.writeBase(ENABLED + 0x14_0000, now);
    assertThat(read(0x30)).as("moved away").isEqualTo(-1);
    assertThat(read(0x14_0030)).isEqualTo(version);
    memory.register(new IoApic(bus));
    apic.writeBase(IoApic.BASE | ApicPort.BASE_ENABLE | ApicPort.BASE_BSP, now);
    assertThat(read(0x14_0030)).isEqualTo(-1);
    assertThat(memory.mmioOwner(IoApic.BASE)).as("was there first").isInstanceOf(IoApic.class);
    apic.reset();
    assertThat(read(0x30)).isEqualTo(version);
  }

  @ParameterizedTest
  @CsvSource({"802,r", "803,r", "808,rw", "80A,r", "80B,w", "80D,r", "80E,", "80F,rw", "810,r", "827,r", "828,rw",
      "82F,", "830,rw", "831,", "832,rw", "837,rw",
      "838,rw", "839,r", "83E,rw", "83F,w", "800,", "809,", "80C,", "840,", "8FF,"})
  void shouldHaveX2RegistersByTheTable(String msr, String access) {
    int number = Integer.parseInt(msr, 16);
    assertThat(apic.readable(number)).as("in xAPIC mode").isFalse();
    assertThat(apic.writeMsr(number, 0, now)).isFalse();
    apic.writeBase(X2, now);
    String rights = access == null ? "" : access;
    assertThat(apic.readable(number)).isEqualTo(rights.contains("r"));
    assertThat(apic.writeMsr(number, 0, now)).isEqualTo(rights.contains("w"));
    assertThat(apic.writeMsr(number, 1L << 32, now)).as("reserved").isEqualTo(number == 0x830);
    assertThat(read(0x30)).as("no page in this mode").isEqualTo(-1);
  }

  @Test
  void shouldAddressX2ApicsByWideIds() {
    apic.writeBase(X2, now);
    second.writeBase(LocalApic.BASE | ApicPort.BASE_ENABLE | ApicPort.BASE_X2APIC, now);
    assertThat(second.readMsr(0x802, now)).isEqualTo(1);
    assertThat(second.readMsr(0x80D, now)).isEqualTo(2);
    apic.writeMsr(0x830, 1L << 32 | 0x41, now);
    assertThat(second.acknowledge()).isEqualTo(0x41);
    second.writeMsr(0x80B, 0, now);
    apic.writeMsr(0x830, 3L << 32 | 0x842, now);
    assertThat(second.acknowledge()).isEqualTo(0x42);
    assertThat(apic.acknowledge()).isEqualTo(0x42);
    apic.writeMsr(0x80B, 0, now);
    apic.writeMsr(0x83F, 0x55, now);
    assertThat(apic.acknowledge()).isEqualTo(0x55);
    assertThat(apic.readMsr(0x830, now) >>> 32).isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8})
  void shouldTakeAlignedDoubleWordsOnly(int size) {
    memory.mmioWrite(LocalApic.BASE + 0x84, size, 0x55, now);
    assertThat(read(0x80)).isZero();
    memory.mmioWrite(LocalApic.BASE + 0x80, size, 0x55, now);
    assertThat(read(0x80)).isEqualTo(size == 8 ? 0x55 : 0);
    assertThat(memory.mmioRead(LocalApic.BASE + 0x30, size, now)).isEqualTo(0x50014 & -1L >>> 64 - 8 * size);
  }

  @Test
  void shouldContinueFromSavedState() throws IOException {
    write(0x80, 0x10);
    interrupt(0x41, true);
    apic.acknowledge();
    interrupt(0x66, false);
    write(0x3E0, 0xB);
    write(0x320, 0x2_0040);
    write(0x380, 777);
    LocalApic copy = new LocalApic(0, new ApicBus(), () -> 0, () -> { }, true);
    DeviceFixtures.load(copy, DeviceFixtures.save(apic));
    assertThat(DeviceFixtures.save(copy)).isEqualTo(DeviceFixtures.save(apic));
    assertThat(copy.nextDeadline()).isEqualTo(777);
    assertThat(copy.acknowledge()).isEqualTo(0x66);
  }

  /** SDM vol. 3A, "Local APIC State After It Receives an INIT Reset": as after a reset, but for the ID and the mode. */
  @Test
  void shouldResetItsRegistersByInitAndKeepItsMode() {
    second.write(0x80, 4, 0x50, 0);
    second.write(0xD0, 4, 0x0200_0000, 0);
    second.write(0x320, 4, 0x41, 0);
    second.receive(LocalApicBits.FIXED, 0x61, false);
    assertThat(second.hasStartupMessage()).isFalse();
    second.receive(LocalApicBits.INIT, 0, false);
    second.receive(LocalApicBits.STARTUP, 0x12, false);
    assertThat(second.hasStartupMessage()).isTrue();
    long base = second.base();
    assertThat(second.takeInit()).isTrue();
    assertThat(second.base()).isEqualTo(base);
    assertThat(new long[] {second.peek(0x20, 4), second.peek(0x80, 4), second.peek(0xD0, 4), second.peek(0xF0, 4),
        second.peek(0x320, 4), second.peek(0x230, 4)}).containsExactly(1 << 24, 0, 0, 0xFF, 0x10000, 0);
    assertThat(second.takeStartup()).isEqualTo(0x12);
    assertThat(second.takeStartup()).isEqualTo(-1);
    assertThat(second.hasStartupMessage()).isFalse();
  }

  @Test
  void shouldForgetAStartUpMessageBeforeAnInit() {
    second.receive(LocalApicBits.STARTUP, 0x12, false);
    second.receive(LocalApicBits.INIT, 0, false);
    assertThat(second.takeInit()).isTrue();
    assertThat(second.takeStartup()).isEqualTo(-1);
  }

  /** A page for several local APICs is that of the processor that runs, and saves them all. */
  @Test
  void shouldShowEachProcessorItsOwnRegisters() throws IOException {
    DeviceBus pages = new DeviceBus();
    LocalApicPage page = new LocalApicPage(List.of(apic, second), pages);
    pages.register(page);
    page.select(1);
    assertThat(page.read(0x20, 4, 0)).isEqualTo(1 << 24);
    page.write(0x80, 4, 0x30, 0);
    page.write(0x320, 4, 0x41, 0);
    page.write(0x380, 4, 100, 0);
    second.writeBase(LocalApic.BASE + 0x1000 | ApicPort.BASE_ENABLE, 0);
    assertThat(pages.mmioOwner(LocalApic.BASE)).isNull();
    page.select(0);
    assertThat(pages.mmioOwner(LocalApic.BASE)).isSameAs(page);
    assertThat(page.read(0x20, 4, 0)).isZero();
    assertThat(page.read(0x80, 4, 0)).isZero();
    assertThat(page.nextDeadline()).isEqualTo(second.nextDeadline());
    ByteArrayOutputStream saved = new ByteArrayOutputStream();
    page.save(new DataOutputStream(saved));
    page.reset();
    assertThat(second.peek(0x80, 4)).isZero();
    page.load(new DataInputStream(new ByteArrayInputStream(saved.toByteArray())));
    assertThat(second.peek(0x80, 4)).isEqualTo(0x30);
    assertThatThrownBy(() -> new LocalApicPage(List.of(apic), pages)
        .load(new DataInputStream(new ByteArrayInputStream(saved.toByteArray()))))
        .isInstanceOf(IOException.class).hasMessage("lapics: saved state has 2 local APICs, expected 1");
  }
}
