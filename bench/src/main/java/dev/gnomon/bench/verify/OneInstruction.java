package dev.gnomon.bench.verify;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.decode.InstructionDecoder;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.memory.DeviceAddress;
import java.util.ArrayList;
import java.util.List;

/**
 * The instruction at a stopped machine's RIP and the addresses that it uses, as far as its encoding tells.
 *
 * @param bytes in hexadecimal; empty if none can be read
 * @param operands the instruction itself first
 */
record OneInstruction(long rip, String bytes, List<Operand> operands) {
  private static final int STRING_FIRST = 0xA4;
  private static final int STRING_LAST = 0xAF;

  /** An address. @param access bits of {@link Access} */
  record Operand(String name, @Gva long gva, int access) {}

  static OneInstruction at(Vm vm) {
    Cpu cpu = vm.current().cpu();
    @Gva long linear = linear(cpu, Segments.CS, cpu.rip);
    byte[] code = new byte[InstructionDecoder.MAX_LENGTH];
    int length = 0;
    Translation out = new Translation();
    while (length < code.length) {
      @Hpa long hpa = cpu.mmu.peek(linear + length, Access.FETCH | (cpu.cpl == 3 ? Access.USER : 0), out, null);
      if (hpa < 0 || DeviceAddress.is(hpa)) {
        break;
      }
      code[length++] = (byte) vm.memory().read(hpa, 1);
    }
    List<Operand> operands = new ArrayList<>();
    operands.add(new Operand("rip", linear, Access.FETCH));
    Instruction instruction = new Instruction();
    boolean decoded = new InstructionDecoder().decode(code, 0, length, cpu.codeMode, instruction)
        == InstructionDecoder.OK;
    if (decoded) {
      memoryOperands(cpu, instruction, operands);
      length = instruction.length;
    }
    StringBuilder bytes = new StringBuilder();
    for (int i = 0; i < length; i++) {
      bytes.append(i == 0 ? "" : " ").append(String.format("%02x", code[i]));
    }
    return new OneInstruction(cpu.rip, bytes.toString(), operands);
  }

  private static void memoryOperands(Cpu cpu, Instruction instruction, List<Operand> operands) {
    if (instruction.isMemory()) {
      long address = instruction.displacement;
      address += instruction.base >= 0 ? cpu.regs[instruction.base] : 0;
      address += instruction.index >= 0 ? cpu.regs[instruction.index] << instruction.scale : 0;
      address += instruction.ripRelative ? cpu.rip + instruction.length : 0;
      address &= instruction.addressSize == 8 ? -1L : (1L << 8 * instruction.addressSize) - 1;
      operands.add(new Operand("memory operand", linear(cpu, instruction.segment, address), 0));
    } else if (instruction.opcode >= STRING_FIRST && instruction.opcode <= STRING_LAST) {
      operands.add(new Operand("[rsi]", linear(cpu, instruction.segment, cpu.regs[Cpu.RSI]), 0));
      operands.add(new Operand("[rdi]", linear(cpu, Segments.ES, cpu.regs[Cpu.RDI]), Access.WRITE));
    } else {
      operands.add(new Operand("[rsp]", linear(cpu, Segments.SS, cpu.regs[Cpu.RSP]), 0));
    }
  }

  private static @Gva long linear(Cpu cpu, int segment, long offset) {
    return cpu.code64() ? offset + (segment == Segments.FS || segment == Segments.GS ? cpu.base[segment] : 0)
        : offset + cpu.base[segment] & 0xFFFF_FFFFL;
  }
}
