package dev.gnomon.ept;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;

/**
 * The VM-execution control fields that VM entry checks for EPT and what builds on it (SDM vol. 3C, "Checks on VMX
 * Controls"). Addresses are those of 4-KiB pages and matter only while their control is on.
 *
 * @param secondary bits of {@link SecondaryControls}
 * @param eptPointer see {@link EptPointer}
 * @param pmlAddress page of the page-modification log
 * @param exceptionInformation page of the virtualization-exception information
 * @param subPageTable top sub-page permission table (SPPTP)
 * @param vmFunctions VM-function controls, {@link SecondaryControls#EPTP_SWITCHING} or 0
 * @param eptpList page of 512 EPT pointers
 */
public record EptControls(int secondary, long eptPointer, @Hpa long pmlAddress, @Hpa long exceptionInformation,
    @Hpa long subPageTable, long vmFunctions, @Hpa long eptpList) {
  private static final int NEED_EPT = SecondaryControls.ENABLE_PML | SecondaryControls.MODE_BASED_EXECUTE
      | SecondaryControls.SUB_PAGE_WRITE;

  /** EPT with this pointer and nothing else. */
  public static EptControls of(long eptPointer) {
    return new EptControls(SecondaryControls.ENABLE_EPT, eptPointer, 0, 0, 0, 0, 0);
  }

  public boolean has(int control) {
    return (secondary & control) != 0;
  }

  public EptControls withModeBasedExecute(boolean on) {
    return new EptControls(with(SecondaryControls.MODE_BASED_EXECUTE, on), eptPointer, pmlAddress, exceptionInformation,
        subPageTable, vmFunctions, eptpList);
  }

  /** @param page of the information */
  public EptControls withExceptions(@Hpa long page) {
    return new EptControls(with(SecondaryControls.EPT_VIOLATION_VE, true), eptPointer, pmlAddress, page, subPageTable,
        vmFunctions, eptpList);
  }

  public EptControls withSubPages(@Hpa long table) {
    return new EptControls(with(SecondaryControls.SUB_PAGE_WRITE, true), eptPointer, pmlAddress, exceptionInformation,
        table, vmFunctions, eptpList);
  }

  /** VM functions with EPTP switching. @param list page of the pointers */
  public EptControls withSwitching(@Hpa long list) {
    return new EptControls(with(SecondaryControls.ENABLE_VM_FUNCTIONS, true), eptPointer, pmlAddress,
        exceptionInformation, subPageTable, SecondaryControls.EPTP_SWITCHING, list);
  }

  private int with(int control, boolean on) {
    return on ? secondary | control : secondary & ~control;
  }

  /**
   * Why VM entry with these controls fails (VMfail with error 7).
   *
   * @return a phrase, or null if they are valid
   */
  public String invalidReason(EptCapabilities capabilities) {
    if ((secondary & ~capabilities.secondary()) != 0) {
      return "secondary controls 0x" + Integer.toHexString(secondary & ~capabilities.secondary())
          + " are set, which this processor does not have";
    }
    if (!has(SecondaryControls.ENABLE_EPT) && ((secondary & NEED_EPT) != 0 || switches())) {
      return "secondary controls 0x" + Integer.toHexString(secondary) + " without EPT, expected bit 1 with them";
    }
    if (has(SecondaryControls.ENABLE_EPT)) {
      String reason = EptPointer.invalidReason(eptPointer, capabilities);
      if (reason != null) {
        return "EPT pointer 0x" + Long.toHexString(eptPointer) + ": " + reason;
      }
    }
    if (has(SecondaryControls.ENABLE_VM_FUNCTIONS) && (vmFunctions & ~SecondaryControls.EPTP_SWITCHING) != 0) {
      return "VM-function controls 0x" + Long.toHexString(vmFunctions) + ", expected none but bit 0";
    }
    if (has(SecondaryControls.ENABLE_PML) && !isPage(pmlAddress)) {
      return badPage("PML address", pmlAddress);
    }
    if (has(SecondaryControls.EPT_VIOLATION_VE) && !isPage(exceptionInformation)) {
      return badPage("virtualization-exception information address", exceptionInformation);
    }
    if (has(SecondaryControls.SUB_PAGE_WRITE) && !isPage(subPageTable)) {
      return badPage("sub-page permission table pointer", subPageTable);
    }
    return switches() && !isPage(eptpList) ? badPage("EPTP-list address", eptpList) : null;
  }

  private boolean switches() {
    return has(SecondaryControls.ENABLE_VM_FUNCTIONS) && (vmFunctions & SecondaryControls.EPTP_SWITCHING) != 0;
  }

  private static boolean isPage(@Hpa long hpa) {
    return (Addresses.bits(hpa) & ~EptPointer.ADDRESS_MASK) == 0;
  }

  private static String badPage(String name, @Hpa long hpa) {
    return name + " 0x" + Long.toHexString(Addresses.bits(hpa)) + ", expected a multiple of 4096 below 2^"
        + HostMemory.MAXPHYADDR;
  }
}
