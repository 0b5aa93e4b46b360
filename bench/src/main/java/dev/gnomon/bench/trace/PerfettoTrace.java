package dev.gnomon.bench.trace;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.Writer;
import java.math.BigDecimal;

/**
 * Chrome's trace event format (JSON), which Perfetto's viewer opens: a lane for the guest, with a slice from each entry
 * to the next exit, and one for the hypervisor, with a slice of no length for each exit, whose handling takes no
 * virtual time, and an instant for every other event. Times are virtual, in microseconds.
 */
final class PerfettoTrace extends TraceSink {
  private static final int GUEST = 1;
  private static final int HYPERVISOR = 2;

  private final JsonGenerator json;
  private final Subject subject;
  private long entered;
  private long enteredInstructions;
  private boolean inside = true;

  PerfettoTrace(Writer out, Subject subject) {
    super(out);
    this.subject = subject;
    json = JsonLinesTrace.generator(out);
  }

  @Override
  void begin(long ns, long instructions) throws IOException {
    entered = ns;
    enteredInstructions = instructions;
    json.writeStartObject();
    json.writeStringField("displayTimeUnit", "ns");
    json.writeArrayFieldStart("traceEvents");
    name("process_name", GUEST, subject.guest() + " under " + subject.mode());
    name("thread_name", GUEST, "guest");
    name("thread_name", HYPERVISOR, "hypervisor");
  }

  private void name(String what, int thread, String name) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", what);
    json.writeStringField("ph", "M");
    json.writeNumberField("pid", 1);
    json.writeNumberField("tid", thread);
    json.writeObjectFieldStart("args");
    json.writeStringField("name", name);
    json.writeEndObject();
    json.writeEndObject();
  }

  private void start(String name, String phase, int thread, long ns) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", name);
    json.writeStringField("ph", phase);
    json.writeNumberField("pid", 1);
    json.writeNumberField("tid", thread);
    json.writeNumberField("ts", BigDecimal.valueOf(ns, 3));
  }

  @Override
  void event(TraceEvent event) throws IOException {
    switch (event.point()) {
      case KVM_ENTRY -> {
        entered = event.ns();
        enteredInstructions = event.instructions();
        inside = true;
      }
      case KVM_EXIT -> {
        guestSlice(event.ns(), event.instructions());
        start((String) event.values()[1], "X", HYPERVISOR, event.ns());
        json.writeNumberField("dur", 0);
        finish(event);
      }
      default -> {
        start(event.point().eventName(), "i", event.point().in("guest") || event.point().in("tlb") ? GUEST : HYPERVISOR,
            event.ns());
        json.writeStringField("s", "t");
        finish(event);
      }
    }
  }

  private void finish(TraceEvent event) throws IOException {
    json.writeObjectFieldStart("args");
    JsonLinesTrace.writeFields(json, event);
    json.writeNumberField("instructions", event.instructions());
    json.writeEndObject();
    json.writeEndObject();
  }

  private void guestSlice(long ns, long instructions) throws IOException {
    if (inside && ns > entered) {
      start("guest", "X", GUEST, entered);
      json.writeNumberField("dur", BigDecimal.valueOf(ns - entered, 3));
      json.writeObjectFieldStart("args");
      json.writeNumberField("instructions", instructions - enteredInstructions);
      json.writeEndObject();
      json.writeEndObject();
    }
    inside = false;
  }

  @Override
  void end(long ns, long instructions) throws IOException {
    guestSlice(ns, instructions);
    json.writeEndArray();
    json.writeEndObject();
    json.flush();
    out.write("\n");
  }
}
