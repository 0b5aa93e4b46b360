package dev.gnomon.bench.cli;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Numbers with units on the command line. */
final class Quantity {
  private static final Pattern NUMBER = Pattern.compile("(\\d{1,18}(?:\\.\\d{1,9})?)([kKmMgGtT]?)(i?[bB])?");

  private Quantity() {}

  private static long parse(String text, long unit, long bare, String expected) {
    Matcher matcher = NUMBER.matcher(text.strip());
    if (matcher.matches() && (matcher.group(3) == null || unit == 1024)) {
      String suffix = matcher.group(2);
      long factor = suffix.isEmpty() ? matcher.group(3) == null ? bare : 1
          : power(unit, "kmgt".indexOf(Character.toLowerCase(suffix.charAt(0))) + 1);
      try {
        return new BigDecimal(matcher.group(1)).multiply(BigDecimal.valueOf(factor)).longValueExact();
      } catch (ArithmeticException e) {
        throw new TypeConversionException("'" + text + "': expected " + expected + ", below 2^63");
      }
    }
    throw new TypeConversionException("'" + text + "': expected " + expected);
  }

  private static long power(long base, int exponent) {
    long result = 1;
    for (int i = 0; i < exponent; i++) {
      result *= base;
    }
    return result;
  }

  /** Memory: {@code 8M}, {@code 1G}; as in QEMU a bare number is MiB. */
  static final class Memory implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      return parse(text, 1024, 1 << 20, "a size such as 8M or 1G (a bare number is MiB)");
    }
  }

  /** Counts: {@code 100M}, {@code 4.3G}, powers of 1000. */
  static final class Count implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      return parse(text, 1000, 1, "a count such as 5000, 100M or 4.3G");
    }
  }

  /** Times of the host in seconds: {@code 10}, {@code 0.5}, up to a day. */
  static final class Seconds implements ITypeConverter<Duration> {
    private static final Pattern NUMBER = Pattern.compile("\\d{1,5}(?:\\.\\d{1,9})?");
    private static final int NANOS = 9;

    @Override
    public Duration convert(String text) {
      if (NUMBER.matcher(text.strip()).matches()) {
        Duration duration = Duration.ofNanos(new BigDecimal(text.strip()).movePointRight(NANOS).longValueExact());
        if (duration.compareTo(Duration.ofDays(1)) <= 0) {
          return duration;
        }
      }
      throw new TypeConversionException("'" + text + "': expected seconds such as 10 or 0.5, up to 86400");
    }
  }

  /** Any 64-bit whole number, decimal or with 0x. */
  static final class Whole implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      try {
        return Long.decode(text.strip());
      } catch (NumberFormatException e) {
        throw new TypeConversionException("'" + text + "': expected a whole number");
      }
    }
  }

  /** Addresses: hexadecimal with or without 0x, up to 64 bits, underscores allowed. */
  static final class Address implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      String digits = text.strip().replace("_", "");
      digits = digits.startsWith("0x") || digits.startsWith("0X") ? digits.substring(2) : digits;
      if (!digits.matches("[0-9a-fA-F]{1,16}")) {
        throw new TypeConversionException("'" + text + "': expected a hexadecimal address such as 0x401000");
      }
      return Long.parseUnsignedLong(digits, 16);
    }
  }
}
