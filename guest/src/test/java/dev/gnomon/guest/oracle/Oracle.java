package dev.gnomon.guest.oracle;

import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Vector;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.LongFunction;

/** Runs cases on both processors and compares what they leave behind. */
final class Oracle implements AutoCloseable {
  private static final int[] BLOCK_LIMITS = {1, 8, 64};
  private static final long GOLDEN = 0x9E37_79B9_7F4A_7C15L;
  /** A helper's processor time is limited. */
  private static final int CASES_PER_HELPER = 2_000_000;
  /** End of what Linux gives to user programs. */
  private static final long USER_END = 0x7FFF_FFFF_F000L;
  /**
   * From here on an access may cross the end of a 4-GiB segment; whether that faults is the processor's choice (SDM
   * vol. 3A, "Limit Checking").
   */
  private static final long END_OF_SEGMENT = 0xFFFF_FFF0L;
  private static final long COMPARED_FLAGS = Rflags.STATUS | Rflags.DF | Rflags.IF | Rflags.IOPL | Rflags.NT
      | Rflags.AC | Rflags.ID;

  private final ModelProcessor[] models = new ModelProcessor[BLOCK_LIMITS.length];
  private final byte[] records = new byte[OracleLayout.BATCH * OracleLayout.RECORD];
  private final ByteBuffer view = ByteBuffer.wrap(records).order(ByteOrder.LITTLE_ENDIAN);
  private final byte[] hostPages = new byte[2 * OracleLayout.PAGE];
  private final byte[] modelPages = new byte[2 * OracleLayout.PAGE];
  private final MachineState host = new MachineState();
  private final MachineState[] model = new MachineState[OracleLayout.BATCH];
  private final boolean segments16;
  private HostProcessor helper;
  private long sent;

  Oracle() {
    this(false);
  }

  /** @param segments16 whether cases may be of 16-bit code; {@link #works} tells whether the host allows it */
  Oracle(boolean segments16) {
    this.segments16 = segments16;
    helper = new HostProcessor(segments16);
    for (int i = 0; i < models.length; i++) {
      models[i] = new ModelProcessor(BLOCK_LIMITS[i]);
    }
    for (int i = 0; i < model.length; i++) {
      model[i] = new MachineState();
    }
  }

  /**
   * Compares {@code count} cases.
   *
   * @param generator the case that belongs to a seed
   * @return description of the first difference, or null
   */
  String compare(long seed, long first, long count, LongFunction<OracleCase> generator) {
    OracleCase[] cases = new OracleCase[OracleLayout.BATCH];
    for (long done = 0; done < count; ) {
      int batch = (int) Math.min(OracleLayout.BATCH, count - done);
      for (int i = 0; i < batch; i++) {
        cases[i] = generator.apply(seed + (first + done + i) * GOLDEN);
      }
      ModelProcessor processor = models[(int) ((first + done) / OracleLayout.BATCH % models.length)];
      String difference = compare(cases, batch, processor);
      if (difference != null) {
        int blank = difference.indexOf(' ');
        long index = first + done + Integer.parseInt(difference.substring(0, blank));
        return "seed " + seed + " case " + index + ": " + difference.substring(blank + 1);
      }
      done += batch;
    }
    return null;
  }

  private String compare(OracleCase[] cases, int count, ModelProcessor processor) {
    send(cases, 0, count);
    for (int i = 0; i < count; i++) {
      processor.run(cases[i], model[i]);
    }
    processor.takePages(modelPages);
    if (!helper.receive(records, count, hostPages)) {
      return culprit(cases, count);
    }
    boolean memoryDefined = true;
    for (int i = 0; i < count; i++) {
      host.read(view, i * OracleLayout.RECORD, cases[i]);
      memoryDefined &= !cases[i].memoryUndefinedOnFault || host.rip != cases[i].before.rip;
      String difference = difference(cases[i], host, model[i]);
      if (difference != null) {
        return i + " " + report(cases[i], difference, host, model[i]);
      }
    }
    int page = Arrays.mismatch(hostPages, modelPages);
    return page < 0 || !memoryDefined ? null : "0 a case of the " + count + " from here wrote outside the data areas, "
        + "and otherwise, at " + Long.toHexString(OracleLayout.DATA + page);
  }

  private void send(OracleCase[] cases, int from, int count) {
    if (sent + count > CASES_PER_HELPER) {
      restart();
    }
    sent += count;
    for (int i = 0; i < count; i++) {
      OracleCase test = cases[from + i];
      test.before.write(view, i * OracleLayout.RECORD, test);
    }
    helper.send(records, count);
  }

  /** Whether the helper has started. */
  boolean works() {
    helper.send(records, 0);
    return helper.receive(records, 0, hostPages);
  }

  private void restart() {
    helper.close();
    helper = new HostProcessor(segments16);
    sent = 0;
  }

  /** Finds the case that the helper died of, by running each with a new helper. */
  private String culprit(OracleCase[] cases, int count) {
    for (int i = 0; i < count; i++) {
      restart();
      send(cases, i, 1);
      if (!helper.receive(records, 1, hostPages)) {
        restart();
        return i + " " + cases[i].name + " ended the helper\n" + Disassembly.of(cases[i]);
      }
    }
    return "0 the helper died of a batch, but of none of its cases alone";
  }

  private static String difference(OracleCase test, MachineState host, MachineState model) {
    if (host.vector == Vector.BP) {
      // A trap: the host's RIP is behind it, the model's at it.
      host.rip--;
    }
    boolean bothFault = host.vector != Vector.BP && model.vector != Vector.BP
        && host.rip == test.before.rip && model.rip == host.rip;
    if (test.faultsUnordered && bothFault) {
      return null;
    }
    if (!test.mode64() && host.vector == Vector.PF && host.faultAddress >= END_OF_SEGMENT) {
      return null;
    }
    if (host.vector != model.vector) {
      return "vector";
    }
    if (host.vector == Vector.PF) {
      if (host.faultAddress != model.faultAddress && !test.faultAddressUndefined) {
        return "fault address";
      }
      // Linux hides whether its own pages are present.
      long known = host.faultAddress < 0 || host.faultAddress >= USER_END ? ~1L : -1L;
      if ((host.error & known) != (model.error & known)) {
        return "error code";
      }
    } else if (Vector.hasErrorCode(host.vector) && host.error != model.error) {
      return "error code";
    }
    if (host.rip != model.rip) {
      return "rip";
    }
    boolean faulted = host.rip == test.before.rip;
    for (int register = 0; register < host.regs.length; register++) {
      long different = host.regs[register] ^ model.regs[register];
      boolean cut = faulted && test.countersCutOnFault && different << 32 == 0 && host.regs[register] >>> 32 == 0;
      if (different != 0 && !cut) {
        return MachineState.NAMES[register];
      }
    }
    if (test.lastBitUndefined) {
      host.fx.forgiveLastBit(model.fx);
    }
    String vector = faulted && test.stateUndefinedOnFault ? null
        : host.fx.difference(model.fx, host.vector == Vector.BP || !test.x87UndefinedOnFault,
        !test.pointersUndefined);
    if (vector != null) {
      return vector;
    }
    int undefined = faulted ? test.undefinedFlagsOnFault : test.undefinedFlags;
    long flags = (host.rflags ^ model.rflags) & COMPARED_FLAGS & ~undefined;
    if (flags != 0) {
      return "flags " + Long.toHexString(flags);
    }
    return faulted && test.memoryUndefinedOnFault || host.sameMemory(model, test.codeLength) ? null : "memory";
  }

  private static String report(OracleCase test, String difference, MachineState host, MachineState model) {
    return test.name + ": " + difference + " differs\n" + Disassembly.of(test) + "before\n" + test.before.dump()
        + test.before.fx.dump(null) + test.before.memory(host)
        + "host, where the model differs\n" + host.differences(model) + host.fx.dump(model.fx) + host.memory(model)
        + "model\n" + model.differences(host) + model.fx.dump(host.fx) + model.memory(host);
  }

  @Override
  public void close() {
    helper.close();
  }
}
