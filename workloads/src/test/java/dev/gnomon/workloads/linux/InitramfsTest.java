package dev.gnomon.workloads.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InitramfsTest {
  private static final Busybox BUSYBOX = new Busybox(new byte[] {1, 2, 3}, List.of("[", "busybox", "mount", "sh"));

  private static Initramfs initramfs(String script) {
    return new Initramfs(BUSYBOX, "go.sh", script.getBytes(StandardCharsets.UTF_8));
  }

  private static Map<String, CpioArchiveEntry> entries(byte[] cpio, Map<String, byte[]> contents) throws IOException {
    Map<String, CpioArchiveEntry> entries = new LinkedHashMap<>();
    try (CpioArchiveInputStream in = new CpioArchiveInputStream(new ByteArrayInputStream(cpio))) {
      for (CpioArchiveEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
        entries.put(entry.getName(), entry);
        contents.put(entry.getName(), in.readAllBytes());
      }
    }
    return entries;
  }

  @Test
  void shouldPackWhatAKernelNeedsBeforeItsFirstProgram() throws IOException {
    Map<String, byte[]> contents = new LinkedHashMap<>();
    Map<String, CpioArchiveEntry> entries = entries(initramfs("echo hi\n").cpio(), contents);
    CpioArchiveEntry console = entries.get("dev/console");
    assertThat(console.isCharacterDevice()).isTrue();
    assertThat(console.getRemoteDeviceMaj()).isEqualTo(5);
    assertThat(console.getRemoteDeviceMin()).isEqualTo(1);
    assertThat(entries.get("init").getMode() & 0777).isEqualTo(0755);
    assertThat(new String(contents.get("init"), StandardCharsets.UTF_8)).startsWith("#!/bin/busybox sh\n")
        .contains("sh /script", "poweroff -f").doesNotContain("@");
    assertThat(contents.get("script")).isEqualTo("echo hi\n".getBytes(StandardCharsets.UTF_8));
    assertThat(entries.get("bin/mount").isSymbolicLink()).isTrue();
    assertThat(contents.get("bin/[")).isEqualTo("busybox".getBytes(StandardCharsets.UTF_8));
    assertThat(contents.get("bin/busybox")).containsExactly(1, 2, 3);
    assertThat(entries.get("bin/busybox").isRegularFile()).isTrue();
  }

  @Test
  void shouldPackDirectoriesBeforeWhatLiesInThem() throws IOException {
    byte[] cpio = initramfs("x").add("/data/a/b/file", 0644, new byte[5]).cpio();
    List<String> names = new ArrayList<>(entries(cpio, new LinkedHashMap<>()).keySet());
    assertThat(names).containsSubsequence("data", "data/a", "data/a/b", "data/a/b/file");
    assertThat(names.indexOf("bin")).isLessThan(names.indexOf("bin/busybox"));
  }

  @Test
  void shouldGiveEqualBytesForEqualContents() throws IOException {
    byte[] cpio = initramfs("echo hi").cpio();
    assertThat(initramfs("echo hi").cpio()).isEqualTo(cpio);
    assertThat(initramfs("echo hi").gzip()).isEqualTo(initramfs("echo hi").gzip());
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(initramfs("echo hi").gzip()))) {
      assertThat(in.readAllBytes()).isEqualTo(cpio);
    }
    assertThat(cpio.length % 512).isZero();
  }

  @ParameterizedTest
  @CsvSource({"relative", "/", "/a//b", "/a/../b", "/bin/sh", "/init"})
  void shouldRefuseOtherPathsThanNewAbsoluteOnes(String path) {
    assertThatThrownBy(() -> initramfs("x").add(path, 0644, new byte[0])).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected");
  }

  @Test
  void shouldRefuseWhatIsNoScriptNamingTheLine() {
    assertThatThrownBy(() -> initramfs(" \n\n")).hasMessage("go.sh: is empty, expected a shell script");
    assertThatThrownBy(() -> initramfs("a\nb\r\n")).hasMessageContaining("go.sh:2:").hasMessageContaining("CR LF");
    assertThatThrownBy(() -> initramfs("a\n\nb\0")).hasMessageContaining("go.sh:3:").hasMessageContaining("NUL");
  }

  @Test
  void shouldReadTheAppletsFromTheProgramItself() {
    Busybox busybox = Busybox.parse("bb", FakeBusybox.program("[\0[[\0ash\0mount\0sh\0\0"));
    assertThat(busybox.applets()).containsExactly("[", "[[", "ash", "mount", "sh");
    assertThat(busybox.has("ash")).isTrue();
    assertThat(busybox.has("vi")).isFalse();
    // Something else looks like its beginning, and bytes of another kind lie right before it.
    assertThat(Busybox.parse("bb", FakeBusybox.program("[\0[[\0]\0x[\0[[\0mount\0sh\0\0")).applets())
        .containsExactly("[", "[[", "mount", "sh");
  }

  @Test
  void shouldRefuseWhatIsNoStaticBusybox() {
    assertThatThrownBy(() -> Busybox.parse("bb", new byte[3])).hasMessageContaining("bb: is no ELF program");
    assertThatThrownBy(() -> Busybox.parse("bb", FakeBusybox.program("ls\0\0")))
        .hasMessageContaining("table of applets");
    byte[] program = FakeBusybox.program("[\0[[\0mount\0sh\0\0");
    program[18] = 3;
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("expected x86-64");
    program[18] = 62;
    program[64] = 3;
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("dynamically linked");
    program[32] = (byte) 0xFF;
    program[33] = (byte) 0xFF;
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("outside of the file");
  }

  @Test
  void shouldTakeABusyboxFor32BitKernels() {
    byte[] program = FakeBusybox.program32("[\0[[\0mount\0sh\0\0");
    assertThat(Busybox.parse("bb", program).applets()).contains("sh");
    program[52] = 3;
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("dynamically linked");
    program[31] = (byte) 0xFF;
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("outside of the file");
  }

  @Test
  void shouldRefuseAnotherStaticProgram() {
    byte[] program = FakeBusybox.program("[\0[[\0mount\0sh\0\0");
    program[130] = 'x';
    assertThatThrownBy(() -> Busybox.parse("bb", program)).hasMessageContaining("is not a busybox");
  }
}
