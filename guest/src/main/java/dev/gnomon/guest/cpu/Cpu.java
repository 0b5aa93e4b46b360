package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.AnyAddress;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;

/**
 * State of one virtual processor as the guest sees it, and its ties to the rest of the machine. Plain fields, because
 * every part of the processor reads them; what must stay consistent goes through a method: {@link #setRflags},
 * {@link #setCpl}, {@link #updateMode}.
 */
public final class Cpu {
  // Register slots of regs[]: the sixteen general-purpose registers in encoding order, then the interpreter's own.
  /** Bits of a linear address with 4 and 5 levels of tables. */
  public static final int LINEAR_BITS = 48;
  public static final int LINEAR_BITS_5_LEVEL = 57;
  public static final int RAX = 0;
  public static final int RCX = 1;
  public static final int RDX = 2;
  public static final int RBX = 3;
  public static final int RSP = 4;
  public static final int RBP = 5;
  public static final int RSI = 6;
  public static final int RDI = 7;
  public static final int R15 = 15;
  /** Always zero: the absent base, index or register operand of a micro-op. */
  public static final int ZERO = 16;
  /** Where results go that nobody wants. */
  public static final int SINK = 17;
  /** Temporaries that live within one instruction. */
  public static final int T0 = 18;
  public static final int T1 = 19;
  public static final int T2 = 20;
  public static final int T3 = 21;
  /** RIP of the running block's first instruction. */
  public static final int RIP_BASE = 22;
  public static final int REG_SLOTS = 32;
  public static final int XMM_REGISTERS = 16;
  public static final int FPU_REGISTERS = 8;

  // Bits of codeMode: what a decoded block depends on besides its bytes.
  /** CS.L = 1 in IA-32e mode. */
  public static final int MODE_64 = 1;
  /** Default operand and address size is 32 bits (CS.D), outside 64-bit mode. */
  public static final int MODE_32 = 2;
  /** DS, ES and SS have base 0, limit 4G−1 and allow reads and writes (always so in 64-bit mode). */
  public static final int MODE_FLAT_DATA = 4;
  /** CS covers the whole 4-GiB space (always so in 64-bit mode; its base may be any). */
  public static final int MODE_FLAT_CODE = 8;
  /** The stack pointer is ESP, not SP (SS.B; ignored in 64-bit mode). */
  public static final int MODE_STACK32 = 16;
  /** CR0.PE = 0 or EFLAGS.VM = 1. */
  public static final int MODE_REAL = 32;
  /** CPL 3, so that privileged instructions are decoded to a fault. */
  public static final int MODE_USER = 64;

  public final long[] regs = new long[REG_SLOTS];
  /** Instruction pointer: offset in CS; in 64-bit mode the linear address. */
  public long rip;
  /** Lazy status flags, see {@link Flags}. */
  public long flagResult = 1;
  public long flagCarries;
  /** RFLAGS without the status flags. */
  public int systemFlags = Rflags.FIXED;

  public final int[] selector = new int[Segments.COUNT];
  public final long[] base = new long[Segments.COUNT];
  /** Limits in bytes, zero-extended. */
  public final long[] limit = new long[Segments.COUNT];
  public final int[] rights = new int[Segments.COUNT];
  public @Gva long gdtrBase;
  public int gdtrLimit;
  public @Gva long idtrBase;
  public int idtrLimit;

  public long cr0;
  public @Gva long cr2;
  public long cr3;
  public long cr4;
  public int cr8;
  public long efer;
  public final long[] dr = new long[8];
  public long star;
  public long lstar;
  public long cstar;
  public long fmask;
  public long kernelGsBase;
  public long sysenterCs;
  public long sysenterEsp;
  public long sysenterEip;
  public long pat;
  public long apicBase;
  public long tscAux;
  /** Added to the virtual clock to give the TSC. */
  public long tscOffset;
  public long miscEnable = 1;
  /**
   * XCR0: state components that XSAVE and its kin manage, bits of {@link ExtendedStateLayout}. Change it by
   * {@link #setXcr0}.
   */
  public long xcr0 = ExtendedStateLayout.X87;
  /** XMM registers, two words each, the low one first. */
  public final long[] xmm = new long[2 * XMM_REGISTERS];
  /** SSE control and status, bits of {@link Mxcsr}. */
  public int mxcsr = Mxcsr.INITIAL;
  /**
   * x87 control and status words, bits of {@link FpuWord}; ES and B are not kept. The values are those that FNINIT
   * gives.
   */
  public int fpuControl = FpuWord.INITIAL_CONTROL;
  public int fpuStatus;
  /** Bit i: physical x87 register i is not empty, as in the tag byte of FXSAVE. */
  public int fpuValid;
  /** Physical x87 registers: significands, which are the MMX registers, and bits 79..64, sign and exponent. */
  public final long[] fpuSignificand = new long[FPU_REGISTERS];
  public final int[] fpuExponent = new int[FPU_REGISTERS];
  /**
   * Last x87 instruction that was no control instruction: its address, the low 11 bits of its opcode, its operand's
   * address.
   */
  public long fpuInstruction;
  public int fpuOpcode;
  public long fpuData;

  /** Current privilege level, 0 to 3 (3 in virtual-8086 mode). Change it by {@link #setCpl}. */
  public int cpl;
  /** MODE_* bits; kept by {@link #updateMode}. */
  public int codeMode;

  /** 64 less the bits of a linear address: 16, or 7 with 5-level paging; kept by {@link #syncPaging}. */
  private int canonicalShift = 64 - LINEAR_BITS;

  /** Interruptibility: blocking by STI or by MOV SS for one instruction, and by NMI until IRET. */
  public boolean blockedBySti;
  public boolean blockedByMovSs;
  public boolean blockedByNmi;
  public boolean halted;
  /** IGNNE#: while CR0.NE = 0 a pending x87 exception signals nothing, until it is gone. */
  public boolean ignoresCoprocessorError;
  /** Activity state wait-for-SIPI: nothing runs until a start-up message comes. */
  public boolean waitsForStartup;
  /** An NMI was signalled and not yet taken. */
  public boolean nmiPending;
  /**
   * Debug traps recorded for the instruction that runs, as DR6 bits; delivered behind it, dropped by an event before
   * that.
   */
  public int pendingDebug;
  /** The instruction at RIP is a repeated one with some of its iterations done. */
  public boolean repeating;
  /** The instruction just executed loaded RF (IRET), so that its completion must not clear it. */
  public boolean rfLoaded;
  /** The fault just returned came from an IRET, which unblocks NMIs even so. */
  public boolean faultUnblocksNmi;

  // The event being delivered or injected; kept until its last stack write (SDM, "Event Injection" and
  // "IDT-vectoring").
  public boolean eventPending;
  public int eventVector;
  public int eventType;
  public boolean eventHasErrorCode;
  public int eventErrorCode;
  /** Length of the instruction behind a software interrupt or exception: the return address lies that much further. */
  public int eventLength;

  // The exception that an instruction raised, valid when a step yields Status.FAULT.
  public int faultVector;
  public int faultErrorCode;
  /** Linear address of a #PF. */
  public @Gva long faultAddress;

  /** Value of the last slow load. */
  public long value;
  /** Linear address computed by the last segmentation check. */
  public @Gva long linear;

  /**
   * Ask the run loop to return at the next instruction boundary (a device changed its next deadline, or the host wants
   * in).
   */
  public volatile boolean stopRequested;

  /** A PAUSE retired on a machine with several processors: this one waits for another, whose turn it may be. */
  public boolean paused;

  /** Instructions retired since reset; exact whenever a device, RDTSC or the hypervisor looks. */
  public long retired;
  /** Virtual nanoseconds per retired instruction. */
  public long nsPerInstruction = 1;
  /** Virtual time in which this processor retired nothing, nanoseconds: HLT skipped it, or others had their turns. */
  public long skippedNs;

  public final ExitInfo exit = new ExitInfo();
  public final Intercepts intercepts = new Intercepts();
  public final HostMemory memory;
  public final Mmu mmu;
  public Bus bus;
  public InterruptSource interrupts;
  /** Null if the processor has no local APIC. */
  public ApicPort apic;
  /** Null if the processor has none. */
  public Mtrrs mtrrs;

  /** There for the guest if its model has {@link Feature#MCA}. */
  public final MachineCheck machineCheck = new MachineCheck();
  public final Cpuid cpuid = new Cpuid();
  /** State of the random numbers of RDRAND and RDSEED; begins as the machine's seed. */
  public long randomState;
  /** Null if nobody looks. */
  public Observer observer;

  public Cpu(HostMemory memory, Mmu mmu) {
    this.memory = memory;
    this.mmu = mmu;
  }

  /** Virtual time in nanoseconds; with several processors right only of the one whose turn it is. */
  public long now() {
    return retired * nsPerInstruction + skippedNs;
  }

  /** Time-stamp counter: one tick a virtual nanosecond. */
  public long tsc() {
    return now() + tscOffset;
  }

  public long rflags() {
    return systemFlags | Flags.pack(flagResult, flagCarries);
  }

  /** Sets all of RFLAGS; reserved bits are forced to their fixed values. */
  public void setRflags(long rflags) {
    setStatusFlags((int) rflags);
    setSystemFlags((int) rflags);
  }

  /** Sets the six status flags only. */
  public void setStatusFlags(int rflags) {
    flagResult = Flags.resultFor(rflags);
    flagCarries = Flags.carriesFor(rflags);
  }

  /** Sets RFLAGS but for the status flags; VM and AC change how addresses are checked. */
  public void setSystemFlags(int rflags) {
    int old = systemFlags;
    systemFlags = rflags & Rflags.DEFINED & ~Rflags.STATUS | Rflags.FIXED;
    if (((old ^ systemFlags) & (Rflags.AC | Rflags.VM)) != 0) {
      updateMode();
    }
  }

  public void setCpl(int level) {
    cpl = level;
    updateMode();
  }

  /**
   * Whether the bits of a linear address above those that the paging in force translates equal the highest of these.
   */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean canonical(@AnyAddress long address) {
    return address << canonicalShift >> canonicalShift == address;
  }

  /** Bits of a linear address that the paging in force translates in 64-bit mode: 48 or 57. */
  public int linearBits() {
    return 64 - canonicalShift;
  }

  /**
   * The same for all linear-address bits that the processor has, whatever the paging in force: the rule for the bases
   * of segments and descriptor tables, for MSRs and INVPCID.
   */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean canonicalBase(@AnyAddress long address) {
    int shift = 64 - cpuid.linearAddressBits();
    return address << shift >> shift == address;
  }

  /** Becomes a processor model; to be called before it runs. */
  public void select(CpuModel model) {
    cpuid.select(model);
    mmu.paging.pages1g = cpuid.offers(Feature.PDPE1GB);
  }

  /** Sets XCR0 and the sizes that CPUID gives with it; the value was checked. */
  public void setXcr0(long value) {
    xcr0 = value;
    showControlBits();
  }

  /** Brings the CPUID bits in step that follow CR4 and XCR0; call after CR4 changed in PKE or OSXSAVE. */
  public void showControlBits() {
    cpuid.showProtectionKeys((cr4 & ControlRegister.CR4_PKE) != 0);
    cpuid.showExtendedState((cr4 & ControlRegister.CR4_OSXSAVE) != 0, xcr0);
  }

  public boolean longMode() {
    return (efer & ControlRegister.EFER_LMA) != 0;
  }

  public boolean code64() {
    return (codeMode & MODE_64) != 0;
  }

  public boolean protectedMode() {
    return (cr0 & ControlRegister.CR0_PE) != 0;
  }

  public boolean v86() {
    return (systemFlags & Rflags.VM) != 0;
  }

  public int iopl() {
    return systemFlags >> Rflags.IOPL_SHIFT & 3;
  }

  /** Recomputes what follows from CR0, EFER, the segments, CPL and AC; call after any of them changed. */
  public void updateMode() {
    boolean ia32e = longMode();
    int mode = 0;
    if (ia32e && (rights[Segments.CS] & Segments.L) != 0) {
      mode = MODE_64 | MODE_FLAT_DATA | MODE_FLAT_CODE;
    } else {
      if ((rights[Segments.CS] & Segments.DB) != 0) {
        mode |= MODE_32;
      }
      if ((rights[Segments.SS] & Segments.DB) != 0) {
        mode |= MODE_STACK32;
      }
      if (flatData(Segments.DS) && flatData(Segments.ES) && flatData(Segments.SS)) {
        mode |= MODE_FLAT_DATA;
      }
      if (limit[Segments.CS] == 0xFFFF_FFFFL) {
        mode |= MODE_FLAT_CODE;
      }
      if (!protectedMode() || v86()) {
        mode |= MODE_REAL;
      }
    }
    if (cpl == 3) {
      mode |= MODE_USER;
    }
    codeMode = mode;
    mmu.select(cpl == 3, (systemFlags & Rflags.AC) != 0);
  }

  private boolean flatData(int segment) {
    int r = rights[segment];
    return base[segment] == 0 && limit[segment] == 0xFFFF_FFFFL
        && (r & (Segments.UNUSABLE | Segments.P | Segments.S | Segments.TYPE_CODE | Segments.TYPE_EXPAND_DOWN
            | Segments.TYPE_WRITABLE))
            == (Segments.P | Segments.S | Segments.TYPE_WRITABLE);
  }

  /** Bits of the stack pointer that addresses use: SP, ESP or RSP. */
  public long stackMask() {
    return (codeMode & MODE_64) != 0 ? -1L : (codeMode & MODE_STACK32) != 0 ? 0xFFFF_FFFFL : 0xFFFFL;
  }

  /**
   * Brings {@link Mmu#paging} in step with the guest's control registers, unless a hypervisor has taken it over. The
   * PDPTE registers are not touched: they are loaded by {@link Mmu#loadPdptes}.
   */
  public void syncPaging() {
    canonicalShift = 64 - ((cr4 & ControlRegister.CR4_LA57) != 0 ? LINEAR_BITS_5_LEVEL : LINEAR_BITS);
    if (!mmu.pagingFollowsGuest) {
      return;
    }
    PagingContext paging = mmu.paging;
    boolean pae = (cr4 & ControlRegister.CR4_PAE) != 0;
    if ((cr0 & ControlRegister.CR0_PG) == 0) {
      paging.mode = PagingContext.NONE;
      paging.root = 0;
    } else if (longMode()) {
      paging.mode = PagingContext.longMode(cr4);
      paging.root = cr3 & ControlRegister.CR3_ROOT_LONG;
    } else {
      paging.mode = pae ? PagingContext.PAE : PagingContext.LEGACY;
      paging.root = cr3 & (pae ? ControlRegister.CR3_ROOT_PAE : ControlRegister.CR3_ROOT_LEGACY);
    }
    paging.pcid = (cr4 & ControlRegister.CR4_PCIDE) != 0 ? (int) (cr3 & ControlRegister.CR3_PCID) : 0;
    paging.wp = (cr0 & ControlRegister.CR0_WP) != 0;
    paging.nxe = (efer & ControlRegister.EFER_NXE) != 0;
    paging.smep = (cr4 & ControlRegister.CR4_SMEP) != 0;
    paging.smap = (cr4 & ControlRegister.CR4_SMAP) != 0;
    paging.pke = (cr4 & ControlRegister.CR4_PKE) != 0;
    paging.pks = (cr4 & ControlRegister.CR4_PKS) != 0;
    paging.pse = (cr4 & ControlRegister.CR4_PSE) != 0;
    paging.pge = (cr4 & ControlRegister.CR4_PGE) != 0;
  }

  /**
   * Records a VM exit caused by an instruction.
   *
   * @param reason constant of {@link ExitReason}
   * @param instructionLength bytes, 0 if the reason defines none
   * @return {@link Status#EXIT}
   */
  public int vmExit(int reason, long qualification, int instructionLength) {
    exit.clear();
    exit.reason = reason;
    exit.qualification = qualification;
    exit.instructionLength = instructionLength;
    return Status.EXIT;
  }

  /** Records an exception with no error code. @return {@link Status#FAULT} */
  public int fault(int vector) {
    return fault(vector, 0);
  }

  /** Records an exception. @return {@link Status#FAULT} */
  public int fault(int vector, int errorCode) {
    faultVector = vector;
    faultErrorCode = errorCode;
    return Status.FAULT;
  }

  /** Records a #PF. @return {@link Status#FAULT} */
  public int pageFault(@Gva long gva, int errorCode) {
    faultAddress = gva;
    return fault(Vector.PF, errorCode);
  }
}
