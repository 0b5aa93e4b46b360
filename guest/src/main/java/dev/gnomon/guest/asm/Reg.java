package dev.gnomon.guest.asm;

/**
 * A register: general-purpose ones in each width, segment, control and debug registers. Constants stand in the order
 * of their encoding within each kind, so {@link #general} can pick one by number.
 */
public enum Reg implements Operand {
  RAX(Kind.GENERAL, 8, 0), RCX(Kind.GENERAL, 8, 1), RDX(Kind.GENERAL, 8, 2), RBX(Kind.GENERAL, 8, 3),
  RSP(Kind.GENERAL, 8, 4), RBP(Kind.GENERAL, 8, 5), RSI(Kind.GENERAL, 8, 6), RDI(Kind.GENERAL, 8, 7),
  R8(Kind.GENERAL, 8, 8), R9(Kind.GENERAL, 8, 9), R10(Kind.GENERAL, 8, 10), R11(Kind.GENERAL, 8, 11),
  R12(Kind.GENERAL, 8, 12), R13(Kind.GENERAL, 8, 13), R14(Kind.GENERAL, 8, 14), R15(Kind.GENERAL, 8, 15),

  EAX(Kind.GENERAL, 4, 0), ECX(Kind.GENERAL, 4, 1), EDX(Kind.GENERAL, 4, 2), EBX(Kind.GENERAL, 4, 3),
  ESP(Kind.GENERAL, 4, 4), EBP(Kind.GENERAL, 4, 5), ESI(Kind.GENERAL, 4, 6), EDI(Kind.GENERAL, 4, 7),
  R8D(Kind.GENERAL, 4, 8), R9D(Kind.GENERAL, 4, 9), R10D(Kind.GENERAL, 4, 10), R11D(Kind.GENERAL, 4, 11),
  R12D(Kind.GENERAL, 4, 12), R13D(Kind.GENERAL, 4, 13), R14D(Kind.GENERAL, 4, 14), R15D(Kind.GENERAL, 4, 15),

  AX(Kind.GENERAL, 2, 0), CX(Kind.GENERAL, 2, 1), DX(Kind.GENERAL, 2, 2), BX(Kind.GENERAL, 2, 3),
  SP(Kind.GENERAL, 2, 4), BP(Kind.GENERAL, 2, 5), SI(Kind.GENERAL, 2, 6), DI(Kind.GENERAL, 2, 7),
  R8W(Kind.GENERAL, 2, 8), R9W(Kind.GENERAL, 2, 9), R10W(Kind.GENERAL, 2, 10), R11W(Kind.GENERAL, 2, 11),
  R12W(Kind.GENERAL, 2, 12), R13W(Kind.GENERAL, 2, 13), R14W(Kind.GENERAL, 2, 14), R15W(Kind.GENERAL, 2, 15),

  AL(Kind.GENERAL, 1, 0), CL(Kind.GENERAL, 1, 1), DL(Kind.GENERAL, 1, 2), BL(Kind.GENERAL, 1, 3),
  SPL(Kind.GENERAL, 1, 4), BPL(Kind.GENERAL, 1, 5), SIL(Kind.GENERAL, 1, 6), DIL(Kind.GENERAL, 1, 7),
  R8B(Kind.GENERAL, 1, 8), R9B(Kind.GENERAL, 1, 9), R10B(Kind.GENERAL, 1, 10), R11B(Kind.GENERAL, 1, 11),
  R12B(Kind.GENERAL, 1, 12), R13B(Kind.GENERAL, 1, 13), R14B(Kind.GENERAL, 1, 14), R15B(Kind.GENERAL, 1, 15),

  AH(Kind.HIGH_BYTE, 1, 4), CH(Kind.HIGH_BYTE, 1, 5), DH(Kind.HIGH_BYTE, 1, 6), BH(Kind.HIGH_BYTE, 1, 7),

  ES(Kind.SEGMENT, 2, 0), CS(Kind.SEGMENT, 2, 1), SS(Kind.SEGMENT, 2, 2), DS(Kind.SEGMENT, 2, 3),
  FS(Kind.SEGMENT, 2, 4), GS(Kind.SEGMENT, 2, 5),

  CR0(Kind.CONTROL, 0, 0), CR1(Kind.CONTROL, 0, 1), CR2(Kind.CONTROL, 0, 2), CR3(Kind.CONTROL, 0, 3),
  CR4(Kind.CONTROL, 0, 4), CR5(Kind.CONTROL, 0, 5), CR6(Kind.CONTROL, 0, 6), CR7(Kind.CONTROL, 0, 7),
  CR8(Kind.CONTROL, 0, 8), CR9(Kind.CONTROL, 0, 9), CR10(Kind.CONTROL, 0, 10), CR11(Kind.CONTROL, 0, 11),
  CR12(Kind.CONTROL, 0, 12), CR13(Kind.CONTROL, 0, 13), CR14(Kind.CONTROL, 0, 14), CR15(Kind.CONTROL, 0, 15),

  DR0(Kind.DEBUG, 0, 0), DR1(Kind.DEBUG, 0, 1), DR2(Kind.DEBUG, 0, 2), DR3(Kind.DEBUG, 0, 3),
  DR4(Kind.DEBUG, 0, 4), DR5(Kind.DEBUG, 0, 5), DR6(Kind.DEBUG, 0, 6), DR7(Kind.DEBUG, 0, 7);

  /** What a register is, which decides the instructions that accept it. */
  public enum Kind {
    /** A general-purpose register of 1, 2, 4 or 8 bytes; SPL, BPL, SIL and DIL are the REX forms. */
    GENERAL,
    /** AH, CH, DH or BH: encoded as numbers 4 to 7 and only without a REX prefix. */
    HIGH_BYTE,
    /** ES, CS, SS, DS, FS, GS. */
    SEGMENT,
    /** CR0 to CR15; which exist is for the processor to say. */
    CONTROL,
    /** DR0 to DR7. */
    DEBUG
  }

  private static final Reg[] ALL = values();

  private final Kind kind;
  private final int size;
  private final int number;

  Reg(Kind kind, int size, int number) {
    this.kind = kind;
    this.size = size;
    this.number = number;
  }

  /**
   * The general-purpose register of a number.
   *
   * @param number 0 to 15 (4 to 7 with size 1 are SPL, BPL, SIL, DIL)
   * @param size 1, 2, 4 or 8 bytes
   */
  public static Reg general(int number, int size) {
    if (number < 0 || number > 15) {
      throw new IllegalArgumentException("register number " + number + ": expected 0 to 15");
    }
    Reg first = switch (size) {
      case 1 -> AL;
      case 2 -> AX;
      case 4 -> EAX;
      case 8 -> RAX;
      default -> throw new IllegalArgumentException("register size " + size + ": expected 1, 2, 4 or 8 bytes");
    };
    return ALL[first.ordinal() + number];
  }

  /** The same general-purpose register in another width, for example {@code RAX.as(4)} is EAX. */
  public Reg as(int newSize) {
    if (kind != Kind.GENERAL) {
      throw new IllegalArgumentException(this + " has no other width: expected a general-purpose register");
    }
    return general(number, newSize);
  }

  /** What the register is. */
  public Kind kind() {
    return kind;
  }

  /** Width in bytes; 0 for control and debug registers, whose width is that of the mode. */
  @Override
  public int size() {
    return size;
  }

  /** Number as the instruction encodes it, 0 to 15; AH to BH are 4 to 7. */
  public int number() {
    return number;
  }

  /** Whether this is a general-purpose register of any width, AH to BH included. */
  public boolean isGeneral() {
    return kind == Kind.GENERAL || kind == Kind.HIGH_BYTE;
  }

  /** Whether this is AL, AX, EAX or RAX. */
  boolean isAccumulator() {
    return kind == Kind.GENERAL && number == 0;
  }

  /** Whether the register can be named only with a REX prefix, even an empty one. */
  boolean needsRex() {
    return number > 7 || kind == Kind.GENERAL && size == 1 && number > 3;
  }
}
