package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.vmm.polled.SplitMix;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelModeCode;
import dev.gnomon.workloads.kernel.Program;
import java.util.List;

/**
 * A stream of requests to a shared ring, by whichever way the ring is reached: requests fall due at times drawn in
 * advance (a Poisson process of the rate asked for, the same for every way), and each is submitted when it is due and
 * the one before it is complete, so that a slow device makes later ones wait. A request sums 64 bytes of memory; the
 * guest's result is the sum of the answers. Runs in the kernel.
 *
 * <p>For each request the guest notes three times of its TSC, which are virtual nanoseconds, in an array whose
 * guest-physical address the variable {@value #SAMPLES} holds: when it was due, when it was submitted, and when the
 * guest had its answer. Not in the catalogue: it needs a machine with the ring.
 */
public final class RequestStream implements Workload {
  /** Symbol of the variable with the address of the samples, 3 × 64 bits each. */
  public static final String SAMPLES = "request_samples";
  /** Bytes of a sample. */
  public static final int SAMPLE_BYTES = 24;
  /** Where the ring's registers lie as trapped memory. */
  public static final @Gpa long MMIO_GPA = 0xFEB1_0000L;
  /** First port of the ring's registers. */
  public static final int PORT = 0x3000;
  /** The doorbell's port. */
  public static final int DOORBELL = 0x3900;
  /** The ring's interrupt, if it has a doorbell. */
  public static final int IRQ = 5;
  /** Most requests: what a 2M page of samples holds. */
  public static final int MAX_REQUESTS = (2 << 20) / SAMPLE_BYTES;

  private static final long UNCACHED = PageTableEntry.PCD | PageTableEntry.PWT;
  private static final int BUFFER_BYTES = 64;
  private static final int BUFFERS = 64;
  private static final int PAGE = 4096;
  private static final int ENTRY_SHIFT = 5;
  private static final int BUFFER_SHIFT = 6;
  /** Nanoseconds between the region's begin and the time from which due times count. */
  private static final int LEAD_NS = 2000;
  /**
   * The wait for a due time is by a loop of this many turns as long as it is longer than {@link #NEAR_NS}, then by
   * looks at the clock.
   */
  private static final int WAIT_TURNS = 32;
  private static final int NEAR_NS = 1024;
  /** First vector of the interrupt controllers in the kernel, bytes of a gate, and the controller's ports. */
  private static final int FIRST_VECTOR = 0x20;
  private static final int GATE_BYTES = 16;
  private static final int PIC = 0x20;
  private static final int PIC_DATA = 0x21;
  private static final int OCW2_EOI = 0x20;

  private static final String POLLED = "polled";
  private static final String BELL = "doorbell";
  private static final String TRAPPED = "mmio";
  private static final String PORTS = "ports";

  @Override
  public String name() {
    return "requests";
  }

  @Override
  public String description() {
    return "requests to a shared ring at a rate, through polled memory, a doorbell with interrupt, trapped memory or "
        + "ports";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.choice("device", "the way to the device", POLLED, BELL, TRAPPED, PORTS),
        Parameter.count("requests", 400, 1, MAX_REQUESTS, "requests"),
        Parameter.count("rate", 50_000, 1, 100_000_000, "requests that fall due a second of virtual time, on average"),
        Parameter.seed());
  }

  @Override
  public GuestProgram build(Parameters values) {
    int requests = values.count("requests");
    long[] gaps = gaps(values.number("seed"), requests, values.count("rate"));
    long expected = 0;
    for (int request = 1; request <= requests; request++) {
      for (int i = 0; i < BUFFER_BYTES; i++) {
        expected += (request % BUFFERS * BUFFER_BYTES + i) & 0xFF;
      }
    }
    String device = values.choice("device");
    Program program = Program.kernel(code -> new Emitter(code, device, requests).emit(gaps));
    return GuestProgram.of(this, values, program, expected, MachineMemory.forFrames(4L << 20));
  }

  /** Distances between due times in nanoseconds: exponentially distributed, at least 1. */
  static long[] gaps(long seed, int requests, int rate) {
    long[] gaps = new long[requests];
    for (int i = 0; i < requests; i++) {
      double uniform = ((SplitMix.mix(seed * 0x9E37_79B9_7F4A_7C15L + i + 1) >>> 11) + 1) * 0x1p-53;
      gaps[i] = Math.max(1, Math.min(Integer.MAX_VALUE, Math.round(-StrictMath.log(uniform) * 1e9 / rate)));
    }
    return gaps;
  }

  /** Guest-physical address of the variable that holds the address of the samples. */
  public static @Gpa long samplesVariable(GuestProgram program) {
    return program.symbols().get(SAMPLES) - KernelLayout.IMAGE_BASE;
  }

  /**
   * Emits the program. R8: physical address of the buffers; R12: next sample; R13: the ring; R14: when the request is
   * due; RSI: next gap; RDI: its entry, as an offset for ports; R9: its buffer; EBP: its number; RBX: sum of the
   * answers.
   */
  private static final class Emitter {
    private final KernelModeCode code;
    private final Assembler a;
    private final String device;
    private final int requests;
    private final Label interrupts;

    Emitter(KernelModeCode code, String device, int requests) {
      this.code = code;
      this.a = code.a;
      this.device = device;
      this.requests = requests;
      this.interrupts = code.variable("request_interrupts", 8);
    }

    void emit(long[] gaps) {
      Label start = new Label();
      Label table = new Label();
      a.jmp(start);
      a.align(8, 0);
      a.bind(table);
      a.dd(gaps);
      a.bind(start);
      memory();
      ring();
      if (device.equals(BELL)) {
        interrupt();
      }
      code.regionBegin();
      a.lea(RSI, rip(table));
      a.xor(EBX, EBX);
      a.xor(EBP, EBP);
      clock();
      a.lea(R14, ptr(RAX, LEAD_NS));
      if (device.equals(BELL)) {
        a.sti();
      }
      Label next = a.here();
      a.inc(EBP);
      awaitDue();
      a.mov(ptr(R12, 0), R14);
      a.mov(ptr(R12, 8), RAX);
      submit();
      awaitAnswer();
      answer();
      a.add(RBX, RAX);
      clock();
      a.mov(ptr(R12, 16), RAX);
      a.add(R12, SAMPLE_BYTES);
      a.cmp(EBP, requests);
      a.jb(next);
      if (device.equals(BELL)) {
        a.cli();
      }
      code.regionEnd();
    }

    /** Buffers whose bytes count up, and a place for the samples. */
    private void memory() {
      code.allocateZeroed();
      a.mov(R8, RAX);
      a.lea(RDI, ptr(R15, RAX, 1));
      a.xor(ECX, ECX);
      Label fill = a.here();
      a.mov(ptr(RDI, RCX, 1).b(), CL);
      a.inc(ECX);
      a.cmp(ECX, PAGE);
      a.jb(fill);
      code.allocate2M();
      Label samples = code.variable(SAMPLES, 8);
      a.mov(rip(samples).q(), RAX);
      a.lea(R12, ptr(R15, RAX, 1));
      // Touched before the region, which would begin with a fill otherwise.
      a.mov(ptr(R12, 0), RAX);
    }

    private void ring() {
      if (device.equals(TRAPPED)) {
        a.mov(RDI, Addresses.bits(MMIO_GPA));
        code.mapDevice(UNCACHED);
      } else if (!device.equals(PORTS)) {
        Label there = new Label();
        code.reservedRange();
        a.test(RAX, RAX);
        a.jne(there);
        code.panic("the memory map reserves no range for the device");
        a.bind(there);
        a.mov(RDI, RAX);
        code.mapDevice(0);
      }
      a.mov(R13, RAX);
    }

    /** A gate for the ring's interrupt, which is let through from here on. */
    private void interrupt() {
      Label handler = new Label();
      Label installed = new Label();
      Label idt = code.variable("request_idt", 16);
      a.sidt(rip(idt));
      a.mov(RDI, rip(idt, 2).q());
      a.add(RDI, (FIRST_VECTOR + IRQ) * GATE_BYTES);
      a.lea(RAX, rip(handler));
      a.mov(ptr(RDI, 0).w(), AX);
      a.shr(RAX, 16);
      a.mov(ptr(RDI, 6).w(), AX);
      a.shr(RAX, 16);
      a.mov(ptr(RDI, 8).d(), EAX);
      a.in(AL, PIC_DATA);
      a.and(AL, ~(1 << IRQ) & 0xFF);
      a.out(PIC_DATA, AL);
      a.mov(ptr(R13, SharedRing.GUEST_FLAGS).d(), SharedRing.WANTS_INTERRUPT);
      a.jmp(installed);
      a.bind(handler);
      a.push(RAX);
      a.inc(rip(interrupts).q());
      a.mov(AL, OCW2_EOI);
      a.out(PIC, AL);
      a.pop(RAX);
      a.iretq();
      a.bind(installed);
    }

    /** The clock in RAX; clobbers RDX. */
    private void clock() {
      a.rdtsc();
      a.shl(RDX, 32);
      a.or(RAX, RDX);
    }

    /** Waits until the next request is due: its time in R14, the clock in RAX. */
    private void awaitDue() {
      Label look = new Label();
      Label near = new Label();
      Label due = new Label();
      a.mov(EAX, ptr(RSI, 0));
      a.add(R14, RAX);
      a.add(RSI, 4);
      a.bind(look);
      clock();
      a.mov(RCX, R14);
      a.sub(RCX, RAX);
      a.jle(due);
      a.cmp(RCX, NEAR_NS);
      a.jbe(near);
      a.mov(ECX, WAIT_TURNS);
      Label turn = a.here();
      a.dec(ECX);
      a.jne(turn);
      a.jmp(look);
      a.bind(near);
      a.pause();
      a.jmp(look);
      a.bind(due);
    }

    private void submit() {
      a.mov(ECX, EBP);
      a.and(ECX, BUFFERS - 1);
      a.shl(ECX, BUFFER_SHIFT);
      a.lea(R9, ptr(R8, RCX, 1));
      a.lea(EDI, ptr(RBP, -1));
      a.and(EDI, SharedRing.ENTRIES - 1);
      a.shl(EDI, ENTRY_SHIFT);
      if (device.equals(PORTS)) {
        out(SharedRing.ENTRY_0 + SharedRing.ID, true, EBP);
        out(SharedRing.ENTRY_0 + SharedRing.ADDRESS, true, R9.as(4));
        a.mov(RCX, R9);
        a.shr(RCX, 32);
        out(SharedRing.ENTRY_0 + SharedRing.ADDRESS + 4, true, ECX);
        a.mov(ECX, BUFFER_BYTES);
        out(SharedRing.ENTRY_0 + SharedRing.LENGTH, true, ECX);
        a.mov(ECX, SharedRing.OP_SUM);
        out(SharedRing.ENTRY_0 + SharedRing.OPERATION, true, ECX);
        out(SharedRing.PRODUCER, false, EBP);
        return;
      }
      a.lea(RDI, ptr(R13, RDI, 1, SharedRing.ENTRY_0));
      a.mov(ptr(RDI, SharedRing.ID), RBP);
      a.mov(ptr(RDI, SharedRing.ADDRESS), R9);
      a.mov(RAX, (long) SharedRing.OP_SUM << 32 | BUFFER_BYTES);
      a.mov(ptr(RDI, SharedRing.LENGTH), RAX);
      a.mov(ptr(R13, SharedRing.PRODUCER), EBP);
      if (device.equals(BELL)) {
        a.mov(EDX, DOORBELL);
        a.out(DX, EAX);
      }
    }

    /** The ring's device is done when the consumer index says so, or, with a doorbell, when it has interrupted. */
    private void awaitAnswer() {
      Label done = new Label();
      Label look = a.here();
      if (device.equals(PORTS)) {
        a.mov(EDX, PORT + SharedRing.CONSUMER);
        a.in(EAX, DX);
        a.cmp(EAX, EBP);
      } else {
        Mem where = device.equals(BELL) ? rip(interrupts) : ptr(R13, SharedRing.CONSUMER);
        a.cmp(where, EBP);
      }
      a.je(done);
      a.pause();
      a.jmp(look);
      a.bind(done);
    }

    private void answer() {
      if (device.equals(PORTS)) {
        a.lea(EDX, ptr(RDI, PORT + SharedRing.ENTRY_0 + SharedRing.RESULT));
        a.in(EAX, DX);
      } else {
        a.mov(EAX, ptr(RDI, SharedRing.RESULT));
      }
    }

    private void out(int register, boolean inEntry, Reg value) {
      if (inEntry) {
        a.lea(EDX, ptr(RDI, PORT + register));
      } else {
        a.mov(EDX, PORT + register);
      }
      a.mov(EAX, value);
      a.out(DX, EAX);
    }
  }
}
