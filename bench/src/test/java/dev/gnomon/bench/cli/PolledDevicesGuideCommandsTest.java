package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.guests.DebianPackage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands of docs/polled-devices.md, on Debian's kernel and busybox; skipped where they cannot be fetched. */
class PolledDevicesGuideCommandsTest {
  private static final Pattern BLOCK = Pattern.compile("```\\n(.*?)```", Pattern.DOTALL);
  private static final Pattern ANSWER = Pattern.compile("(?m)^devmem .* # (0x[0-9A-F]+)");

  private static List<String> blocks() throws IOException {
    String guide = Files.readString(Path.of("../docs/polled-devices.md"));
    List<String> blocks = new ArrayList<>();
    Matcher matcher = BLOCK.matcher(guide.substring(guide.indexOf("## On a machine")));
    while (matcher.find()) {
      blocks.add(matcher.group(1));
    }
    return blocks;
  }

  /** Runs a line of the guide, with files in a directory. */
  private static Cli.Result run(String line, Path directory) {
    List<String> words = new ArrayList<>();
    for (String word : line.substring("gnomon ".length()).split(" ")) {
      boolean file = List.of("vmlinuz", "busybox", "answer.sh", "initrd.cpio").contains(word);
      words.add(file ? directory.resolve(word).toString() : word.replace("\"", ""));
    }
    return Cli.run(words.toArray(String[]::new));
  }

  @Test
  void shouldAnswerWhatIsShownWithoutAnExitOfTheDevice(@TempDir Path directory)
      throws IOException, InterruptedException {
    Files.write(directory.resolve("vmlinuz"), DebianPackage.kernel("linux-image-cloud-amd64"));
    Files.write(directory.resolve("busybox"), DebianPackage.file("busybox-static", "bin/busybox"));
    String script = blocks().get(0);
    Files.writeString(directory.resolve("answer.sh"), script);
    List<String> lines = blocks().get(1).lines().toList();
    assertThat(run(lines.get(0), directory).code()).isEqualTo(ExitCode.DONE);
    Cli.Result booted = run(lines.get(1), directory);
    assertThat(booted.err()).doesNotContain("error");
    assertThat(booted.code()).isEqualTo(ExitCode.DONE);
    Matcher answers = ANSWER.matcher(script);
    List<String> expected = new ArrayList<>();
    while (answers.find()) {
      expected.add(answers.group(1));
    }
    assertThat(expected).hasSize(2);
    assertThat(booted.out()).containsSubsequence(expected);
    Cli.Result exits = run(lines.get(2), directory);
    assertThat(exits.code()).isEqualTo(ExitCode.DONE);
    assertThat(exits.out()).doesNotContain("EPT_VIOLATION").contains("EXTERNAL_INTERRUPT");
  }
}
