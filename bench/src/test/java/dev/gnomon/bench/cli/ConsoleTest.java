package dev.gnomon.bench.cli;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.console.HostTerminal;
import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.polled.device.RequestDevice;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A guest that greets with "> ", echoes what it reads, answers each line with "> " and ends at Ctrl-D. */
class ConsoleTest {
  private static final int CTRL_D = 4;
  /** Of a polled device, behind all memory. */
  private static final long WINDOW = 8 << 20;

  @TempDir
  private Path directory;

  private static void putc(Assembler a) {
    a.mov(DX, 0x3F8);
    a.out(DX, AL);
  }

  private static void prompt(Assembler a) {
    a.mov(AL, '>');
    putc(a);
    a.mov(AL, ' ');
    putc(a);
  }

  /** Polls the line status as a kernel's early console does. */
  static void echo(Assembler a) {
    a.mov(AL, 1);
    a.mov(DX, 0x3FA);
    a.out(DX, AL);
    prompt(a);
    Label poll = a.here();
    Label line = new Label();
    Label end = new Label();
    a.mov(DX, 0x3FD);
    a.in(AL, DX);
    a.test(AL, 1);
    a.je(poll);
    a.mov(DX, 0x3F8);
    a.in(AL, DX);
    a.cmp(AL, CTRL_D);
    a.je(end);
    a.out(DX, AL);
    a.cmp(AL, '\n');
    a.je(line);
    a.jmp(poll);
    a.bind(line);
    prompt(a);
    a.jmp(poll);
    a.bind(end);
    TestGuests.exit(a, 0);
  }

  private String[] arguments(String... more) {
    return TestGuests.arguments(directory, "run", ConsoleTest::echo, more);
  }

  private Cli.Result run(String... more) {
    return Cli.run(arguments(more));
  }

  @ParameterizedTest
  @ValueSource(strings = {"native", "ept", "shadow"})
  void shouldAnswerWhatItExpects(String mode) {
    Cli.Result result =
        run("--mode", mode, "--expect", "> ", "--send", "one\\n", "--expect", "> ", "--send", "two\\n\\x04");
    assertThat(result.err()).contains("reports success").hasLineCount(1);
    assertThat(result.out()).isEqualTo("> one\n> two\n> ");
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldLoseNothingOfALongAnswer() {
    String text = "0123456789".repeat(500);
    Cli.Result result = run("--expect", "> ", "--send", text + "\\n\\x04");
    assertThat(result.out()).isEqualTo("> " + text + "\n> ");
  }

  @Test
  void shouldFailWhenATextDoesNotComeInTime() {
    Cli.Result result = run("--expect", "> ", "--send", "x\\n", "--expect", "login:", "--expect-timeout", "20K");
    assertThat(result.err())
        .startsWith("gnomon: expected \"login:\" on the console (step 2 of 2) and waited 20,000 instructions")
        .contains("last lines: \"> x\\n>\"").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.CHECK_FAILED);
  }

  @Test
  void shouldFailWhenTheGuestEndsBeforeTheText() {
    Cli.Result result = run("--expect", "> ", "--send", "\\x04", "--expect", "more");
    assertThat(result.err()).contains("expected \"more\"");
    assertThat(result.code()).isEqualTo(ExitCode.CHECK_FAILED);
  }

  @Test
  void shouldReplayARecordedRunInAnotherModeToTheLastInstruction() throws IOException {
    Path log = directory.resolve("log");
    Cli.Result recorded = run("--record", log.toString(), "--expect", "> ", "--send", "hello\\n", "--expect", "lo\n> ",
        "--send", "\\x04");
    assertThat(recorded.code()).isEqualTo(ExitCode.DONE);
    assertThat(Files.readAllLines(log)).hasSize(5).first().isEqualTo("gnomon input log 1");
    for (String mode : new String[] {"native", "ept", "shadow"}) {
      Cli.Result replayed = run("--replay", log.toString(), "--mode", mode);
      assertThat(replayed.out()).isEqualTo(recorded.out());
      assertThat(replayed.err()).isEqualTo(recorded.err());
      assertThat(replayed.code()).isEqualTo(ExitCode.DONE);
    }
  }

  /**
   * Lets a polled device mix each byte with the machine's seed, and prints what came of it and how long it had to wait:
   * both letters.
   */
  private static void mix(Assembler a) {
    Label next = new Label();
    Label end = new Label();
    a.mov(AL, 1);
    a.mov(DX, 0x3FA);
    a.out(DX, AL);
    a.mov(RDI, WINDOW);
    a.bind(next);
    prompt(a);
    Label poll = a.here();
    a.mov(DX, 0x3FD);
    a.in(AL, DX);
    a.test(AL, 1);
    a.je(poll);
    a.mov(DX, 0x3F8);
    a.in(AL, DX);
    a.cmp(AL, CTRL_D);
    a.je(end);
    a.movzx(EAX, AL);
    a.mov(ptr(RDI, RequestDevice.OPERAND_A), RAX);
    a.mov(ptr(RDI, RequestDevice.OPERATION).d(), RequestDevice.OP_MIX);
    a.inc(EBX);
    a.mov(ptr(RDI, RequestDevice.SUBMIT), EBX);
    a.xor(ECX, ECX);
    Label wait = a.here();
    a.inc(ECX);
    a.cmp(ptr(RDI, RequestDevice.COMPLETE), EBX);
    a.jne(wait);
    a.mov(RAX, ptr(RDI, RequestDevice.RESULT));
    a.and(EAX, 15);
    a.add(EAX, 'A');
    putc(a);
    a.mov(EAX, ECX);
    a.and(EAX, 15);
    a.add(EAX, 'a');
    putc(a);
    a.jmp(next);
    a.bind(end);
    TestGuests.exit(a, 0);
  }

  private Cli.Result mix(String... more) {
    return Cli.run(TestGuests.arguments(directory, "run", ConsoleTest::mix, more));
  }

  @Test
  void shouldReplayARunWithPolledDevicesByTheSamePolls() throws IOException {
    Path log = directory.resolve("log");
    String[] machine = {"--polled", "request", "--poll", "random=500ns:20us", "--seed", "7"};
    List<String> record = new ArrayList<>(List.of(machine));
    record.addAll(List.of("--record", log.toString()));
    for (char c : "abcdefgh".toCharArray()) {
      record.addAll(List.of("--expect", "> ", "--send", String.valueOf(c)));
    }
    record.addAll(List.of("--expect", "> ", "--send", "\\x04"));
    Cli.Result recorded = mix(record.toArray(String[]::new));
    assertThat(recorded.out()).matches("(> [A-P][a-p]){8}> ");
    assertThat(Files.readAllLines(log).get(1)).startsWith("machine memory=8388608 ns-per-instruction=1 seed=7 state=")
        .endsWith(" polled=request poll=random=500ns:20us");
    for (String mode : new String[] {"native", "ept", "shadow"}) {
      List<String> replay = new ArrayList<>(List.of(machine));
      replay.addAll(List.of("--replay", log.toString(), "--mode", mode));
      Cli.Result replayed = mix(replay.toArray(String[]::new));
      assertThat(replayed.out()).isEqualTo(recorded.out());
      assertThat(replayed.err()).isEqualTo(recorded.err());
      assertThat(replayed.code()).isEqualTo(ExitCode.DONE);
    }
    Cli.Result other = mix("--polled", "request", "--poll", "spin", "--seed", "7", "--replay", log.toString());
    assertThat(other.err()).contains("was recorded with poll random=500ns:20us, here it is spin; expected the same")
        .hasLineCount(1);
    assertThat(other.code()).isEqualTo(ExitCode.USAGE);
    assertThat(mix("--seed", "7", "--replay", log.toString()).err()).contains("was recorded with", "expected the same")
        .hasLineCount(1);
  }

  @Test
  void shouldReplayARunThatWasStopped() throws IOException {
    Path log = directory.resolve("log");
    run("--record", log.toString(), "--expect", "> ", "--send", "hello\\n", "--max-instructions", "12345");
    Cli.Result replayed = run("--replay", log.toString());
    assertThat(replayed.out()).isEqualTo("> hello\n> ");
    assertThat(replayed.err()).isEqualTo("gnomon: end of the replayed log after 12,345 instructions\n");
    assertThat(replayed.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldTellWhenAReplayDiffers() throws IOException {
    Path log = directory.resolve("log");
    run("--record", log.toString(), "--expect", "> ", "--send", "hello\\n\\x04");
    Files.writeString(log, Files.readString(log).replace("68656c", "68656d"));
    Cli.Result replayed = run("--replay", log.toString());
    assertThat(replayed.err()).contains("differs from the recorded one").hasLineCount(1);
    assertThat(replayed.code()).isEqualTo(ExitCode.CHECK_FAILED);
  }

  @Test
  void shouldRefuseALogOfAnotherMachineOrGuest() throws IOException {
    Path log = directory.resolve("log");
    run("--record", log.toString(), "--expect", "> ", "--send", "\\x04");
    Cli.Result slower = run("--replay", log.toString(), "--ns-per-instruction", "3");
    assertThat(slower.err()).contains("recorded with ns-per-instruction 1, here it is 3; expected the same")
        .hasLineCount(1);
    assertThat(slower.code()).isEqualTo(ExitCode.USAGE);
    Cli.Result other =
        Cli.run(TestGuests.arguments(directory, "run", a -> TestGuests.exit(a, 0), "--replay", log.toString()));
    assertThat(other.err()).contains("another guest").hasLineCount(1);
    assertThat(other.code()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void shouldNameTheBadLineOfALog() throws IOException {
    Path log = directory.resolve("log");
    for (String bad : new String[] {"com1 1 x 00", "com1 1 2 0", "end 1 2 3 4", "what", "com1 5 5 00\ncom1 6 4 00"}) {
      Files.writeString(log, "gnomon input log 1\n" + bad + "\n");
      Cli.Result result = run("--replay", log.toString());
      assertThat(result.err()).as(bad).contains("log:").contains("expected 'com1 INSTRUCTIONS").hasLineCount(1);
      assertThat(result.code()).isEqualTo(ExitCode.USAGE);
    }
  }

  /** Types by itself when the guest has prompted, through the same path as a person. */
  private static final class FakeTerminal implements HostTerminal {
    private final InputStream input;
    private final StringBuilder printed = new StringBuilder();
    private boolean closed;

    FakeTerminal(InputStream input) {
      this.input = input;
    }

    @Override
    public InputStream input() {
      return input;
    }

    @Override
    public void print(String text) {
      printed.append(text);
    }

    @Override
    public int rows() {
      return 40;
    }

    @Override
    public int columns() {
      return 132;
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  /** Reads the console, and types the next text whenever the guest has written something. */
  private static final class Typist extends ByteArrayOutputStream {
    private final PipedOutputStream keys;
    private final List<String> rest;

    Typist(PipedOutputStream keys, String... texts) {
      this.keys = keys;
      this.rest = new ArrayList<>(Arrays.asList(texts));
    }

    @Override
    public synchronized void flush() throws IOException {
      if (!rest.isEmpty()) {
        keys.write(rest.remove(0).getBytes(StandardCharsets.US_ASCII));
        keys.flush();
      }
    }
  }

  private static Cli.Result type(FakeTerminal terminal, ByteArrayOutputStream out, String... arguments) {
    StringWriter err = new StringWriter();
    int code =
        Main.execute(new Environment(out, new PrintWriter(err, true), true, false, new Interruption(), () -> terminal),
        arguments);
    return new Cli.Result(code, out.toString(StandardCharsets.UTF_8), err.toString());
  }

  @Test
  void shouldPassOnWhatIsTypedAndReplayIt() throws IOException {
    PipedOutputStream keys = new PipedOutputStream();
    FakeTerminal terminal = new FakeTerminal(new PipedInputStream(keys));
    Path log = directory.resolve("log");
    Cli.Result result = type(terminal, new Typist(keys, "ab\1ac\1w\n\4"), arguments("--record", log.toString()));
    assertThat(result.out()).isEqualTo("> ab\1cstty rows 40 cols 132\r\n> \n");
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    assertThat(terminal.closed).isTrue();
    Cli.Result replayed = run("--replay", log.toString(), "--mode", "shadow");
    assertThat(replayed.out()).isEqualTo("> ab\1cstty rows 40 cols 132\r\n> ");
    assertThat(replayed.code()).isEqualTo(ExitCode.DONE);
  }

  @Test
  void shouldLeaveByCtrlAX() throws IOException {
    FakeTerminal terminal = new FakeTerminal(new ByteArrayInputStream("\1h\1x".getBytes(StandardCharsets.US_ASCII)));
    Cli.Result result = type(terminal, new ByteArrayOutputStream(), arguments());
    assertThat(result.err()).startsWith("gnomon: left after").hasLineCount(1);
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    assertThat(terminal.printed).contains("Ctrl-A X    leave");
    assertThat(terminal.closed).isTrue();
  }

  /** Sleeps until COM1 interrupts, echoes, and ends at Ctrl-D. */
  private static void sleeper(Assembler a) {
    Label handler = new Label();
    Label idtr = new Label();
    Label sleep = new Label();
    // Gate 24h, for IRQ 4: the handler, present, interrupt gate.
    a.lea(RAX, rip(handler));
    a.mov(RDI, 0x20000 + 0x24 * 16);
    a.mov(ptr(RDI).w(), AX);
    a.mov(BX, CS);
    a.mov(ptr(RDI, 2).w(), BX);
    a.mov(ptr(RDI, 4).w(), 0x8E00);
    a.shr(RAX, 16);
    a.mov(ptr(RDI, 6).w(), AX);
    a.lidt(rip(idtr));
    int[][] writes = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0xEF}};
    for (int[] write : writes) {
      a.mov(AL, write[1]);
      a.out(write[0], AL);
    }
    int[][] serial = {{0x3FA, 1}, {0x3F9, 1}, {0x3FC, 0x0B}};
    for (int[] write : serial) {
      a.mov(DX, write[0]);
      a.mov(AL, write[1]);
      a.out(DX, AL);
    }
    prompt(a);
    a.sti();
    a.bind(sleep);
    a.hlt();
    a.jmp(sleep);
    a.align(8);
    a.bind(idtr);
    a.dw(0xFFF);
    a.dq(0x20000);
    a.align(16);
    a.bind(handler);
    Label goOn = new Label();
    a.mov(DX, 0x3F8);
    a.in(AL, DX);
    a.cmp(AL, CTRL_D);
    a.jne(goOn);
    TestGuests.exit(a, 0);
    a.bind(goOn);
    a.out(DX, AL);
    a.mov(AL, 0x20);
    a.out(0x20, AL);
    a.iretq();
  }

  @ParameterizedTest
  @ValueSource(strings = {"native", "ept", "shadow"})
  void shouldWakeASleepingGuestAndReplayThat(String mode) throws IOException {
    PipedOutputStream keys = new PipedOutputStream();
    FakeTerminal terminal = new FakeTerminal(new PipedInputStream(keys));
    // Each key when the guest has echoed the one before, so that it sleeps meanwhile.
    ByteArrayOutputStream out = new Typist(keys, "a", "b", "\4");
    Path log = directory.resolve("log");
    Cli.Result result = type(terminal, out,
        TestGuests.arguments(directory, "run", ConsoleTest::sleeper, "--mode", mode, "--record",
        log.toString()));
    assertThat(result.out()).startsWith("> ab");
    assertThat(result.code()).isEqualTo(ExitCode.DONE);
    Cli.Result replayed =
        Cli.run(TestGuests.arguments(directory, "run", ConsoleTest::sleeper, "--mode", mode, "--replay",
        log.toString()));
    assertThat(replayed.out()).isEqualTo("> ab");
    assertThat(replayed.err()).isEqualTo(result.err());
    assertThat(replayed.code()).isEqualTo(ExitCode.DONE);
  }
}
