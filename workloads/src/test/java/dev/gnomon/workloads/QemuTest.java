package dev.gnomon.workloads;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The guests on another machine: whatever the model does, they are right by themselves. TCG has no PCIDs, and QEMU no
 * request device.
 */
class QemuTest {
  private static final String QEMU = "qemu-system-x86_64";

  static Stream<String> withoutPcid() {
    return SmallWorkloads.withoutPcid();
  }

  @ParameterizedTest
  @MethodSource("withoutPcid")
  void shouldGiveTheSameResultUnderQemu(String text, @TempDir Path folder) throws IOException, InterruptedException {
    assumeTrue(Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(path -> Files.isExecutable(Path.of(path, QEMU))), QEMU + " is not on the PATH");
    GuestProgram program = WorkloadCatalog.build(text);
    Path image = folder.resolve("guest.elf");
    Path console = folder.resolve("console");
    Files.write(image, program.image());
    Process qemu = new ProcessBuilder(QEMU, "-accel", "tcg", "-cpu", "max",
        "-m", Long.toString(program.memoryBytes() >> 20), "-kernel", image.toString(),
        "-display", "none", "-no-reboot", "-serial", "null", "-monitor", "none", "-nic", "none",
        "-debugcon", "file:" + console, "-device", "isa-debug-exit,iobase=0xf4,iosize=4")
        .redirectErrorStream(true).redirectOutput(folder.resolve("log").toFile()).start();
    boolean ended = qemu.waitFor(2, TimeUnit.MINUTES);
    qemu.destroyForcibly();
    assertThat(ended).as("ended").isTrue();
    assertThat(Files.readString(console, StandardCharsets.US_ASCII))
        .isEqualTo(String.format("%s: result 0x%016x ok\n", program.name(), program.expected()));
    assertThat(qemu.exitValue()).isEqualTo(GuestProgram.SUCCESS);
  }
}
