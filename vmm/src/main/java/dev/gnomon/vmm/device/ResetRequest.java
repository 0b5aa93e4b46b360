package dev.gnomon.vmm.device;

/**
 * Told when a guest asks for a reset through a register. It runs inside the register write, so it should only note the
 * request.
 */
@FunctionalInterface
public interface ResetRequest {
  /** Which register the guest used. */
  enum Source {
    /** Port CF9h with SYS_RST set. */
    CF9_HARD,
    /** Port CF9h with SYS_RST clear: processor INIT. */
    CF9_SOFT,
    /** An output pulse command of the keyboard controller with bit 0 low, as FEh. */
    KEYBOARD_CONTROLLER,
    /** Bit 0 of system control port A, 92h. */
    PORT_92
  }

  /** A guest asked for a reset. */
  void reset(Source source);
}
