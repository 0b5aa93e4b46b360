package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Hpa;

/**
 * What makes the processor leave the guest: the VM-execution controls (SDM vol. 3C, "VM-Execution Control Fields"), as
 * plain switches that the hypervisor sets. With {@link #enabled} off the processor is native and nothing exits.
 */
public final class Intercepts {
  /** VMX non-root operation: CPUID, INVD, VMCALL, XSETBV, task switches and triple faults exit unconditionally. */
  public boolean enabled;
  /** One bit a vector. */
  public int exceptionBitmap;
  public boolean externalInterrupt;
  public boolean interruptWindow;
  public boolean hlt;
  public boolean invlpg;
  public boolean invpcid;
  public boolean rdtsc;
  public boolean rdpmc;
  public boolean cr3Load;
  public boolean cr3Store;
  /** MOV to and from CR8. */
  public boolean cr8;
  public boolean movDr;
  public boolean wbinvd;
  public boolean pause;
  /** Unconditional I/O exiting. */
  public boolean io;
  /** All RDMSR and WRMSR exit, except those of {@link #msrPassThrough}. */
  public boolean msr;
  /**
   * CR0 and CR4 bits owned by the host: a MOV that would give one a value other than its read shadow exits; reads see
   * the shadow.
   */
  public long cr0GuestHostMask;
  public long cr0ReadShadow;
  public long cr4GuestHostMask;
  public long cr4ReadShadow;
  /** "EPT-violation #VE": page of the virtualization-exception information, or −1 while the control is off. */
  public @Hpa long exceptionInformation = -1;
  /** EPTP index: number of the view that VMFUNC chose last, which virtualization exceptions report. */
  public int eptpIndex;
  /** "Enable VM functions": what VMFUNC does; null while the control is off. */
  public VmFunctions vmFunctions;

  /**
   * MSRs that the guest reads and writes without an exit, as KVM's: FS, GS and kernel GS base, STAR, LSTAR, SFMASK,
   * SYSENTER, TSC reads.
   */
  public boolean msrPassThrough(int msr) {
    return switch (msr) {
      case Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE, Msr.STAR, Msr.LSTAR, Msr.CSTAR, Msr.FMASK, Msr.SYSENTER_CS,
          Msr.SYSENTER_ESP,
          Msr.SYSENTER_EIP, Msr.TSC_AUX -> true;
      default -> false;
    };
  }
}
