package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.ExtendedStateLayout;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.exec.Processor;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Mmu;

/** A processor in user mode, as a Linux program sees it, over a table of pages; every exception leaves it. */
final class UserMachine {
  private static final int ANY = Segments.TYPE_ACCESSED | Segments.TYPE_WRITABLE | Segments.S | Segments.DPL
      | Segments.P | Segments.G;
  private static final int CODE_64 = ANY | Segments.TYPE_CODE | Segments.L;
  private static final int CODE_32 = ANY | Segments.TYPE_CODE | Segments.DB;
  private static final int DATA = ANY | Segments.DB;
  private static final int DATA_16 = ANY & ~Segments.G;
  private static final int CODE_16 = DATA_16 | Segments.TYPE_CODE;
  private static final long LIMIT_16 = 0xFFFF;
  private static final long FLAT = 0xFFFF_FFFFL;

  final HostMemory memory;
  final PageMap pages = new PageMap();
  final Cpu cpu;
  final Processor processor;

  /** A machine with the default processor model. */
  UserMachine(int bytes, int blockLimit) {
    this(bytes, blockLimit, CpuModel.DEFAULT);
  }

  UserMachine(int bytes, int blockLimit, CpuModel model) {
    memory = new HostMemory(0, bytes, 0);
    Mmu mmu = new Mmu(memory);
    mmu.setTranslator(pages);
    cpu = new Cpu(memory, mmu);
    cpu.select(model);
    processor = new Processor(cpu, blockLimit);
    cpu.cr0 = ControlRegister.CR0_PE | ControlRegister.CR0_PG | ControlRegister.CR0_AM | ControlRegister.CR0_WP
        | ControlRegister.CR0_NE | ControlRegister.CR0_ET;
    cpu.cr4 = ControlRegister.CR4_PAE | ControlRegister.CR4_OSFXSR | ControlRegister.CR4_OSXMMEXCPT
        | cpu.cpuid.cr4Bits() & (ControlRegister.CR4_FSGSBASE | ControlRegister.CR4_OSXSAVE);
    cpu.setXcr0(ExtendedStateLayout.X87 | ExtendedStateLayout.SSE);
    cpu.efer = ControlRegister.EFER_LME | ControlRegister.EFER_LMA | ControlRegister.EFER_NXE
        | ControlRegister.EFER_SCE;
    cpu.intercepts.enabled = true;
    cpu.intercepts.exceptionBitmap = -1;
    segment(Segments.CS, OracleLayout.USER_CODE_64, FLAT, CODE_64);
    segment(Segments.SS, OracleLayout.USER_DATA, FLAT, DATA);
    segment(Segments.DS, OracleLayout.USER_DATA, FLAT, DATA);
    segment(Segments.ES, OracleLayout.USER_DATA, FLAT, DATA);
    segment(Segments.FS, 0, 0, Segments.UNUSABLE);
    segment(Segments.GS, 0, 0, Segments.UNUSABLE);
    segment(Segments.LDTR, 0, 0, Segments.UNUSABLE);
    segment(Segments.TR, 0x40, 0, 0x8B);
    cpu.base[Segments.FS] = OracleLayout.FS_BASE;
    cpu.base[Segments.GS] = OracleLayout.GS_BASE;
    cpu.setCpl(3);
    cpu.syncPaging();
  }

  private void segment(int segment, int selector, long limit, int rights) {
    cpu.selector[segment] = selector;
    cpu.limit[segment] = limit;
    cpu.rights[segment] = rights;
  }

  /** Chooses 64-bit mode, compatibility mode or 16-bit code by the selector that Linux has for it. */
  void select(int cs) {
    boolean small = cs == OracleLayout.USER_CODE_16;
    segment(Segments.CS, cs, small ? LIMIT_16 : FLAT,
        small ? CODE_16 : cs == OracleLayout.USER_CODE_64 ? CODE_64 : CODE_32);
    cpu.base[Segments.CS] = small ? OracleLayout.CODE : 0;
    for (int data : new int[] {Segments.SS, Segments.DS, Segments.ES}) {
      segment(data, small ? OracleLayout.USER_DATA_16 : OracleLayout.USER_DATA, small ? LIMIT_16 : FLAT,
          small ? DATA_16 : DATA);
      cpu.base[data] = small ? OracleLayout.DATA_16_BASE : 0;
    }
    cpu.updateMode();
  }
}
