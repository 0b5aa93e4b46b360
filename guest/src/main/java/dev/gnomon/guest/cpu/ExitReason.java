package dev.gnomon.guest.cpu;

/**
 * Reasons why {@code run} returns: VMX basic exit reasons (SDM vol. 3D, appendix "VMX Basic Exit Reasons") by KVM's
 * names, and the run loop's own.
 */
public final class ExitReason {
  public static final int EXCEPTION_NMI = 0;
  public static final int EXTERNAL_INTERRUPT = 1;
  public static final int TRIPLE_FAULT = 2;
  public static final int INTERRUPT_WINDOW = 7;
  public static final int NMI_WINDOW = 8;
  public static final int TASK_SWITCH = 9;
  public static final int CPUID = 10;
  public static final int HLT = 12;
  public static final int INVD = 13;
  public static final int INVLPG = 14;
  public static final int RDPMC = 15;
  public static final int RDTSC = 16;
  public static final int VMCALL = 18;
  public static final int CR_ACCESS = 28;
  public static final int DR_ACCESS = 29;
  public static final int IO_INSTRUCTION = 30;
  public static final int MSR_READ = 31;
  public static final int MSR_WRITE = 32;
  public static final int INVALID_STATE = 33;
  public static final int PAUSE_INSTRUCTION = 40;
  public static final int EPT_VIOLATION = 48;
  public static final int EPT_MISCONFIG = 49;
  public static final int INVEPT = 50;
  public static final int RDTSCP = 51;
  public static final int INVVPID = 53;
  public static final int WBINVD = 54;
  public static final int XSETBV = 55;
  public static final int INVPCID = 58;
  public static final int VMFUNC = 59;
  public static final int PML_FULL = 62;
  /** SPP-related event; KVM has no name for it, that is the one in the patches that were proposed. */
  public static final int SPP = 66;

  /** Not an exit: the instruction budget is used up, or the next deadline is reached. */
  public static final int BUDGET = 256;

  /**
   * Not an exit: exception after exception was delivered and no instruction retired in between, so no budget would ever
   * end it.
   */
  public static final int NO_PROGRESS = 257;

  private ExitReason() {}

  /** KVM's name of a reason. */
  public static String name(int reason) {
    return switch (reason) {
      case EXCEPTION_NMI -> "EXCEPTION_NMI";
      case EXTERNAL_INTERRUPT -> "EXTERNAL_INTERRUPT";
      case TRIPLE_FAULT -> "TRIPLE_FAULT";
      case INTERRUPT_WINDOW -> "INTERRUPT_WINDOW";
      case NMI_WINDOW -> "NMI_WINDOW";
      case TASK_SWITCH -> "TASK_SWITCH";
      case CPUID -> "CPUID";
      case HLT -> "HLT";
      case INVD -> "INVD";
      case INVLPG -> "INVLPG";
      case RDPMC -> "RDPMC";
      case RDTSC -> "RDTSC";
      case VMCALL -> "VMCALL";
      case CR_ACCESS -> "CR_ACCESS";
      case DR_ACCESS -> "DR_ACCESS";
      case IO_INSTRUCTION -> "IO_INSTRUCTION";
      case MSR_READ -> "MSR_READ";
      case MSR_WRITE -> "MSR_WRITE";
      case INVALID_STATE -> "INVALID_STATE";
      case PAUSE_INSTRUCTION -> "PAUSE_INSTRUCTION";
      case EPT_VIOLATION -> "EPT_VIOLATION";
      case EPT_MISCONFIG -> "EPT_MISCONFIG";
      case INVEPT -> "INVEPT";
      case RDTSCP -> "RDTSCP";
      case INVVPID -> "INVVPID";
      case WBINVD -> "WBINVD";
      case XSETBV -> "XSETBV";
      case INVPCID -> "INVPCID";
      case VMFUNC -> "VMFUNC";
      case PML_FULL -> "PML_FULL";
      case SPP -> "SPP";
      case BUDGET -> "BUDGET";
      case NO_PROGRESS -> "NO_PROGRESS";
      default -> "REASON_" + reason;
    };
  }
}
