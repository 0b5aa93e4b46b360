package dev.gnomon.vmm.boot;

/**
 * An image, module or command line that cannot be booted. The message is one line: file, field with its offset, what
 * was found and expected.
 */
public final class ImageException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /**
   * @param file the file's name, as the user gave it
   * @param problem the rest of the line
   */
  public ImageException(String file, String problem) {
    super(oneLine(file) + ": " + problem);
  }

  private static String oneLine(String text) {
    return text.replaceAll("\\p{Cntrl}", "?");
  }
}
