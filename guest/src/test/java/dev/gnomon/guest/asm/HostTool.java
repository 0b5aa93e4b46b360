package dev.gnomon.guest.asm;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.jqwik.api.lifecycle.LifecycleContext;
import net.jqwik.api.lifecycle.SkipExecutionHook;
import org.junit.jupiter.api.Assumptions;

/** Programs of the host that judge what the assembler made; a test that needs one is skipped where it is missing. */
final class HostTool {

  private static final Pattern LINE = Pattern.compile("\\s*([0-9a-f]+):\\s+(.*?)\\s*");

  private HostTool() {
  }

  /** Skips properties, in which a failed assumption would only reject the values tried. */
  static final class NeedsObjdump implements SkipExecutionHook {
    @Override
    public SkipResult shouldBeSkipped(LifecycleContext context) {
      return isPresent("objdump") ? SkipResult.doNotSkip() : SkipResult.skip("objdump is not on the PATH");
    }
  }

  static void require(String program) {
    Assumptions.assumeTrue(isPresent(program), program + " is not on the PATH");
  }

  private static boolean isPresent(String program) {
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  /** Output of a program that must succeed. */
  static String run(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int status = process.waitFor();
      if (status != 0) {
        throw new AssertionError(String.join(" ", command) + " ended with " + status + ": " + output);
      }
      return output;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException("interrupted while waiting for " + command[0], e);
    }
  }

  /** Disassembly in Intel syntax by offset, blanks made single and comments left out. */
  static Map<Integer, String> disassemble(byte[] code, int bits) {
    require("objdump");
    Path file = null;
    try {
      file = Files.createTempFile("code", ".bin");
      Files.write(file, code);
      String machine = bits == 64 ? "i386:x86-64" : bits == 32 ? "i386" : "i8086";
      String output = run("objdump", "-D", "-b", "binary", "-m" + machine, "-M", "intel", "--no-show-raw-insn",
          "--disassemble-zeroes", file.toString());
      Map<Integer, String> lines = new TreeMap<>();
      for (String line : output.split("\n")) {
        Matcher matcher = LINE.matcher(line);
        if (matcher.matches()) {
          String text = matcher.group(2).replaceAll("#.*", "").replaceAll("\\s+", " ").trim();
          lines.put(Integer.parseInt(matcher.group(1), 16), text);
        }
      }
      return lines;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (file != null) {
        file.toFile().delete();
      }
    }
  }
}
