package dev.gnomon.bench.trace;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * speedscope's evented profile: guest, exit reason and below it the cause, one after the other. Its axis is modelled
 * cycles, instructions and exits by the cost table, because exits take no virtual time and would not be seen.
 */
final class SpeedscopeTrace extends TraceSink {
  private static final String SCHEMA = "https://www.speedscope.app/file-format-schema.json";

  private final Subject subject;
  private final ExitPrice price;
  private final Map<String, Integer> frames = new LinkedHashMap<>();
  private final StringWriter events = new StringWriter();
  private final JsonGenerator json;
  private long at;
  private long last;

  SpeedscopeTrace(Writer out, Subject subject, ExitPrice price) {
    super(out);
    this.subject = subject;
    this.price = price;
    this.json = JsonLinesTrace.generator(events);
  }

  @Override
  void begin(long ns, long instructions) throws IOException {
    last = instructions;
    json.writeStartArray();
  }

  @Override
  void event(TraceEvent event) {}

  @Override
  void exitHandled(String reason, String cause, long ns, long instructions) throws IOException {
    guest(instructions);
    open(reason);
    if (!cause.isEmpty()) {
      open(cause);
    }
    at += Math.round(price.exit(reason, cause));
    if (!cause.isEmpty()) {
      close(cause);
    }
    close(reason);
  }

  private void guest(long instructions) throws IOException {
    if (instructions > last) {
      open("guest");
      at += Math.round((instructions - last) * price.instruction());
      close("guest");
      last = instructions;
    }
  }

  private void open(String frame) throws IOException {
    write("O", frame);
  }

  private void close(String frame) throws IOException {
    write("C", frame);
  }

  private void write(String type, String frame) throws IOException {
    json.writeStartObject();
    json.writeStringField("type", type);
    json.writeNumberField("frame", frames.computeIfAbsent(frame, name -> frames.size()));
    json.writeNumberField("at", at);
    json.writeEndObject();
  }

  @Override
  void end(long ns, long instructions) throws IOException {
    guest(instructions);
    json.writeEndArray();
    json.close();
    JsonGenerator file = JsonLinesTrace.generator(out);
    file.writeStartObject();
    file.writeStringField("$schema", SCHEMA);
    file.writeStringField("exporter", "gnomon");
    file.writeStringField("name", subject.guest() + " under " + subject.mode());
    file.writeObjectFieldStart("shared");
    file.writeArrayFieldStart("frames");
    for (String frame : frames.keySet()) {
      file.writeStartObject();
      file.writeStringField("name", frame);
      file.writeEndObject();
    }
    file.writeEndArray();
    file.writeEndObject();
    file.writeArrayFieldStart("profiles");
    file.writeStartObject();
    file.writeStringField("type", "evented");
    file.writeStringField("name", "modelled cycles");
    file.writeStringField("unit", "none");
    file.writeNumberField("startValue", 0);
    file.writeNumberField("endValue", at);
    file.writeFieldName("events");
    file.writeRawValue(events.toString());
    file.writeEndObject();
    file.writeEndArray();
    file.writeEndObject();
    file.flush();
    out.write("\n");
  }
}
