package dev.gnomon.workloads.kernel;

import java.util.function.Consumer;

/** What a guest runs once its kernel is up. The code ends by falling through, with its result in RBX. */
public sealed interface Program {
  /** Runs as the first process, at CPL 3. */
  record User(Consumer<UserCode> code) implements Program {}

  /**
   * Runs in the kernel, at CPL 0 with interrupts off, on the kernel's own page tables, which it may edit within the
   * window.
   */
  record Kernel(Consumer<KernelModeCode> code) implements Program {}

  /** A program for user mode. */
  static Program user(Consumer<UserCode> code) {
    return new User(code);
  }

  /** A program for the kernel. */
  static Program kernel(Consumer<KernelModeCode> code) {
    return new Kernel(code);
  }
}
