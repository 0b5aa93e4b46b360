package dev.gnomon.workloads;

import java.util.List;

/** A kind of guest program. Implementations hold no state. */
public interface Workload {
  /** Name on the command line: lower case, unique in the catalogue. */
  String name();

  /** What it does, in a sentence of at most one line. */
  String description();

  /** The parameters that it takes, in the order to show them. */
  List<Parameter> parameters();

  /**
   * Builds the guest. Equal values give equal bytes.
   *
   * @param values of this workload's parameters, from {@link Parameters#parse} or {@link Parameters#defaults}
   * @throws IllegalArgumentException if values do not fit together
   */
  GuestProgram build(Parameters values);

  /** Builds the guest with all parameters at their defaults. */
  default GuestProgram build() {
    return build(Parameters.defaults(this));
  }
}
