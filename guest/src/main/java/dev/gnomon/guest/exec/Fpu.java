package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.FpuWord;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.mmu.Status;

/**
 * The x87 escape opcodes (SDM vol. 1, "Programming with the x87 FPU"): what may execute, pending exceptions, the
 * last-instruction pointers, and dispatch. Undefined encodings are #UD.
 */
final class Fpu {
  private static final int OPCODE_BITS = 7;

  private final Cpu cpu;
  private final Operands operands;
  private final FpuState state;
  private final FpuEnvironment environment;
  private final FpuTransfers transfers;
  private final FpuArithmetic arithmetic;
  private final FpuFunctions functions;

  Fpu(Cpu cpu, LinearMemory linear, Operands operands) {
    this.cpu = cpu;
    this.operands = operands;
    this.state = new FpuState(cpu);
    this.environment = new FpuEnvironment(cpu, linear, operands, state);
    this.transfers = new FpuTransfers(cpu, linear, operands, state);
    this.arithmetic = new FpuArithmetic(cpu, operands, state);
    this.functions = new FpuFunctions(cpu, state);
  }

  /** 9B. */
  int fwait(Instruction insn) {
    long both = ControlRegister.CR0_MP | ControlRegister.CR0_TS;
    if ((cpu.cr0 & both) == both) {
      return cpu.fault(Vector.NM);
    }
    return state.exceptionPending() ? cpu.fault(Vector.MF) : ComplexInstructions.complete(cpu, insn);
  }

  /** D8 to DF. */
  int escape(Instruction insn) {
    if ((cpu.cr0 & (ControlRegister.CR0_EM | ControlRegister.CR0_TS)) != 0) {
      return cpu.fault(Vector.NM);
    }
    int status = insn.isMemory() ? memory(insn) : register(insn);
    return status < 0 ? status : ComplexInstructions.complete(cpu, insn);
  }

  private int memory(Instruction insn) {
    int key = insn.opcode << 4 | insn.group();
    switch (key) {
      case 0xD96, 0xDD6:
        return environment.store(insn, key == 0xDD6);
      case 0xD97:
        return operands.storeRm(insn, 2, cpu.fpuControl);
      case 0xDD7:
        return operands.storeRm(insn, 2, FpuWord.visible(cpu.fpuStatus, cpu.fpuControl));
      case 0xD91, 0xDB4, 0xDB6, 0xDD5:
        return cpu.fault(Vector.UD);
      // FISTTP.
      case 0xDB1, 0xDD1, 0xDF1:
        if (!cpu.cpuid.offers(Feature.SSE3)) {
          return cpu.fault(Vector.UD);
        }
        break;
      default:
        break;
    }
    if (state.exceptionPending()) {
      return cpu.fault(Vector.MF);
    }
    switch (key) {
      case 0xD94, 0xDD4:
        return environment.load(insn, key == 0xDD4);
      case 0xD95:
        return environment.loadControl(insn);
      default:
        break;
    }
    long offset = operands.effectiveAddress(insn);
    boolean arithmeticForm = (insn.opcode & 1) == 0;
    int status = arithmeticForm ? arithmetic.memory(insn) : transfers.memory(insn);
    if (status == Status.OK) {
      pointers(insn);
      cpu.fpuData = offset;
    }
    return status;
  }

  private int register(Instruction insn) {
    int i = insn.rm & 7;
    int key = insn.opcode << 8 | 0xC0 | insn.group() << 3 | i;
    switch (key) {
      case 0xDBE3:
        environment.initialize();
        return Status.OK;
      case 0xDBE2:
        cpu.fpuStatus &= ~(FpuWord.FLAGS | FpuWord.SF);
        return Status.OK;
      // FENI, FDISI and FSETPM of older coprocessors do nothing.
      case 0xDBE0, 0xDBE1, 0xDBE4:
        return Status.OK;
      case 0xDFE0:
        operands.setRegister(Cpu.RAX, 2, FpuWord.visible(cpu.fpuStatus, cpu.fpuControl));
        return Status.OK;
      default:
        break;
    }
    if (!exists(insn.opcode, insn.group(), i)) {
      return cpu.fault(Vector.UD);
    }
    if (state.exceptionPending()) {
      return cpu.fault(Vector.MF);
    }
    if (insn.opcode == 0xD9 && FpuFunctions.is(key & 0xFF)) {
      functions.run(key & 0xFF);
    } else if (insn.opcode == 0xD9 || (insn.opcode == 0xDD || insn.opcode == 0xDF) && insn.group() < 4) {
      arithmetic.stack(insn.opcode, insn.group(), i);
    } else {
      arithmetic.registers(insn.opcode, insn.group(), i);
    }
    pointers(insn);
    return Status.OK;
  }

  /** Whether a register form that is no control instruction exists. */
  private static boolean exists(int opcode, int group, int i) {
    return switch (opcode) {
      case 0xD9 -> switch (group) {
        case 2 -> i == 0;
        case 4 -> i < 2 || i == 4 || i == 5;
        case 5 -> i < 7;
        default -> true;
      };
      case 0xDA -> group < 4 || group == 5 && i == 1;
      case 0xDB -> group < 4 || group == 5 || group == 6;
      case 0xDD -> group < 6;
      case 0xDE -> group != 3 || i == 1;
      case 0xDF -> group < 4 || group == 5 || group == 6;
      default -> true;
    };
  }

  private void pointers(Instruction insn) {
    cpu.fpuInstruction = cpu.rip;
    cpu.fpuOpcode = (insn.opcode & OPCODE_BITS) << 8 | insn.mod << 6 | insn.group() << 3 | insn.rm & 7;
  }
}
