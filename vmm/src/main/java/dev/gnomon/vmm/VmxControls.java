package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Intercepts;
import dev.gnomon.guest.cpu.Vector;

/**
 * What makes a vCPU exit, as Linux KVM sets it on Intel processors with unrestricted guest (arch/x86/kvm/vmx/vmx.c):
 * <pre>
 *                       EPT                                   shadow
 *  exceptions           #UD #DB #AC                           and #PF
 *  CR0 guest-owned      TS WP                                 TS
 *  CR4 guest-owned      PVI TSD DE PCE PGE OSFXSR             the same without PGE
 *                       OSXMMEXCPT FSGSBASE
 *  MOV CR3              none                                  to and from
 *  INVLPG, INVPCID      none                                  exit
 *  both                 external interrupts, HLT, all ports, all MSRs but a few, RDPMC, WBINVD, MOV DR until the first one after an exit
 * </pre>
 * MOV to and from CR8 exits where there is a local APIC, as KVM sets it on processors without TPR shadow. RDTSC and
 * PAUSE never exit. WBINVD does although there is nothing to write back, because KVM sets that control wherever the
 * processor has it. The guest's own values are in the processor's CR0 and CR4 in both modes (under shadow paging the
 * walk has a context of its own), so the read shadows are copies of them.
 */
public final class VmxControls {
  private static final int EXCEPTIONS = 1 << Vector.UD | 1 << Vector.DB | 1 << Vector.AC;
  private static final long CR4_GUEST_OWNED = ControlRegister.CR4_PVI | ControlRegister.CR4_TSD | ControlRegister.CR4_DE
      | ControlRegister.CR4_PCE | ControlRegister.CR4_OSFXSR | ControlRegister.CR4_OSXMMEXCPT
      | ControlRegister.CR4_FSGSBASE;

  private final Cpu cpu;

  /** Sets the controls of a mode; natively nothing exits. */
  public VmxControls(Cpu cpu, Mode mode) {
    this.cpu = cpu;
    Intercepts intercepts = cpu.intercepts;
    intercepts.enabled = mode.virtual();
    if (!mode.virtual()) {
      return;
    }
    boolean shadow = mode == Mode.SHADOW;
    intercepts.exceptionBitmap = EXCEPTIONS | (shadow ? 1 << Vector.PF : 0);
    intercepts.externalInterrupt = true;
    intercepts.hlt = true;
    intercepts.io = true;
    intercepts.msr = true;
    intercepts.rdpmc = true;
    intercepts.wbinvd = true;
    intercepts.movDr = true;
    intercepts.cr3Load = shadow;
    intercepts.cr3Store = shadow;
    intercepts.invlpg = shadow;
    intercepts.invpcid = shadow;
    intercepts.cr0GuestHostMask = ~(ControlRegister.CR0_TS | (shadow ? 0 : ControlRegister.CR0_WP));
    intercepts.cr4GuestHostMask = ~(CR4_GUEST_OWNED | (shadow ? 0 : ControlRegister.CR4_PGE));
    refreshShadows();
  }

  /** Brings the read shadows in step after CR0 or CR4 changed on an exit. */
  public void refreshShadows() {
    cpu.intercepts.cr0ReadShadow = cpu.cr0;
    cpu.intercepts.cr4ReadShadow = cpu.cr4;
  }

  /** After any exit but the one of a MOV DR: the guest's debug registers are the hypervisor's business again. */
  void interceptDebugRegisters() {
    cpu.intercepts.movDr = true;
  }

  /** The guest uses its debug registers: leave them to it until the next exit. */
  void passDebugRegisters() {
    cpu.intercepts.movDr = false;
  }
}
