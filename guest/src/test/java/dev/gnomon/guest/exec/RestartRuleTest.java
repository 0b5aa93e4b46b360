package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE;
import static dev.gnomon.guest.exec.SystemMachine.GDT;
import static dev.gnomon.guest.exec.SystemMachine.IDT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * Nothing is committed by an instruction that faults or exits, whatever the descriptor tables and the operands hold,
 * and none throws.
 */
class RestartRuleTest {
  private static final int[] OPCODES = {
      0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x62, 0x63, 0x6C, 0x6D, 0x6E, 0x6F,
          0x8C, 0x8E, 0x90, 0x9A, 0x9B, 0x9C, 0x9D,
      0xC4, 0xC5, 0xC8, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD4, 0xD5, 0xD6, 0xD7, 0xD9, 0xDB, 0xDF, 0xE4, 0xE5, 0xE6,
      0xEC, 0xED, 0xEF, 0xEA, 0xF1, 0xF4, 0xFA, 0xFB, 0xFF, 0x100, 0x101, 0x102, 0x103, 0x105, 0x106, 0x107, 0x108,
      0x109, 0x120, 0x121, 0x122, 0x123, 0x130, 0x131, 0x132, 0x133, 0x134, 0x135,
      0x1A0, 0x1A1, 0x1A2, 0x1A8, 0x1A9, 0x1AE, 0x1B2, 0x1B4, 0x1B5, 0x282, 0xCF, 0xCF, 0xCB, 0x9A, 0xEA, 0xFF, 0xFF,
      0x8E, 0x100, 0xCD};
  private static final long[] ADDRESSES = {0x8FF8, 0x8FFC, 0x8FFE, 0x9000, 0x9004, 0x9FFA, 0x7FF0, 0x30000, 0x30FFD,
      0x1000, 0xFFFF_FFFEL, 0xFFFF, -3, 1L << 47};
  private static final int[] MSRS = {0x10, 0x1B, 0x174, 0x277, 0xC000_0080, 0xC000_0082, 0xC000_0100, 0x999};

  private static SystemMachine machine(Random random) {
    SystemMachine m = switch (random.nextInt(6)) {
      case 0 -> SystemMachine.real();
      case 1 -> SystemMachine.virtual8086(random.nextInt(4));
      case 2 -> SystemMachine.protectedMode(0);
      case 3 -> SystemMachine.protectedMode(3);
      case 4 -> SystemMachine.longMode(0);
      default -> SystemMachine.longMode(3);
    };
    for (int selector = SystemMachine.FREE; selector < SystemMachine.FREE + 0x100; selector += 8) {
      int access = random.nextInt(256) | (random.nextInt(4) == 0 ? 0 : 0x80);
      long raw = random.nextBoolean()
          ? SystemMachine.segment(random.nextInt(0x8000), random.nextInt(0x100000), access, random.nextInt(16))
          : SystemMachine.gate(random.nextInt(0x160), random.nextInt(0x60000), random.nextInt(16), random.nextInt(4),
              random.nextInt(32));
      m.descriptor(selector, raw);
    }
    for (int vector = 0; vector < 64; vector++) {
      m.memory.write64(IDT + 8L * vector,
          SystemMachine.gate(random.nextInt(0x160), random.nextInt(0x60000), random.nextInt(16), random.nextInt(4), 0));
    }
    for (int i = 0; i < 64; i++) {
      m.memory.write(0x8F00 + 4L * i, 4, random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(0x160));
      m.memory.write(0x9000 + 4L * i, 4, random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(0x160));
    }
    for (int register = 0; register < 16; register++) {
      m.cpu.regs[register] = switch (random.nextInt(4)) {
        case 0 -> random.nextInt(0x160);
        case 1 -> random.nextLong();
        default -> ADDRESSES[random.nextInt(ADDRESSES.length)];
      };
      if (!m.cpu.longMode()) {
        m.cpu.regs[register] &= 0xFFFF_FFFFL;
      }
    }
    m.cpu.regs[Cpu.RCX] = random.nextBoolean() ? MSRS[random.nextInt(MSRS.length)] & 0xFFFF_FFFFL : m.cpu.regs[Cpu.RCX];
    int flags = random.nextInt() & (Rflags.DEFINED & ~Rflags.VM & ~(random.nextInt(3) > 0 ? Rflags.NT : 0));
    m.cpu.setRflags(flags | m.cpu.systemFlags & Rflags.VM);
    for (int i = random.nextInt(4); i > 0; i--) {
      long page = random.nextInt(10);
      switch (random.nextInt(3)) {
        case 0 -> m.pages.notPresent.add(page);
        case 1 -> m.pages.readOnly.add(page);
        default -> m.pages.exiting.add(page);
      }
    }
    m.cpu.intercepts.enabled = random.nextBoolean();
    m.cpu.intercepts.io = random.nextBoolean();
    m.cpu.intercepts.hlt = random.nextBoolean();
    m.cpu.intercepts.cr3Load = random.nextBoolean();
    m.cpu.intercepts.exceptionBitmap = random.nextInt() & random.nextInt();
    return m;
  }

  private static Instruction instruction(SystemMachine m, Random random) {
    Instruction insn = m.insn(OPCODES[random.nextInt(OPCODES.length)]);
    insn.operandSize = insn.mode64 ? 2 << random.nextInt(3) : 2 << random.nextInt(2);
    insn.addressSize = insn.mode64 ? 4 << random.nextInt(2) : 2 << random.nextInt(2);
    insn.operandPrefix = random.nextBoolean();
    insn.rep = random.nextInt(3) == 0 ? 0xF3 : 0;
    insn.hasModrm = true;
    insn.mod = random.nextBoolean() ? 3 : 0;
    insn.reg = random.nextInt(insn.mode64 ? 16 : 8);
    insn.rm = random.nextInt(insn.mode64 ? 16 : 8);
    insn.base = random.nextInt(insn.mode64 ? 16 : 8);
    insn.segment = random.nextInt(6);
    insn.immediate = random.nextBoolean() ? random.nextInt(0x40) : random.nextInt() & 0xFFFF_FFFFL;
    insn.immediate2 = random.nextInt(0x160);
    return insn;
  }

  /** All architectural state but memory, as text. */
  private static String state(Cpu c) {
    return Arrays.toString(Arrays.copyOf(c.regs, 16)) + c.rip + " " + c.rflags() + " " + Arrays.toString(c.selector)
        + Arrays.toString(c.base)
        + Arrays.toString(c.limit) + Arrays.toString(c.rights) + c.gdtrBase + " " + c.gdtrLimit + " " + c.idtrBase + " "
        + c.idtrLimit + " " + c.cr0 + " " + c.cr2
        + " " + c.cr3 + " " + c.cr4 + " " + c.cr8 + " " + c.efer + Arrays.toString(c.dr) + c.star + " " + c.lstar + " "
        + c.kernelGsBase + " " + c.cpl + " "
        + c.codeMode + " " + c.blockedBySti + c.blockedByMovSs + c.blockedByNmi + c.halted + c.fpuControl + " "
        + c.fpuStatus + " "
        + c.fpuValid + Arrays.toString(c.fpuSignificand) + Arrays.toString(c.fpuExponent)
        + Arrays.toString(c.xmm) + c.mxcsr;
  }

  private static byte[] memory(SystemMachine m) {
    byte[] bytes = new byte[0x40000];
    m.memory.readBytes(0, bytes, 0, bytes.length);
    for (int i = (int) GDT + 5; i < GDT + 0x1000; i += 8) {
      // Accessed bits may be set by a load that fails later, as on the processor.
      bytes[i] |= 1;
    }
    return bytes;
  }

  @Property(tries = 3000)
  void shouldCommitNothingOnFaultOrExit(@ForAll long seed) {
    Random random = new Random(seed);
    SystemMachine m = machine(random);
    Instruction insn = instruction(m, random);
    String before = state(m.cpu);
    byte[] bytesBefore = memory(m);
    int task = m.cpu.selector[Segments.TR];
    int status = m.run(insn);
    if (status == Status.OK || m.cpu.selector[Segments.TR] != task) {
      return;
    }
    assertThat(state(m.cpu)).as("opcode %x: %s", insn.opcode, m.outcome(status)).isEqualTo(before);
    assertThat(Arrays.mismatch(memory(m), bytesBefore)).as("memory after opcode %x: %s", insn.opcode, m.outcome(status))
        .isEqualTo(-1);
    assertThat(m.ports.accesses).isEmpty();
    if (status == Status.EXIT) {
      assertThat(m.cpu.eventPending).isFalse();
    }
  }

  @Property(tries = 2000)
  void shouldEndEveryExceptionInHandlerExitOrTripleFault(@ForAll long seed) {
    Random random = new Random(seed);
    SystemMachine m = machine(random);
    m.cpu.fault(random.nextInt(15), random.nextInt(0x10000));
    int status = m.events.raiseAndDispatch();
    assertThat(status).isIn(Status.OK, Status.EXIT);
    assertThat(m.cpu.eventPending).isFalse();
    if (status == Status.EXIT && m.cpu.selector[Segments.TR] == SystemMachine.TASK) {
      assertThat(m.cpu.rip).isIn(CODE, 0x100L, 0L);
    }
  }
}
