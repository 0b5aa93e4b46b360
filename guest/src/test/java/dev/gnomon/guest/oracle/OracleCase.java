package dev.gnomon.guest.oracle;

/** One case: a state, some code in it, and what of the outcome is defined. */
final class OracleCase {
  final MachineState before = new MachineState();
  int codeLength;
  /** Selector of the code segment: which mode. */
  int cs = OracleLayout.USER_CODE_64;
  /** Status flags that the manual leaves undefined after it. */
  int undefinedFlags;
  /** The same if it ends with a fault other than the INT3 behind it. */
  int undefinedFlagsOnFault;
  /**
   * A fault may come after some of the instruction's stores: those of 80-bit numbers and x87 images; ENTER, PUSHA and
   * CALL write below the stack pointer before they look at what may fault last.
   */
  boolean memoryUndefinedOnFault;
  /**
   * A fault may leave RCX, RSI and RDI cut to 32 bits: processors do so before the first iteration of a REP with 32-bit
   * addresses.
   */
  boolean countersCutOnFault;
  /** A page fault may name any byte of the operand: FXSAVE and masked stores begin where they like. */
  boolean faultAddressUndefined;
  /** A fault may leave the x87 unit switched over to MMX, or halfway. */
  boolean x87UndefinedOnFault;
  /** A fault may leave x87 and SSE state partly loaded: XRSTOR. */
  boolean stateUndefinedOnFault;
  /**
   * The x87 unit's pointers to its last instruction and operand may be anything: processors differ in when they set
   * them.
   */
  boolean pointersUndefined;
  /** x87 registers may be one unit in the last place off, and C1 with it: results of transcendental instructions. */
  boolean lastBitUndefined;
  /**
   * Which of several faults is seen is not defined: CALL may push before or after it checks its target; an operand may
   * be misaligned and beyond a stack's limit.
   */
  boolean faultsUnordered;
  /** What was generated, in words. */
  String name = "";

  boolean mode64() {
    return cs == OracleLayout.USER_CODE_64;
  }

  boolean mode16() {
    return cs == OracleLayout.USER_CODE_16;
  }

  /** Base of the code segment; a state's RIP is linear. */
  long codeBase() {
    return mode16() ? OracleLayout.CODE : 0;
  }

  byte[] code() {
    return java.util.Arrays.copyOf(before.code, codeLength);
  }
}
