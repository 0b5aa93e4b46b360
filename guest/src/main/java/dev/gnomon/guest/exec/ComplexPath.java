package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/** Runs instructions from their decoded form, alone in their block, and counts what they retire. */
final class ComplexPath {
  private final Cpu cpu;
  private final CodeCache cache;
  private final LinearMemory linear;
  private final StringOps strings;
  private final ExclusiveOps exclusive;
  private final ComplexInstructions complex;

  ComplexPath(Cpu cpu, CodeCache cache, LinearMemory linear, StringOps strings, ExclusiveOps exclusive,
      ComplexInstructions complex) {
    this.cpu = cpu;
    this.cache = cache;
    this.linear = linear;
    this.strings = strings;
    this.exclusive = exclusive;
    this.complex = complex;
  }

  /**
   * Runs one instruction at {@code cpu.rip}; {@code cpu.retired} is its exact count and grows by what it retires.
   *
   * @param budget instructions that may retire behind this one
   */
  int run(int number, long budget) {
    Instruction insn = cache.instruction(number);
    linear.alone = true;
    long rip = cpu.rip;
    int status;
    if (StringOps.handles(insn.opcode)) {
      status = strings.execute(insn, budget + 1);
      cpu.retired += strings.iterations;
      cpu.repeating = status == Status.OK && cpu.rip == rip;
    } else {
      status = insn.opcode == ExclusiveOps.GROUP_9 && insn.isMemory() && insn.group() == 1 ? exclusive.execute(insn)
          : complex.execute(insn);
      if (status == Status.OK) {
        cpu.retired++;
        cpu.repeating = insn.rep != 0 && cpu.rip == rip;
      }
    }
    linear.touchedDevice();
    return status;
  }
}
