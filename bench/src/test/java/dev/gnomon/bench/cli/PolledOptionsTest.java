package dev.gnomon.bench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code --polled}, {@code --poll} and {@code --class-path}. */
class PolledOptionsTest {
  private static final String SOURCE = """
      package lab;
      import dev.gnomon.vmm.polled.*;
      import dev.gnomon.vmm.polled.dma.DmaPort;
      import java.util.List;
      public class %s implements PolledDevice {
        public %1$s() {%2$s}
        public String name() { %4$s }
        public List<Window> windows() { %5$s }
        public void attach(DeviceContext context) {}
        public Poll step(DmaPort memory, VirtualClock clock) { %3$s }
      }
      """;

  private static void compile(Path directory, String name, String constructor, String step) throws IOException {
    compile(directory, name, constructor, step, "return \"mine\";", "return List.of(Window.anywhere(8192));");
  }

  private static void compile(Path directory, String name, String constructor, String step, String deviceName,
      String windows) throws IOException {
    Path source = Files.writeString(directory.resolve(name + ".java"),
        SOURCE.formatted(name, constructor, step, deviceName, windows));
    int code = ToolProvider.getSystemJavaCompiler().run(null, null, null, "-cp",
        System.getProperty("java.class.path"), "-d", directory.toString(), source.toString());
    assertThat(code).isZero();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "--polled requst                            | 'requst': no such class: expected request, ring, timer, or the name",
      "--polled java.lang.String                  | java.lang.String is no device: expected one that implements",
      "--polled dev.gnomon.vmm.polled.PolledDevice | expected a public class that is not abstract",
      "--polled request,adress=8000000            | option 'adress=8000000': expected address=HEX, mmio=HEX",
      "--polled request,address=8000800           | expected a multiple of 0x1000",
      "--polled request,address=zz                | expected a hexadecimal number below",
      "--polled request,address=8000000,mmio=9000000 | contradict each other: expected one of them",
      "--polled request,irq=5,irq=6               | option 'irq=6': expected each option once",
      "--polled request,irq=16                    | expected irq=0 to irq=15",
      "--polled request,name=A                    | expected a name of lower-case letters",
      "--polled request,address=100000            | memory slot RAM (RAM, 0x100000-0x3ffffff) overlaps request (RESERVED, 0x100000-0x100fff)",
      "--polled request,address=10000000 --polled ring,address=10000000 | request (RESERVED, 0x10000000-0x10000fff) overlaps ring (RESERVED",
      "--polled request --polled request          | expected different names",
      "--polled request,ports=3f8                 | port 3f8 already belongs to com1",
      "--polled ring,doorbell=3f8                 | port 3f8 already belongs to com1",
      "--polled request --poll often              | --poll 'often': expected spin[=TIME], period=TIME",
      "--polled request --poll period             | --poll 'period': expected",
      "--polled request --poll period=0           | poll period of 0 ns: expected at least 1",
      "--polled request --poll adaptive=1us       | --poll 'adaptive=1us': expected",
      "--poll spin                                | --poll: expected --polled CLASS with it",
      "--step-limit 5                             | --step-limit: expected --polled CLASS with it",
      "--polled request --step-limit ever         | 'ever': expected seconds such as 10 or 0.5, up to 86400",
      "--polled request --step-limit 86401        | expected seconds such as 10 or 0.5, up to 86400",
      "--class-path .                             | --class-path: expected --polled CLASS with it",
      "--polled request --class-path no/such      | no/such: no such file, expected a directory or a jar"})
  void shouldRefuseInOneLine(String options, String expected) {
    Cli.Result result = Cli.run(("run gups:updates=1 --mode ept " + options).split(" +"));
    assertThat(result.err()).startsWith("gnomon: ").contains(expected).endsWith("\n").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    assertThat(result.out()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "--poll-thread spin                         | --poll-thread: expected --polled CLASS with it",
      "--poll-thread often --polled request       | --poll-thread 'often': expected spin, park[=SPIN:PAUSE], period=TIME or adaptive[=MOST:PAUSE]",
      "--poll-thread spin=1us --polled request    | --poll-thread 'spin=1us': expected",
      "--poll-thread period=0 --polled request    | --poll-thread 'period=0': expected",
      "--poll-thread park=1us --polled request    | --poll-thread 'park=1us': expected",
      "--poll-thread spin --polled request --poll spin | --poll and --poll-thread contradict each other: expected one of them",
      "--poll-thread spin --polled request,mmio=feb10000 | all devices are trapped (mmio, ports), expected one that is polled",
      "--poll-thread spin --polled request --record target/none.log | --poll-thread with --record or --replay: expected one of them",
      "--poll-thread spin --polled request --replay target/none.log | --poll-thread with --record or --replay: expected one of them"})
  void shouldRefuseThreadsInOneLine(String options, String expected) {
    Cli.Result result = Cli.run(("run gups:updates=1 --mode ept " + options).split(" +"));
    assertThat(result.err()).startsWith("gnomon: ").contains(expected).endsWith("\n").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    assertThat(Path.of("target/none.log")).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(strings = {"spin", "park", "park=10us:1ms", "period=100us", "adaptive", "adaptive=20us:1ms"})
  void shouldMarkRunsWithThreadsAsNotReproducible(String poll) throws IOException {
    Cli.Result result =
        Cli.run("run", "gups:updates=200", "--polled", "request", "--poll-thread", poll, "--out", "json:-");
    assertThat(result.code()).as(result.err()).isEqualTo(ExitCode.DONE);
    assertThat(result.err())
        .contains("gnomon: not reproducible: devices polled by threads of the host: " + poll + "\n");
    assertThat(new ObjectMapper().readTree(result.out()).at("/notReproducible").asText())
        .isEqualTo("devices polled by threads of the host: " + poll);
    assertThat(Cli.run("run", "gups:updates=200", "--polled", "request", "--poll-thread", poll, "--stats").out())
        .contains("not reproducible: devices polled by threads of the host: " + poll);
    assertThat(new ObjectMapper()
        .readTree(Cli.run("run", "gups:updates=200", "--polled", "request", "--out", "json:-").out())
        .has("notReproducible")).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"spin", "spin=100ns", "period=1us", "adaptive", "adaptive=40:20us:1ms", "random=1us:5us"})
  void shouldRunGuestsBesideDevicesAlikeWhateverThePolls(String poll) throws IOException {
    Cli.Result result = Cli.run("compare", "gups:updates=200", "--polled", "request", "--polled",
        "ring,address=20000000", "--polled", "timer", "--polled", "request,name=trapped,mmio=feb10000", "--poll", poll,
        "--out", "json:-", "--mode", "ept,shadow");
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    JsonNode guest = new ObjectMapper().readTree(result.out()).at("/guests/0");
    assertThat(guest.at("/parameters/poll").asText()).isEqualTo(poll);
    assertThat(guest.at("/parameters/polled").asText()).startsWith("request ring,address=20000000 timer ");
    assertThat(guest.at("/modes/0/counters/exits"))
        .as("polls are no exits, and windows are mapped in advance").isEmpty();
  }

  @Test
  void shouldLoadDevicesFromTheClassPathGiven(@TempDir Path directory) throws IOException {
    compile(directory, "Mine", "", "return Poll.IDLE;");
    String[] command = {"run", "gups:updates=1", "--polled", "lab.Mine,address=30000000", "--mode", "ept",
        "--class-path", directory.toString()};
    assertThat(Cli.run(command).code()).isEqualTo(ExitCode.DONE);
    compile(directory, "Failing", "throw new IllegalStateException(\"no plug\");", "return Poll.IDLE;");
    command[3] = "lab.Failing";
    Cli.Result failing = Cli.run(command);
    assertThat(failing.err()).contains("the constructor of lab.Failing throws java.lang.IllegalStateException: no plug")
        .hasLineCount(1);
    assertThat(failing.code()).isEqualTo(ExitCode.USAGE);
  }

  /** Devices that cannot be made, a line each: constructor, name, windows, and what is said. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "throw new Error(\"two\\nlines\");   | return \"mine\";       | return List.of(Window.anywhere(4096)); | the constructor of lab.Bad throws java.lang.Error: two lines",
      "int[] a = new int[Integer.MAX_VALUE]; | return \"mine\"; | return List.of(Window.anywhere(4096)); | throws java.lang.OutOfMemoryError",
      "throw new RuntimeException() { public String getMessage() { throw new Error(); } }; | return \"mine\"; | return null; | which cannot be described",
      "                               | return null;           | return List.of(Window.anywhere(4096)); | the device's name is null: expected 1 to 63 letters",
      "                               | return \"a\\nb\";       | return List.of(Window.anywhere(4096)); | expected 1 to 63 letters",
      "                               | throw new Error(\"x\"); | return List.of(Window.anywhere(4096)); | cannot be had: java.lang.Error: x",
      "                               | return \"mine\";       | return null;                           | device mine has windows null",
      "                               | return \"mine\";       | return List.of();                      | device mine has windows []",
      "                               | return \"mine\";       | return List.of(Window.anywhere(100));  | window of 100 bytes: expected a positive multiple of 4096",
      "                               | return \"mine\";       | return List.of(Window.at(0x8000800L, 4096)); | window at guest-physical 0x8000800: expected a multiple of 4096",
      "                               | return \"mine\";       | return List.of(Window.at(0xb8000L, 4096)); | mine (RESERVED, 0xb8000-0xb8fff) overlaps vga (MMIO"})
  void shouldRefuseADeviceThatCannotBeInOneLine(String constructor, String name, String windows, String expected,
      @TempDir Path directory) throws IOException {
    compile(directory, "Bad", constructor == null ? "" : "if (true) { " + constructor + " }", "return Poll.IDLE;",
        name, windows);
    Cli.Result result = Cli.run("run", "gups:updates=1", "--polled", "lab.Bad", "--class-path", directory.toString());
    assertThat(result.err()).startsWith("gnomon: ").contains(expected.strip()).hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void shouldRefuseADeviceWhoseConstructorDoesNotReturn(@TempDir Path directory) throws IOException {
    compile(directory, "Endless", "try { Thread.sleep(60_000); } catch (InterruptedException e) { }",
        "return Poll.IDLE;");
    Cli.Result result = Cli.run("run", "gups:updates=1", "--polled", "lab.Endless", "--class-path",
        directory.toString(), "--step-limit", "1");
    assertThat(result.err())
        .isEqualTo(
        "gnomon: --polled 'lab.Endless': the constructor, name, windows or registers did not return within 1.0 s\n");
    assertThat(result.code()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void shouldKeepWhatADevicePrintsOutOfTheData(@TempDir Path directory) throws IOException {
    compile(directory, "Talking", "System.out.println(\"constructor\");",
        "System.out.println(\"step\"); return Poll.SLEEP;");
    PrintStream out = System.out;
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    System.setOut(new PrintStream(data, true));
    try {
      assertThat(Cli.run("run", "gups:updates=2000", "--polled", "lab.Talking", "--class-path", directory.toString())
          .code()).isEqualTo(ExitCode.DONE);
    } finally {
      System.setOut(out);
    }
    assertThat(data.toString()).isEmpty();
  }

  private static List<String> logged(Runnable action) {
    ch.qos.logback.classic.Logger root =
        (ch.qos.logback.classic.Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    root.addAppender(log);
    try {
      action.run();
    } finally {
      root.detachAppender(log);
    }
    return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  @Test
  void shouldGoOnWithoutADeviceThatThrows(@TempDir Path directory) throws IOException {
    compile(directory, "Broken", "", "throw new ArithmeticException(\"broken\");");
    assertThat(
        logged(() -> assertThat(Cli.run("run", "gups:updates=2000", "--polled", "lab.Broken", "--class-path",
        directory.toString()).code())
        .isEqualTo(ExitCode.DONE))).containsExactly(
            "device mine: stopped in step 1: java.lang.ArithmeticException: broken");
  }

  /**
   * The device spins until it is given up, and then until its thread has been told to end, so that other tests are not
   * disturbed.
   */
  @Test
  void shouldGoOnWithoutADeviceThatDoesNotReturn(@TempDir Path directory) throws IOException {
    compile(directory, "Spinning", "",
        "boolean told = false; while (!told) { told = Thread.currentThread().isInterrupted(); } return Poll.BUSY;");
    String[] command = {"run", "gups:updates=2000", "--polled", "lab.Spinning", "--class-path", directory.toString(),
        "--step-limit", "1"};
    assertThat(logged(() -> assertThat(Cli.run(command).code()).isEqualTo(ExitCode.DONE))).singleElement().asString()
        .startsWith("device mine: stopped in step 1: did not return within 1 s, at ")
        .contains("lab.Spinning.step(Spinning.java:");
  }
}
