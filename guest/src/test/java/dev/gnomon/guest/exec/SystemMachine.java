package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Bus;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.TlbStatistics;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.guest.mmu.WalkObserver;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A processor with descriptor tables, stacks and an identity translation whose pages can be made to fault or to exit,
 * for tests of instructions in their decoded form.
 */
final class SystemMachine {
  static final long GDT = 0x1000;
  static final long IDT = 0x2000;
  static final long TSS = 0x3000;
  static final long LDT = 0x4000;
  static final long IVT = 0;
  static final long KERNEL_STACK = 0x8000;
  static final long STACK = 0x9800;
  static final long IST_STACK = 0xB000;
  static final long CODE = 0x10000;
  static final long HANDLER = 0x20000;
  static final long DATA = 0x30000;

  static final int CODE0 = 0x08;
  static final int DATA0 = 0x10;
  static final int CODE3 = 0x18 | 3;
  static final int DATA3 = 0x20 | 3;
  static final int TASK = 0x28;
  static final int CODE0_COMPAT = 0x38;
  static final int CONFORMING = 0x40;
  static final int CODE3_COMPAT = 0x48 | 3;
  /** First selector that tests may use. */
  static final int FREE = 0x60;

  static final int ACCESS_CODE = 0x9B;
  static final int ACCESS_DATA = 0x93;
  static final int ACCESS_DPL3 = 0x60;
  static final int FLAG_G = 8;
  static final int FLAG_DB = 4;
  static final int FLAG_L = 2;

  final HostMemory memory = new HostMemory(0, 512 << 10, 0);
  final Mmu mmu = new Mmu(memory);
  final Pages pages = new Pages();
  final Cpu cpu;
  final LinearMemory linear;
  final Operands operands;
  final EventDelivery events;
  final Debug debug;
  final ComplexInstructions complex;
  final Ports ports = new Ports();

  private SystemMachine() {
    mmu.setTranslator(pages);
    cpu = new Cpu(memory, mmu);
    cpu.bus = ports;
    linear = new LinearMemory(cpu);
    linear.alone = true;
    operands = new Operands(cpu, linear);
    events = new EventDelivery(cpu, linear);
    debug = new Debug(cpu, linear);
    complex = new ComplexInstructions(cpu, linear, operands, events, debug);
    cpu.gdtrBase = GDT;
    cpu.gdtrLimit = 0xFFF;
    cpu.idtrBase = IDT;
    cpu.idtrLimit = 0xFFF;
    cpu.rip = CODE;
    cpu.regs[Cpu.RSP] = STACK;
    cpu.cr0 = ControlRegister.CR0_ET;
  }

  /** 16-bit real-address mode, interrupt vectors at 0. */
  static SystemMachine real() {
    SystemMachine m = new SystemMachine();
    m.cpu.idtrBase = IVT;
    m.cpu.idtrLimit = 0x3FF;
    for (int segment = 0; segment <= Segments.GS; segment++) {
      m.cpu.limit[segment] = 0xFFFF;
      m.cpu.rights[segment] = segment == Segments.CS ? 0x9B : 0x93;
    }
    m.cpu.rights[Segments.LDTR] = Segments.UNUSABLE;
    m.cpu.rights[Segments.TR] = 0x8B;
    m.cpu.rip = 0x100;
    m.cpu.updateMode();
    return m;
  }

  /** 32-bit protected mode, flat segments, at a privilege level. */
  static SystemMachine protectedMode(int cpl) {
    SystemMachine m = new SystemMachine();
    m.cpu.cr0 |= ControlRegister.CR0_PE | ControlRegister.CR0_NE;
    m.descriptor(CODE0, segment(0, 0xFFFFF, ACCESS_CODE, FLAG_G | FLAG_DB));
    m.descriptor(DATA0, segment(0, 0xFFFFF, ACCESS_DATA, FLAG_G | FLAG_DB));
    m.descriptor(CODE3, segment(0, 0xFFFFF, ACCESS_CODE | ACCESS_DPL3, FLAG_G | FLAG_DB));
    m.descriptor(DATA3, segment(0, 0xFFFFF, ACCESS_DATA | ACCESS_DPL3, FLAG_G | FLAG_DB));
    m.descriptor(TASK, segment(TSS, 0x67, 0x8B, 0));
    m.descriptor(CONFORMING, segment(0, 0xFFFFF, ACCESS_CODE | 4, FLAG_G | FLAG_DB));
    m.memory.write(TSS + 4, 4, KERNEL_STACK);
    m.memory.write(TSS + 8, 2, DATA0);
    m.enter(cpl, FLAG_DB);
    return m;
  }

  /** 64-bit mode at a privilege level. */
  static SystemMachine longMode(int cpl) {
    SystemMachine m = new SystemMachine();
    m.cpu.cr0 |= ControlRegister.CR0_PE | ControlRegister.CR0_NE | ControlRegister.CR0_PG;
    m.cpu.cr4 = ControlRegister.CR4_PAE;
    m.cpu.efer = ControlRegister.EFER_LME | ControlRegister.EFER_LMA | ControlRegister.EFER_SCE
        | ControlRegister.EFER_NXE;
    m.descriptor(CODE0, segment(0, 0xFFFFF, ACCESS_CODE, FLAG_G | FLAG_L));
    m.descriptor(DATA0, segment(0, 0xFFFFF, ACCESS_DATA, FLAG_G | FLAG_DB));
    m.descriptor(CODE3, segment(0, 0xFFFFF, ACCESS_CODE | ACCESS_DPL3, FLAG_G | FLAG_L));
    m.descriptor(DATA3, segment(0, 0xFFFFF, ACCESS_DATA | ACCESS_DPL3, FLAG_G | FLAG_DB));
    m.descriptor(TASK, segment(TSS, 0x67, 0x8B, 0));
    m.descriptor(CODE0_COMPAT, segment(0, 0xFFFFF, ACCESS_CODE, FLAG_G | FLAG_DB));
    m.descriptor(CONFORMING, segment(0, 0xFFFFF, ACCESS_CODE | 4, FLAG_G | FLAG_L));
    m.descriptor(CODE3_COMPAT, segment(0, 0xFFFFF, ACCESS_CODE | ACCESS_DPL3, FLAG_G | FLAG_DB));
    m.memory.write64(TSS + 4, KERNEL_STACK);
    m.memory.write64(TSS + 36, IST_STACK);
    m.enter(cpl, FLAG_L);
    m.cpu.syncPaging();
    return m;
  }

  private void enter(int cpl, int size) {
    load(Segments.CS, cpl == 0 ? CODE0 : CODE3);
    for (int segment : new int[] {Segments.SS, Segments.DS, Segments.ES, Segments.FS, Segments.GS}) {
      load(segment, cpl == 0 ? DATA0 : DATA3);
    }
    // The I/O permission map lies behind the limit: no port is allowed.
    memory.write(TSS + 102, 2, 0x68);
    cpu.selector[Segments.TR] = TASK;
    cpu.base[Segments.TR] = TSS;
    cpu.limit[Segments.TR] = 0x67;
    cpu.rights[Segments.TR] = 0x8B;
    cpu.rights[Segments.LDTR] = Segments.UNUSABLE;
    cpu.setCpl(cpl);
  }

  /** Puts a descriptor of the GDT into a segment register unchecked. */
  void load(int segment, int selector) {
    Descriptor d = new Descriptor();
    d.decode(memory.read64(GDT + (selector & 0xFFF8)));
    cpu.selector[segment] = selector;
    cpu.base[segment] = d.base();
    cpu.limit[segment] = d.limit();
    cpu.rights[segment] = d.rights;
    cpu.updateMode();
  }

  /** 32-bit code to virtual-8086 mode at CS:IP 1000:0000, stack 0900:0800. */
  static SystemMachine virtual8086(int iopl) {
    SystemMachine m = protectedMode(0);
    m.cpu.setSystemFlags(Rflags.VM | Rflags.IF | iopl << Rflags.IOPL_SHIFT);
    for (int segment = 0; segment <= Segments.GS; segment++) {
      int selector = segment == Segments.CS ? 0x1000 : segment == Segments.SS ? 0x900 : 0x3000;
      m.cpu.selector[segment] = selector;
      m.cpu.base[segment] = (long) selector << 4;
      m.cpu.limit[segment] = 0xFFFF;
      m.cpu.rights[segment] = 0xF3;
    }
    m.cpu.regs[Cpu.RSP] = 0x800;
    m.cpu.rip = 0;
    m.cpu.setCpl(3);
    return m;
  }

  static long segment(long base, long limit, int access, int flags) {
    return limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (long) access << 40 | (limit >> 16 & 0xF) << 48
        | (long) flags << 52
        | (base >> 24 & 0xFF) << 56;
  }

  static long gate(int selector, long offset, int type, int dpl, int count) {
    return offset & 0xFFFF | (long) selector << 16 | (long) count << 32 | (long) (0x80 | dpl << 5 | type) << 40
        | (offset >> 16 & 0xFFFF) << 48;
  }

  void descriptor(int selector, long value) {
    memory.write64(GDT + (selector & 0xFFF8), value);
  }

  /** Puts a gate into the IDT, 8 or 16 bytes as the mode wants. */
  void interruptGate(int vector, int selector, long offset, int type, int dpl, int ist) {
    if (cpu.longMode()) {
      memory.write64(IDT + 16L * vector, gate(selector, offset, type, dpl, ist));
      memory.write64(IDT + 16L * vector + 8, offset >>> 32);
    } else {
      memory.write64(IDT + 8L * vector, gate(selector, offset, type, dpl, ist));
    }
  }

  /** A register-form instruction of two bytes. */
  Instruction insn(int opcode) {
    Instruction insn = new Instruction();
    insn.opcode = opcode;
    insn.length = 2;
    insn.mode64 = cpu.code64();
    insn.operandSize = insn.mode64 || (cpu.codeMode & Cpu.MODE_32) != 0 ? 4 : 2;
    insn.addressSize = insn.mode64 ? 8 : insn.operandSize;
    insn.base = -1;
    insn.index = -1;
    insn.mod = 3;
    insn.segment = Segments.DS;
    return insn;
  }

  Instruction wide(int opcode) {
    Instruction insn = insn(opcode);
    insn.operandSize = 8;
    insn.rex = 0x48;
    return insn;
  }

  /** With a ModRM that names registers. */
  Instruction register(int opcode, int reg, int rm) {
    Instruction insn = insn(opcode);
    insn.hasModrm = true;
    insn.reg = reg;
    insn.rm = rm;
    return insn;
  }

  /** With a ModRM that names a memory operand at an absolute address. */
  Instruction memory(int opcode, int reg, long address) {
    Instruction insn = register(opcode, reg, 0);
    insn.mod = 0;
    insn.displacement = address;
    return insn;
  }

  int run(int opcode) {
    return complex.execute(insn(opcode));
  }

  int run(Instruction insn) {
    return complex.execute(insn);
  }

  long stack(int slot, int size) {
    return memory.read(cpu.base[Segments.SS] + cpu.regs[Cpu.RSP] + (long) slot * size, size);
  }

  /** Pushes values below the stack pointer, the last one on top. */
  void push(int size, long... values) {
    for (long value : values) {
      cpu.regs[Cpu.RSP] -= size;
      memory.write(cpu.base[Segments.SS] + cpu.regs[Cpu.RSP], size, value);
    }
  }

  /** TLB operations since the last call: {@code all}, {@code nonglobal}, {@code pcid}, {@code address}, or nothing. */
  String flushes() {
    TlbStatistics s = mmu.statistics;
    String text = "all ".repeat((int) s.flushAll) + "nonglobal ".repeat((int) s.flushNonGlobal)
        + "pcid ".repeat((int) s.flushPcid)
        + "address ".repeat((int) s.invlpg);
    s.flushAll = 0;
    s.flushNonGlobal = 0;
    s.flushPcid = 0;
    s.invlpg = 0;
    return text.trim();
  }

  /** {@code OK}, {@code #GP(18)} or {@code EXIT}: the result of an instruction in one word. */
  String outcome(int status) {
    return status == Status.OK ? "OK" : status == Status.EXIT ? "EXIT" : status == Status.FAULT ? faultName()
        : "RESTART";
  }

  String faultName() {
    String[] names = {"DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "9", "TS", "NP", "SS", "GP", "PF", "15",
        "MF", "AC"};
    return "#" + names[cpu.faultVector] + "(" + Integer.toHexString(cpu.faultErrorCode) + ")";
  }

  /** Identity translation with pages that fault or exit. */
  static final class Pages implements Translator {
    final Set<Long> notPresent = new HashSet<>();
    final Set<Long> readOnly = new HashSet<>();
    final Set<Long> supervisor = new HashSet<>();
    final Set<Long> exiting = new HashSet<>();
    /** Pages that are not mapped to themselves. */
    final Map<Long, Long> moved = new HashMap<>();

    @Override
    public long translate(long gva, int access, Translation out) {
      long page = gva >>> 12;
      int code = access & Access.ERROR_CODE_MASK;
      if (notPresent.contains(page)) {
        out.errorCode = code;
        return Status.FAULT;
      }
      boolean write = (access & Access.WRITE) != 0;
      if (readOnly.contains(page) && write || supervisor.contains(page) && (access & Access.USER) != 0) {
        out.errorCode = code | PageFaultCode.P;
        return Status.FAULT;
      }
      if (exiting.contains(page)) {
        out.exitReason = ExitReason.EPT_VIOLATION;
        out.exitQualification = write ? 2 : 1;
        out.exitGpa = gva;
        return Status.EXIT;
      }
      long hpa = moved.containsKey(page) ? moved.get(page) << 12 | gva & 0xFFF : gva;
      out.hpa = hpa;
      out.gpa = hpa;
      out.rights = Translation.READABLE | Translation.WRITABLE | Translation.STAGE_WRITABLE | Translation.DIRTY;
      return hpa;
    }

    @Override
    public long peek(long gva, int access, Translation out, WalkObserver steps) {
      return gva;
    }

    @Override
    public void flushAddress(long gva, int pcid) { }

    @Override
    public void flushLinear(int pcid) { }

    @Override
    public void flushAll() { }
  }

  /** Ports that answer from a table and remember what was written. */
  static final class Ports implements Bus {
    final Map<Integer, Integer> inputs = new HashMap<>();
    final List<String> accesses = new ArrayList<>();

    @Override
    public int in(int port, int size) {
      accesses.add("in " + Integer.toHexString(port) + "/" + size);
      return inputs.getOrDefault(port, -1) & (int) (-1L >>> 64 - 8 * size);
    }

    @Override
    public void out(int port, int size, int value) {
      accesses.add("out " + Integer.toHexString(port) + "/" + size + "=" + Integer.toHexString(value));
    }

    @Override
    public long mmioRead(long hpa, int size) {
      return -1L >>> 64 - 8 * size;
    }

    @Override
    public void mmioWrite(long hpa, int size, long value) { }
  }
}
