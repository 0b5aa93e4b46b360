package dev.gnomon.ept;

/**
 * Those secondary processor-based VM-execution controls that concern EPT (SDM vol. 3C, "Processor-Based VM-Execution
 * Controls").
 * <pre>
 *  23               22                   18        17     13           1
 *  sub-page write   mode-based execute   EPT-      PML    VM           EPT
 *  permissions      control              viol. #VE        functions
 * </pre>
 */
public final class SecondaryControls {
  public static final int ENABLE_EPT = 1 << 1;
  public static final int ENABLE_VM_FUNCTIONS = 1 << 13;
  public static final int ENABLE_PML = 1 << 17;
  /** Some EPT violations become virtualization exceptions. */
  public static final int EPT_VIOLATION_VE = 1 << 18;
  /** EPT entries have separate execute rights for supervisor-mode and user-mode linear addresses. */
  public static final int MODE_BASED_EXECUTE = 1 << 22;
  public static final int SUB_PAGE_WRITE = 1 << 23;
  public static final int ALL = ENABLE_EPT | ENABLE_VM_FUNCTIONS | ENABLE_PML | EPT_VIOLATION_VE | MODE_BASED_EXECUTE
      | SUB_PAGE_WRITE;

  /** VM-function controls: bit of the function that VMFUNC does with EAX = 0. */
  public static final long EPTP_SWITCHING = 1L;

  private SecondaryControls() {}
}
