package dev.gnomon.bench.trace;

import java.io.IOException;
import java.io.Writer;

/** The kernel's ftrace text: task, processor, flags, time in seconds, event. */
final class TextTrace extends TraceSink {
  private static final int TASK_WIDTH = 18;
  private static final long NS_PER_SECOND = 1_000_000_000;

  TextTrace(Writer out) {
    super(out);
  }

  @Override
  void begin(long ns, long instructions) throws IOException {
    out.write("# tracer: nop\n#\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
        + "#              | |         |   |||||     |         |\n");
  }

  @Override
  void event(TraceEvent event) throws IOException {
    String task = "vcpu" + event.vcpu() + '-' + (event.vcpu() + 1);
    out.write(" ".repeat(TASK_WIDTH - task.length()) + task + String.format("       [%03d] d..1. ", event.vcpu()));
    String seconds = Long.toString(event.ns() / NS_PER_SECOND);
    out.write(" ".repeat(Math.max(0, 5 - seconds.length())) + seconds + '.');
    String rest = Long.toString(event.ns() % NS_PER_SECOND);
    out.write("0".repeat(9 - rest.length()) + rest + ": " + event + '\n');
  }

  @Override
  void end(long ns, long instructions) {}
}
