package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.workloads.GuestProgram;
import dev.gnomon.workloads.Parameters;
import dev.gnomon.workloads.RegionMarker;
import dev.gnomon.workloads.Workload;
import dev.gnomon.workloads.WorkloadCatalog;
import dev.gnomon.workloads.kernel.Results;
import java.util.LinkedHashMap;
import java.util.Map;

/** A workload of the catalogue with its parameters. */
public final class WorkloadGuest implements Guest {
  private static final String SEED = "seed";
  /** Virtual time between two looks at the polled device: 10 µs. */
  private static final long POLL_PERIOD_NS = 10_000;

  private final GuestProgram program;

  /** The guest for a program of one's own. */
  public WorkloadGuest(GuestProgram program) {
    this.program = program;
  }

  /**
   * Builds the guest of {@code name} or {@code name:key=value,…}.
   *
   * @param seed for a workload that takes one and whose text does not name it; null for its default
   * @throws IllegalArgumentException if the workload or a parameter is unknown, or a value is out of range
   */
  public static WorkloadGuest parse(String text, Long seed) {
    int colon = text.indexOf(':');
    Workload workload = WorkloadCatalog.find(colon < 0 ? text : text.substring(0, colon));
    String values = colon < 0 ? "" : text.substring(colon + 1);
    Parameters parameters = Parameters.parse(workload, values);
    boolean takesSeed = workload.parameters().stream().anyMatch(parameter -> parameter.name().equals(SEED));
    if (seed != null && takesSeed && !("," + values).contains("," + SEED + "=")) {
      parameters = parameters.with(SEED, seed.toString());
    }
    return new WorkloadGuest(workload.build(parameters));
  }

  @Override
  public String name() {
    return program.name();
  }

  @Override
  public Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>();
    for (String pair : program.parameters().split(",")) {
      int equals = pair.indexOf('=');
      if (equals > 0) {
        parameters.put(pair.substring(0, equals), pair.substring(equals + 1));
      }
    }
    return parameters;
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return memoryGiven ? options : options.withMemoryBytes(Math.max(options.memoryBytes(), program.memoryBytes()));
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    builder.device(new RegionMarker(region));
    if (program.requestDevices()) {
      builder.requestDevices(POLL_PERIOD_NS);
    }
  }

  @Override
  public void boot(Vm vm) {
    if (vm.options().memoryBytes() < program.memoryBytes()) {
      throw new IllegalArgumentException("workload " + program.name() + ": " + vm.options().memoryBytes()
          + " bytes of memory: expected at least " + program.memoryBytes());
    }
    vm.boot(GuestImages.recognize(BootRequest.of(program.name(), program.image())));
  }

  @Override
  public Map<String, Long> symbols() {
    return program.symbols();
  }

  @Override
  public boolean marksRegion() {
    return true;
  }

  @Override
  public Verdict verdict(int status) {
    if (status == GuestProgram.SUCCESS) {
      return Verdict.SUCCESS;
    }
    return status == (Results.WRONG_RESULT << 1 | 1) ? Verdict.WRONG_RESULT : Verdict.FAILURE;
  }
}
