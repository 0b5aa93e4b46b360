package dev.gnomon.shadow;

/** What became of a page-fault exit; KVM's {@code RET_PF_*}. */
public enum FaultResult {
  /** The guest's own fault: deliver #PF with {@link FaultInfo#errorCode}. */
  INJECT,
  /** A shadow entry was made or widened: run the instruction again. */
  FIXED,
  /** Nothing could be done this time; run the instruction again. */
  RETRY,
  /** The shadow entry was right already: run the instruction again. */
  SPURIOUS,
  /** Emulate the instruction, for the {@link FaultInfo#reason}. */
  EMULATE
}
