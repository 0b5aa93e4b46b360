package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.mmu.PageTableEntry;

/**
 * What all user roots map of the kernel under page-table isolation: the pages of {@link EntryCode}, read-only code and
 * data, by 4K pages at the addresses that they have in the kernel.
 */
final class Isolation {
  private static final long TABLE_OF_KERNEL = PageTableEntry.P | PageTableEntry.RW;

  private final GuestKernel k;
  private final Assembler a;
  /** Makes the tables. */
  final Label initialize = new Label("isolation_initialize");
  /** What slot {@link KernelLayout#IMAGE_SLOT} of each user root names. */
  final Label pdpt;
  private final Label pd;
  private final Label pt;

  Isolation(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.pdpt = k.pages("entry_pdpt", 1);
    this.pd = k.pages("entry_pd", 1);
    this.pt = k.pages("entry_pt", 1);
  }

  void emit() {
    Label text = new Label();
    Label data = new Label();
    a.bind(initialize);
    link(pdpt, KernelLayout.IMAGE_PDPT_SLOT, pd);
    link(pd, (int) (KernelLayout.LOAD_ADDRESS >> 21), pt);
    a.lea(RDI, rip(pt));
    a.lea(RDX, GuestKernel.physical(k.entry.textStart, 0));
    a.lea(RCX, ptr(RDX, -KernelLayout.LOAD_ADDRESS));
    a.shr(RCX, 12 - 3);
    a.add(RDI, RCX);
    a.or(RDX, PageTableEntry.P);
    a.lea(RCX, GuestKernel.physical(k.entry.dataStart, PageTableEntry.P));
    a.bind(text);
    a.mov(ptr(RDI), RDX);
    a.add(RDI, 8);
    a.add(RDX, KernelLayout.PAGE);
    a.cmp(RDX, RCX);
    a.jb(text);
    a.or(RDX, PageTableEntry.RW);
    a.lea(RCX, GuestKernel.physical(k.entry.dataEnd, 0));
    a.bind(data);
    a.mov(RAX, RDX);
    a.bts(RAX, PageTables.NX_BIT);
    a.mov(ptr(RDI), RAX);
    a.add(RDI, 8);
    a.add(RDX, KernelLayout.PAGE);
    a.cmp(RDX, RCX);
    a.jb(data);
    a.ret();
  }

  private void link(Label table, int slot, Label to) {
    a.lea(RAX, GuestKernel.physical(to, 0));
    a.or(RAX, TABLE_OF_KERNEL);
    a.mov(rip(table, 8L * slot).q(), RAX);
  }
}
