package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;

/**
 * Emits a program that runs in the kernel. R15 stays the base of the direct map. Linear addresses from {@link
 * KernelLayout#WINDOW} on are the program's own.
 */
public final class KernelModeCode {
  public final Assembler a;
  private final GuestKernel k;
  private final Label space;

  KernelModeCode(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.space = k.variable("kernel_space", ProcessRecord.SIZE);
  }

  /** What every program starts with: a record for the kernel's own tables. */
  void emitStart() {
    a.lea(RAX, GuestKernel.physical(k.tables.kernelPml4, 0));
    a.mov(rip(space, ProcessRecord.PML4).q(), RAX);
  }

  /** A frame of zeros: its physical address in RAX; clobbers RCX, RDX, RDI. */
  public void allocateZeroed() {
    a.call(k.frames.allocateZeroed);
  }

  /** A 2M page with whatever was in it: its physical address in RAX; clobbers RCX, RDX. */
  public void allocate2M() {
    a.call(k.frames.allocate2M);
  }

  /**
   * Physical address in RAX of the entry that maps the linear address in RSI, at level 1 or 2; makes tables; clobbers
   * RCX, RDX, RDI.
   */
  public void entryFor(int level) {
    a.lea(RDI, rip(space));
    a.mov(EDX, 1);
    a.call(level == 1 ? k.tables.pteFor : k.tables.pdeFor);
  }

  /** Physical address of a place in the image, into RAX. */
  public void physicalAddress(Label label) {
    a.lea(RAX, GuestKernel.physical(label, 0));
  }

  /** Physical address of the kernel's PML4, into RAX. */
  public void kernelPml4() {
    physicalAddress(k.tables.kernelPml4);
  }

  /** A zeroed variable of the program's own. */
  public Label variable(String name, int bytes) {
    return k.variable(name, bytes);
  }

  /** Maps the page at the physical address in RDI for device access: its linear address in RAX; clobbers RCX, RSI. */
  public void mapDevice(long entryBits) {
    a.mov(ESI, entryBits);
    a.call(k.tables.mapDevice);
  }

  /** The first range that the memory map reserves above 1 MiB: its physical address in RAX, 0 if there is none. */
  public void reservedRange() {
    a.mov(RAX, rip(k.boot.reservedRange));
  }

  /** Ends the guest with a message. */
  public void panic(String message) {
    k.results.panic(message);
  }

  /** Starts the measured region; clobbers RAX, RDX, RDI. */
  public void regionBegin() {
    a.mov(EDI, GuestPorts.REGION_BEGIN);
    a.call(k.results.region);
  }

  /** Ends the measured region; clobbers RAX, RDX, RDI. */
  public void regionEnd() {
    a.mov(EDI, GuestPorts.REGION_END);
    a.call(k.results.region);
  }
}
