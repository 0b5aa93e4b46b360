package dev.gnomon.bench.trace;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.MinimalPrettyPrinter;
import java.io.IOException;
import java.io.Writer;

/**
 * One JSON object a line; addresses and codes are strings with 0x, since JSON's readers lose digits of 64-bit numbers.
 */
final class JsonLinesTrace extends TraceSink {
  private final JsonGenerator json;

  JsonLinesTrace(Writer out) {
    super(out);
    json = generator(out);
    json.setPrettyPrinter(new MinimalPrettyPrinter("\n"));
  }

  static JsonGenerator generator(Writer out) {
    try {
      JsonGenerator generator = new JsonFactory().createGenerator(out);
      generator.disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
      return generator;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  static void writeFields(JsonGenerator json, TraceEvent event) throws IOException {
    for (int i = 0; i < event.values().length; i++) {
      Tracepoint.Field field = event.point().fields().get(i);
      Object value = event.values()[i];
      switch (field.kind()) {
        case DECIMAL -> json.writeNumberField(field.name(), (Long) value);
        case HEXADECIMAL -> json.writeStringField(field.name(), "0x" + Long.toHexString((Long) value));
        case TEXT -> json.writeStringField(field.name(), (String) value);
      }
    }
  }

  @Override
  void begin(long ns, long instructions) {}

  @Override
  void event(TraceEvent event) throws IOException {
    json.writeStartObject();
    json.writeNumberField("ns", event.ns());
    json.writeNumberField("instructions", event.instructions());
    json.writeStringField("event", event.point().eventName());
    writeFields(json, event);
    json.writeEndObject();
  }

  @Override
  void end(long ns, long instructions) throws IOException {
    json.flush();
    out.write("\n");
  }
}
