package dev.gnomon.workloads;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** Values of one workload's parameters, each within its range. */
public final class Parameters {
  private final Workload workload;
  private final Map<String, Long> values = new LinkedHashMap<>();

  private Parameters(Workload workload) {
    this.workload = workload;
    for (Parameter parameter : workload.parameters()) {
      values.put(parameter.name(), parameter.defaultValue());
    }
  }

  public static Parameters defaults(Workload workload) {
    return new Parameters(workload);
  }

  /**
   * Reads {@code key=value,key=value}; what is not named keeps its default.
   *
   * @throws IllegalArgumentException if a key is unknown or given twice, or a value is out of range
   */
  public static Parameters parse(Workload workload, String text) {
    Parameters parameters = new Parameters(workload);
    if (text.isEmpty()) {
      return parameters;
    }
    Map<String, String> given = new LinkedHashMap<>();
    for (String pair : text.split(",", -1)) {
      int equals = pair.indexOf('=');
      if (equals <= 0) {
        throw new IllegalArgumentException("workload " + workload.name() + ": \"" + pair + "\": expected key=value");
      }
      if (given.put(pair.substring(0, equals), pair.substring(equals + 1)) != null) {
        throw new IllegalArgumentException(
            "workload " + workload.name() + ": " + pair.substring(0, equals) + " is given twice");
      }
    }
    given.forEach((key, value) -> parameters.values.put(key, parameters.find(key).parse(workload.name(), value)));
    return parameters;
  }

  private Parameter find(String key) {
    List<String> names = workload.parameters().stream().map(Parameter::name).toList();
    for (Parameter parameter : workload.parameters()) {
      if (parameter.name().equals(key)) {
        return parameter;
      }
    }
    throw new IllegalArgumentException("workload " + workload.name() + " has no parameter \"" + key + "\""
        + NearMiss.suggest(key, names) + "; it takes " + String.join(", ", names));
  }

  /** These values with one replaced, for sweeps; {@code text} is read as on the command line. */
  public Parameters with(String key, String text) {
    Parameters copy = new Parameters(workload);
    copy.values.putAll(values);
    copy.values.put(key, copy.find(key).parse(workload.name(), text));
    return copy;
  }

  /** A count, size or seed. */
  public long number(String key) {
    Long value = values.get(key);
    if (value == null) {
      throw new IllegalArgumentException("workload " + workload.name() + " has no parameter \"" + key + "\"");
    }
    return value;
  }

  int count(String key) {
    return Math.toIntExact(number(key));
  }

  /** The word of a choice. */
  public String choice(String key) {
    return find(key).choices().get(count(key));
  }

  boolean on(String key) {
    return number(key) != 0;
  }

  /** All values, in the order of the parameters: {@code size=16M,page=4k}. */
  @Override
  public String toString() {
    StringJoiner text = new StringJoiner(",");
    for (Parameter parameter : workload.parameters()) {
      text.add(parameter.name() + "=" + parameter.format(values.get(parameter.name())));
    }
    return text.toString();
  }
}
