package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Makes cases of one instruction from the table of forms: any prefix, register, addressing form and size that the form
 * has, in a state made for it, so that most memory operands hit the data areas, many of them misaligned or across a
 * page boundary.
 */
class CaseGenerator {
  static final long[] SPECIAL = {
    0, 1, 2, -1, -2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFFL, 0x8000_0000L, 0xFFFF_FFFFL,
        0x1_0000_0000L, Long.MAX_VALUE, Long.MIN_VALUE,
    0xFFFF_FFFF_8000_0000L};
  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;
  static final int NONE = -1;
  private static final int FS_PREFIX = 0x64;
  private static final int GS_PREFIX = 0x65;
  private static final int[] VECTOR_SIZES = {1, 2, 4, 8, 10, 16, 28, 108, 512, 576};
  private static final int[] SEGMENT_PREFIXES = {0x26, 0x2E, 0x36, 0x3E, FS_PREFIX, GS_PREFIX};
  private static final long LOW_32 = 0xFFFF_FFFFL;
  /** Addresses where canonical form and wrap-around decide. */
  private static final long[] EDGES = {0x7FFF_FFFF_FFFEL, 0x8000_0000_0000L, 0xFFFF_7FFF_FFFF_FFFFL, -4, -1, 0,
      0xFFFF_FFFEL};

  final List<InstructionForm> forms;
  private final boolean intel;
  SplittableRandom random;
  OracleCase test;
  MachineState state;
  final byte[] bytes = new byte[OracleLayout.CODE_SIZE];
  int length;
  // Of the instruction being made.
  boolean mode64;
  boolean mode16;
  private int size;
  private int segment;
  private boolean shortAddress;
  boolean rexAllowed;
  private int rexPosition;
  private int rex;
  private boolean locked;
  private long immediate;
  /** Register of the ModRM operand, or −1 if it is in memory at {@link #target}. */
  private int rmRegister;
  int regField;
  long target;
  /** Linear address of the top of the stack. */
  private long stack;
  int accessSize;

  CaseGenerator(List<InstructionForm> forms, boolean intel) {
    this.forms = forms;
    this.intel = intel;
  }

  /** Makes 16-bit code from now on. */
  CaseGenerator in16() {
    mode16 = true;
    return this;
  }

  /** The case that belongs to a seed. */
  OracleCase generate(long seed) {
    random = new SplittableRandom(seed);
    while (true) {
      OracleCase made = attempt();
      if (made != null) {
        return made;
      }
    }
  }

  private OracleCase attempt() {
    begin();
    InstructionForm form = forms.get(random.nextInt(forms.size()));
    if (form.is(mode64 ? "legacy" : "long") || !emit(form)) {
      return null;
    }
    if (mode16 && (state.regs[RSP] ^ OracleProgram.stackAbove()) >>> 16 != 0) {
      // The host cannot begin with another.
      return null;
    }
    test.name = form.name();
    return finish();
  }

  void begin() {
    test = new OracleCase();
    state = test.before;
    length = 0;
    mode64 = !mode16 && random.nextInt(4) != 0;
    test.cs = mode16 ? OracleLayout.USER_CODE_16 : mode64 ? OracleLayout.USER_CODE_64 : OracleLayout.USER_CODE_32;
    for (int register = 0; register < 16; register++) {
      state.regs[register] = mode64 ? value() : register < 8 ? value() & LOW_32 : 0;
    }
    for (int i = 0; i < state.areas.length; i += 8) {
      long v = value();
      for (int j = 0; j < 8; j++) {
        state.areas[i + j] = (byte) (v >>> 8 * j);
      }
    }
    stack = stackPointer();
    state.regs[RSP] = mode16 ? offset(stack) & 0xFFFF | OracleProgram.stackAbove() : stack;
    state.rflags = random.nextInt() & Rflags.STATUS | Rflags.FIXED | Rflags.IF
        | (random.nextInt(4) == 0 ? Rflags.DF : 0)
        | (random.nextInt(20) == 0 ? Rflags.AC : 0)
        | (random.nextInt(8) == 0 ? Rflags.ID : 0);
    state.rip = switch (random.nextInt(16)) {
      case 0, 1 -> OracleLayout.CODE + OracleLayout.PAGE - 1 - random.nextInt(14);
      case 2 -> OracleLayout.CODE_END - 1 - random.nextInt(14);
      default -> OracleLayout.CODE + 0x800 + random.nextInt(64);
    };
  }

  OracleCase finish() {
    test.codeLength = (int) Math.min(length, OracleLayout.CODE_END - state.rip);
    System.arraycopy(bytes, 0, state.code, 0, test.codeLength);
    return test;
  }

  long value() {
    return switch (random.nextInt(4)) {
      case 0 -> SPECIAL[random.nextInt(SPECIAL.length)];
      case 1 -> random.nextInt(-128, 128);
      default -> random.nextLong();
    };
  }

  private long stackPointer() {
    return OracleLayout.DATA_MIDDLE - 64 + random.nextInt(8) * 16L + (random.nextInt(6) == 0 ? random.nextInt(16) : 0);
  }

  /** An address for an access of some bytes. */
  long pickTarget(int bytesAccessed) {
    if (bytesAccessed > 128) {
      // It fits only into the middle area, or lies across its end.
      return OracleLayout.DATA_MIDDLE - 384 + (random.nextInt(16) == 0 ? random.nextInt(256) : 0);
    }
    int kind = random.nextInt(32);
    if (kind == 0 && bytesAccessed != 10 && bytesAccessed <= 16) {
      // Which of an alignment fault and another comes first is not defined.
      state.rflags &= ~Rflags.AC;
      return EDGES[random.nextInt(EDGES.length)];
    }
    if (kind < 3) {
      return OracleLayout.DATA - 1 - random.nextInt(2 * bytesAccessed);
    }
    if (kind < 5) {
      return OracleLayout.DATA_END + random.nextInt(bytesAccessed) - random.nextInt(bytesAccessed);
    }
    if (kind < 10) {
      return OracleLayout.DATA_MIDDLE - random.nextInt(bytesAccessed);
    }
    int area = random.nextInt(OracleLayout.areas());
    long address = OracleLayout.areaAddress(area) + random.nextInt(OracleLayout.areaSize(area) - bytesAccessed);
    return random.nextBoolean() ? address & -bytesAccessed : address;
  }

  /**
   * Offset in 16-bit data of a linear address, beneath something that 16-bit addresses ignore; elsewhere the address.
   */
  final long offset(long linear) {
    return mode16 ? linear - OracleLayout.DATA_16_BASE & 0xFFFF
        | (shortAddress ? 0 : (long) random.nextInt(0x10000) << 16) : linear;
  }

  private long segmentBase() {
    return mode16 ? OracleLayout.DATA_16_BASE
        : !mode64 ? 0 : segment == FS_PREFIX ? OracleLayout.FS_BASE : segment == GS_PREFIX ? OracleLayout.GS_BASE : 0;
  }

  void put(long value, int count) {
    for (int i = 0; i < count; i++) {
      bytes[length++] = (byte) (value >>> 8 * i);
    }
  }

  boolean emit(InstructionForm form) {
    boolean branch = form.is("branch");
    boolean plain = plainAddresses();
    int mandatory = form.mandatoryPrefix();
    boolean vector = form.is("vector128");
    // Beside F2H or F3H, 66H selects nothing.
    boolean prefix66 = vector || mandatory == 0x66
        ? mandatory == 0x66
            || (mandatory != 0 || form.is("environment")) && random.nextInt(16) == 0 && !form.is("gpr")
        : random.nextInt(4) == 0 && (!branch || mode64 && intel && random.nextInt(8) == 0) && !form.is("plain");
    rexAllowed = mode64 && random.nextInt(8) < 5;
    boolean wide = rexAllowed && random.nextBoolean();
    shortAddress = !plain && random.nextInt(10) == 0;
    segment = !plain && random.nextInt(10) == 0 ? SEGMENT_PREFIXES[random.nextInt(SEGMENT_PREFIXES.length)] : NONE;
    boolean memory = form.hasModrm()
        && (form.is("m") || !form.is("reg") && memoryAllowed(form) && random.nextBoolean());
    locked = random.nextInt(form.is("lock") && memory ? 6 : 80) == 0;
    size = form.is("b") ? 1 : wide ? 8 : prefix66 && !vector ? mode16 ? 4 : 2 : mode16 && !vector ? 2 : 4;
    if (mode64 && form.is("stack") && size != 2 || mode64 && branch) {
      size = 8;
    }
    int repeat = repeatPrefix(form);
    if (form.is("bswap") && size == 2) {
      return false;
    }
    boolean shuffled = random.nextBoolean();
    if (shuffled && repeat != 0) {
      put(repeat, 1);
    }
    if (prefix66) {
      put(0x66, 1);
    }
    if (segment != NONE) {
      put(segment, 1);
    }
    if (shortAddress) {
      put(0x67, 1);
    }
    if (locked) {
      put(0xF0, 1);
    }
    if (!shuffled && repeat != 0) {
      put(repeat, 1);
    }
    rexPosition = length;
    rex = 0x40 | (wide ? 8 : 0);
    if (rexAllowed) {
      put(rex, 1);
    }
    int opcode = form.opcode() & 0xFFF;
    if (opcode > 0xFF) {
      put(0x0F, 1);
      if (form.threeBytes()) {
        put(form.opcode() >> 8 & 0xFF, 1);
      }
      opcode &= 0xFF;
    }
    immediate = 0;
    int immediateSize = immediateSize(form);
    prepare(form);
    if (form.is("+r")) {
      regField = register();
      rexBit(regField >> 3, 1);
      put(opcode | regField & 7, 1);
      rmRegister = regField;
    } else {
      put(opcode, 1);
    }
    accessSize = accessSize(form);
    if (form.hasModrm()) {
      modrm(form, memory, immediateSize);
    }
    operandsInPlace(form, memory, immediateSize);
    if (immediateSize > 0) {
      put(immediate, immediateSize);
    }
    if (rexAllowed) {
      bytes[rexPosition] = (byte) rex;
    }
    if (form.is("double") && size == 2 && (count(form) & 31) > 16) {
      return false;
    }
    test.undefinedFlags = form.flags().mask(count(form), 8 * size);
    // How many bytes of an undefined instruction the processor wants to see is its own affair.
    if (form.name().equals("ud") && state.rip % OracleLayout.PAGE > OracleLayout.PAGE - 64) {
      return false;
    }
    test.memoryUndefinedOnFault = form.is("enter") || form.name().equals("call") || form.name().equals("pusha")
        || form.is("m10") || form.is("environment");
    test.x87UndefinedOnFault = vector && !form.is("x87");
    test.stateUndefinedOnFault = form.is("image");
    test.pointersUndefined = form.is("x87");
    test.lastBitUndefined = false;
    test.faultAddressUndefined = form.is("m512") || form.is("m576") || form.is("masked") || form.is("m10")
        || form.is("environment");
    test.faultsUnordered = form.name().equals("call") || mode16 && (form.is("aligned") || form.is("area"));
    test.countersCutOnFault = !intel && form.is("string") && shortAddress;
    test.undefinedFlagsOnFault = form.flags() == UndefinedFlags.DIVIDE || form.is("string") ? Rflags.STATUS : 0;
    return true;
  }

  int count(InstructionForm form) {
    return form.is("by-cl") ? (int) state.regs[RCX] & 0xFF : form.is("by-1") ? 1 : (int) immediate & 0xFF;
  }

  int repeatPrefix(InstructionForm form) {
    if (form.is("vector128") || form.mandatoryPrefix() != 0) {
      return form.mandatoryPrefix() > 0x66 ? form.mandatoryPrefix() : 0;
    }
    if (form.is("string")) {
      int which = random.nextInt(4);
      return which == 0 ? 0 : which == 1 ? 0xF2 : 0xF3;
    }
    boolean selects = form.is("plain") || form.is("scan") || form.opcode() == 0xF0D
        || form.opcode() == 0xF18 || form.opcode() == 0xFB9;
    return !selects && random.nextInt(30) == 0 ? random.nextBoolean() ? 0xF2 : 0xF3 : 0;
  }

  /** Whether instructions have no segment and no address-size prefix. */
  boolean plainAddresses() {
    return false;
  }

  private int accessSize(InstructionForm form) {
    if (form.is("vector128")) {
      return vectorSize(form);
    } else if (form.is("src8")) {
      return 1;
    } else if (form.is("src16")) {
      return 2;
    } else if (form.is("src32")) {
      return Math.min(4, size);
    } else if (form.is("pair")) {
      return size == 8 ? 16 : 8;
    }
    return form.is("bound") ? 2 * size : size;
  }

  private int vectorSize(InstructionForm form) {
    for (int bytes : VECTOR_SIZES) {
      if (form.is("m" + bytes)) {
        return bytes;
      }
    }
    return size;
  }

  /** ModRM byte of a register form that was emitted last. */
  int lastModrm() {
    return rmRegister == NONE ? 0 : bytes[length - 1] & 0xFF;
  }

  /** Whether the ModRM operand may be in memory. */
  boolean memoryAllowed(InstructionForm form) {
    return true;
  }

  private int immediateSize(InstructionForm form) {
    if (form.is("ib") || form.is("vector")) {
      immediate = random.nextInt(3) == 0 ? random.nextInt(4) : (byte) random.nextInt();
      int vector = (int) immediate & 0xFF;
      if (form.is("vector") && (vector == 3 || vector == 4 || vector == 0x80)) {
        immediate = 5;
      }
      return 1;
    }
    immediate = value();
    return form.is("iz") ? Math.min(4, size) : form.is("iv") ? size : form.is("iw") ? 2 : 0;
  }

  int register() {
    return random.nextInt(rexAllowed ? 16 : 8);
  }

  void rexBit(int bit, int place) {
    rex |= bit != 0 ? place : 0;
  }

  /** Sets up registers that the instruction uses without naming them. */
  void prepare(InstructionForm form) {
    long[] r = state.regs;
    if (form.is("divide")) {
      if (size == 1) {
        r[RAX] = random.nextInt(3) == 0 ? r[RAX] : r[RAX] & ~0xFFFFL | random.nextInt(0x300) - 0x80 & 0xFFFF;
      } else if (random.nextInt(4) != 0) {
        r[RDX] = form.name().equals("div") ? random.nextInt(3) : r[RAX] << 64 - 8 * size >> 63;
      }
    } else if (form.is("by-cl") && random.nextBoolean()) {
      r[RCX] = r[RCX] & ~0xFFL | random.nextInt(80);
    } else if (form.is("loop") && random.nextBoolean()) {
      r[RCX] = random.nextInt(3) | (shortAddress ? random.nextLong() << 32 : 0);
    } else if (form.is("string")) {
      string();
    } else if (form.is("leave") || form.is("enter")) {
      r[RBP] = offset(pickTarget(8));
    }
    if (!mode64) {
      for (int register = 0; register < 8; register++) {
        r[register] &= LOW_32;
      }
    }
  }

  private void string() {
    long[] r = state.regs;
    boolean same = random.nextBoolean();
    if (same) {
      byte fill = (byte) random.nextInt();
      for (int i = 0; i < state.areas.length; i++) {
        state.areas[i] = random.nextInt(64) == 0 ? (byte) random.nextInt() : fill;
      }
      r[RAX] = (fill & 0xFF) * 0x0101_0101_0101_0101L;
    }
    long from = pickTarget(size);
    long to = random.nextInt(3) == 0 ? from + random.nextInt(-9, 10) : pickTarget(size);
    r[RSI] = mode16 ? offset(from) : from - segmentBase();
    r[RDI] = offset(to);
    r[RCX] = random.nextInt(16) == 0 ? value() : random.nextInt(24);
    if (shortAddress && mode64) {
      for (int register : new int[] {RCX, RSI, RDI}) {
        r[register] = r[register] & LOW_32 | random.nextLong() << 32;
      }
    }
  }

  private void modrm(InstructionForm form, boolean memory, int immediateSize) {
    regField = form.digit() >= 0 ? form.digit() : form.is("selector") ? random.nextInt(8) : register();
    rexBit(regField >> 3, 4);
    if (!memory) {
      rmRegister = register();
      rexBit(rmRegister >> 3, 1);
      put(0xC0 | (regField & 7) << 3 | rmRegister & 7, 1);
      return;
    }
    rmRegister = NONE;
    memoryOperand(form, immediateSize);
  }

  /** Chooses what the memory operand points to, encodes it and sets its registers. */
  void memoryOperand(InstructionForm form, int immediateSize) {
    target = pickTarget(Math.max(1, accessSize));
    if (form.is("aligned") && random.nextInt(16) != 0) {
      target &= -16;
    } else if (form.is("area") && random.nextInt(16) != 0) {
      target &= -64;
    }
    long effective = mode16 ? target - segmentBase() & 0xFFFF : target - segmentBase();
    if (form.is("bitstring")) {
      long offset = random.nextInt(6) == 0 ? state.regs[regField] : random.nextInt(-600, 600);
      long masked = size == 8 ? offset : size == 4 ? (int) offset : (short) offset;
      state.regs[regField] = mode64 ? offset : offset & LOW_32;
      effective -= Math.floorDiv(masked, 8L * size) * size;
    }
    if (mode16 && !shortAddress) {
      address16(effective);
    } else if (!mode64 && shortAddress && !mode16) {
      address16();
    } else {
      address(effective, immediateSize);
    }
  }

  private void address16() {
    int mod = random.nextInt(3);
    int rm = random.nextInt(8);
    put(mod << 6 | (regField & 7) << 3 | rm, 1);
    put(random.nextInt(), mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
  }

  /** Encodes an operand with a 16-bit address and sets its registers, but for what is above the address. */
  private void address16(long effective) {
    long[] r = state.regs;
    int mod = random.nextInt(3);
    int rm = random.nextInt(8);
    int displacement = mod == 0 ? 0 : mod == 1 ? random.nextInt(-128, 128) : random.nextInt();
    put(mod << 6 | (regField & 7) << 3 | rm, 1);
    if (mod == 0 && rm == 6) {
      put(effective, 2);
      return;
    }
    int base = rm >= 4 ? new int[] {RSI, RDI, RBP, RBX}[rm - 4] : rm < 2 ? RBX : RBP;
    long index = rm >= 4 ? 0 : r[(rm & 1) == 0 ? RSI : RDI];
    r[base] = effective - displacement - index & 0xFFFF | (long) random.nextInt(0x10000) << 16;
    put(displacement, mod);
  }

  /** Encodes a memory operand in one of its forms and sets its registers so that it has an effective address. */
  private void address(long effective, int immediateSize) {
    long[] r = state.regs;
    long mask = mode64 && !shortAddress ? -1L : LOW_32;
    long garbage = mode64 && shortAddress ? random.nextLong() << 32 : 0;
    int reg = (regField & 7) << 3;
    int kind = random.nextInt(8);
    if (kind == 0) {
      put(reg | 5, 1);
      long next = state.rip + length + 4 + immediateSize;
      put(mode64 ? effective - next : effective, 4);
    } else if (kind == 1) {
      put(reg | 4, 1);
      put(0x25 | random.nextInt(4) << 6, 1);
      put(effective, 4);
    } else if (kind == 2) {
      int index = indexRegister();
      int scale = random.nextInt(4);
      put(reg | 4, 1);
      put(scale << 6 | (index & 7) << 3 | 5, 1);
      int displacement = (int) (effective & (1 << scale) - 1) + (random.nextInt(-1000, 1000) << scale);
      r[index] = effective - displacement >> scale & mask | garbage;
      put(displacement, 4);
    } else {
      int base = register();
      int index = kind < 6 ? NONE : indexRegister();
      int scale = random.nextInt(4);
      int displacement = switch (random.nextInt(3)) {
        case 0 -> 0;
        case 1 -> random.nextInt(-128, 128);
        default -> random.nextInt();
      };
      if (index == base) {
        long factor = 1 + (1 << scale);
        displacement = (int) Math.floorMod(effective, factor);
        r[base] = Math.floorDiv(effective, factor) & mask | garbage;
      } else {
        r[base] = effective - displacement - (index == NONE ? 0 : r[index] << scale) & mask | garbage;
      }
      rexBit(base >> 3, 1);
      boolean none = displacement == 0 && (base & 7) != 5 && random.nextBoolean();
      int mod = none ? 0 : displacement == (byte) displacement ? 1 + random.nextInt(2) : 2;
      if (index != NONE || (base & 7) == 4 || random.nextInt(8) == 0) {
        put(mod << 6 | reg | 4, 1);
        put(scale << 6 | (index == NONE ? 4 : index & 7) << 3 | base & 7, 1);
      } else {
        put(mod << 6 | reg | base & 7, 1);
      }
      put(displacement, mod == 0 ? 0 : mod == 1 ? 1 : 4);
    }
    if (!mode64) {
      for (int register = 0; register < 8; register++) {
        r[register] &= LOW_32;
      }
    }
  }

  private int indexRegister() {
    int index = register();
    while (index == RSP) {
      index = register();
    }
    rexBit(index >> 3, 2);
    return index;
  }

  /** Places values that only make sense once the addresses are known, and operands outside ModRM. */
  void operandsInPlace(InstructionForm form, boolean memory, int immediateSize) {
    long[] r = state.regs;
    if (form.is("accumulator") && random.nextBoolean()) {
      if (memory) {
        state.poke(target, size, r[RAX]);
      } else if (size > 1 || rexAllowed || rmRegister < 4) {
        r[RAX] = mode64 ? r[rmRegister] : r[rmRegister] & LOW_32;
      }
    } else if (form.is("pair") && random.nextBoolean()) {
      state.poke(target, accessSize / 2, r[RAX]);
      state.poke(target + accessSize / 2, accessSize / 2, r[RDX]);
    } else if (form.is("moffs")) {
      long address = pickTarget(size);
      int addressSize = mode64 ? shortAddress ? 4 : 8 : shortAddress != mode16 ? 2 : 4;
      put(address - segmentBase(), addressSize);
    } else if (form.is("xlat")) {
      r[RBX] = (mode16 ? offset(pickTarget(1)) : pickTarget(1) - segmentBase()) - (r[RAX] & 0xFF);
      r[RBX] = mode64 ? r[RBX] : r[RBX] & LOW_32;
    } else if (form.is("popf")) {
      state.poke(stack, 8, random.nextLong() & ~(long) Rflags.TF);
    } else if (form.is("enter")) {
      put(random.nextInt(4) == 0 ? random.nextInt() : random.nextInt(80), 2);
      put(random.nextInt(4) == 0 ? random.nextInt() : random.nextInt(4), 1);
    } else if (form.is("indirect")) {
      if (memory) {
        state.poke(target, 8, branchTarget() - test.codeBase());
      } else if (rmRegister != RSP) {
        r[rmRegister] = mode64 ? branchTarget() : branchTarget() - test.codeBase() & LOW_32;
      }
    } else if (form.is("ret")) {
      state.poke(stack, 8, branchTarget() - test.codeBase());
    } else if (form.is("branch")) {
      relative(immediateSize);
    }
  }

  /**
   * Where an indirect jump may go: behind or before the code, to data, nowhere, or to an address that is not canonical.
   */
  private long branchTarget() {
    if (mode16) {
      // Where nothing is, or INT3.
      return OracleLayout.CODE + (random.nextInt(4) == 0 ? 0x5000 : 0x1200) + random.nextInt(0x400);
    }
    return switch (random.nextInt(10)) {
      case 0 -> OracleLayout.DATA + random.nextInt(64);
      case 1 -> 0x4000_0000L + random.nextInt(0x5000_0000);
      case 2 -> intel ? random.nextLong() | 1L << 60 : OracleLayout.CODE;
      case 3 -> -1L - random.nextInt(0x7000_0000);
      default -> OracleLayout.CODE + 0x1200 + random.nextInt(0x400);
    };
  }

  private void relative(int immediateSize) {
    long next = state.rip + length + immediateSize;
    if (immediateSize == 1) {
      long start = state.rip - 1;
      do {
        immediate = (byte) random.nextInt();
      } while (next + immediate >= start && next + immediate < next);
    } else {
      long to = branchTarget();
      immediate = to - next;
      if ((int) immediate != immediate && mode64) {
        immediate = OracleLayout.CODE + 0x1200 - next;
      }
    }
  }
}
