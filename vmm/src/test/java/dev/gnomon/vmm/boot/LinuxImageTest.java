package dev.gnomon.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Segments;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LinuxImageTest {
  private static final long MIB = 1 << 20;

  private Images machine = new Images(8 * MIB);

  private static BootRequest request(byte[] image) {
    return BootRequest.of("bzImage", image);
  }

  private InitialState load(BootRequest request) {
    GuestImage image = GuestImages.recognize(request);
    assertThat(image.format()).isEqualTo("Linux boot protocol");
    return image.load(machine.boot);
  }

  @Test
  void shouldEnterInFlatProtectedModeWithEsiAtBootParams() {
    InitialState state = load(request(Images.linux()).withCommandLine("console=ttyS0"));
    assertThat(state.rip()).isEqualTo(0x100000);
    assertThat(state.cr0() & (ControlRegister.CR0_PE | ControlRegister.CR0_PG)).isEqualTo(ControlRegister.CR0_PE);
    assertThat(state.segments().get(Segments.CS)).isEqualTo(new SegmentState(0x10, 0, 0xFFFFFFFFL, 0xC09B));
    assertThat(state.segments().get(Segments.SS)).isEqualTo(new SegmentState(0x18, 0, 0xFFFFFFFFL, 0xC093));
    assertThat(state.rax()).isZero();
    assertThat(state.rbx()).isZero();
    assertThat(machine.u32(state.rsi() + BootParams.HEADER)).isEqualTo(BootParams.HEADER_VALUE);
    assertThat(machine.guest.read(0x100000, 8)).isEqualTo(0x0504030201FDEBF4L);
  }

  @Test
  void shouldFillBootParams() {
    long params = load(request(Images.linux()).withCommandLine("nosmp nopause")).rsi();
    assertThat(machine.string(machine.u32(params + BootParams.CMD_LINE_PTR))).isEqualTo("nosmp nopause");
    assertThat(machine.guest.read(params + BootParams.TYPE_OF_LOADER, 1)).isEqualTo(0xFF);
    assertThat(machine.guest.read(params + BootParams.E820_ENTRIES, 1)).isEqualTo(3);
    assertThat(machine.guest.read(params + BootParams.E820_TABLE + 40, 8)).isEqualTo(MIB);
    assertThat(machine.guest.read(params + BootParams.E820_TABLE + 48, 8)).isEqualTo(7 * MIB);
    assertThat(machine.u32(params + BootParams.E820_TABLE + 56)).isEqualTo(1);
    assertThat(machine.u32(params + BootParams.ALT_MEM_K)).isEqualTo(7 * 1024);
    assertThat(machine.u32(params + BootParams.RAMDISK_SIZE)).isZero();
    assertThat(machine.guest.read(params + BootParams.VIDEO_IS_VGA, 1)).isEqualTo(1);
    assertThat(machine.guest.read(params + 0x1EF, 1)).as("sentinel").isZero();
  }

  @Test
  void shouldEnterThe64BitEntryWithTheFirst4GiBMappedToThemselves() {
    InitialState state = load(request(Images.linux()).withEntry(BootRequest.Entry.LONG));
    assertThat(state.rip()).isEqualTo(0x100200);
    assertThat(state.efer()).isEqualTo(ControlRegister.EFER_LME | ControlRegister.EFER_LMA);
    assertThat(state.segments().get(Segments.CS).rights()).isEqualTo(0xA09B);
    long pdpt = machine.guest.read(state.cr3(), 8) & -4096;
    long lastDirectory = machine.guest.read(pdpt + 24, 8) & -4096;
    assertThat(machine.guest.read(lastDirectory + 511 * 8, 8)).isEqualTo(0xFFE00083L);
    assertThat(machine.guest.read(pdpt + 32, 8)).isZero();
  }

  @Test
  void shouldPutTheInitialRamDiskAsHighAsTheKernelAllows() {
    byte[] image = Images.linux();
    little(image).putInt(BootParams.INITRD_ADDR_MAX, 0x5FFFFF);
    long params = load(request(image).withModules(List.of(new BootRequest.File("initrd", new byte[5000])))).rsi();
    assertThat(machine.u32(params + BootParams.RAMDISK_IMAGE)).isEqualTo(0x5FE000);
    assertThat(machine.u32(params + BootParams.RAMDISK_SIZE)).isEqualTo(5000);
  }

  @Test
  void shouldMoveARelocatableKernelThatDoesNotFitWhereItPrefers() {
    byte[] image = Images.linux();
    little(image).putLong(BootParams.PREF_ADDRESS, 0x1000000).put(BootParams.RELOCATABLE, (byte) 1);
    InitialState state = load(request(image));
    assertThat(state.rip()).isEqualTo(0x200000);
    assertThat(machine.u32(state.rsi() + BootParams.CODE32_START)).isEqualTo(0x200000);
  }

  @Test
  void shouldTakeACommandLineUpToItsLimitAndNotBeyond() {
    load(request(Images.linux()).withCommandLine("x".repeat(255)));
    machine = new Images(8 * MIB);
    assertThatThrownBy(() -> load(request(Images.linux()).withCommandLine("x".repeat(256))))
        .isInstanceOf(ImageException.class)
        .hasMessage("bzImage: command line of 256 bytes: expected at most 255 (cmdline_size)");
  }

  @ParameterizedTest
  @CsvSource({
      "0x1f1, 0x20, 1, setup_sects at offset 0x1f1",
      "0x1f4, 0x1000, 4, syssize at offset 0x1f4",
      "0x201, 0x10, 1, setup header length at offset 0x201",
      "0x201, 0xf0, 1, setup header length at offset 0x201",
      "0x206, 0x201, 2, boot protocol version at offset 0x206: found 2.1",
      "0x211, 0, 1, loadflags at offset 0x211",
      "0x258, 0x4000000, 4, kernel at 0x4000000",
      "0x25c, 0x7fffffff, 4, pref_address at offset 0x258",
      "0x25c, 0x80000000, 4, pref_address at offset 0x258",
      "0x260, 0xffffffff, 4, kernel at 0x100000"})
  void shouldNameTheFieldThatIsWrong(String offset, String value, int size, String message) {
    byte[] image = Images.linux();
    for (int i = 0; i < size; i++) {
      image[Integer.decode(offset) + i] = (byte) (Long.decode(value) >> 8 * i);
    }
    assertThatThrownBy(() -> load(request(image))).isInstanceOf(ImageException.class)
        .hasMessageStartingWith("bzImage: " + message);
  }

  @Test
  void shouldRefuseATruncatedKernel() {
    byte[] image = java.util.Arrays.copyOf(Images.linux(), Images.LINUX_SETUP_BYTES + 0x200);
    assertThatThrownBy(() -> load(request(image))).isInstanceOf(ImageException.class).hasMessageContaining("truncated");
  }

  @Test
  void shouldRefuseEntriesThatTheKernelDoesNotOffer() {
    byte[] image = Images.linux();
    little(image).putShort(BootParams.XLOADFLAGS, (short) 4);
    assertThatThrownBy(() -> load(request(image).withEntry(BootRequest.Entry.LONG))).isInstanceOf(ImageException.class)
        .hasMessageContaining("xloadflags");
    assertThatThrownBy(() -> load(request(image).withEntry(BootRequest.Entry.REAL))).isInstanceOf(ImageException.class);
  }

  @Test
  void shouldRefuseARamDiskThatHasNoRoom() {
    assertThatThrownBy(() -> load(request(Images.linux()).withModules(List.of(new BootRequest.File("initrd",
        new byte[(int) (8 * MIB)])))))
        .isInstanceOf(ImageException.class)
            .hasMessageStartingWith("initrd: initial RAM disk of 8388608 bytes: no room");
  }

  private static ByteBuffer little(byte[] image) {
    return ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
  }
}
