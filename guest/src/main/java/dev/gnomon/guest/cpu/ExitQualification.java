package dev.gnomon.guest.cpu;

/**
 * Exit qualifications and the other encoded exit fields that depend on the exit reason (SDM vol. 3C, "Exit
 * Qualifications", "Information for VM Exits Due to Vectored Events", "Information for VM Exits Due to Instruction
 * Execution").
 * <pre>
 *  CR_ACCESS        31:16 LMSW source | 11:8 register | 6 LMSW from memory | 5:4 type (0 MOV to, 1 MOV from, 2 CLTS, 3 LMSW) | 3:0 CR number
 *  DR_ACCESS        11:8 register | 4 MOV from DR | 2:0 DR number
 *  IO_INSTRUCTION   31:16 port | 6 port is an immediate | 5 REP | 4 string | 3 IN | 2:0 size − 1
 *  TASK_SWITCH      31:30 source (0 CALL, 1 IRET, 2 JMP, 3 task gate in the IDT) | 15:0 TSS selector
 *  EXCEPTION_NMI    #PF: faulting linear address; #DB: 14 BS | 13 BD | 3:0 B3–B0
 *  EPT_VIOLATION    see {@code EptViolation}; as in PML_FULL and SPP bit 12 says that IRET had unblocked NMIs
 *  INVLPG           linear address of the operand
 *  INVPCID          displacement of the operand; instruction info as below
 *
 *  interruption and IDT-vectoring information   31 valid | 12 NMI unblocking | 11 error code valid | 10:8 type | 7:0 vector
 *  INVPCID instruction information              31:28 register | 27 no base | 26:23 base | 22 no index | 21:18 index | 17:15 segment |
 *                                               9:7 address size (0 16, 1 32, 2 64 bits) | 1:0 scale
 * </pre>
 */
public final class ExitQualification {
  public static final int CR_NUMBER = 0xF;
  public static final int CR_TYPE_SHIFT = 4;
  public static final int CR_TYPE = 3 << CR_TYPE_SHIFT;
  public static final int CR_MOV_TO = 0;
  public static final int CR_MOV_FROM = 1;
  public static final int CR_CLTS = 2;
  public static final int CR_LMSW = 3;
  public static final int CR_LMSW_MEMORY = 1 << 6;
  public static final int REGISTER_SHIFT = 8;
  public static final int REGISTER = 0xF << REGISTER_SHIFT;
  public static final int LMSW_SOURCE_SHIFT = 16;

  public static final int DR_NUMBER = 7;
  public static final int DR_FROM = 1 << 4;

  public static final int IO_SIZE = 7;
  public static final int IO_IN = 1 << 3;
  public static final int IO_STRING = 1 << 4;
  public static final int IO_REP = 1 << 5;
  public static final int IO_IMMEDIATE = 1 << 6;
  public static final int IO_PORT_SHIFT = 16;

  public static final int TASK_CALL = 0;
  public static final int TASK_IRET = 1;
  public static final int TASK_JMP = 2;
  public static final int TASK_GATE = 3;
  public static final int TASK_SOURCE_SHIFT = 30;

  /** EPT_VIOLATION, PML_FULL and SPP: IRET had unblocked NMIs. */
  public static final long NMI_UNBLOCKING = 1L << 12;

  public static final int INFO_VECTOR = 0xFF;
  public static final int INFO_TYPE_SHIFT = 8;
  public static final int INFO_TYPE = 7 << INFO_TYPE_SHIFT;
  public static final int INFO_ERROR_CODE = 1 << 11;
  /** The exception is that of an IRET that had unblocked NMIs. */
  public static final int INFO_NMI_UNBLOCKING = 1 << 12;
  public static final int INFO_VALID = 1 << 31;

  private static final int OPERAND_ADDRESS_SIZE_SHIFT = 7;
  private static final int OPERAND_SEGMENT_SHIFT = 15;
  private static final int OPERAND_INDEX_SHIFT = 18;
  private static final int OPERAND_NO_INDEX = 1 << 22;
  private static final int OPERAND_BASE_SHIFT = 23;
  private static final int OPERAND_NO_BASE = 1 << 27;
  private static final int OPERAND_REGISTER_SHIFT = 28;

  private ExitQualification() {}

  /** @param type CR_MOV_TO, CR_MOV_FROM or CR_CLTS */
  public static long crAccess(int cr, int type, int register) {
    return cr | type << CR_TYPE_SHIFT | register << REGISTER_SHIFT;
  }

  public static long lmsw(int source, boolean memory) {
    return CR_LMSW << CR_TYPE_SHIFT | (memory ? CR_LMSW_MEMORY : 0) | (source & 0xFFFFL) << LMSW_SOURCE_SHIFT;
  }

  public static int crNumber(long qualification) {
    return (int) qualification & CR_NUMBER;
  }

  public static int crType(long qualification) {
    return ((int) qualification & CR_TYPE) >> CR_TYPE_SHIFT;
  }

  /** General register of a CR or DR access. */
  public static int register(long qualification) {
    return ((int) qualification & REGISTER) >> REGISTER_SHIFT;
  }

  public static int lmswSource(long qualification) {
    return (int) (qualification >>> LMSW_SOURCE_SHIFT) & 0xFFFF;
  }

  public static long drAccess(int dr, boolean from, int register) {
    return dr | (from ? DR_FROM : 0) | register << REGISTER_SHIFT;
  }

  public static int drNumber(long qualification) {
    return (int) qualification & DR_NUMBER;
  }

  /** @param size 1, 2 or 4 bytes */
  public static long io(int port, int size, boolean in, boolean string, boolean rep, boolean immediate) {
    return size - 1 | (in ? IO_IN : 0) | (string ? IO_STRING : 0) | (rep ? IO_REP : 0) | (immediate ? IO_IMMEDIATE : 0)
        | (port & 0xFFFFL) << IO_PORT_SHIFT;
  }

  public static int ioPort(long qualification) {
    return (int) (qualification >>> IO_PORT_SHIFT) & 0xFFFF;
  }

  /** Bytes of the access: 1, 2 or 4. */
  public static int ioSize(long qualification) {
    return ((int) qualification & IO_SIZE) + 1;
  }

  /** @param source TASK_CALL, TASK_IRET, TASK_JMP or TASK_GATE */
  public static long taskSwitch(int selector, int source) {
    return selector & 0xFFFFL | (long) source << TASK_SOURCE_SHIFT;
  }

  /** Interruption or IDT-vectoring information of an event. */
  public static int info(int vector, int type, boolean hasErrorCode) {
    return vector | type << INFO_TYPE_SHIFT | (hasErrorCode ? INFO_ERROR_CODE : 0) | INFO_VALID;
  }

  public static int infoType(int info) {
    return (info & INFO_TYPE) >> INFO_TYPE_SHIFT;
  }

  /**
   * Instruction information of an instruction with a register and a memory operand.
   *
   * @param addressSize 2, 4 or 8 bytes
   * @param index register, or −1
   * @param base register, or −1
   */
  public static int operandInfo(int register, int addressSize, int segment, int base, int index, int scale) {
    return scale | Integer.numberOfTrailingZeros(addressSize) - 1 << OPERAND_ADDRESS_SIZE_SHIFT
        | segment << OPERAND_SEGMENT_SHIFT
        | (index < 0 ? OPERAND_NO_INDEX : index << OPERAND_INDEX_SHIFT)
        | (base < 0 ? OPERAND_NO_BASE : base << OPERAND_BASE_SHIFT) | register << OPERAND_REGISTER_SHIFT;
  }

  /** Register operand of {@link #operandInfo}. */
  public static int operandRegister(int info) {
    return info >>> OPERAND_REGISTER_SHIFT;
  }
}
