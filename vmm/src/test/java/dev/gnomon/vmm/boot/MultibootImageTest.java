package dev.gnomon.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Segments;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MultibootImageTest {
  private static final long MIB = 1 << 20;

  private final Images machine = new Images(8 * MIB);

  private InitialState load(BootRequest request) {
    GuestImage image = GuestImages.recognize(request);
    assertThat(image.format()).isEqualTo("multiboot1");
    return image.load(machine.boot);
  }

  @Test
  void shouldEnterAnElf32ImageWithTheMagicAndTheInformation() {
    InitialState state = load(BootRequest.of("dir/kernel.elf", Images.multibootElf32()).withCommandLine("a=1"));
    assertThat(state.rip()).isEqualTo(0x10000C);
    assertThat(state.rax()).isEqualTo(0x2BADB002L);
    assertThat(state.cr0() & (ControlRegister.CR0_PE | ControlRegister.CR0_PG)).isEqualTo(ControlRegister.CR0_PE);
    assertThat(state.segments().get(Segments.CS).rights()).isEqualTo(0xC09B);
    long info = state.rbx();
    assertThat(machine.u32(info) & 0x4D).isEqualTo(0x4D);
    assertThat(machine.u32(info + 4)).isEqualTo(640);
    assertThat(machine.u32(info + 8)).isEqualTo(7 * 1024);
    assertThat(machine.string(machine.u32(info + 0x10))).isEqualTo("kernel.elf a=1");
  }

  @Test
  void shouldZeroTheBss() {
    machine.guest.write(0x101000, new byte[] {1, 2, 3});
    load(BootRequest.of("kernel", Images.multibootElf32()));
    assertThat(machine.u32(0x101000)).isZero();
    assertThat(machine.u32(0x100000)).isEqualTo(0x1BADB002L);
  }

  @Test
  void shouldGiveTheMemoryMap() {
    long info = load(BootRequest.of("kernel", Images.multibootElf32())).rbx();
    long map = machine.u32(info + 0x30);
    assertThat(machine.u32(info + 0x2C)).isEqualTo(3 * 24);
    assertThat(machine.u32(map)).isEqualTo(20);
    assertThat(machine.guest.read(map + 48 + 4, 8)).isEqualTo(MIB);
    assertThat(machine.guest.read(map + 48 + 12, 8)).isEqualTo(7 * MIB);
    assertThat(machine.u32(map + 48 + 20)).isEqualTo(1);
    assertThat(machine.u32(map + 24 + 20)).isEqualTo(2);
  }

  @Test
  void shouldPutModulesAtPageBoundariesBehindTheImage() {
    long info = load(BootRequest.of("kernel", Images.multibootElf32()).withModules(List.of(
        new BootRequest.File("a/one", new byte[] {7, 7, 7, 7, 7}, "x y"), new BootRequest.File("two", new byte[0]))))
            .rbx();
    assertThat(machine.u32(info + 0x14)).isEqualTo(2);
    long list = machine.u32(info + 0x18);
    long start = machine.u32(list);
    assertThat(start).isEqualTo(0x102000);
    assertThat(machine.u32(list + 4)).isEqualTo(start + 5);
    assertThat(machine.u32(start)).isEqualTo(0x07070707);
    assertThat(machine.string(machine.u32(list + 8))).isEqualTo("one x y");
    assertThat(machine.u32(list + 16)).isEqualTo(machine.u32(list + 20));
  }

  @Test
  void shouldEnterAnElf64ImageAtThePhysicalAddressOfItsEntry() {
    assertThat(load(BootRequest.of("kernel64", Images.multibootElf64())).rip()).isEqualTo(0x10000C);
  }

  @Test
  void shouldLoadByTheHeadersAddresses() {
    InitialState state = load(BootRequest.of("flat", Images.multibootFlat()));
    assertThat(state.rip()).isEqualTo(0x200030);
    assertThat(machine.u32(0x200010)).isEqualTo(0x1BADB002L);
    assertThat(machine.guest.read(0x200030, 8)).isEqualTo(0x0504030201FDEBF4L);
  }

  @Test
  void shouldGiveUsableDescriptors() {
    InitialState state = load(BootRequest.of("kernel", Images.multibootElf32()));
    assertThat(machine.guest.read(state.gdtrBase() + 0x08, 8)).isEqualTo(0x00CF9B000000FFFFL);
    assertThat(machine.guest.read(state.gdtrBase() + 0x10, 8)).isEqualTo(0x00CF93000000FFFFL);
    assertThat(state.segments().get(Segments.CS).selector()).isEqualTo(0x08);
    assertThat(state.segments().get(Segments.GS).selector()).isEqualTo(0x10);
    SegmentState tr = state.segments().get(Segments.TR);
    assertThat(tr.rights()).isEqualTo(0x8B);
    assertThat(tr.limit()).isEqualTo(0x67);
    assertThat(state.segments().get(Segments.LDTR).rights()).isEqualTo(Segments.UNUSABLE);
  }

  @Test
  void shouldFindTheHeaderOnlyInTheFirst8KiBAndAligned() {
    ByteBuffer last = ByteBuffer.allocate(10000).order(ByteOrder.LITTLE_ENDIAN);
    Images.multibootHeader(last, 8192 - 12, 0);
    assertThat(MultibootHeader.offset(new ImageBytes("x", last.array()))).isEqualTo(8180);
    ByteBuffer beyond = ByteBuffer.allocate(10000).order(ByteOrder.LITTLE_ENDIAN);
    Images.multibootHeader(beyond, 8192 - 8, 0);
    Images.multibootHeader(beyond, 102, 0);
    assertThat(MultibootHeader.offset(new ImageBytes("x", beyond.array()))).isEqualTo(-1);
  }

  @ParameterizedTest
  @CsvSource({
      "0x1004, 0x08, 1, no multiboot1 header",
      "4, 3, 1, ELF class at offset 0x4: found 3",
      "5, 2, 1, ELF data encoding at offset 0x5: found 2",
      "0x10, 1, 1, e_type at offset 0x10: found 1",
      "0x12, 40, 1, e_machine at offset 0x12: found 40",
      "0x1c, 0xffffffff, 4, program headers (e_phoff) at offset 0xffffffff",
      "0x2a, 20, 1, e_phentsize at offset 0x2a: found 20",
      "0x2c, 0, 2, e_phnum at offset 0x2c: found 0",
      "52, 2, 1, no loadable segment",
      "56, 0x1100, 4, segment 0 at offset 0x1100 of 256 bytes",
      "64, 0xa0000, 4, segment 0 at 0xa0000",
      "64, 0xfffff000, 4, segment 0 at 0xfffff000",
      "68, 0x1101, 4, p_filesz of segment 0",
      "72, 0xffffffff, 4, segment 0 at 0x100000 of 4294967295 bytes"})
  void shouldNameTheFieldThatIsWrong(String offset, String value, int size, String message) {
    byte[] image = Images.multibootElf32();
    for (int i = 0; i < size; i++) {
      image[Integer.decode(offset) + i] = (byte) (Long.decode(value) >> 8 * i);
    }
    assertThatThrownBy(() -> load(BootRequest.of("kernel", image))).isInstanceOf(ImageException.class)
        .hasMessageStartingWith("kernel: ").hasMessageContaining(message);
  }

  @Test
  void shouldRefuseFeaturesThatItDoesNotKnow() {
    byte[] image = Images.multibootElf32();
    Images.multibootHeader(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), 0x1000, 0x8003);
    assertThatThrownBy(() -> load(BootRequest.of("kernel", image))).isInstanceOf(ImageException.class)
        .hasMessageContaining("required features 0x8000");
  }

  @ParameterizedTest
  @CsvSource({"0x4c, 0x1ffff0, header_addr", "0x4c, 0x300000, header_addr", "0x54, 0x200000, load_end_addr",
      "0x54, 0x201000, multiboot load range", "0x58, 0x2000ff, bss_end_addr",
          "0x58, 0x900000, multiboot image at 0x200000"})
  void shouldRefuseInconsistentAddresses(String offset, String value, String message) {
    byte[] image = Images.multibootFlat();
    ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).putInt(Integer.decode(offset), Integer.decode(value));
    assertThatThrownBy(() -> load(BootRequest.of("flat", image))).isInstanceOf(ImageException.class)
        .hasMessageContaining(message);
  }

  @Test
  void shouldRefuseATruncatedImage() {
    byte[] image = Arrays.copyOf(Images.multibootElf32(), 0x1080);
    assertThatThrownBy(() -> load(BootRequest.of("kernel", image))).isInstanceOf(ImageException.class)
        .hasMessage("kernel: segment 0 at offset 0x1000 of 256 bytes: expected it within the file of 4224 bytes");
  }

  @Test
  void shouldRefuseOverlappingSegments() {
    ByteBuffer b = ByteBuffer.wrap(Images.multibootElf32()).order(ByteOrder.LITTLE_ENDIAN);
    b.putShort(0x2C, (short) 2);
    b.putInt(84, 1).putInt(88, 0x1000).putInt(92, 0x100800).putInt(96, 0x100800).putInt(100, 0x10).putInt(104, 0x10);
    assertThatThrownBy(() -> load(BootRequest.of("kernel", b.array()))).isInstanceOf(ImageException.class)
        .hasMessageContaining("segment 1").hasMessageContaining("overlaps segment 0");
  }
}
