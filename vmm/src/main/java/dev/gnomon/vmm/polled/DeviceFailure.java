package dev.gnomon.vmm.polled;

/** What is said of devices that fail. Their own code has a part in that, too, and must not fail it. */
public final class DeviceFailure {
  private static final int MOST = 500;

  private DeviceFailure() {}

  /** What a device has thrown, in one line; there may be little memory left. */
  public static String describe(Throwable thrown) {
    try {
      return oneLine(thrown.toString());
    } catch (Throwable e) {
      try {
        return thrown.getClass().getName() + ", which cannot be described";
      } catch (Throwable again) {
        return "an error that cannot be described";
      }
    }
  }

  /** A device's words in a line that is not too long. */
  static String oneLine(String text) {
    String line = text.strip().replaceAll("\\s*[\\r\\n]+\\s*", " ");
    return line.length() > MOST ? line.substring(0, MOST) + " ..." : line;
  }

  /** Where a thread is in code that is the device's own; empty if that cannot be told. */
  static String place(Thread where) {
    for (StackTraceElement frame : where.getStackTrace()) {
      String type = frame.getClassName();
      boolean others = type.startsWith("java.") || type.startsWith("jdk.") || type.equals(GatedAccess.class.getName())
          || type.startsWith("dev.gnomon.vmm.polled.dma.");
      if (!others) {
        return ", at " + frame;
      }
    }
    return "";
  }
}
