package dev.gnomon.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Segments;
import io.airlift.compress.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

/** ELF kernels by PVH and in 64-bit mode, as files and packed into bzImages. */
class VmlinuxImageTest {
  private static final long MIB = 1 << 20;
  private static final int SETUP_BYTES = 3 * 512;
  /** Where the payload begins behind the setup sectors. */
  private static final int DECOMPRESSOR_BYTES = 0x100;
  private static final int BLOCK = 8 << 20;
  private static final long PVH_ENTRY = 0x100040;

  private final Images machine = new Images(8 * MIB);

  private InitialState load(BootRequest request) {
    return GuestImages.recognize(request).load(machine.boot);
  }

  /**
   * An ELF64 kernel of one segment linked to the upper half and loaded at 1 MiB, with a PVH note, and relocations
   * behind it.
   */
  private static byte[] vmlinux() {
    ByteBuffer b = ByteBuffer.allocate(0x2000).order(ByteOrder.LITTLE_ENDIAN);
    b.putInt(0, 0x464C457F).put(4, (byte) 2).put(5, (byte) 1).put(6, (byte) 1);
    b.putShort(0x10, (short) 2).putShort(0x12, (short) 62).putLong(0x18, 0x100000).putLong(0x20, 64);
    b.putShort(0x34, (short) 64).putShort(0x36, (short) 56).putShort(0x38, (short) 2);
    b.putInt(64, 1).putLong(72, 0x1000).putLong(80, 0xFFFFFFFF81000000L).putLong(88, 0x100000).putLong(96, 0x100)
        .putLong(104, 0x200);
    b.putInt(120, 4).putLong(128, 0x1080).putLong(152, 0x2C).putLong(160, 0x2C);
    // Another note first, whose name and descriptor are padded to four bytes.
    b.putInt(0x1080, 4).putInt(0x1084, 3).putInt(0x1088, 6).put(0x108C, "Xen\0abc\0".getBytes());
    b.putInt(0x1094, 4).putInt(0x1098, 8).putInt(0x109C, 18).put(0x10A0, "Xen\0".getBytes()).putLong(0x10A4, PVH_ENTRY);
    b.put(0x1000, Images.CODE);
    return b.array();
  }

  /** The same as ELF32 without a note. */
  private static byte[] vmlinux32() {
    ByteBuffer b = ByteBuffer.allocate(0x2000).order(ByteOrder.LITTLE_ENDIAN);
    b.putInt(0, 0x464C457F).put(4, (byte) 1).put(5, (byte) 1).put(6, (byte) 1);
    b.putShort(0x10, (short) 2).putShort(0x12, (short) 3).putInt(0x18, 0x100000).putInt(0x1C, 52);
    b.putShort(0x28, (short) 52).putShort(0x2A, (short) 32).putShort(0x2C, (short) 1);
    b.putInt(52, 1).putInt(56, 0x1000).putInt(60, 0xC1000000).putInt(64, 0x100000).putInt(68, 0x100).putInt(72, 0x200);
    b.put(0x1000, Images.CODE);
    return b.array();
  }

  private static byte[] pack(String format, byte[] kernel) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    switch (format) {
      case "gzip" -> write(new GZIPOutputStream(out), kernel);
      case "XZ" -> write(new XZOutputStream(out, new LZMA2Options(), XZ.CHECK_CRC32), kernel);
      case "bzip2" -> write(new BZip2CompressorOutputStream(out), kernel);
      case "LZMA" -> write(new LZMAOutputStream(out, new LZMA2Options(), -1), kernel);
      case "Zstandard" -> write(new ZstdOutputStream(out), kernel);
      default -> {
        out.write(new byte[] {2, 0x21, 0x4C, 0x18});
        for (int at = 0; at < kernel.length; at += BLOCK) {
          ByteArrayOutputStream block = new ByteArrayOutputStream();
          write(new BlockLZ4CompressorOutputStream(block),
              Arrays.copyOfRange(kernel, at, Math.min(at + BLOCK, kernel.length)));
          writeSize(out, block.size());
          block.writeTo(out);
        }
      }
    }
    if (!format.equals("gzip")) {
      writeSize(out, kernel.length);
    }
    return out.toByteArray();
  }

  private static void write(OutputStream packer, byte[] bytes) throws IOException {
    try (packer) {
      packer.write(bytes);
    }
  }

  private static void writeSize(ByteArrayOutputStream out, int size) {
    out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(size).array());
  }

  private static byte[] bzImage(byte[] payload) {
    byte[] image = Arrays.copyOf(Images.linux(), SETUP_BYTES + DECOMPRESSOR_BYTES + payload.length);
    System.arraycopy(payload, 0, image, SETUP_BYTES + DECOMPRESSOR_BYTES, payload.length);
    ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).putInt(BootParams.PAYLOAD_OFFSET, DECOMPRESSOR_BYTES)
        .putInt(BootParams.PAYLOAD_LENGTH, payload.length).putInt(BootParams.SYSSIZE, 0x10);
    return image;
  }

  private static BootRequest.File ramDisk(int bytes) {
    return new BootRequest.File("initrd", new byte[bytes]);
  }

  @Test
  void shouldEnterByPvhWithEbxAtStartInfo() {
    BootRequest request = BootRequest.of("vmlinux", vmlinux()).withCommandLine("console=ttyS0")
        .withModules(List.of(ramDisk(5000)));
    assertThat(GuestImages.recognize(request).format()).isEqualTo("ELF, PVH");
    InitialState state = load(request);
    assertThat(state.rip()).isEqualTo(PVH_ENTRY);
    assertThat(state.cr0() & (ControlRegister.CR0_PE | ControlRegister.CR0_PG)).isEqualTo(ControlRegister.CR0_PE);
    assertThat(state.segments().get(Segments.CS).rights()).isEqualTo(0xC09B);
    long info = state.rbx();
    assertThat(machine.u32(info)).isEqualTo(0x336EC578);
    assertThat(machine.u32(info + 4)).isEqualTo(1);
    assertThat(machine.u32(info + 12)).isEqualTo(1);
    assertThat(machine.string(machine.u32(info + 0x18))).isEqualTo("console=ttyS0");
    long module = machine.guest.read(info + 0x10, 8);
    assertThat(machine.guest.read(module, 8)).isEqualTo(8 * MIB - 8192);
    assertThat(machine.guest.read(module + 8, 8)).isEqualTo(5000);
    long map = machine.guest.read(info + 0x28, 8);
    assertThat(machine.u32(info + 0x30)).isEqualTo(3);
    assertThat(machine.guest.read(map + 48, 8)).isEqualTo(MIB);
    assertThat(machine.guest.read(map + 56, 8)).isEqualTo(7 * MIB);
    assertThat(machine.u32(map + 64)).isEqualTo(1);
  }

  @Test
  void shouldEnterAnElfKernelIn64BitModeWithRsiAtBootParams() {
    InitialState state =
        load(BootRequest.of("vmlinux", vmlinux()).withCommandLine("quiet").withEntry(BootRequest.Entry.LONG));
    assertThat(state.rip()).isEqualTo(0x100000);
    assertThat(state.efer()).isEqualTo(ControlRegister.EFER_LME | ControlRegister.EFER_LMA);
    long params = state.rsi();
    assertThat(machine.u32(params + BootParams.HEADER)).isEqualTo(BootParams.HEADER_VALUE);
    assertThat(machine.guest.read(params + BootParams.TYPE_OF_LOADER, 1)).isEqualTo(0xFF);
    assertThat(machine.guest.read(params + BootParams.E820_ENTRIES, 1)).isEqualTo(3);
    assertThat(machine.string(machine.u32(params + BootParams.CMD_LINE_PTR))).isEqualTo("quiet");
  }

  @ParameterizedTest
  @ValueSource(strings = {"gzip", "bzip2", "LZMA", "XZ", "LZ4", "Zstandard"})
  void shouldUnpackTheKernelOfABzImage(String format) throws IOException {
    byte[] image = bzImage(pack(format, Arrays.copyOf(vmlinux(), BLOCK + 12345)));
    assertThat(CompressedKernel.of(new ImageBytes("bzImage", image), SETUP_BYTES).format()).isEqualTo(format);
    BootRequest request = BootRequest.of("bzImage", image);
    assertThat(GuestImages.recognize(request).format()).isEqualTo("Linux, " + format + ", PVH");
    InitialState state = load(request);
    assertThat(state.rip()).isEqualTo(PVH_ENTRY);
    assertThat(machine.guest.read(0x100000, 8)).isEqualTo(0x0504030201FDEBF4L);
  }

  @Test
  void shouldUnpackAZstandardFrameOfALargeWindow() throws IOException {
    byte[] payload = pack("Zstandard", Arrays.copyOf(vmlinux(), BLOCK + 12345));
    boolean singleSegment = (payload[4] & 1 << 5) != 0;
    assertThat(singleSegment).isFalse();
    // 128 MiB, as "zstd -22 --ultra" has it.
    payload[5] = (byte) (17 << 3);
    assertThat(load(BootRequest.of("bzImage", bzImage(payload))).rip()).isEqualTo(PVH_ENTRY);
  }

  @Test
  void shouldEnterAKernelWithoutPvhByTheBootProtocolOfItsClass() throws IOException {
    BootRequest request = BootRequest.of("bzImage", bzImage(pack("XZ", vmlinux32()))).withCommandLine("quiet");
    assertThat(GuestImages.recognize(request).format()).isEqualTo("Linux, XZ, 32-bit boot protocol");
    InitialState state = load(request);
    assertThat(state.rip()).isEqualTo(0x100000);
    assertThat(machine.guest.read(0x100000, 8)).isEqualTo(0x0504030201FDEBF4L);
    assertThat(state.cr0() & (ControlRegister.CR0_PE | ControlRegister.CR0_PG)).isEqualTo(ControlRegister.CR0_PE);
    assertThat(machine.u32(state.rsi() + BootParams.HEADER)).isEqualTo(BootParams.HEADER_VALUE);
    assertThat(machine.string(machine.u32(state.rsi() + BootParams.CMD_LINE_PTR))).isEqualTo("quiet");
    machine.forget();
    byte[] noNote = vmlinux();
    noNote[0x109C] = 17;
    state = load(BootRequest.of("bzImage", bzImage(pack("XZ", noNote))));
    assertThat(state.efer()).isEqualTo(ControlRegister.EFER_LME | ControlRegister.EFER_LMA);
    machine.forget();
    BootRequest pvh = request.withEntry(BootRequest.Entry.PVH);
    assertThatThrownBy(() -> load(pvh)).isInstanceOf(ImageException.class).hasMessageContaining("without a PVH note");
  }

  @ParameterizedTest
  @CsvSource({"64, PROTECTED, 32-bit mode", "64, REAL, real mode", "32, LONG, 64-bit mode", "32, REAL, real mode"})
  void shouldRefuseAnEntryThatIsNotOfTheKernelsClass(int bits, BootRequest.Entry entry, String found) {
    ImageBytes kernel = new ImageBytes("vmlinux", bits == 64 ? vmlinux() : vmlinux32());
    BootRequest request = BootRequest.of("vmlinux", kernel.array()).withEntry(entry);
    assertThatThrownBy(() -> new VmlinuxImage(request, kernel, null).load(machine.boot))
        .isInstanceOf(ImageException.class)
        .hasMessage("vmlinux: a kernel of class ELF%d is entered by PVH or in %d-bit mode, found a request for %s",
            bits, bits, found);
  }

  @Test
  void shouldLeaveToTheGuestWhatTheHostCannotUnpack() throws IOException {
    byte[] lzo = bzImage(pack("LZ4", vmlinux()));
    ByteBuffer.wrap(lzo).order(ByteOrder.LITTLE_ENDIAN).putInt(SETUP_BYTES + DECOMPRESSOR_BYTES, 0x4F5A4C89);
    assertThat(GuestImages.recognize(BootRequest.of("bzImage", lzo)).format()).isEqualTo("Linux, LZO, unpacks itself");
    assertThat(machine.u32(load(BootRequest.of("bzImage", lzo)).rsi() + BootParams.HEADER))
        .isEqualTo(BootParams.HEADER_VALUE);
    machine.forget();
    byte[] flat = bzImage(pack("gzip", Arrays.copyOfRange(vmlinux(), 0x1000, 0x1100)));
    assertThat(load(BootRequest.of("bzImage", flat)).rip()).isEqualTo(0x100000);
    assertThat(GuestImages.recognize(BootRequest.of("bzImage", flat)).format())
        .isEqualTo("Linux, gzip, unpacks itself");
  }

  @Test
  void shouldLeaveUnpackingToTheGuestIfAskedAndForThe32BitEntry() throws IOException {
    byte[] image = bzImage(pack("LZ4", vmlinux()));
    InitialState state = load(BootRequest.of("bzImage", image).withUnpack(BootRequest.Unpack.GUEST));
    assertThat(state.rip()).isEqualTo(0x100000);
    assertThat(machine.u32(state.rsi() + BootParams.HEADER)).isEqualTo(BootParams.HEADER_VALUE);
    machine.forget();
    assertThat(load(BootRequest.of("bzImage", image).withEntry(BootRequest.Entry.PROTECTED)).rip()).isEqualTo(0x100000);
    machine.forget();
    BootRequest pvh = BootRequest.of("bzImage", image).withUnpack(BootRequest.Unpack.GUEST)
        .withEntry(BootRequest.Entry.PVH);
    assertThatThrownBy(() -> load(pvh)).isInstanceOf(ImageException.class).hasMessageContaining("unpacked by the host");
  }

  @ParameterizedTest
  @ValueSource(strings = {"gzip", "bzip2", "LZMA", "XZ", "LZ4", "Zstandard"})
  void shouldRefuseACorruptPayload(String format) throws IOException {
    byte[] payload = pack(format, vmlinux());
    byte[] corrupt = payload.clone();
    Arrays.fill(corrupt, 12, Math.min(60, payload.length - 8), (byte) 0xA5);
    assertThatThrownBy(() -> load(BootRequest.of("bzImage", bzImage(corrupt)))).isInstanceOf(ImageException.class)
        .hasMessageStartingWith("bzImage: ").hasMessageContaining("payload at offset 0x700: expected well-formed data")
        .hasMessageNotContaining("\n");
    byte[] wrongSize = payload.clone();
    wrongSize[payload.length - 4]++;
    assertThatThrownBy(() -> load(BootRequest.of("bzImage", bzImage(wrongSize)))).isInstanceOf(ImageException.class)
        .hasMessageContaining("payload");
  }

  @Test
  void shouldRefuseAPayloadThatWantsADictionaryOf2GiB() throws IOException {
    byte[] payload = pack("LZMA", vmlinux());
    ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN).putInt(1, 0x7F00_0000);
    assertThatThrownBy(() -> load(BootRequest.of("bzImage", bzImage(payload)))).isInstanceOf(ImageException.class)
        .hasMessageContaining("LZMA payload at offset 0x700").hasMessageContaining("KiB of memory would be needed");
  }

  @Test
  void shouldRefuseAPayloadBehindTheEndOfTheFileOrOfAnUnknownFormat() throws IOException {
    byte[] image = bzImage(pack("LZ4", vmlinux()));
    byte[] truncated = Arrays.copyOf(image, image.length - 100);
    assertThatThrownBy(() -> load(BootRequest.of("bzImage", truncated))).isInstanceOf(ImageException.class)
        .hasMessageContaining("payload_length at offset 0x24c").hasMessageContaining("truncated");
    byte[] unknown = image.clone();
    unknown[SETUP_BYTES + DECOMPRESSOR_BYTES] = 'B';
    assertThatThrownBy(() -> load(BootRequest.of("bzImage", unknown))).isInstanceOf(ImageException.class)
        .hasMessageContaining("magic").hasMessageContaining("LZ4");
  }

  @ParameterizedTest
  @CsvSource({
      "88, 0x4000000, 'kernel at 0x4000000 of 512 bytes: expected it within RAM (0x0-0x9ffff, 0x100000-0x7fffff); 65 MiB of memory would do'",
      "104, 0x5000000, 'kernel at 0x100000 of 83886080 bytes: expected it within RAM (0x0-0x9ffff, 0x100000-0x7fffff); 81 MiB of memory would do'"})
  void shouldSayHowMuchMemoryWouldDo(int offset, String value, String message) {
    byte[] kernel = vmlinux();
    ByteBuffer.wrap(kernel).order(ByteOrder.LITTLE_ENDIAN).putLong(offset, Long.decode(value));
    assertThatThrownBy(() -> load(BootRequest.of("vmlinux", kernel))).isInstanceOf(ImageException.class)
        .hasMessage("vmlinux: " + message);
  }

  @Test
  void shouldAskForMemoryThatHoldsTheRamDiskTwice() {
    assertThat(GuestImages.recognize(BootRequest.of("vmlinux", vmlinux())).comfortableMemory()).isEqualTo(128 * MIB);
    BootRequest large = BootRequest.of("vmlinux", vmlinux()).withModules(List.of(ramDisk((int) (20 * MIB))));
    assertThat(GuestImages.recognize(large).comfortableMemory()).isEqualTo(256 * MIB);
    assertThat(GuestImages.recognize(BootRequest.of("memtest", Images.linux())).comfortableMemory()).isZero();
  }

  @Test
  void shouldSayWhatRamDiskOrCommandLineWouldFit() {
    assertThatThrownBy(() -> load(BootRequest.of("vmlinux", vmlinux()).withModules(List.of(ramDisk((int) (8 * MIB))))))
        .isInstanceOf(ImageException.class).hasMessageStartingWith("initrd: initial RAM disk of 8388608 bytes: no room")
        .hasMessageContaining("the largest free range has 7339520 bytes");
    machine.forget();
    assertThatThrownBy(() -> load(BootRequest.of("vmlinux", vmlinux()).withCommandLine("x".repeat(2048))))
        .isInstanceOf(ImageException.class)
        .hasMessage("vmlinux: command line of 2048 bytes: expected at most 2047 (cmdline_size)");
  }

  @Test
  void shouldRefuseATruncatedElfKernel() {
    assertThatThrownBy(() -> load(BootRequest.of("vmlinux", Arrays.copyOf(vmlinux(), 0x1080))))
        .isInstanceOf(ImageException.class).hasMessageStartingWith("vmlinux: segment 0 at offset 0x1000 of 256 bytes");
  }
}
