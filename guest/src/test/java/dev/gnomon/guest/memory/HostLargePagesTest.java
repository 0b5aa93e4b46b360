package dev.gnomon.guest.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class HostLargePagesTest {
  private static final Path MAPPINGS = Path.of("/proc/self/smaps");
  private static final Path SWITCH = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");

  @Test
  void shouldMarkTheMemoryForLargePagesAndLeaveItZero() throws IOException {
    assumeTrue(Files.exists(MAPPINGS) && Files.exists(SWITCH), "the host is not a Linux with transparent large pages");
    ByteBuffer buffer = ByteBuffer.allocateDirect(64 << 20);

    assertThat(HostLargePages.advise(buffer)).isTrue();

    assertThat(flagsInTheMiddle(buffer)).contains("hg");
    for (int at = 0; at < buffer.capacity(); at += 4096) {
      assertThat(buffer.getLong(at)).isZero();
    }
  }

  @Test
  void shouldMarkTheMemoryOfAMachine() throws IOException, ReflectiveOperationException {
    assumeTrue(Files.exists(MAPPINGS) && Files.exists(SWITCH), "the host is not a Linux with transparent large pages");
    HostMemory memory = new HostMemory(HostMemory.VM_DRAM_BASE, 48 << 20, 16 << 20);
    Field store = HostMemory.class.getDeclaredField("store");
    store.setAccessible(true);

    assertThat(flagsInTheMiddle((ByteBuffer) store.get(memory))).contains("hg");
    assertThat(memory.read64(HostMemory.VM_DRAM_BASE)).isZero();
  }

  @Test
  void shouldLeaveSmallMemoryAlone() {
    assertThat(HostLargePages.advise(ByteBuffer.allocateDirect(1 << 20))).isFalse();
  }

  /** The kernel's flags of the mapping that holds the middle of a direct buffer. */
  private static List<String> flagsInTheMiddle(ByteBuffer buffer) throws IOException {
    long address = Pointer.nativeValue(Native.getDirectBufferPointer(buffer)) + buffer.capacity() / 2;
    boolean inside = false;
    for (String line : Files.readAllLines(MAPPINGS)) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        String[] range = line.substring(0, line.indexOf(' ')).split("-");
        inside = Long.compareUnsigned(Long.parseUnsignedLong(range[0], 16), address) <= 0
            && Long.compareUnsigned(address, Long.parseUnsignedLong(range[1], 16)) < 0;
      } else if (inside && line.startsWith("VmFlags:")) {
        return List.of(line.substring("VmFlags:".length()).trim().split(" "));
      }
    }
    throw new AssertionError("no mapping holds the address");
  }
}
