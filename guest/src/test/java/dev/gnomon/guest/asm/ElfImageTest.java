package dev.gnomon.guest.asm;

import static dev.gnomon.guest.asm.ElfImage.EXECUTE;
import static dev.gnomon.guest.asm.ElfImage.READ;
import static dev.gnomon.guest.asm.ElfImage.WRITE;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ElfImageTest {

  private static final long TEXT = 0x400000;
  private static final long DATA = 0x600123;
  private static final int WRITE_CALL = 1;
  private static final int EXIT_CALL = 60;

  @TempDir
  private Path folder;

  /** Writes a string, then exits with the value that it finds in zeroed memory behind its data, plus 7. */
  private static byte[] greeting() {
    Assembler data = new Assembler(64);
    data.ascii("from the guest\n");
    int length = data.offset();

    Assembler a = new Assembler(64);
    a.mov(EAX, WRITE_CALL);
    a.mov(EDI, 1);
    a.mov(RSI, Label.absolute(DATA));
    a.mov(EDX, length);
    a.syscall();
    a.mov(EDI, rip(Label.absolute(DATA + 0x1000)));
    a.add(EDI, 7);
    a.mov(EAX, EXIT_CALL);
    a.syscall();
    return ElfImage.elf64(TEXT)
        .segment(TEXT, READ | EXECUTE, a.assemble(TEXT))
        .segment(DATA, DATA, READ | WRITE, data.assemble(DATA), 0x2000)
        .toBytes();
  }

  @Test
  void shouldRunOnLinux() throws IOException, InterruptedException {
    Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").equals("amd64"), "not an x86-64 Linux host");
    Path program = Files.write(folder.resolve("greeting"), greeting());
    Assumptions.assumeTrue(program.toFile().setExecutable(true), "the temporary folder holds no programs");

    Process process = new ProcessBuilder(program.toString()).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor()).isEqualTo(7);
    assertThat(output).isEqualTo("from the guest\n");
  }

  @Test
  void shouldDescribeItsSegmentsToReadelf() throws IOException {
    HostTool.require("readelf");
    Path program = Files.write(folder.resolve("greeting"), greeting());

    String headers = HostTool.run("readelf", "-hlW", program.toString()).replaceAll(" +", " ");

    assertThat(headers).doesNotContain("Warning").doesNotContain("Error");
    assertThat(headers).contains("Class: ELF64", "Type: EXEC", "Machine: Advanced Micro Devices X86-64",
        "Entry point address: 0x400000",
        "LOAD 0x001000 0x0000000000400000 0x0000000000400000 0x00002b 0x00002b R E 0x1000",
        "LOAD 0x001123 0x0000000000600123 0x0000000000600123 0x00000f 0x002000 RW 0x1000");
  }

  @Test
  void shouldWriteA32BitImageForAMultibootLoader() throws IOException {
    HostTool.require("readelf");
    Assembler a = new Assembler(32);
    a.db(0x90);
    MultibootHeader.write(a, MultibootHeader.PAGE_ALIGN | MultibootHeader.MEMORY_INFO);
    Label entry = a.here();
    a.cmp(EAX, MultibootHeader.LOADER_MAGIC);
    a.hlt();
    byte[] file = ElfImage.elf32(a.addressOf(entry, 0x100000))
        .segment(0xC0100000L, 0x100000, READ | EXECUTE, a.assemble(0x100000), 0x3000).toBytes();

    String headers = HostTool.run("readelf", "-hlW", Files.write(folder.resolve("kernel"), file).toString())
        .replaceAll(" +", " ");

    assertThat(headers).contains("Class: ELF32", "Machine: Intel 80386", "Entry point address: 0x100010",
        "LOAD 0x001000 0xc0100000 0x00100000 0x00016 0x03000 R E 0x1000");
    ByteBuffer words = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int header = 0x1004;
    assertThat(words.getInt(header)).isEqualTo(0x1BADB002);
    assertThat(words.getInt(header) + words.getInt(header + 4) + words.getInt(header + 8)).isZero();
  }

  @Test
  void shouldWriteLoadAddressesForAFlatMultibootImage() {
    Assembler a = new Assembler(32);
    Label start = a.here();
    Label end = new Label();
    Label entry = new Label();
    MultibootHeader.write(a, 0, start, end, end, entry);
    a.bind(entry);
    a.hlt();
    a.bind(end);

    ByteBuffer words = ByteBuffer.wrap(a.assemble(0x100000)).order(ByteOrder.LITTLE_ENDIAN);

    assertThat(words.getInt(0) + words.getInt(4) + words.getInt(8)).isZero();
    assertThat(words.getInt(4)).isEqualTo(1 << 16);
    assertThat(new int[] {words.getInt(12), words.getInt(16), words.getInt(20), words.getInt(24), words.getInt(28)})
        .containsExactly(0x100000, 0x100000, 0x100021, 0x100021, 0x100020);
  }

  @Test
  void shouldRejectWhatAnImageCannotHold() {
    assertThatIllegalArgumentException().isThrownBy(() -> ElfImage.elf32(0x100000000L))
        .withMessageContaining("below 4 GiB");
    assertThatIllegalArgumentException().isThrownBy(() -> ElfImage.elf64(0).segment(0, 0, READ, new byte[2], 1))
        .withMessageContaining("expected at least the 2");
    assertThatIllegalArgumentException().isThrownBy(() -> ElfImage.elf64(0).segment(0, 8, new byte[2]))
        .withMessageContaining("segment flags");
  }
}
