package dev.gnomon.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Segments;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/**
 * Recognition, flat binaries, and hostile images of all formats: nothing but an {@link ImageException} may come
 * out.
 */
class GuestImagesTest {
  private static final long MIB = 1 << 20;

  private final Images hostile = new Images(4 * MIB);

  @Test
  void shouldEnterAFlatBinaryAtItsAddressInProtectedMode() {
    Images machine = new Images(4 * MIB);
    InitialState state = GuestImages.flat(BootRequest.of("flat", Images.CODE).withLoadAddress(0x200000))
        .load(machine.boot);
    assertThat(state.rip()).isEqualTo(0x200000);
    assertThat(state.cr0() & ControlRegister.CR0_PE).isEqualTo(ControlRegister.CR0_PE);
    assertThat(machine.guest.read(0x200000, 8)).isEqualTo(0x0504030201FDEBF4L);
  }

  @Test
  void shouldEnterABootSectorInRealMode() {
    Images machine = new Images(MIB);
    InitialState state = GuestImages.flat(BootRequest.of("mbr", Images.CODE).withLoadAddress(0x7C00)
        .withEntry(BootRequest.Entry.REAL))
        .load(machine.boot);
    assertThat(state.rip()).isEqualTo(0x7C00);
    assertThat(state.segments().get(Segments.CS).base()).isZero();
    assertThat(state.cr0() & ControlRegister.CR0_PE).isZero();
    InitialState high = GuestImages.flat(BootRequest.of("rom", Images.CODE).withLoadAddress(0x98765)
        .withEntry(BootRequest.Entry.REAL))
        .load(machine.boot);
    assertThat(high.segments().get(Segments.CS).base() + high.rip()).isEqualTo(0x98765);
  }

  @Test
  void shouldEnterAFlatBinaryIn64BitMode() {
    InitialState state = GuestImages.flat(BootRequest.of("flat", Images.CODE).withEntry(BootRequest.Entry.LONG))
        .load(new Images(4 * MIB).boot);
    assertThat(state.segments().get(Segments.CS).rights() & Segments.L).isNotZero();
    assertThat(state.cr0() & ControlRegister.CR0_PG).isNotZero();
  }

  @Test
  void shouldNotPutTheDescriptorTableOverAFlatBinary() {
    Images machine = new Images(4 * MIB);
    InitialState state = GuestImages.flat(BootRequest.of("flat", new byte[0x3000]).withLoadAddress(0x1000))
        .load(machine.boot);
    assertThat(state.gdtrBase()).isEqualTo(0x4000);
  }

  @Test
  void shouldRefuseFlatBinariesWithoutContentsOrRoom() {
    Images machine = new Images(4 * MIB);
    assertThatThrownBy(() -> GuestImages.flat(BootRequest.of("flat", new byte[0])).load(machine.boot))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("empty");
    assertThatThrownBy(() -> GuestImages.flat(BootRequest.of("flat", new byte[10]).withLoadAddress(0x9FFFC))
        .load(machine.boot))
        .isInstanceOf(ImageException.class).hasMessageContaining("expected it within RAM");
    assertThatThrownBy(() -> GuestImages.flat(BootRequest.of("flat", new byte[10]).withLoadAddress(-1))
        .load(machine.boot))
        .isInstanceOf(ImageException.class);
  }

  @Test
  void shouldSayWhatAnUnknownFileShouldHaveBeen() {
    assertThatThrownBy(() -> GuestImages.recognize(BootRequest.of("notes.txt", "hello".getBytes())))
        .isInstanceOf(ImageException.class)
            .hasMessageStartingWith("notes.txt: file of 5 bytes: expected a Linux kernel")
        .message().doesNotContain("\n");
    assertThatThrownBy(() -> GuestImages.recognize(BootRequest.of("a.out", new byte[] {0x7F, 'E', 'L', 'F'})))
        .isInstanceOf(ImageException.class).hasMessageContaining("no multiboot1 header");
  }

  @Test
  void shouldRefuseAZeroByteInACommandLine() {
    assertThatThrownBy(() -> GuestImages.recognize(BootRequest.of("k", Images.linux()).withCommandLine("a\0b"))
        .load(new Images(4 * MIB).boot)).isInstanceOf(ImageException.class).hasMessageContaining("zero byte");
  }

  @Property(tries = 500)
  void shouldSurviveRandomBytes(@ForAll byte[] bytes) {
    tryAll(bytes);
  }

  @Property(tries = 2000)
  void shouldSurviveMutatedImages(@ForAll("mutated") byte[] bytes) {
    tryAll(bytes);
  }

  @Provide
  Arbitrary<byte[]> mutated() {
    Arbitrary<byte[]> seeds = Arbitraries.of(Images.linux(), Images.multibootElf32(), Images.multibootElf64(),
        Images.multibootFlat());
    // Header fields lie in these ranges; extreme values find more than random ones.
    Arbitrary<Integer> offsets = Arbitraries.oneOf(Arbitraries.integers().between(0, 0x80), Arbitraries.integers()
        .between(0x1F0, 0x270),
        Arbitraries.integers().between(0x1000, 0x1020));
    Arbitrary<Integer> values = Arbitraries.of(0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF);
    Arbitrary<List<Integer>> edits = Combinators.combine(offsets, values).as((offset, value) -> offset << 8 | value)
        .list().ofMinSize(1)
        .ofMaxSize(8);
    Arbitrary<Integer> cuts = Arbitraries.frequencyOf(net.jqwik.api.Tuple.of(4, Arbitraries.just(Integer.MAX_VALUE)),
        net.jqwik.api.Tuple.of(1, Arbitraries.integers().between(0, 0x1200)));
    return Combinators.combine(seeds, edits, cuts).as((seed, list, cut) -> {
      byte[] bytes = Arrays.copyOf(seed, Math.min(seed.length, cut));
      for (int edit : list) {
        if (edit >>> 8 < bytes.length) {
          bytes[edit >>> 8] = (byte) edit;
        }
      }
      return bytes;
    });
  }

  private void tryAll(byte[] bytes) {
    for (BootRequest.Entry entry : BootRequest.Entry.values()) {
      BootRequest request = BootRequest.of("image", bytes).withEntry(entry).withCommandLine("x")
          .withModules(List.of(new BootRequest.File("module", new byte[3])));
      hostile.forget();
      assertThatCode(() -> loadOrRefuse(() -> GuestImages.recognize(request).load(hostile.boot)))
          .doesNotThrowAnyException();
      hostile.forget();
      assertThatCode(() -> loadOrRefuse(() -> GuestImages.flat(request.withModules(List.of())).load(hostile.boot)))
          .doesNotThrowAnyException();
    }
  }

  private static void loadOrRefuse(Runnable load) {
    try {
      load.run();
    } catch (ImageException e) {
      assertThat(e.getMessage()).startsWith("image: ").doesNotContain("\n");
    }
  }
}
