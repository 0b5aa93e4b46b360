package dev.gnomon.bench.cli;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.ExitCount;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.trace.TraceSink;
import dev.gnomon.bench.trace.Tracepoint;
import dev.gnomon.bench.trace.Tracer;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.device.ByteSink;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.TypeConversionException;

/** {@code gnomon trace}. */
@Command(name = "trace",
    description = {"Runs a guest and tells of each event as the kernel's ftrace does, with KVM's names, fields and "
        + "formats.",
        "Times are virtual: handling an exit takes none."},
    footer = {
        "  gnomon trace ptchurn:iterations=20 --mode shadow --events exit,page_fault,mmu",
        "  gnomon trace gups:updates=100 --mode ept --region --out perfetto:gups.json",
        "  gnomon trace ptchurn --mode shadow --out speedscope:ptchurn.speedscope.json",
        "  gnomon trace --kernel vmlinuz --append console=ttyS0 -m 128M --from 100M --max-events 1000 --out json:-"})
final class TraceCommand implements Callable<Integer> {
  /** @param file null for standard output */
  private record Target(TraceSink.Form form, Path file) {}

  @ParentCommand
  private Gnomon gnomon;
  @Parameters(arity = "0..1", paramLabel = "WORKLOAD", description = "Workload, as NAME or NAME:key=value,…")
  private String workload;
  @Option(names = "--mode", paramLabel = "MODE", converter = ModeConverter.class, defaultValue = "ept",
      description = "native, ept or shadow. Default: ${DEFAULT-VALUE}.")
  private Mode mode;
  @Option(names = "--events", paramLabel = "EVENT", split = ",", defaultValue = "exit,page_fault,inject",
      description =
          "Groups exit, page_fault, inject, mmu, mmio, pio, cr, msr, cpuid, hypercall, emulate, guest (delivered "
          + "events), tlb or all, or tracepoints such as kvm_mmu_set_spte. Default: ${DEFAULT-VALUE}.")
  private List<String> events;
  @Option(names = "--region", description = "Only the region that the guest marks.")
  private boolean region;
  @Option(names = "--from", paramLabel = "N", converter = Quantity.Count.class, defaultValue = "0",
      description = "Begin when so many instructions have retired.")
  private long from;
  @Option(names = "--max-events", paramLabel = "N", converter = Quantity.Count.class,
      description = "End after so many events. Default: none.")
  private Long maxEvents;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Mixin
  private BudgetOptions budget = new BudgetOptions();
  @Mixin
  private CostOptions costs = new CostOptions();
  @Option(names = "--out", paramLabel = "FORM:FILE", converter = TargetConverter.class,
      description =
          "text, json (one object a line), perfetto (Chrome's JSON, for ui.perfetto.dev) or speedscope; FILE - is "
          + "stdout. May be repeated. Default: text:-.")
  private List<Object> targets = List.of();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    Set<Tracepoint> points = points();
    CostModel costModel = costs.model();
    List<Target> outs = targets.isEmpty() ? List.of(new Target(TraceSink.Form.TEXT, null))
        : targets.stream().map(Target.class::cast).toList();
    for (Target out : outs) {
      if (out.file != null) {
        InputFile.checkTarget("--out", out.file);
      }
    }
    Guest guest = guests.guest(workload, machine.seed);
    environment.interruption().check();
    if (region && !guest.marksRegion()) {
      throw new IllegalArgumentException("--region: " + guest.name() + " marks none, expected a workload");
    }
    GuestRun run = new GuestRun(guest, machine.vmOptions(false, guests).withMode(mode), machine.memory != null,
        ByteSink.DISCARD, environment.interruption());
    List<Writer> writers = new ArrayList<>();
    try {
      TraceSink.Subject subject = new TraceSink.Subject(guest.name(), mode.toString());
      List<TraceSink> sinks = new ArrayList<>();
      for (Target out : outs) {
        Writer writer = out.file != null ? Files.newBufferedWriter(out.file)
            : new BufferedWriter(new OutputStreamWriter(environment.out(), StandardCharsets.UTF_8));
        writers.add(writer);
        sinks.add(TraceSink.of(out.form, writer, subject, price(costModel)));
      }
      long limit = maxEvents == null ? Long.MAX_VALUE : maxEvents;
      Tracer tracer = new Tracer(run.vm(), points, sinks, limit, run::stop);
      RunResult result = trace(run, tracer);
      for (Writer writer : writers) {
        writer.flush();
      }
      environment.err().println(String.format(Locale.ROOT, "gnomon: %,d events in %,d instructions", tracer.events(),
          run.vm().retired()));
      return tracer.events() >= limit || run.region().complete() && region ? ExitCode.DONE
          : Conclusion.ofMeasurement(run, result, environment);
    } finally {
      for (int i = 0; i < writers.size(); i++) {
        if (outs.get(i).file != null) {
          writers.get(i).close();
        }
      }
    }
  }

  private RunResult trace(GuestRun run, Tracer tracer) {
    long instructions = budget.instructions(run.guest());
    RunResult result = null;
    if (region) {
      result = run.runToRegion(true, instructions);
    } else if (from > 0) {
      result = run.run(Math.min(from, instructions), done -> { });
    }
    tracer.attach();
    tracer.begin();
    tracer.enable(true);
    if (result == null || result.resumable()) {
      result = region ? run.runToRegion(false, instructions) : run.run(instructions, done -> { });
    }
    tracer.enable(false);
    tracer.end();
    return result;
  }

  private Set<Tracepoint> points() {
    Set<Tracepoint> points = EnumSet.noneOf(Tracepoint.class);
    for (String word : events) {
      Set<Tracepoint> named = word.equals("all") ? EnumSet.allOf(Tracepoint.class) : Tracepoint.named(word);
      if (named.isEmpty()) {
        throw new IllegalArgumentException("--events '" + word + "': expected " + String.join(", ", Tracepoint.GROUPS)
            + ", all or a tracepoint such as kvm_exit");
      }
      points.addAll(named);
    }
    return points;
  }

  private static TraceSink.ExitPrice price(CostModel costs) {
    return new TraceSink.ExitPrice() {
      @Override
      public double exit(String reason, String cause) {
        return costs.exitCost(new ExitCount(reason, cause, 1));
      }

      @Override
      public double instruction() {
        return costs.cost("instruction");
      }
    };
  }

  /** Reads {@code --out}. */
  static final class TargetConverter implements ITypeConverter<Object> {
    @Override
    public Object convert(String text) {
      int colon = text.indexOf(':');
      for (TraceSink.Form form : TraceSink.Form.values()) {
        if (colon > 0 && colon < text.length() - 1 && form.name().equalsIgnoreCase(text.substring(0, colon))) {
          String file = text.substring(colon + 1);
          return new Target(form, file.equals("-") ? null : Path.of(file));
        }
      }
      throw new TypeConversionException("'" + text
          + "': expected text:FILE, json:FILE, perfetto:FILE or speedscope:FILE");
    }
  }
}
