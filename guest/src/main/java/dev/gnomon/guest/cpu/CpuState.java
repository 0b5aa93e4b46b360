package dev.gnomon.guest.cpu;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.mmu.PagingContext;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The processor's section of a saved machine: everything that the guest can see of {@link Cpu}, what is pending in it,
 * its clock and its random numbers. Apart from it are memory, what the translation caches hold, the hypervisor's
 * controls ({@link Intercepts}) and the local APIC. CPUID is not saved, since a machine is restored with the model that
 * it had; its bits that follow control registers are set anew.
 */
public final class CpuState {
  private static final int VERSION = 2;

  private CpuState() {}

  /** Writes the section, its version first. */
  public static void save(Cpu cpu, DataOutput out) throws IOException {
    out.writeInt(VERSION);
    for (int i = 0; i <= Cpu.R15; i++) {
      out.writeLong(cpu.regs[i]);
    }
    out.writeLong(cpu.rip);
    out.writeLong(cpu.rflags());
    for (int i = 0; i < Segments.COUNT; i++) {
      out.writeInt(cpu.selector[i]);
      out.writeLong(cpu.base[i]);
      out.writeLong(cpu.limit[i]);
      out.writeInt(cpu.rights[i]);
    }
    out.writeInt(cpu.cpl);
    longs(out, Addresses.bits(cpu.gdtrBase), cpu.gdtrLimit, Addresses.bits(cpu.idtrBase), cpu.idtrLimit);
    longs(out, cpu.cr0, Addresses.bits(cpu.cr2), cpu.cr3, cpu.cr4, cpu.cr8, cpu.efer, cpu.xcr0);
    longs(out, cpu.dr);
    longs(out, cpu.star, cpu.lstar, cpu.cstar, cpu.fmask, cpu.kernelGsBase, cpu.sysenterCs, cpu.sysenterEsp,
        cpu.sysenterEip);
    longs(out, cpu.pat, cpu.apicBase, cpu.tscAux, cpu.tscOffset, cpu.miscEnable, cpu.randomState);
    longs(out, cpu.xmm);
    longs(out, cpu.mxcsr, cpu.fpuControl, cpu.fpuStatus, cpu.fpuValid, cpu.fpuInstruction, cpu.fpuOpcode, cpu.fpuData);
    longs(out, cpu.fpuSignificand);
    for (int exponent : cpu.fpuExponent) {
      out.writeInt(exponent);
    }
    PagingContext paging = cpu.mmu.paging;
    longs(out, paging.pkru, paging.pkrs);
    longs(out, paging.pdpte);
    saveEvents(cpu, out);
    longs(out, cpu.retired, cpu.nsPerInstruction, cpu.skippedNs);
    cpu.machineCheck.save(out);
    out.writeBoolean(cpu.mtrrs != null);
    if (cpu.mtrrs != null) {
      cpu.mtrrs.save(out);
    }
  }

  private static void saveEvents(Cpu cpu, DataOutput out) throws IOException {
    out.writeBoolean(cpu.blockedBySti);
    out.writeBoolean(cpu.blockedByMovSs);
    out.writeBoolean(cpu.blockedByNmi);
    out.writeBoolean(cpu.halted);
    out.writeBoolean(cpu.waitsForStartup);
    out.writeBoolean(cpu.paused);
    out.writeBoolean(cpu.nmiPending);
    out.writeBoolean(cpu.ignoresCoprocessorError);
    out.writeBoolean(cpu.repeating);
    out.writeBoolean(cpu.rfLoaded);
    out.writeBoolean(cpu.faultUnblocksNmi);
    out.writeBoolean(cpu.eventPending);
    out.writeBoolean(cpu.eventHasErrorCode);
    longs(out, cpu.pendingDebug, cpu.eventVector, cpu.eventType, cpu.eventErrorCode, cpu.eventLength);
  }

  private static void longs(DataOutput out, long... values) throws IOException {
    for (long value : values) {
      out.writeLong(value);
    }
  }

  /**
   * Reads what {@link #save} wrote, into a processor of the same model. Debug registers take effect when the
   * {@link dev.gnomon.guest.exec.Processor} is told ({@link dev.gnomon.guest.exec.Processor#stateLoaded}); cached
   * translations are dropped.
   *
   * @throws IOException if the section has another version, ends early or belongs to a processor with other parts
   */
  public static void load(Cpu cpu, DataInput in) throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException("cpu: saved state has version " + version + ", expected " + VERSION);
    }
    for (int i = 0; i <= Cpu.R15; i++) {
      cpu.regs[i] = in.readLong();
    }
    cpu.rip = in.readLong();
    final long rflags = in.readLong();
    for (int i = 0; i < Segments.COUNT; i++) {
      cpu.selector[i] = in.readInt();
      cpu.base[i] = in.readLong();
      cpu.limit[i] = in.readLong();
      cpu.rights[i] = in.readInt();
    }
    cpu.cpl = in.readInt() & 3;
    cpu.gdtrBase = in.readLong();
    cpu.gdtrLimit = (int) in.readLong();
    cpu.idtrBase = in.readLong();
    cpu.idtrLimit = (int) in.readLong();
    cpu.cr0 = in.readLong();
    cpu.cr2 = in.readLong();
    cpu.cr3 = in.readLong();
    cpu.cr4 = in.readLong();
    cpu.cr8 = (int) in.readLong();
    cpu.efer = in.readLong();
    cpu.xcr0 = in.readLong();
    read(in, cpu.dr);
    cpu.star = in.readLong();
    cpu.lstar = in.readLong();
    cpu.cstar = in.readLong();
    cpu.fmask = in.readLong();
    cpu.kernelGsBase = in.readLong();
    cpu.sysenterCs = in.readLong();
    cpu.sysenterEsp = in.readLong();
    cpu.sysenterEip = in.readLong();
    cpu.pat = in.readLong();
    cpu.apicBase = in.readLong();
    cpu.tscAux = in.readLong();
    cpu.tscOffset = in.readLong();
    cpu.miscEnable = in.readLong();
    cpu.randomState = in.readLong();
    loadVectors(cpu, in);
    loadEvents(cpu, in);
    cpu.retired = in.readLong();
    cpu.nsPerInstruction = in.readLong();
    cpu.skippedNs = in.readLong();
    cpu.machineCheck.load(in);
    if (in.readBoolean() != (cpu.mtrrs != null)) {
      throw new IOException("cpu: saved state is of a processor " + (cpu.mtrrs != null ? "without" : "with")
          + " MTRRs, expected the other");
    }
    if (cpu.mtrrs != null) {
      cpu.mtrrs.load(in);
    }
    cpu.setRflags(rflags);
    cpu.showControlBits();
    cpu.syncPaging();
    cpu.updateMode();
    cpu.mmu.flushAll();
  }

  private static void loadVectors(Cpu cpu, DataInput in) throws IOException {
    read(in, cpu.xmm);
    cpu.mxcsr = (int) in.readLong();
    cpu.fpuControl = (int) in.readLong();
    cpu.fpuStatus = (int) in.readLong();
    cpu.fpuValid = (int) in.readLong();
    cpu.fpuInstruction = in.readLong();
    cpu.fpuOpcode = (int) in.readLong();
    cpu.fpuData = in.readLong();
    read(in, cpu.fpuSignificand);
    for (int i = 0; i < cpu.fpuExponent.length; i++) {
      cpu.fpuExponent[i] = in.readInt();
    }
    PagingContext paging = cpu.mmu.paging;
    paging.pkru = (int) in.readLong();
    paging.pkrs = (int) in.readLong();
    for (int i = 0; i < paging.pdpte.length; i++) {
      long pdpte = in.readLong();
      // Elsewhere they are a hypervisor's.
      paging.pdpte[i] = cpu.mmu.pagingFollowsGuest ? pdpte : paging.pdpte[i];
    }
  }

  private static void loadEvents(Cpu cpu, DataInput in) throws IOException {
    cpu.blockedBySti = in.readBoolean();
    cpu.blockedByMovSs = in.readBoolean();
    cpu.blockedByNmi = in.readBoolean();
    cpu.halted = in.readBoolean();
    cpu.waitsForStartup = in.readBoolean();
    cpu.paused = in.readBoolean();
    cpu.nmiPending = in.readBoolean();
    cpu.ignoresCoprocessorError = in.readBoolean();
    cpu.repeating = in.readBoolean();
    cpu.rfLoaded = in.readBoolean();
    cpu.faultUnblocksNmi = in.readBoolean();
    cpu.eventPending = in.readBoolean();
    cpu.eventHasErrorCode = in.readBoolean();
    cpu.pendingDebug = (int) in.readLong();
    cpu.eventVector = (int) in.readLong() & 0xFF;
    cpu.eventType = (int) in.readLong() & 7;
    cpu.eventErrorCode = (int) in.readLong();
    cpu.eventLength = (int) in.readLong();
  }

  private static void read(DataInput in, long[] values) throws IOException {
    for (int i = 0; i < values.length; i++) {
      values[i] = in.readLong();
    }
  }
}
