package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.device.DeviceFixtures.Ports;
import dev.gnomon.vmm.device.DeviceFixtures.RecordingLine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The disk by the register and command tables of ATA/ATAPI-6. */
class IdeChannelTest {
  private static final int SECTORS = 2048;
  private static final int READY = 0x50;
  private static final int DATA_READY = 0x58;
  private static final int FAILED = 0x51;

  private final RecordingLine line = new RecordingLine();
  private final Faulty disk = new Faulty();
  private final IdeChannel ide = new IdeChannel(line, List.of(disk));
  private final Ports io = new Ports(ide);

  /** A disk whose sectors hold their number, with one that cannot be read or written. */
  private static final class Faulty implements DiskImage {
    static final int BAD = 1000;
    final SnapshotDiskImage image;
    int flushes;
    boolean full;

    Faulty() {
      byte[] bytes = new byte[SECTORS * 512];
      for (int i = 0; i < SECTORS; i++) {
        bytes[i * 512] = (byte) i;
        bytes[i * 512 + 1] = (byte) (i >> 8);
      }
      image = SnapshotDiskImage.of(bytes);
    }

    @Override
    public long sectors() {
      return SECTORS;
    }

    @Override
    public void read(long lba, byte[] into, int offset) throws IOException {
      check(lba);
      image.read(lba, into, offset);
    }

    @Override
    public void write(long lba, byte[] from, int offset) throws IOException {
      check(lba);
      image.write(lba, from, offset);
    }

    @Override
    public void flush() throws IOException {
      flushes++;
      check(full ? BAD : 0);
    }

    private static void check(long lba) throws IOException {
      if (lba == BAD) {
        throw new IOException("bad sector");
      }
    }
  }

  private void command(int command, long lba, int count, boolean ext) {
    if (ext) {
      io.outb(count >> 8, 0x1F2).outb((int) (lba >> 24) & 0xFF, 0x1F3).outb((int) (lba >> 32) & 0xFF, 0x1F4)
          .outb((int) (lba >> 40) & 0xFF, 0x1F5);
    }
    io.outb(count & 0xFF, 0x1F2).outb((int) lba & 0xFF, 0x1F3).outb((int) (lba >> 8) & 0xFF, 0x1F4)
        .outb((int) (lba >> 16) & 0xFF, 0x1F5).outb(0xE0 | (ext ? 0 : (int) (lba >> 24) & 0xF), 0x1F6);
    io.outb(command, 0x1F7);
  }

  private int[] words(int count) {
    int[] words = new int[count];
    for (int i = 0; i < count; i++) {
      words[i] = io.bus().in(0x1F0, 2, 0);
    }
    return words;
  }

  @Test
  void shouldShowItsSignatureAfterReset() {
    io.outb(0x04, 0x3F6);
    assertThat(io.inb(0x1F7)).isEqualTo(0x80);
    io.outb(0x00, 0x3F6);
    int[] registers = new int[7];
    for (int i = 0; i < 7; i++) {
      registers[i] = io.inb(0x1F1 + i);
    }
    assertThat(registers).containsExactly(1, 1, 1, 0, 0, 0xA0, READY);
    assertThat(line.rises).isZero();
  }

  @Test
  void shouldKeepAddressRegistersInTwoHalves() {
    io.outb(0x12, 0x1F3).outb(0x34, 0x1F3);
    assertThat(io.inb(0x1F3)).isEqualTo(0x34);
    io.outb(0x80, 0x3F6);
    assertThat(io.inb(0x1F3)).isEqualTo(0x12);
    io.outb(0xAA, 0x1F4);
    assertThat(io.inb(0x1F3)).as("any write ends HOB").isEqualTo(0x34);
  }

  @Test
  void shouldAnswerForTheAbsentDevice() {
    io.outb(0xB0, 0x1F6);
    assertThat(io.inb(0x1F7)).isZero();
    assertThat(io.inb(0x3F6)).isZero();
    io.outb(0xEC, 0x1F7);
    assertThat(line.rises).isZero();
    io.outb(0xA0, 0x1F6);
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
  }

  @Test
  void shouldKeepTwoDisksApart() throws IOException {
    Faulty second = new Faulty();
    second.image.write(7, sectorOf(0x6655), 0);
    Ports two = new Ports(new IdeChannel(line, List.of(disk, second)));
    two.outb(0xF0, 0x1F6);
    assertThat(two.inb(0x1F7)).as("device 1 is there").isEqualTo(READY);
    two.outb(1, 0x1F2).outb(7, 0x1F3).outb(0, 0x1F4).outb(0, 0x1F5).outb(0xF0, 0x1F6).outb(0x20, 0x1F7);
    assertThat(line.level).isTrue();
    two.outb(0xE0, 0x1F6);
    assertThat(line.level).as("the interrupt is device 1's").isFalse();
    assertThat(two.inb(0x1F3)).as("both took the address").isEqualTo(7);
    two.outb(0x20, 0x1F7);
    assertThat(two.bus().in(0x1F0, 2, 0)).isEqualTo(7);
    two.outb(0xF0, 0x1F6);
    assertThat(line.level).isTrue();
    assertThat(two.inb(0x1F7)).isEqualTo(DATA_READY);
    assertThat(line.level).isFalse();
    assertThat(two.bus().in(0x1F0, 2, 0)).isEqualTo(0x6655);
    two.outb(0xEC, 0x1F7);
    int[] words = new int[256];
    for (int i = 0; i < words.length; i++) {
      words[i] = two.bus().in(0x1F0, 2, 0);
    }
    assertThat(words[93]).as("device 1 by jumper, which passed").isEqualTo(0x4B00);
    two.outb(0x04, 0x3F6).outb(0x00, 0x3F6);
    assertThat(two.inb(0x1F6)).as("a reset selects device 0").isEqualTo(0xA0);
  }

  @Test
  void shouldTakeBackTheInterruptOfTheCommandBeforeADiagnosis() {
    io.outb(0xEC, 0x1F7);
    assertThat(line.rises).isEqualTo(1);
    io.outb(0x90, 0x1F7);
    assertThat(line.level).isTrue();
    assertThat(line.rises).as("any command takes a pending interrupt back, and so an edge comes again").isEqualTo(2);
  }

  private static byte[] sectorOf(int word) {
    byte[] sector = new byte[512];
    sector[0] = (byte) word;
    sector[1] = (byte) (word >> 8);
    return sector;
  }

  @Test
  void shouldIdentifyItself() {
    io.outb(0xEC, 0x1F7);
    assertThat(line.level).isTrue();
    assertThat(io.inb(0x3F6)).as("alternate status leaves the interrupt").isEqualTo(DATA_READY);
    assertThat(line.level).isTrue();
    assertThat(io.inb(0x1F7)).isEqualTo(DATA_READY);
    assertThat(line.level).isFalse();
    int[] w = words(256);
    assertThat(w[0]).isEqualTo(0x40);
    assertThat(w[1] + " " + w[3] + " " + w[6]).isEqualTo("2 16 63");
    assertThat(w[4] + " " + w[5]).as("bytes of a track and a sector, for old firmware").isEqualTo("32256 512");
    assertThat(w[27] + " " + w[28]).as("GNOM").isEqualTo(('G' << 8 | 'N') + " " + ('O' << 8 | 'M'));
    assertThat(w[47] & 0xFF).isEqualTo(16);
    assertThat(w[49] & 0x300).as("LBA, no DMA").isEqualTo(0x200);
    assertThat(w[60] | w[61] << 16).isEqualTo(SECTORS);
    assertThat(w[83] & 0x3400).as("48-bit, both flushes").isEqualTo(0x3400);
    assertThat(w[100] | w[101] << 16).isEqualTo(SECTORS);
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
  }

  /** Command, 48-bit, block sectors set, sectors, interrupts. */
  @ParameterizedTest
  @CsvSource({"20,false,0,1,1", "20,false,0,3,3", "21,false,0,2,2", "24,true,0,3,3", "C4,false,4,10,3", "29,true,4,8,2",
      "C4,false,16,16,1"})
  void shouldReadSectorsWithAnInterruptABlock(String command, boolean ext, int multiple, int count, int interrupts) {
    if (multiple != 0) {
      command(0xC6, 0, multiple, false);
    }
    io.inb(0x1F7);
    line.rises = 0;
    command(Integer.parseInt(command, 16), 513, count, ext);
    for (int i = 0; i < count; i++) {
      assertThat(io.inb(0x1F7)).isEqualTo(DATA_READY);
      assertThat(words(256)[0]).isEqualTo(513 + i);
    }
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
    assertThat(line.rises).isEqualTo(interrupts);
  }

  /** Command, 48-bit, block sectors set, sectors, interrupts. */
  @ParameterizedTest
  @CsvSource({"30,false,0,1,1", "30,false,0,3,3", "31,false,0,1,1", "34,true,0,2,2", "C5,false,4,10,3",
      "39,true,4,8,2"})
  void shouldWriteSectorsWithAnInterruptABlock(String command, boolean ext, int multiple, int count, int interrupts)
      throws IOException {
    if (multiple != 0) {
      command(0xC6, 0, multiple, false);
    }
    io.inb(0x1F7);
    line.rises = 0;
    command(Integer.parseInt(command, 16), 77, count, ext);
    assertThat(line.rises).as("none before the first block").isZero();
    for (int i = 0; i < count; i++) {
      assertThat(io.inb(0x1F7)).isEqualTo(DATA_READY);
      for (int word = 0; word < 128; word++) {
        io.bus().out(0x1F0, 4, 0x1111_0000 * (i + 1) | word, 0);
      }
    }
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
    assertThat(line.rises).isEqualTo(interrupts);
    byte[] sector = new byte[512];
    disk.image.read(77 + count - 1, sector, 0);
    assertThat(sector[508]).isEqualTo((byte) 127);
    assertThat(sector[510]).isEqualTo((byte) (0x11 * count));
  }

  @Test
  void shouldTakeACountOfZeroForTheLargest() {
    command(0x20, 0, 0, false);
    for (int i = 0; i < 256; i++) {
      assertThat(words(256)[0]).isEqualTo(i);
    }
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
  }

  /** Cylinder, head, sector of 16 heads and 63 sectors, then LBA. */
  @ParameterizedTest
  @CsvSource({"0,0,1,0", "0,0,63,62", "0,1,1,63", "1,0,1,1008", "2,0,32,2047"})
  void shouldAddressByCylinderHeadAndSector(int cylinder, int head, int sector, int lba) {
    io.outb(1, 0x1F2).outb(sector, 0x1F3).outb(cylinder, 0x1F4).outb(cylinder >> 8, 0x1F5).outb(0xA0 | head, 0x1F6);
    io.outb(0x20, 0x1F7);
    assertThat(words(1)[0]).isEqualTo(lba);
  }

  @Test
  void shouldFollowAnotherTranslation() {
    io.outb(17, 0x1F2).outb(0xA3, 0x1F6).outb(0x91, 0x1F7);
    io.outb(1, 0x1F2).outb(2, 0x1F3).outb(1, 0x1F4).outb(0, 0x1F5).outb(0xA1, 0x1F6).outb(0x20, 0x1F7);
    assertThat(words(1)[0]).isEqualTo((1 * 4 + 1) * 17 + 1);
  }

  /** Command, LBA, count, 48-bit, error register, LBA left in the registers. */
  @ParameterizedTest
  @CsvSource({"20,2048,1,false,10,2048", "24,4294967296,1,true,10,0", "20,1000,1,false,40,1000",
      "30,2048,1,false,10,-1", "40,2040,9,false,10,2048", "40,999,2,false,40,1000", "42,998,9,true,40,1000",
      "C4,0,1,false,4,-1", "A1,0,0,false,4,-1", "C8,0,1,false,4,-1", "00,0,0,false,4,-1", "C6,0,3,false,4,-1",
      "C6,0,32,false,4,-1", "91,0,0,false,4,-1", "08,0,0,false,4,-1"})
  void shouldReportErrors(String command, long lba, int count, boolean ext, String error, long left) {
    command(Integer.parseInt(command, 16), lba, count, ext);
    assertThat(line.level).isTrue();
    assertThat(io.inb(0x1F7)).isEqualTo(FAILED);
    assertThat(io.inb(0x1F1)).isEqualTo(Integer.parseInt(error, 16));
    if (left >= 0) {
      assertThat(io.inb(0x1F3) | io.inb(0x1F4) << 8 | io.inb(0x1F5) << 16).isEqualTo((int) left & 0xFF_FFFF);
    }
    command(0x20, 5, 1, false);
    assertThat(io.inb(0x1F7)).as("the next command works").isEqualTo(DATA_READY);
    assertThat(io.inb(0x1F1)).isZero();
  }

  @Test
  void shouldReportADeviceFaultWhenTheMediumCannotBeWritten() {
    command(0x30, 999, 2, false);
    for (int i = 0; i < 512; i++) {
      io.bus().out(0x1F0, 2, i, 0);
    }
    assertThat(io.inb(0x1F7)).isEqualTo(FAILED | 0x20);
    assertThat(io.inb(0x1F1)).isEqualTo(4);
    assertThat(io.inb(0x1F3) | io.inb(0x1F4) << 8).isEqualTo(1000);
    disk.full = true;
    io.outb(0xE7, 0x1F7);
    assertThat(io.inb(0x1F7)).isEqualTo(FAILED | 0x20);
  }

  /** Commands that transfer nothing; command, features, count. */
  @ParameterizedTest
  @CsvSource({"10,0,0", "1F,0,0", "70,0,0", "90,0,0", "E0,0,0", "E1,0,0", "E2,0,0", "E3,0,0", "E5,0,0", "E6,0,0",
      "E7,0,0", "EA,0,0", "EF,2,0", "EF,3,12", "EF,82,0", "F8,0,0", "27,0,0", "C6,0,16", "C6,0,0", "40,0,1"})
  void shouldDoCommandsWithoutData(String command, String features, int count) {
    io.outb(Integer.parseInt(features, 16), 0x1F1).outb(count, 0x1F2).outb(1, 0x1F3).outb(0xE0, 0x1F6)
        .outb(Integer.parseInt(command, 16), 0x1F7);
    assertThat(line.level).isTrue();
    assertThat(io.inb(0x1F7)).isEqualTo(READY);
  }

  @Test
  void shouldFlushTheImage() {
    io.outb(0xE7, 0x1F7).outb(0xEA, 0x1F7);
    assertThat(disk.flushes).isEqualTo(2);
  }

  @Test
  void shouldTellItsSize() {
    io.outb(0xE0, 0x1F6).outb(0xF8, 0x1F7);
    assertThat(io.inb(0x1F3) | io.inb(0x1F4) << 8 | io.inb(0x1F5) << 16).isEqualTo(SECTORS - 1);
    io.outb(0xE5, 0x1F7);
    assertThat(io.inb(0x1F2)).as("active").isEqualTo(0xFF);
  }

  @Test
  void shouldNotInterruptWhenToldNotTo() {
    io.outb(0x02, 0x3F6).outb(0xEC, 0x1F7);
    assertThat(line.level).isFalse();
    io.outb(0x00, 0x3F6);
    assertThat(line.level).as("it was pending").isTrue();
  }

  @Test
  void shouldContinueFromSavedStateInTheMiddleOfABlock() throws IOException {
    command(0x30, 77, 2, false);
    for (int i = 0; i < 300; i++) {
      io.bus().out(0x1F0, 2, i, 0);
    }
    Faulty other = new Faulty();
    DiskImage changed = new DiskImage() {
      @Override
      public long sectors() {
        return SECTORS;
      }

      @Override
      public void read(long lba, byte[] into, int offset) throws IOException {
        other.read(lba, into, offset);
      }

      @Override
      public void write(long lba, byte[] from, int offset) throws IOException {
        other.write(lba, from, offset);
      }
    };
    IdeChannel copy = new IdeChannel(new RecordingLine(), List.of(changed));
    DeviceFixtures.load(copy, DeviceFixtures.save(ide));
    for (int i = 300; i < 512; i++) {
      copy.out(0x1F0, 2, i, 0);
    }
    byte[] sector = new byte[512];
    other.image.read(78, sector, 0);
    assertThat(sector[511]).isEqualTo((byte) (511 >> 8));
    assertThat(copy.peek(0x1F7, 1)).isEqualTo(READY);
  }

  @Test
  void shouldKeepWritesOfASnapshotFromTheImage(@TempDir Path directory) throws IOException {
    Path file = Files.write(directory.resolve("disk.img"), new byte[700]);
    byte[] sector = new byte[512];
    sector[3] = 7;
    try (FileDiskImage image = FileDiskImage.open(file, false)) {
      SnapshotDiskImage snapshot = new SnapshotDiskImage(image);
      assertThat(snapshot.sectors()).isEqualTo(2);
      snapshot.write(1, sector, 0);
      byte[] read = new byte[512];
      snapshot.read(1, read, 0);
      assertThat(read[3]).isEqualTo((byte) 7);
      image.read(1, read, 0);
      assertThat(read).isEqualTo(new byte[512]);
    }
    try (FileDiskImage image = FileDiskImage.open(file, true)) {
      image.write(0, sector, 0);
      image.flush();
    }
    assertThat(Files.readAllBytes(file)[3]).isEqualTo((byte) 7);
  }
}
