package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;

/**
 * The one reused record of why the guest was left: the VMCS' exit information fields (SDM vol. 3C, "VM-Exit Information
 * Fields").
 */
public final class ExitInfo {
  /** Basic exit reason, a constant of {@link ExitReason}. */
  public int reason;
  public long qualification;
  public @Gva long guestLinear;
  public @Gpa long guestPhysical;
  /** Bytes of the exiting instruction, where the SDM defines it. */
  public int instructionLength;
  /** VM-exit instruction information, for INVPCID, in the SDM's format; see {@link ExitQualification}. */
  public int instructionInfo;
  /** VM-exit interruption information and error code: vector 7:0, type 10:8, error code valid 11, valid 31. */
  public int interruptionInfo;
  public int interruptionErrorCode;
  /** IDT-vectoring information: the event whose delivery the exit interrupted; 0 if none. */
  public int idtVectoringInfo;
  public int idtVectoringErrorCode;

  public void clear() {
    reason = 0;
    qualification = 0;
    guestLinear = 0;
    guestPhysical = 0;
    instructionLength = 0;
    instructionInfo = 0;
    interruptionInfo = 0;
    interruptionErrorCode = 0;
    idtVectoringInfo = 0;
    idtVectoringErrorCode = 0;
  }
}
