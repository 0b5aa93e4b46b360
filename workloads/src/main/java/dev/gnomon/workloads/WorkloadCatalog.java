package dev.gnomon.workloads;

import java.util.List;

/** All workloads by name. */
public final class WorkloadCatalog {
  private static final List<Workload> ALL = List.of(
      new WalkProbe(), new Gups(), new PtrChase(), new TouchAll(), new PfLoop(), new PtChurn(), new CtxSwitch(),
      new ForkCow(), new Protect(), new MapUnmap(), new SystemCallLoop(false), new SystemCallLoop(true), new Phases(),
      new Polled());

  private WorkloadCatalog() {}

  /** In the order to show them. */
  public static List<Workload> all() {
    return ALL;
  }

  /**
   * The workload of a name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Workload find(String name) {
    for (Workload workload : ALL) {
      if (workload.name().equals(name)) {
        return workload;
      }
    }
    List<String> names = ALL.stream().map(Workload::name).toList();
    throw new IllegalArgumentException("no workload \"" + name + "\"" + NearMiss.suggest(name, names) + "; there are "
        + String.join(", ", names));
  }

  /**
   * Builds the guest of {@code name} or {@code name:key=value,key=value}.
   *
   * @throws IllegalArgumentException if the workload or a parameter is unknown or a value out of range
   */
  public static GuestProgram build(String text) {
    int colon = text.indexOf(':');
    Workload workload = find(colon < 0 ? text : text.substring(0, colon));
    return workload.build(Parameters.parse(workload, colon < 0 ? "" : text.substring(colon + 1)));
  }
}
