package dev.gnomon.workloads.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** A file that looks like a busybox: an ELF header, one program header, the banner and a table of applets. */
final class FakeBusybox {
  private static final int BANNER = 128;

  private FakeBusybox() {}

  static byte[] program(String applets) {
    byte[] rest = ("BusyBox v1.35.0\0" + applets).getBytes(StandardCharsets.US_ASCII);
    ByteBuffer elf = ByteBuffer.allocate(BANNER + rest.length).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7F, 'E', 'L', 'F', 2, 1, 1});
    elf.putShort(18, (short) 62).putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) 1);
    elf.putInt(64, 1);
    elf.position(BANNER);
    elf.put(rest);
    return elf.array();
  }

  static byte[] program32(String applets) {
    ByteBuffer elf = ByteBuffer.wrap(program(applets)).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(4, (byte) 1).putShort(18, (short) 3).putInt(28, 52).putShort(42, (short) 32).putShort(44, (short) 1);
    elf.putInt(52, 1);
    return elf.array();
  }
}
