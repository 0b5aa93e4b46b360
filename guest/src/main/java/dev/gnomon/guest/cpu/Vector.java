package dev.gnomon.guest.cpu;

/**
 * Exception vectors and event types (SDM vol. 3A, "Exception and Interrupt Vectors"; types as in the VM-entry
 * interruption information).
 */
public final class Vector {
  public static final int DE = 0;
  public static final int DB = 1;
  public static final int NMI = 2;
  public static final int BP = 3;
  public static final int OF = 4;
  public static final int BR = 5;
  public static final int UD = 6;
  public static final int NM = 7;
  public static final int DF = 8;
  public static final int TS = 10;
  public static final int NP = 11;
  public static final int SS = 12;
  public static final int GP = 13;
  public static final int PF = 14;
  public static final int MF = 16;
  public static final int AC = 17;
  public static final int XM = 19;
  /** Virtualization exception: an EPT violation that the guest itself is told of. */
  public static final int VE = 20;

  public static final int TYPE_EXTERNAL = 0;
  public static final int TYPE_NMI = 2;
  public static final int TYPE_HARDWARE_EXCEPTION = 3;
  public static final int TYPE_SOFTWARE_INTERRUPT = 4;
  public static final int TYPE_PRIVILEGED_SOFTWARE_EXCEPTION = 5;
  public static final int TYPE_SOFTWARE_EXCEPTION = 6;

  private Vector() {}

  /** Whether the exception pushes an error code in protected and long mode. */
  public static boolean hasErrorCode(int vector) {
    return switch (vector) {
      case DF, TS, NP, SS, GP, PF, AC -> true;
      default -> false;
    };
  }
}
