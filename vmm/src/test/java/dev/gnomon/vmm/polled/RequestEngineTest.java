package dev.gnomon.vmm.polled;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.BackingSize;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The request device through each of its fronts, without a guest. */
class RequestEngineTest {
  private static final long PAGE = 0x400000;
  private static final long MMIO = 0xFEB00000L;
  private static final int PORT = 0x600;

  private final GuestPhysicalMemory memory;

  RequestEngineTest() {
    MemoryLayout layout = MemoryLayout.pc(0x200000).with(PolledRequestDevice.slotOf("polled", PAGE));
    HostMemory host = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    memory = new GuestPhysicalMemory(host, MemorySlots.virtual(host, layout, BackingSize.SIZE_4K));
  }

  private RequestEngine engine() {
    return new RequestEngine(memory, 42);
  }

  private PolledRequestDevice polled(long period) {
    return new PolledRequestDevice("polled", PAGE, period, memory, engine());
  }

  private void submit(int number, int operation, long a, long b) {
    memory.write(PAGE + RequestRegisters.OPERATION, 4, operation);
    memory.write(PAGE + RequestRegisters.OPERAND_A, 8, a);
    memory.write(PAGE + RequestRegisters.OPERAND_B, 8, b);
    memory.write(PAGE + RequestRegisters.SUBMIT, 4, number);
  }

  @Test
  void shouldPollOnlyWhenItsTimeHasCome() {
    PolledRequestDevice device = polled(100);
    submit(1, RequestEngine.OP_ADD, 3, 4);
    device.poll(99);
    assertThat(memory.read(PAGE + RequestRegisters.COMPLETE, 4)).isZero();
    device.poll(100);
    assertThat(memory.read(PAGE + RequestRegisters.COMPLETE, 4)).isEqualTo(1);
    assertThat(memory.read(PAGE + RequestRegisters.RESULT, 8)).isEqualTo(7);
    assertThat(device.nextPoll()).isEqualTo(200);
    device.poll(1234);
    assertThat(device.nextPoll()).isEqualTo(1300);
  }

  @Test
  void shouldServeEachRequestOnce() {
    PolledRequestDevice device = polled(1);
    submit(5, RequestEngine.OP_ADD, 1, 1);
    for (int t = 1; t < 10; t++) {
      device.poll(t);
    }
    assertThat(device.engine().requests()).isEqualTo(1);
    assertThat(device.engine().emptySteps()).isEqualTo(8);
  }

  @ParameterizedTest
  @CsvSource({"0, 9, 9, 0, 0", "1, -1, 1, 0, 0", "3, 0x1000, 4, 10, 0", "3, 0x1000, 4097, 0, 2", "3, 0x1000, -1, 0, 2",
      "3, 0x9fffe, 4, 0, 2", "3, 0x7fffffffffffffff, 8, 0, 2", "4, 1, 1, 0, 1", "-1, 1, 1, 0, 1"})
  void shouldAnswerGoodAndHostileRequests(int operation, String a, long b, long result, int status) {
    memory.write(0x1000, new byte[] {1, 2, 3, 4});
    submit(1, operation, Long.decode(a), b);
    polled(1).poll(1);
    assertThat(memory.read(PAGE + RequestRegisters.RESULT, 8)).isEqualTo(result);
    assertThat(memory.read(PAGE + RequestRegisters.STATUS, 4)).isEqualTo(status);
    assertThat(memory.read(PAGE + RequestRegisters.COMPLETE, 4)).isEqualTo(1);
  }

  @Test
  void shouldGiveTheSameAnswersBehindTraps() {
    submit(1, RequestEngine.OP_MIX, 123, 456);
    polled(1).poll(1);
    long expected = memory.read(PAGE + RequestRegisters.RESULT, 8);

    MmioRequestDevice mmio = new MmioRequestDevice("mmio", MMIO, engine());
    mmio.write(RequestRegisters.OPERATION, 4, RequestEngine.OP_MIX, 0);
    mmio.write(RequestRegisters.OPERAND_A, 8, 123, 0);
    mmio.write(RequestRegisters.OPERAND_B, 8, 456, 0);
    assertThat(mmio.read(RequestRegisters.COMPLETE, 4, 0)).isZero();
    mmio.write(RequestRegisters.SUBMIT, 4, 1, 0);
    assertThat(mmio.read(RequestRegisters.COMPLETE, 4, 0)).isEqualTo(1);
    assertThat(mmio.read(RequestRegisters.RESULT, 8, 0)).isEqualTo(expected);

    PortRequestDevice port = new PortRequestDevice("port", PORT, engine());
    int[][] writes = {{4, RequestEngine.OP_MIX}, {8, 123}, {16, 456}, {0, 1}};
    for (int[] write : writes) {
      port.out(PORT + write[0], 4, write[1], 0);
    }
    long result = port.in(PORT + 0x18, 4, 0) & 0xFFFFFFFFL | (long) port.in(PORT + 0x1C, 4, 0) << 32;
    assertThat(result).isEqualTo(expected);
  }

  @Test
  void shouldKeepItsOwnRegistersFromTheGuestAndReadOnesBehindThem() {
    MmioRequestDevice mmio = new MmioRequestDevice("mmio", MMIO, engine());
    mmio.write(RequestRegisters.RESULT, 8, 77, 0);
    mmio.write(RequestRegisters.COMPLETE, 4, 77, 0);
    mmio.write(0xFF8, 8, 77, 0);
    assertThat(mmio.read(RequestRegisters.RESULT, 8, 0)).isZero();
    assertThat(mmio.read(RequestRegisters.COMPLETE, 4, 0)).isZero();
    assertThat(mmio.read(RequestRegisters.SIZE, 8, 0)).isEqualTo(-1);
    assertThat(mmio.peek(RequestRegisters.STATUS, 8)).isEqualTo(0xFFFFFFFF00000000L);
  }

  @Test
  void shouldGoOnFromSavedState() throws IOException {
    PolledRequestDevice device = polled(100);
    submit(1, RequestEngine.OP_ADD, 1, 2);
    device.poll(100);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    device.save(new DataOutputStream(bytes));
    PolledRequestDevice restored = polled(100);
    restored.load(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
    assertThat(restored.nextPoll()).isEqualTo(200);
    restored.poll(200);
    assertThat(restored.engine().requests()).as("not served again").isEqualTo(1);
    byte[] other = bytes.toByteArray();
    other[3] = 9;
    assertThatThrownBy(() -> polled(100).load(new DataInputStream(new ByteArrayInputStream(other))))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("version 9, expected 1");
  }

  @Test
  void shouldForgetRequestsAtAReset() {
    PolledRequestDevice device = polled(1);
    submit(1, RequestEngine.OP_ADD, 1, 2);
    device.poll(1);
    device.reset();
    assertThat(memory.read(PAGE + RequestRegisters.RESULT, 8)).isZero();
    submit(1, RequestEngine.OP_ADD, 5, 5);
    device.poll(2);
    assertThat(memory.read(PAGE + RequestRegisters.RESULT, 8)).isEqualTo(10);
  }

  @Test
  void shouldRefuseAnImpossiblePeriod() {
    assertThatThrownBy(() -> polled(0)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected at least 1");
  }
}
