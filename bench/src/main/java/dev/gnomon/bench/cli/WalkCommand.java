package dev.gnomon.bench.cli;

import dev.gnomon.bench.AddressWalk;
import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.bench.Provenance;
import dev.gnomon.bench.WalkReport;
import dev.gnomon.bench.report.Format;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vcpu;
import dev.gnomon.vmm.device.ByteSink;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code gnomon walk}. */
@Command(name = "walk",
    description = {"Runs a guest to a point and shows how an address is translated there, step by step and without "
        + "any effect.",
        "Natively the guest's tables, under EPT both dimensions, under shadow paging the shadow tables and beside "
            + "them the guest's."},
    footer = {
        "  gnomon walk 0x100000000 gups --mode ept",
        "  gnomon walk 100000000 gups --mode shadow --at 3M -w -u",
        "  gnomon walk '$rip' --kernel memtest86+x64.bin -m 8M --at 20M -x --grid",
        "  gnomon walk 0x100000000 touchall --at begin --json"})
final class WalkCommand implements Callable<Integer> {
  private static final List<String> REGISTERS = List.of("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
      "r9", "r10", "r11", "r12", "r13", "r14", "r15");

  /** At most one of them. */
  static final class AccessKind {
    @Option(names = "-r", description = "Read (default).")
    private boolean read;
    @Option(names = "-w", description = "Write.")
    private boolean write;
    @Option(names = "-x", description = "Instruction fetch.")
    private boolean fetch;
  }

  /** At most one of them. */
  static final class Privilege {
    @Option(names = "-u", description = "By user mode. Default: what the processor is in.")
    private boolean user;
    @Option(names = "-s", description = "By supervisor mode.")
    private boolean supervisor;
  }

  @ParentCommand
  private Gnomon gnomon;
  @Spec
  private CommandSpec spec;
  @Parameters(index = "0", paramLabel = "ADDRESS",
      description = "Linear address in hexadecimal; or a register such as $rsp, or a workload's label; each with "
          + "+0xN behind it if you like.")
  private String address;
  @Parameters(index = "1", arity = "0..1", paramLabel = "WORKLOAD",
      description = "Workload, as NAME or NAME:key=value,…")
  private String workload;
  @Option(names = "--mode", paramLabel = "MODE", converter = ModeConverter.class, defaultValue = "ept",
      description = "native, ept or shadow. Default: ${DEFAULT-VALUE}.")
  private Mode mode;
  @Option(names = "--at", paramLabel = "POINT",
      description = "Where to stop: after a number of instructions (20M), or at the begin or end of the measured "
          + "region. Default: end for a workload, "
          + "100M for a kernel; earlier if the guest ends.")
  private String at;
  @ArgGroup
  private AccessKind kind = new AccessKind();
  @ArgGroup
  private Privilege privilege = new Privilege();
  @Option(names = "--vcpu", paramLabel = "N", converter = Quantity.Whole.class, defaultValue = "0",
      description = "Whose registers and tables, with --cpus. Default: ${DEFAULT-VALUE}.")
  private long vcpu;
  @Option(names = "--grid", description = "Also the matrix of read numbers.")
  private boolean grid;
  @Option(names = "--json", description = "The same as --out json:-.")
  private boolean json;
  @Mixin
  private GuestOptions guests = new GuestOptions();
  @Mixin
  private MachineOptions machine = new MachineOptions();
  @Mixin
  private CostOptions costs = new CostOptions();
  @Mixin
  private OutputOptions output = new OutputOptions();

  @Override
  public Integer call() throws IOException {
    Environment environment = gnomon.environment();
    output.check();
    CostModel costModel = costs.model();
    machine.checkVcpu(vcpu);
    Guest guest = guests.guest(workload, machine.seed);
    gnomon.environment().interruption().check();
    GuestRun run = new GuestRun(guest, machine.vmOptions(false, guests).withMode(mode), machine.memory != null,
        ByteSink.DISCARD, environment.interruption());
    RunResult result = runTo(run, guest);
    if (environment.interruption().requested()) {
      return Conclusion.ofMeasurement(run, result, environment);
    }
    Vcpu walker = run.vm().vcpus().get((int) vcpu);
    int access = (kind.fetch ? Access.FETCH : kind.write ? Access.WRITE : Access.READ)
        | (privilege.user ? Access.USER : privilege.supervisor ? 0 : AddressWalk.currentPrivilege(walker.cpu()));
    Map<String, String> described = MachineOptions.describe(run.vm().options(), true);
    WalkReport report = new AddressWalk(run.vm(), walker, resolve(walker.cpu(), guest), access)
        .report(new Provenance(Version.number(), "walk", described, costModel), guest.name(), grid);
    if (json) {
      spec.commandLine().getOut().print(Format.JSON.render(report));
      output.writeTargets(report, spec.commandLine().getOut());
    } else {
      output.write(report, spec.commandLine().getOut(), environment.outIsTerminal());
    }
    return ExitCode.DONE;
  }

  private RunResult runTo(GuestRun run, Guest guest) {
    String point = at != null ? at : guest.marksRegion() ? "end" : Long.toString(BudgetOptions.defaultFor(guest));
    boolean begin = point.equals("begin");
    if (!begin && !point.equals("end")) {
      try {
        return run.run(new Quantity.Count().convert(point), done -> { });
      } catch (TypeConversionException e) {
        throw new IllegalArgumentException("--at " + e.getMessage() + ", or begin or end", e);
      }
    }
    if (!guest.marksRegion()) {
      throw new IllegalArgumentException("--at " + point + ": " + guest.name()
          + " marks no region, expected a number of instructions");
    }
    return run.runToRegion(begin, BudgetOptions.defaultFor(guest));
  }

  private @Gva long resolve(Cpu cpu, Guest guest) {
    int plus = address.indexOf('+');
    String base = plus < 0 ? address : address.substring(0, plus);
    long offset = plus < 0 ? 0 : new Quantity.Address().convert(address.substring(plus + 1));
    if (base.startsWith("$")) {
      String name = base.substring(1).toLowerCase(Locale.ROOT);
      int register = REGISTERS.indexOf(name);
      if (register < 0 && !name.equals("rip") && !name.equals("cr2")) {
        throw new IllegalArgumentException("address '" + address + "': expected $rip, $cr2, or one of $"
            + String.join(", $", REGISTERS));
      }
      return (register >= 0 ? cpu.regs[register] : name.equals("rip") ? cpu.rip : cpu.cr2) + offset;
    }
    Long symbol = guest.symbols().get(base);
    if (symbol != null) {
      return symbol + offset;
    }
    try {
      return new Quantity.Address().convert(base) + offset;
    } catch (TypeConversionException e) {
      throw new IllegalArgumentException("address " + e.getMessage()
          + (guest.symbols().isEmpty() ? "" : ", or a label of the workload"), e);
    }
  }
}
