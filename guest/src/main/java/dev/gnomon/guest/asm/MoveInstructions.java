package dev.gnomon.guest.asm;

/** Moves of data: MOV and its extensions, exchanges, the stack, addresses, ports and strings. */
abstract sealed class MoveInstructions extends Encoder permits ArithmeticInstructions {

  MoveInstructions(int bits) {
    super(bits);
  }

  /**
   * MOV between general-purpose registers and memory, and to or from segment, control and debug registers. A label as
   * the source is its address, as a full immediate: of 8 bytes for a 64-bit register.
   */
  public final void mov(Operand dst, Operand src) {
    if (src instanceof Label label) {
      movAddress(dst, label);
    } else if (dst instanceof Reg reg && !reg.isGeneral()) {
      movSpecial(reg, src, true);
    } else if (src instanceof Reg reg && !reg.isGeneral()) {
      movSpecial(reg, dst, false);
    } else if (src instanceof Reg reg) {
      int size = commonSize(dst, src);
      encode(size == 1 ? 0x88 : 0x89, size, reg, dst);
    } else {
      Reg reg = requireRegister(dst);
      int size = commonSize(dst, src);
      encode(size == 1 ? 0x8A : 0x8B, size, reg, src);
    }
  }

  /**
   * MOV of a number; the shortest form that keeps the operand size. One for a 64-bit register that does not fit 32 bits
   * sign-extended takes 8 bytes.
   */
  public final void mov(Operand dst, long value) {
    int size = commonSize(dst);
    if (dst instanceof Reg reg && size == 8 && !fits(value, 4, Range.SIGNED)) {
      movabs(reg, value);
    } else if (dst instanceof Reg reg && size != 8) {
      withRegister(size == 1 ? 0xB0 : 0xB8, size, reg, Immediate.of(size, value));
    } else {
      modrm(size == 1 ? 0xC6 : 0xC7, size, 0, dst, Immediate.of(immediateSize(size), signExtended(value, size)));
    }
  }

  /** MOV of a full-size immediate to a register. */
  public final void movabs(Reg dst, long value) {
    int size = commonSize(dst);
    withRegister(size == 1 ? 0xB0 : 0xB8, size, dst, Immediate.of(size, value));
  }

  /** MOV of a label's address, in the register's size. */
  public final void movabs(Reg dst, Label label) {
    int size = commonWideSize(dst);
    withRegister(0xB8, size, dst, Immediate.of(size, label, Range.EITHER));
  }

  /** MOV to AL, AX, EAX or RAX from an absolute address as long as the code's address size (opcodes A0H and A1H). */
  public final void movabs(Reg accumulator, Mem src) {
    movOffset(0xA0, accumulator, src);
  }

  /** MOV from AL, AX, EAX or RAX to an absolute address as long as the code's address size (opcodes A2H and A3H). */
  public final void movabs(Mem dst, Reg accumulator) {
    movOffset(0xA2, accumulator, dst);
  }

  /** MOVZX from a source of 1 or 2 bytes. */
  public final void movzx(Reg dst, Operand src) {
    extend(0x0FB6, dst, src);
  }

  /** MOVSX from a source of 1 or 2 bytes. */
  public final void movsx(Reg dst, Operand src) {
    extend(0x0FBE, dst, src);
  }

  /** MOVSXD from a source of 4 bytes; 64-bit code only. */
  public final void movsxd(Reg dst, Operand src) {
    if (bits() != 64 || commonWideSize(dst) == 2 || src.size() != 4 && src.size() != 0) {
      throw new IllegalArgumentException(
          "movsxd " + dst + ", " + src + ": expected 4 bytes to a register of 4 or 8, in 64-bit code");
    }
    encode(0x63, dst.size(), dst, src);
  }

  /** MOVNTI, a store that bypasses the caches. */
  public final void movnti(Mem dst, Reg src) {
    encode(0x0FC3, commonWideSize(src), src, dst);
  }

  /** LEA. */
  public final void lea(Reg dst, Mem src) {
    encode(0x8D, commonWideSize(dst), dst, src);
  }

  /** LES, LDS, LSS, LFS or LGS: loads segment:dst from a far pointer whose offset has the size of {@code dst}. */
  public final void loadFar(Reg segment, Reg dst, Mem src) {
    int opcode = switch (segment) {
      case ES -> 0xC4;
      case DS -> 0xC5;
      case SS -> 0x0FB2;
      case FS -> 0x0FB4;
      case GS -> 0x0FB5;
      default -> throw new IllegalArgumentException("far load of " + segment + ": expected ES, DS, SS, FS or GS");
    };
    if (opcode <= 0xFF && bits() == 64) {
      throw new IllegalArgumentException("far load of " + segment + ": not in 64-bit code");
    }
    encode(opcode, commonWideSize(dst), dst, src);
  }

  /** XCHG. */
  public final void xchg(Operand dst, Operand src) {
    int size = commonSize(dst, src);
    // XCHG EAX, EAX must not be 90H: that is NOP, which leaves the upper half of RAX alone.
    if (size > 1 && dst != src && dst instanceof Reg d && src instanceof Reg s
        && (d.isAccumulator() || s.isAccumulator())) {
      withRegister(0x90, size, d.isAccumulator() ? s : d, Immediate.NONE);
    } else {
      boolean memoryFirst = src instanceof Reg;
      encode(size == 1 ? 0x86 : 0x87, size, requireRegister(memoryFirst ? src : dst), memoryFirst ? dst : src);
    }
  }

  /** BSWAP. */
  public final void bswap(Reg reg) {
    withRegister(0x0FC8, commonWideSize(reg), reg, Immediate.NONE);
  }

  /** PUSH of a register, of memory (of the stack's size unless it tells), or of a label's address (16 or 32 bits). */
  public final void push(Operand src) {
    if (src instanceof Label label) {
      int size = bits() == 16 ? 2 : 4;
      plain(0x68, 0, Immediate.of(size, label, bits() == 64 ? Range.SIGNED : Range.EITHER));
    } else if (src instanceof Reg reg && reg.kind() == Reg.Kind.SEGMENT) {
      pushOrPopSegment(reg, reg.number() < 4 ? 0x06 : 0x0FA0 - (4 << 3));
    } else if (src instanceof Reg reg) {
      withRegister(0x50, stackOperandSize(commonWideSize(reg)), reg, Immediate.NONE);
    } else {
      encode(0xFF, stackOperandSize(src.size()), 6, src);
    }
  }

  /** PUSH of a number, in the default size of the stack; the shortest form. */
  public final void push(long value) {
    pushImmediate(0, bits() == 16 ? 2 : 4, value);
  }

  /** PUSH of a number as a word of 2 bytes. */
  public final void pushw(long value) {
    pushImmediate(2, 2, value);
  }

  /** PUSH of a number as a doubleword, in 16- and 32-bit code. */
  public final void pushd(long value) {
    pushImmediate(stackOperandSize(4), 4, value);
  }

  /** POP of a register or memory. */
  public final void pop(Operand dst) {
    if (dst instanceof Reg reg && reg.kind() == Reg.Kind.SEGMENT) {
      if (reg == Reg.CS) {
        throw new IllegalArgumentException("pop CS does not exist");
      }
      pushOrPopSegment(reg, reg.number() < 4 ? 0x07 : 0x0FA1 - (4 << 3));
    } else if (dst instanceof Reg reg) {
      withRegister(0x58, stackOperandSize(commonWideSize(reg)), reg, Immediate.NONE);
    } else {
      encode(0x8F, stackOperandSize(dst.size()), 0, dst);
    }
  }

  /** IN to AL, AX or EAX from port 0 to 255. */
  public final void in(Reg accumulator, int port) {
    port(0xE4, accumulator, Immediate.of(1, port));
  }

  /** IN to AL, AX or EAX from the port in DX. */
  public final void in(Reg accumulator, Reg dx) {
    requireDx(dx);
    port(0xEC, accumulator, Immediate.NONE);
  }

  /** OUT of AL, AX or EAX to port 0 to 255. */
  public final void out(int port, Reg accumulator) {
    port(0xE6, accumulator, Immediate.of(1, port));
  }

  /** OUT of AL, AX or EAX to the port in DX. */
  public final void out(Reg dx, Reg accumulator) {
    requireDx(dx);
    port(0xEE, accumulator, Immediate.NONE);
  }

  /** A string instruction on elements of 1, 2, 4 or 8 bytes (INS and OUTS: to 4). */
  public final void string(StringOp op, int size) {
    boolean isPort = op == StringOp.INS || op == StringOp.OUTS;
    if (size != 1 && size != 2 && size != 4 && (size != 8 || isPort)) {
      throw new IllegalArgumentException(op + " of " + size + " bytes: expected 1, 2, 4" + (isPort ? "" : " or 8"));
    }
    plain(op.opcode() + (size == 1 ? 0 : 1), size, Immediate.NONE);
  }

  public final void movsb() { string(StringOp.MOVS, 1); }
  public final void movsw() { string(StringOp.MOVS, 2); }
  public final void movsd() { string(StringOp.MOVS, 4); }
  public final void movsq() { string(StringOp.MOVS, 8); }
  public final void cmpsb() { string(StringOp.CMPS, 1); }
  public final void cmpsw() { string(StringOp.CMPS, 2); }
  public final void cmpsd() { string(StringOp.CMPS, 4); }
  public final void cmpsq() { string(StringOp.CMPS, 8); }
  public final void stosb() { string(StringOp.STOS, 1); }
  public final void stosw() { string(StringOp.STOS, 2); }
  public final void stosd() { string(StringOp.STOS, 4); }
  public final void stosq() { string(StringOp.STOS, 8); }
  public final void lodsb() { string(StringOp.LODS, 1); }
  public final void lodsw() { string(StringOp.LODS, 2); }
  public final void lodsd() { string(StringOp.LODS, 4); }
  public final void lodsq() { string(StringOp.LODS, 8); }
  public final void scasb() { string(StringOp.SCAS, 1); }
  public final void scasw() { string(StringOp.SCAS, 2); }
  public final void scasd() { string(StringOp.SCAS, 4); }
  public final void scasq() { string(StringOp.SCAS, 8); }
  public final void insb() { string(StringOp.INS, 1); }
  public final void insw() { string(StringOp.INS, 2); }
  public final void insd() { string(StringOp.INS, 4); }
  public final void outsb() { string(StringOp.OUTS, 1); }
  public final void outsw() { string(StringOp.OUTS, 2); }
  public final void outsd() { string(StringOp.OUTS, 4); }

  static Reg requireRegister(Operand operand) {
    if (operand instanceof Reg reg && reg.isGeneral()) {
      return reg;
    }
    throw new IllegalArgumentException(operand + ": expected a general-purpose register");
  }

  /** Operand size to encode for the stack and near branches: in 64-bit code, 8 bytes are the default, with no REX.W. */
  final int stackOperandSize(int size) {
    if (size == 1 || size != 0 && size != 2 && size != 8 && bits() == 64 || size == 8 && bits() != 64) {
      throw new IllegalArgumentException(
          "operand of " + size + " bytes: expected one that goes on the stack of " + bits() + "-bit code");
    }
    return size == 8 ? 0 : size;
  }

  private void movAddress(Operand dst, Label label) {
    int size = commonWideSize(dst);
    if (dst instanceof Reg reg) {
      movabs(reg, label);
    } else {
      modrm(0xC7, size, 0, dst, addressImmediate(label, size));
    }
  }

  private void movSpecial(Reg special, Operand other, boolean load) {
    if (special.kind() == Reg.Kind.SEGMENT) {
      int size = other.size();
      if (other instanceof Reg ? !requireRegister(other).isGeneral() || size == 1 : size != 0 && size != 2) {
        throw new IllegalArgumentException(
            "mov of " + special + ": expected a wide register or 2 bytes of memory: " + other);
      }
      // A load uses 16 bits whatever the size; a store to memory writes 16, one to a register extends to its size.
      encode(load ? 0x8E : 0x8C, load || other instanceof Mem ? 0 : size, special, other);
      return;
    }
    int width = bits() == 64 ? 8 : 4;
    if (!(other instanceof Reg reg) || !reg.isGeneral() || reg.size() != width) {
      throw new IllegalArgumentException(
          "mov of " + special + ": expected a register of " + width + " bytes: " + other);
    }
    int opcode = special.kind() == Reg.Kind.CONTROL ? 0x0F20 : 0x0F21;
    encode(load ? opcode + 2 : opcode, 0, special, reg);
  }

  private void movOffset(int opcode, Reg accumulator, Mem mem) {
    int size = commonSize(accumulator);
    if (!accumulator.isAccumulator() || mem.base() != null || mem.index() != null || mem.ripRelative()) {
      throw new IllegalArgumentException(
          "movabs " + accumulator + ", " + mem + ": expected an accumulator and an address");
    }
    if (mem.segment() != null) {
      segmentPrefix(mem.segment());
    }
    int addressSize = bits() / 8;
    plain(size == 1 ? opcode : opcode + 1, size, mem.label() != null
        ? Immediate.of(addressSize, mem.label(), Range.EITHER) : Immediate.of(addressSize, mem.displacement()));
  }

  private void extend(int opcode, Reg dst, Operand src) {
    int size = src.size();
    if (size != 1 && size != 2 || commonWideSize(dst) <= size) {
      throw new IllegalArgumentException(
          "extension to " + dst + " of " + src + ": expected a source of 1 or 2 bytes, smaller");
    }
    commonSize(src);
    encode(size == 1 ? opcode : opcode + 1, dst.size(), dst, src);
  }

  private void pushOrPopSegment(Reg reg, int firstOpcode) {
    if (reg.number() < 4 && bits() == 64) {
      throw new IllegalArgumentException("push or pop of " + reg + ": not in 64-bit code");
    }
    plain(firstOpcode + (reg.number() << 3), 0, Immediate.NONE);
  }

  private void pushImmediate(int operandSize, int size, long value) {
    long extended = signExtended(value, bits() == 64 && size == 4 ? 8 : size);
    boolean isByte = fits(extended, 1, Range.SIGNED);
    plain(isByte ? 0x6A : 0x68, operandSize, Immediate.of(isByte ? 1 : size, extended));
  }

  private void port(int opcode, Reg accumulator, Immediate port) {
    int size = accumulator.size();
    if (!accumulator.isAccumulator() || size == 8) {
      throw new IllegalArgumentException("port access with " + accumulator + ": expected AL, AX or EAX");
    }
    if (port.value() < 0) {
      throw new IllegalArgumentException("port " + port.value() + ": expected 0 to 255");
    }
    plain(size == 1 ? opcode : opcode + 1, size, port);
  }

  private static void requireDx(Reg dx) {
    if (dx != Reg.DX) {
      throw new IllegalArgumentException("port in " + dx + ": expected DX or a number");
    }
  }
}
