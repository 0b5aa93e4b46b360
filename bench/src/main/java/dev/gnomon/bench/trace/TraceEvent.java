package dev.gnomon.bench.trace;

/**
 * One event.
 *
 * @param vcpu whose turn it was
 * @param ns virtual time
 * @param instructions retired before it, by all vCPUs
 * @param values one a field of the tracepoint
 */
record TraceEvent(int vcpu, long ns, long instructions, Tracepoint point, Object[] values) {
  @Override
  public String toString() {
    return point.eventName() + ": " + point.format(values);
  }
}
