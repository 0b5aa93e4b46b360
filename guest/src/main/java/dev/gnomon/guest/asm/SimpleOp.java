package dev.gnomon.guest.asm;

/**
 * Instructions that take no operands: opcode bytes, operand size in bytes (0 when none is encoded), and the code sizes
 * that have them. {@code IRET}, {@code PUSHF} and their like have the size that is the default of the code;
 * {@code IRETD} and {@code RETFQ} and so on name it.
 */
public enum SimpleOp {
  NOP(0x90), PAUSE(0xF390), HLT(0xF4), UD2(0x0F0B), FWAIT(0x9B),
  CBW(0x98, 2), CWDE(0x98, 4), CDQE(0x98, 8), CWD(0x99, 2), CDQ(0x99, 4), CQO(0x99, 8),
  LAHF(0x9F), SAHF(0x9E), CLC(0xF8), STC(0xF9), CMC(0xF5), CLD(0xFC), STD(0xFD), CLI(0xFA), STI(0xFB),
  XLATB(0xD7), LEAVE(0xC9),
  DAA(0x27, 0, SimpleOp.LEGACY), DAS(0x2F, 0, SimpleOp.LEGACY),
  AAA(0x37, 0, SimpleOp.LEGACY), AAS(0x3F, 0, SimpleOp.LEGACY), INTO(0xCE, 0, SimpleOp.LEGACY),
  PUSHA(0x60, 0, SimpleOp.LEGACY), PUSHAW(0x60, 2, SimpleOp.LEGACY), PUSHAD(0x60, 4, SimpleOp.LEGACY),
  POPA(0x61, 0, SimpleOp.LEGACY), POPAW(0x61, 2, SimpleOp.LEGACY), POPAD(0x61, 4, SimpleOp.LEGACY),
  PUSHF(0x9C), PUSHFW(0x9C, 2), PUSHFD(0x9C, 4, SimpleOp.LEGACY), PUSHFQ(0x9C, 0, SimpleOp.LONG),
  POPF(0x9D), POPFW(0x9D, 2), POPFD(0x9D, 4, SimpleOp.LEGACY), POPFQ(0x9D, 0, SimpleOp.LONG),
  RET(0xC3), RETF(0xCB), RETFW(0xCB, 2), RETFD(0xCB, 4), RETFQ(0xCB, 8),
  IRET(0xCF, 0, SimpleOp.LEGACY), IRETW(0xCF, 2), IRETD(0xCF, 4), IRETQ(0xCF, 8),
  INT1(0xF1), INT3(0xCC),
  CPUID(0x0FA2), RDTSC(0x0F31), RDTSCP(0x0F01F9), RDPMC(0x0F33), RDMSR(0x0F32), WRMSR(0x0F30),
  XGETBV(0x0F01D0), XSETBV(0x0F01D1),
  SYSCALL(0x0F05), SYSRET(0x0F07), SYSRETQ(0x0F07, 8), SYSENTER(0x0F34), SYSEXIT(0x0F35), SYSEXITQ(0x0F35, 8),
  SWAPGS(0x0F01F8, 0, SimpleOp.LONG), CLTS(0x0F06), INVD(0x0F08), WBINVD(0x0F09), RSM(0x0FAA),
  STAC(0x0F01CB), CLAC(0x0F01CA), MONITOR(0x0F01C8), MWAIT(0x0F01C9),
  VMCALL(0x0F01C1), VMLAUNCH(0x0F01C2), VMRESUME(0x0F01C3), VMXOFF(0x0F01C4), VMMCALL(0x0F01D9), VMFUNC(0x0F01D4),
  LFENCE(0x0FAEE8), MFENCE(0x0FAEF0), SFENCE(0x0FAEF8),
  ENDBR32(0xF30F1EFB), ENDBR64(0xF30F1EFA),
  FNINIT(0xDBE3), FNCLEX(0xDBE2), EMMS(0x0F77);

  private static final int LEGACY = 16 | 32;
  private static final int LONG = 64;
  private static final int ANY = LEGACY | LONG;

  private final int opcode;
  private final int operandSize;
  private final int codeSizes;

  SimpleOp(int opcode) {
    this(opcode, 0);
  }

  SimpleOp(int opcode, int operandSize) {
    this(opcode, operandSize, operandSize == 8 ? SimpleOp.LONG : SimpleOp.ANY);
  }

  SimpleOp(int opcode, int operandSize, int codeSizes) {
    this.opcode = opcode;
    this.operandSize = operandSize;
    this.codeSizes = codeSizes;
  }

  /** Whether code of {@code bits} (16, 32 or 64) has the instruction. */
  public boolean isValidIn(int bits) {
    return (codeSizes & bits) != 0;
  }

  int opcode() {
    return opcode;
  }

  int operandSize() {
    return operandSize;
  }
}
