package dev.gnomon.bench.trace;

/**
 * One event.
 *
 * @param ns virtual time
 * @param instructions retired before it
 * @param values one a field of the tracepoint
 */
record TraceEvent(long ns, long instructions, Tracepoint point, Object[] values) {
  @Override
  public String toString() {
    return point.eventName() + ": " + point.format(values);
  }
}
