package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.DirtyLogPlan;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.RunReport;
import dev.gnomon.bench.console.Session;
import dev.gnomon.bench.polled.ThreadPolling;
import dev.gnomon.bench.report.TextRenderer;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmOptions;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code gnomon run}. */
@Command(name = "run",
    description = {"Runs one guest with its serial console on stdout.",
        "A guest that ends itself by port 0xF4 (isa-debug-exit) succeeds if it writes 0; a workload also if its "
            + "result is right. A guest that halts for "
            + "ever or resets the machine is done.",
        "On a terminal the console is interactive: Ctrl-A X leaves, Ctrl-A H tells what else there is."},
    footer = {
        "  gnomon run --kernel memtest86+x64.bin --append \"console=ttyS0,115200 nosmp\" -m 8M --mode ept",
        "  gnomon run ptchurn --mode shadow --stats",
        "  gnomon run --kernel vmlinuz --initrd initrd.cpio -m 128M --mode ept --dirty-log pml --dirty-period 10M",
        "  gnomon run --kernel kernel.elf --max-instructions 100M --screen",
        "  gnomon run --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0 -m 128M --record session.log",
        "  gnomon run --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0 -m 128M --replay session.log --mode ept",
        "  gnomon run --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0 -m 128M --polled request --poll-thread adaptive",
        "  gnomon run --kernel boot.bin --flat --expect 'login: ' --send 'root\\n' --expect '# ' --send 'poweroff\\n'",
        "  gnomon run --kernel boot.bin --flat --entry real --load-address 7c00",
        "  gnomon run --bios bios-256k.bin --disk disk.img --debugcon bios.log"})
final class RunCommand implements Callable<Integer> {
  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(arity = "0..1", paramLabel = "WORKLOAD", description = "Workload, as NAME or NAME:key=value,…")
  private String workload;
  @Option(names = "--mode", paramLabel = "MODE", converter = ModeConverter.class, defaultValue = "native",
      description = "native, ept or shadow. Default: ${DEFAULT-VALUE}.")
  private Mode mode;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Option(names = "--max-instructions", paramLabel = "N", converter = Quantity.Count.class,
      description = "Instruction budget, such as 100M or 4.3G. Default: none.")
  private Long maxInstructions;
  @Option(names = "--count", negatable = true, fallbackValue = "true",
      description = "Count TLB misses and walks, which costs speed. Default: only with --tlb.")
  private Boolean count;
  @Option(names = "--poll-thread", paramLabel = "WHEN",
      description = "Devices of --polled are polled by threads of the host, in its time: spin, park[=SPIN:PAUSE], "
          + "period=TIME or adaptive[=MOST:PAUSE]. Such a run is not reproducible.")
  private String pollThread;
  @Option(names = "--screen", description = "Print the VGA text screen at the end.")
  private boolean screen;
  @Option(names = "--stats", description = "Print all counters at the end.")
  private boolean stats;
  @Mixin
  private ConsoleOptions consoles = new ConsoleOptions();
  @Mixin
  private DirtyLogOptions dirtyLog = new DirtyLogOptions();
  @Mixin
  private CostOptions costs = new CostOptions();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    PrintWriter out = spec.commandLine().getOut();
    if (Boolean.FALSE.equals(count) && machine.tlb instanceof dev.gnomon.guest.mmu.TlbPolicy.Counted) {
      throw new IllegalArgumentException("--no-count and --tlb contradict each other: expected one of them");
    }
    output.check();
    CostModel costModel = costs.model();
    VmOptions options = machine.vmOptions(Boolean.TRUE.equals(count), guests).withMode(mode);
    ThreadPolling threads = pollThread == null ? null : ThreadPolling.parse(pollThread);
    if (threads != null && consoles.logs()) {
      throw new IllegalArgumentException("--poll-thread with --record or --replay: expected one of them, as a run "
          + "with threads of the host cannot be had again");
    }
    Guest guest = guests.guest(workload, machine.seed, threads);
    ConsoleStream stream = new ConsoleStream(output.takesStdout() ? null : environment.out(), environment.err());
    Session session = consoles.session(stream);
    GuestRun run = new GuestRun(guest, options, machine.memory != null, session, environment.interruption());
    run.pollOnThreads(threads);
    DirtyLogPlan plan = dirtyLog.plan();
    if (plan != null) {
      run.logDirtyPages(plan);
    }
    consoles.begin(session, run);
    boolean left;
    RunResult result;
    try (ConsoleOptions.Typing typing = consoles.typing(session, run, stream::flush, environment)) {
      result = run.run(maxInstructions == null ? Long.MAX_VALUE : maxInstructions, done -> stream.flush());
      left = typing.left();
    }
    String problem = session.end(result);
    stream.finish(environment.outIsTerminal());
    Provenance provenance = new Provenance(Version.number(), "run", MachineOptions.describe(run.vm().options(), true),
        costModel);
    RunReport report = RunReport.of(run, provenance, costModel);
    if (screen) {
      run.vm().platform().screen().screenText().forEach(line -> out.println(line.stripTrailing()));
    }
    if (stats) {
      out.print(TextRenderer.render(report.blocks(), environment.outIsTerminal()));
    } else if (plan != null && !output.takesStdout()) {
      out.print(TextRenderer.render(report.dirtyBlocks(), environment.outIsTerminal()));
    }
    output.writeTargets(report, out);
    if (run.notReproducible() != null) {
      environment.err().println("gnomon: not reproducible: " + run.notReproducible());
    }
    if (problem != null) {
      environment.err().println("gnomon: " + problem);
      return ExitCode.CHECK_FAILED;
    }
    if (left || session.replayed() && result.resumable()) {
      environment.err().println("gnomon: " + (left ? "left" : "end of the replayed log")
          + String.format(Locale.ROOT, " after %,d instructions", run.vm().retired()));
      return ExitCode.DONE;
    }
    return Conclusion.ofRun(run, result, environment);
  }

  /** The guest's serial console on a stream, flushed from time to time. */
  private static final class ConsoleStream implements dev.gnomon.vmm.device.ByteSink {
    private static final int BUFFER = 1 << 13;

    private final OutputStream out;
    private final PrintWriter fallback;
    private final byte[] buffer = new byte[BUFFER];
    private int length;
    private int last = '\n';

    /** @param out null to use {@code fallback} */
    ConsoleStream(OutputStream out, PrintWriter fallback) {
      this.out = out;
      this.fallback = fallback;
    }

    @Override
    public void accept(int value) {
      buffer[length++] = (byte) value;
      last = value;
      if (length == BUFFER) {
        flush();
      }
    }

    void flush() {
      if (length == 0) {
        return;
      }
      try {
        if (out != null) {
          out.write(buffer, 0, length);
          out.flush();
        } else {
          fallback.print(new String(buffer, 0, length, StandardCharsets.ISO_8859_1));
          fallback.flush();
        }
      } catch (IOException e) {
        // Nobody reads the console any more (a closed pipe); the run goes on.
        length = 0;
      }
      length = 0;
    }

    void finish(boolean terminal) {
      if (terminal && last != '\n') {
        accept('\n');
      }
      flush();
    }
  }
}
