package dev.gnomon.bench.cli;

import dev.gnomon.vmm.Mode;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a mode's name. */
final class ModeConverter implements ITypeConverter<Mode> {
  @Override
  public Mode convert(String text) {
    try {
      return Mode.parse(text.strip());
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("'" + text + "': expected native, ept or shadow");
    }
  }
}
