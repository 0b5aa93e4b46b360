package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Vector;
import java.util.Arrays;

/** The modelled processor behind the same interface as the helper. */
final class ModelProcessor {
  /** Instructions after which a case counts as endless. */
  private static final int BUDGET = 50_000;
  /** Vector of a case that did not end with an exception: this plus the exit reason. */
  static final int NO_EXCEPTION = 1000;
  private static final int DATA_PAGES = 3;
  private static final long DATA_FRAMES = OracleLayout.PAGE;
  private static final long CODE_FRAMES = 8 * OracleLayout.PAGE;

  private final UserMachine machine;
  private final byte[] int3 = new byte[OracleLayout.CODE_SIZE];

  ModelProcessor(int blockLimit) {
    machine = new UserMachine(16 * OracleLayout.PAGE, blockLimit, CpuModel.parse("max"));
    for (int page = 0; page < DATA_PAGES; page++) {
      long offset = page * OracleLayout.PAGE;
      machine.pages.map(OracleLayout.READ_ONLY + offset, DATA_FRAMES + offset, page == 0 ? 0 : PageMap.WRITE);
    }
    for (int page = 0; page < OracleLayout.CODE_PAGES; page++) {
      long offset = page * OracleLayout.PAGE;
      machine.pages.map(OracleLayout.CODE + offset, CODE_FRAMES + offset, PageMap.WRITE | PageMap.EXECUTE);
    }
    machine.memory.fill(DATA_FRAMES, OracleLayout.PAGE, (byte) OracleLayout.READ_ONLY_FILL);
    machine.memory.fill(CODE_FRAMES, OracleLayout.CODE_PAGES * OracleLayout.PAGE, (byte) OracleLayout.INT3);
    Arrays.fill(int3, (byte) OracleLayout.INT3);
  }

  void run(OracleCase test, MachineState out) {
    load(test);
    machine.processor.run(machine.cpu.retired + BUDGET);
    save(test, out);
    machine.memory.writeBytes(frame(test.before.rip), int3, 0, test.codeLength);
  }

  /** Puts the state before a case into the machine. */
  void load(OracleCase test) {
    Cpu cpu = machine.cpu;
    MachineState in = test.before;
    machine.memory.writeBytes(frame(in.rip), in.code, 0, test.codeLength);
    copyAreas(in.areas, true);
    machine.select(test.cs);
    System.arraycopy(in.regs, 0, cpu.regs, 0, 16);
    cpu.setRflags(in.rflags);
    in.fx.load(cpu);
    cpu.rip = in.rip - test.codeBase();
    cpu.retired = 0;
    cpu.exit.reason = ExitReason.BUDGET;
  }

  /** Runs until the case has retired {@code limit} instructions in all. @return whether it ended by then */
  boolean runTo(long limit) {
    return machine.processor.run(limit) != ExitReason.BUDGET;
  }

  long retired() {
    return machine.cpu.retired;
  }

  /** Gets the state that the machine is in. */
  void save(OracleCase test, MachineState out) {
    Cpu cpu = machine.cpu;
    System.arraycopy(cpu.regs, 0, out.regs, 0, 16);
    out.rflags = cpu.rflags();
    out.rip = cpu.rip + test.codeBase();
    out.fx.save(cpu);
    if (cpu.exit.reason == ExitReason.EXCEPTION_NMI && (cpu.exit.interruptionInfo & 0xFF) == Vector.OF) {
      // A trap: the host tells where it returns to.
      out.rip += cpu.exit.instructionLength;
    }
    int reason = cpu.exit.reason;
    out.vector = reason == ExitReason.EXCEPTION_NMI ? cpu.exit.interruptionInfo & 0xFF : NO_EXCEPTION + reason;
    out.error = reason == ExitReason.EXCEPTION_NMI ? cpu.exit.interruptionErrorCode : 0;
    out.faultAddress = out.vector == Vector.PF ? cpu.exit.qualification : 0;
    machine.memory.readBytes(frame(test.before.rip), out.code, 0, test.codeLength);
    copyAreas(out.areas, false);
  }

  /** Takes all away that a case left. */
  void clean() {
    machine.memory.fill(DATA_FRAMES + OracleLayout.PAGE, 2 * OracleLayout.PAGE, (byte) 0);
    machine.memory.fill(CODE_FRAMES, OracleLayout.CODE_PAGES * OracleLayout.PAGE, (byte) OracleLayout.INT3);
  }

  private static long frame(long rip) {
    return CODE_FRAMES + rip - OracleLayout.CODE;
  }

  private void copyAreas(byte[] areas, boolean in) {
    int index = 0;
    for (int area = 0; area < OracleLayout.areas(); area++) {
      long hpa = DATA_FRAMES + OracleLayout.areaAddress(area) - OracleLayout.READ_ONLY;
      if (in) {
        machine.memory.writeBytes(hpa, areas, index, OracleLayout.areaSize(area));
      } else {
        machine.memory.readBytes(hpa, areas, index, OracleLayout.areaSize(area));
      }
      index += OracleLayout.areaSize(area);
    }
  }

  /** Ends a batch: takes the two writable data pages, and cleans all. */
  void takePages(byte[] pages) {
    machine.memory.readBytes(DATA_FRAMES + OracleLayout.PAGE, pages, 0, pages.length);
    clean();
  }
}
