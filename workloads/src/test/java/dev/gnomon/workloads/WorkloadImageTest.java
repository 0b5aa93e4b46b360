package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.MultibootHeader;
import dev.gnomon.workloads.kernel.KernelLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class WorkloadImageTest {
  private static final int ELF_MAGIC = 0x464C457F;
  private static final int MULTIBOOT_MAGIC = 0x1BADB002;
  private static final int E_ENTRY = 0x18;
  private static final int PROGRAM_HEADER = 0x34;
  private static final int P_OFFSET = 4;
  private static final int P_FILESZ = 16;

  static Stream<String> small() {
    return SmallWorkloads.all();
  }

  @ParameterizedTest
  @MethodSource("small")
  void shouldBuildTheSameBytesEachTime(String text) {
    assertThat(WorkloadCatalog.build(text).image()).isEqualTo(WorkloadCatalog.build(text).image());
  }

  @ParameterizedTest
  @MethodSource("small")
  void shouldBeAMultibootElf32FileWhoseEntryLiesInItsSegment(String text) {
    ByteBuffer file = ByteBuffer.wrap(WorkloadCatalog.build(text).image()).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(file.getInt(0)).isEqualTo(ELF_MAGIC);
    assertThat(file.get(4)).as("class of 32 bits").isEqualTo((byte) 1);
    int segment = file.getInt(PROGRAM_HEADER + P_OFFSET);
    assertThat(file.getInt(segment)).isEqualTo(MULTIBOOT_MAGIC);
    assertThat(file.getInt(segment) + file.getInt(segment + 4) + file.getInt(segment + 8)).isZero();
    assertThat(file.getInt(segment + 4)).isEqualTo(MultibootHeader.PAGE_ALIGN | MultibootHeader.MEMORY_INFO);
    assertThat((long) file.getInt(E_ENTRY)).isBetween(KernelLayout.LOAD_ADDRESS,
        KernelLayout.LOAD_ADDRESS + file.getInt(PROGRAM_HEADER + P_FILESZ));
  }

  @Test
  void shouldDependOnTheSeed() {
    assertThat(WorkloadCatalog.build("gups:size=64K,seed=1").expected())
        .isNotEqualTo(WorkloadCatalog.build("gups:size=64K,seed=2").expected());
  }

  @Test
  void shouldNameTheKernelsPlaces() {
    assertThat(WorkloadCatalog.build("kpti").symbols()).containsKeys("page_fault", "syscall_entry", "kernel_pml4")
        .containsEntry("user_text_image_end", WorkloadCatalog.build("kpti").symbols().get("user_text_image") + 4096);
  }
}
