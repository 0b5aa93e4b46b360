package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.RequestDevices;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.workloads.kernel.KernelModeCode;
import dev.gnomon.workloads.kernel.Program;
import java.util.List;

/**
 * Requests to the request device, one after the other: write the request, submit it, wait until it is complete, read
 * the result. The device is reached through a reserved page that the host polls, through trapped memory, or through
 * ports; the driver is the same. Runs in the kernel. Each request adds two random numbers; the result is the sum of the
 * answers.
 */
final class Polled implements Workload {
  // The device's registers, see dev.gnomon.vmm.polled; those in the middle are of 64 bits, the others of 32.
  private static final int SUBMIT = 0x00;
  private static final int OPERATION = 0x04;
  private static final int OPERAND_A = 0x08;
  private static final int OPERAND_B = 0x10;
  private static final int RESULT = 0x18;
  private static final int COMPLETE = 0x20;
  private static final int STATUS = 0x24;

  private static final long UNCACHED = PageTableEntry.PCD | PageTableEntry.PWT;

  @Override
  public String name() {
    return "polled";
  }

  @Override
  public String description() {
    return "requests to a device through a polled page, trapped memory or ports";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.choice("device", "the way to the device", "polled", "mmio", "ports"),
        Parameter.count("requests", 200, 1, 100_000_000, "requests"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    int requests = values.count("requests");
    long seed = values.number("seed");
    String device = values.choice("device");
    long expected = PfLoop.randomSum(seed, 2L * requests);
    Program program = Program.kernel(code -> emit(code, device, requests, seed));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(0)).withRequestDevices();
  }

  /** R12: state of the generator; R13: the device's page; EBP: the request's number, counting up to its limit. */
  private static void emit(KernelModeCode code, String device, int requests, long seed) {
    Assembler a = code.a;
    if (device.equals("polled")) {
      Label there = new Label();
      code.reservedRange();
      a.test(RAX, RAX);
      a.jne(there);
      code.panic("the memory map reserves no range for the device");
      a.bind(there);
      a.mov(RDI, RAX);
      code.mapDevice(0);
    } else if (device.equals("mmio")) {
      a.mov(RDI, Addresses.bits(RequestDevices.MMIO_GPA));
      code.mapDevice(UNCACHED);
    }
    a.mov(R13, RAX);
    code.regionBegin();
    Lcg.emitConstants(a, R8, R9);
    a.mov(R12, seed);
    a.xor(EBX, EBX);
    a.xor(EBP, EBP);
    Label loop = a.here();
    a.inc(EBP);
    Lcg.emitNext(a, R12, R8, R9);
    a.mov(RSI, R12);
    Lcg.emitNext(a, R12, R8, R9);
    if (device.equals("ports")) {
      emitPortRequest(a);
    } else {
      emitMemoryRequest(a);
    }
    a.cmp(EBP, requests);
    a.jb(loop);
    code.regionEnd();
  }

  /** Operands in RSI and R12; adds the result to RBX. */
  private static void emitMemoryRequest(Assembler a) {
    Label wait = new Label();
    Label complete = new Label();
    a.mov(ptr(R13, OPERATION).d(), RequestDevice.OP_ADD);
    a.mov(ptr(R13, OPERAND_A), RSI);
    a.mov(ptr(R13, OPERAND_B), R12);
    a.mov(ptr(R13, SUBMIT), EBP);
    a.bind(wait);
    a.cmp(ptr(R13, COMPLETE), EBP);
    a.je(complete);
    a.pause();
    a.jmp(wait);
    a.bind(complete);
    a.add(RBX, ptr(R13, RESULT));
    a.mov(EAX, ptr(R13, STATUS));
    a.add(RBX, RAX);
  }

  private static void emitPortRequest(Assembler a) {
    Label wait = new Label();
    Label complete = new Label();
    out(a, OPERATION, null);
    outWide(a, OPERAND_A, RSI);
    outWide(a, OPERAND_B, R12);
    out(a, SUBMIT, EBP);
    a.bind(wait);
    in(a, COMPLETE);
    a.cmp(EAX, EBP);
    a.je(complete);
    a.pause();
    a.jmp(wait);
    a.bind(complete);
    in(a, RESULT + 4);
    a.mov(RCX, RAX);
    a.shl(RCX, 32);
    in(a, RESULT);
    a.or(RCX, RAX);
    a.add(RBX, RCX);
    in(a, STATUS);
    a.add(RBX, RAX);
  }

  private static void outWide(Assembler a, int register, Reg value) {
    out(a, register, value.as(4));
    a.mov(RAX, value);
    a.shr(RAX, 32);
    a.mov(EDX, RequestDevices.PORT + register + 4);
    a.out(DX, EAX);
  }

  /** @param value 32-bit register, or null for the operation's number */
  private static void out(Assembler a, int register, Reg value) {
    if (value == null) {
      a.mov(EAX, RequestDevice.OP_ADD);
    } else {
      a.mov(EAX, value);
    }
    a.mov(EDX, RequestDevices.PORT + register);
    a.out(DX, EAX);
  }

  private static void in(Assembler a, int register) {
    a.mov(EDX, RequestDevices.PORT + register);
    a.in(EAX, DX);
  }
}
