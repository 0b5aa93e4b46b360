package dev.gnomon.workloads.kernel;

/**
 * What a guest runs once its kernel is up.
 *
 * @param mode where it runs
 * @param code emits it; ends by falling through, with the result in RBX
 */
public record Program(Mode mode, java.util.function.Consumer<ProgramCode> code) {
  /** Where a program runs. */
  public enum Mode {
    /** As the first process, at CPL 3. */
    USER,
    /** In the kernel, at CPL 0 with interrupts off, on tables that it may edit. */
    KERNEL
  }

  public static Program user(java.util.function.Consumer<ProgramCode> code) {
    return new Program(Mode.USER, code);
  }

  public static Program kernel(java.util.function.Consumer<ProgramCode> code) {
    return new Program(Mode.KERNEL, code);
  }
}
