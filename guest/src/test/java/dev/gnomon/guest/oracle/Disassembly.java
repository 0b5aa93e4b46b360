package dev.gnomon.guest.oracle;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/** The code of a failed case as text: by objdump if the host has it, else only its bytes. */
final class Disassembly {
  private Disassembly() { }

  static String of(OracleCase test) {
    String hex = HexFormat.ofDelimiter(" ").formatHex(test.code());
    String mode = test.mode64() ? "64-bit" : test.mode16() ? "16-bit" : "32-bit";
    try {
      Path file = Files.createTempFile("case", ".bin");
      try {
        Files.write(file, test.code());
        String machine = test.mode64() ? "i386:x86-64" : test.mode16() ? "i8086" : "i386";
        Process process = new ProcessBuilder("objdump", "-D", "-b", "binary", "-m", machine, "-M", "intel",
            "--adjust-vma=0x" + Long.toHexString(test.before.rip), file.toString()).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = text.indexOf(">:");
        return mode + " " + hex + (code < 0 ? "" : text.substring(code + 2)) + "\n";
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      return mode + " " + hex + "\n";
    }
  }
}
