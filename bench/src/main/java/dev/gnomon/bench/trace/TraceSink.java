package dev.gnomon.bench.trace;

import java.io.IOException;
import java.io.Writer;

/** Writes a trace in one form as it comes. */
public abstract class TraceSink {
  /** What a trace is of. @param mode the machine's */
  public record Subject(String guest, String mode) {}

  /** The forms. */
  public enum Form {
    TEXT, JSON, PERFETTO, SPEEDSCOPE
  }

  final Writer out;

  TraceSink(Writer out) {
    this.out = out;
  }

  /** A sink of that form. @param cycles prices exits, for {@link Form#SPEEDSCOPE} */
  public static TraceSink of(Form form, Writer out, Subject subject, ExitPrice cycles) {
    return switch (form) {
      case TEXT -> new TextTrace(out);
      case JSON -> new JsonLinesTrace(out);
      case PERFETTO -> new PerfettoTrace(out, subject);
      case SPEEDSCOPE -> new SpeedscopeTrace(out, subject, cycles);
    };
  }

  /** Cycles of a reason and cause. */
  public interface ExitPrice {
    double exit(String reason, String cause);

    double instruction();
  }

  /** Before the first event, at that virtual time and count. */
  abstract void begin(long ns, long instructions) throws IOException;

  abstract void event(TraceEvent event) throws IOException;

  /** The hypervisor is done with an exit. @param cause empty if the reason has none */
  void exitHandled(String reason, String cause, long ns, long instructions) throws IOException {}

  /** Behind the last event. */
  abstract void end(long ns, long instructions) throws IOException;
}
