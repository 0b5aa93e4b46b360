package dev.gnomon.guest.asm;

/**
 * Assembles x86 instructions and data into an image. Each instruction is a method named by its mnemonic (SDM vol. 2);
 * those that would clash with Java have a longer name ({@link #interrupt} for INT). Operands come in Intel order, the
 * destination first. Families also have a method that takes the operation: {@link #alu}, {@link #unary},
 * {@link #shift}, {@link #bitTest}, {@link #bitScan}, {@link #string}, {@link #simple}, {@link #jcc}, {@link #set},
 * {@link #cmov}; and {@link #encode} makes any form with a ModRM byte.
 *
 * <p>The shortest form is chosen for immediates and displacements that are numbers; labels always take full-size ones,
 * and jumps are near unless asked for short, so the size of an instruction never depends on a label.
 *
 * <p>After an exception, the image may hold part of the instruction.
 */
public final class Assembler extends SystemInstructions {

  /** Recommended multi-byte NOPs of 1 to 9 bytes in 32- and 64-bit code (SDM vol. 2, "NOP"). */
  private static final byte[][] NOPS = {
    {(byte) 0x90},
    {0x66, (byte) 0x90},
    {0x0F, 0x1F, 0x00},
    {0x0F, 0x1F, 0x40, 0x00},
    {0x0F, 0x1F, 0x44, 0x00, 0x00},
    {0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00},
    {0x0F, 0x1F, (byte) 0x80, 0x00, 0x00, 0x00, 0x00},
    {0x0F, 0x1F, (byte) 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    {0x66, 0x0F, 0x1F, (byte) 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
  };

  /** An empty image that starts with code of {@code bits} (16, 32 or 64) bits. */
  public Assembler(int bits) {
    super(bits);
  }

  /** LOCK prefix for the instruction that follows. */
  public Assembler lock() {
    return prefix(0xF0);
  }

  /** REP prefix for the string instruction that follows. */
  public Assembler rep() {
    return prefix(0xF3);
  }

  /** REPE prefix for the string comparison that follows. */
  public Assembler repe() {
    return prefix(0xF3);
  }

  /** REPNE prefix for the string comparison that follows. */
  public Assembler repne() {
    return prefix(0xF2);
  }

  /** Segment-override prefix for the instruction that follows, where no operand can carry it: strings, XLATB. */
  public Assembler seg(Reg segment) {
    segmentPrefix(segment);
    return this;
  }

  /** Address size (16, 32, 64 bits) of the string or loop instruction that follows: a prefix if not the default. */
  public Assembler addressSize(int addressBits) {
    boolean exists = addressBits == 32 || addressBits == 16 && bits() != 64 || addressBits == 64 && bits() == 64;
    if (!exists) {
      throw new IllegalArgumentException("address size " + addressBits + ": not in " + bits() + "-bit code");
    }
    return addressBits == bits() ? this : prefix(ADDRESS_SIZE_PREFIX);
  }

  /** NOPs of {@code length} bytes in all, as few as there can be. */
  public void nop(int length) {
    int left = length;
    while (left > 0) {
      int part = bits() == 16 ? 1 : Math.min(left, NOPS.length);
      emit(NOPS[part - 1]);
      left -= part;
    }
  }

  /** Fills with NOPs up to a multiple of {@code boundary} (a power of 2) from the image's start. */
  public void align(int boundary) {
    nop(padding(boundary));
  }

  /** An instruction without operands. */
  public void simple(SimpleOp op) {
    if (!op.isValidIn(bits())) {
      throw new IllegalArgumentException(op + ": not in " + bits() + "-bit code");
    }
    plain(op.opcode(), op.operandSize(), Immediate.NONE);
  }

  public void nop() { simple(SimpleOp.NOP); }
  public void pause() { simple(SimpleOp.PAUSE); }
  public void hlt() { simple(SimpleOp.HLT); }
  public void ud2() { simple(SimpleOp.UD2); }
  public void fwait() { simple(SimpleOp.FWAIT); }
  public void cbw() { simple(SimpleOp.CBW); }
  public void cwde() { simple(SimpleOp.CWDE); }
  public void cdqe() { simple(SimpleOp.CDQE); }
  public void cwd() { simple(SimpleOp.CWD); }
  public void cdq() { simple(SimpleOp.CDQ); }
  public void cqo() { simple(SimpleOp.CQO); }
  public void lahf() { simple(SimpleOp.LAHF); }
  public void sahf() { simple(SimpleOp.SAHF); }
  public void clc() { simple(SimpleOp.CLC); }
  public void stc() { simple(SimpleOp.STC); }
  public void cmc() { simple(SimpleOp.CMC); }
  public void cld() { simple(SimpleOp.CLD); }
  public void std() { simple(SimpleOp.STD); }
  public void cli() { simple(SimpleOp.CLI); }
  public void sti() { simple(SimpleOp.STI); }
  public void xlatb() { simple(SimpleOp.XLATB); }
  public void leave() { simple(SimpleOp.LEAVE); }
  public void daa() { simple(SimpleOp.DAA); }
  public void das() { simple(SimpleOp.DAS); }
  public void aaa() { simple(SimpleOp.AAA); }
  public void aas() { simple(SimpleOp.AAS); }
  public void into() { simple(SimpleOp.INTO); }
  public void pusha() { simple(SimpleOp.PUSHA); }
  public void pushaw() { simple(SimpleOp.PUSHAW); }
  public void pushad() { simple(SimpleOp.PUSHAD); }
  public void popa() { simple(SimpleOp.POPA); }
  public void popaw() { simple(SimpleOp.POPAW); }
  public void popad() { simple(SimpleOp.POPAD); }
  public void pushf() { simple(SimpleOp.PUSHF); }
  public void pushfw() { simple(SimpleOp.PUSHFW); }
  public void pushfd() { simple(SimpleOp.PUSHFD); }
  public void pushfq() { simple(SimpleOp.PUSHFQ); }
  public void popf() { simple(SimpleOp.POPF); }
  public void popfw() { simple(SimpleOp.POPFW); }
  public void popfd() { simple(SimpleOp.POPFD); }
  public void popfq() { simple(SimpleOp.POPFQ); }
  public void ret() { simple(SimpleOp.RET); }
  public void retf() { simple(SimpleOp.RETF); }
  public void retfw() { simple(SimpleOp.RETFW); }
  public void retfd() { simple(SimpleOp.RETFD); }
  public void retfq() { simple(SimpleOp.RETFQ); }
  public void iret() { simple(SimpleOp.IRET); }
  public void iretw() { simple(SimpleOp.IRETW); }
  public void iretd() { simple(SimpleOp.IRETD); }
  public void iretq() { simple(SimpleOp.IRETQ); }
  public void int1() { simple(SimpleOp.INT1); }
  public void int3() { simple(SimpleOp.INT3); }
  public void cpuid() { simple(SimpleOp.CPUID); }
  public void rdtsc() { simple(SimpleOp.RDTSC); }
  public void rdtscp() { simple(SimpleOp.RDTSCP); }
  public void rdpmc() { simple(SimpleOp.RDPMC); }
  public void rdmsr() { simple(SimpleOp.RDMSR); }
  public void wrmsr() { simple(SimpleOp.WRMSR); }
  public void xgetbv() { simple(SimpleOp.XGETBV); }
  public void xsetbv() { simple(SimpleOp.XSETBV); }
  public void syscall() { simple(SimpleOp.SYSCALL); }
  public void sysret() { simple(SimpleOp.SYSRET); }
  public void sysretq() { simple(SimpleOp.SYSRETQ); }
  public void sysenter() { simple(SimpleOp.SYSENTER); }
  public void sysexit() { simple(SimpleOp.SYSEXIT); }
  public void sysexitq() { simple(SimpleOp.SYSEXITQ); }
  public void swapgs() { simple(SimpleOp.SWAPGS); }
  public void clts() { simple(SimpleOp.CLTS); }
  public void invd() { simple(SimpleOp.INVD); }
  public void wbinvd() { simple(SimpleOp.WBINVD); }
  public void rsm() { simple(SimpleOp.RSM); }
  public void stac() { simple(SimpleOp.STAC); }
  public void clac() { simple(SimpleOp.CLAC); }
  public void monitor() { simple(SimpleOp.MONITOR); }
  public void mwait() { simple(SimpleOp.MWAIT); }
  public void vmcall() { simple(SimpleOp.VMCALL); }
  public void vmfunc() { simple(SimpleOp.VMFUNC); }
  public void vmlaunch() { simple(SimpleOp.VMLAUNCH); }
  public void vmresume() { simple(SimpleOp.VMRESUME); }
  public void vmxoff() { simple(SimpleOp.VMXOFF); }
  public void vmmcall() { simple(SimpleOp.VMMCALL); }
  public void lfence() { simple(SimpleOp.LFENCE); }
  public void mfence() { simple(SimpleOp.MFENCE); }
  public void sfence() { simple(SimpleOp.SFENCE); }
  public void endbr32() { simple(SimpleOp.ENDBR32); }
  public void endbr64() { simple(SimpleOp.ENDBR64); }
  public void fninit() { simple(SimpleOp.FNINIT); }
  public void fnclex() { simple(SimpleOp.FNCLEX); }
  public void emms() { simple(SimpleOp.EMMS); }

  private Assembler prefix(int value) {
    put(value, 1);
    return this;
  }
}
