package dev.gnomon.vmm;

import dev.gnomon.ept.EptControls;
import dev.gnomon.ept.EptPointer;
import dev.gnomon.ept.EptTables;
import dev.gnomon.ept.EptWalker;
import dev.gnomon.ept.EptpSwitching;
import dev.gnomon.ept.SecondaryControls;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.memory.TableFrames;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * A vCPU's hold on its VM's EPT tables: routes exits to them and does the INVEPT that they ask for, on all processors.
 */
final class EptMemory {
  private static final int INVEPT_SINGLE = 1;
  private static final int INVEPT_GLOBAL = 2;

  final EptViews views;
  private final EptWalker walker;
  private final Cpu cpu;
  private final HostMemory memory;
  private final TableFrames frames;
  private final SlotMap slots;
  private final List<EptMemory> all;
  private final RemoteFlushes remote;
  private final int index;
  private @Hpa long modificationLog = -1;
  /** Whether controls were loaded before, so that something may be cached. */
  private boolean loaded;
  /** KVM's {@code tlb_flush}. */
  long tlbFlushes;

  /** @param all those of the VM's vCPUs, by number; this one is added */
  EptMemory(EptViews views, EptWalker walker, Cpu cpu, TableFrames frames, SlotMap slots, List<EptMemory> all,
      RemoteFlushes remote) {
    this.views = views;
    this.walker = walker;
    this.cpu = cpu;
    this.memory = cpu.memory;
    this.frames = frames;
    this.slots = slots;
    this.all = all;
    this.remote = remote;
    this.index = all.size();
    all.add(this);
    views.attach(this);
  }

  long eptPointer() {
    return walker.eptPointer();
  }

  /** The view that the processor is in. */
  int view() {
    return views.count() == 1 ? 0 : views.indexOf(walker.eptPointer());
  }

  private EptTables tables() {
    return views.tables(view());
  }

  /** Loads controls and pointer of a view, as VM entry does. */
  void load(EptControls controls, int view) {
    walker.setControls(controls);
    cpu.mmu.setTags(cpu.mmu.paging.vpid, EptPointer.ep4ta(controls.eptPointer()));
    if (loaded) {
      cpu.mmu.invept(INVEPT_GLOBAL, 0);
    }
    loaded = true;
    cpu.intercepts.eptpIndex = view;
    cpu.intercepts.exceptionInformation = controls.has(SecondaryControls.EPT_VIOLATION_VE)
        ? controls.exceptionInformation() : -1;
    cpu.intercepts.vmFunctions = controls.has(SecondaryControls.ENABLE_VM_FUNCTIONS)
        ? new EptpSwitching(walker, cpu, controls.eptpList()) : null;
  }

  /** @return a result of {@link EptTables#violation} */
  int violation(@Gpa long gpa, long qualification) {
    return settle(tables().violation(gpa, qualification));
  }

  /** @return a result of {@link EptTables#misconfiguration} */
  int misconfiguration(@Gpa long gpa) {
    return settle(tables().misconfiguration(gpa));
  }

  /** The address whose memory an address shows in the processor's view. */
  @Gpa long shown(@Gpa long gpa) {
    return tables().rules().shown(gpa);
  }

  /** Maps a range in advance. @throws IllegalArgumentException if the tables do not fit */
  void mapInAdvance(@Gpa long gpa, long length) {
    for (EptTables tables : views.all()) {
      if (settle(tables.eagerMap(gpa, length)) != EptTables.FIXED) {
        throw new IllegalArgumentException("no frame left for EPT tables of guest-physical 0x" + Long.toHexString(gpa)
            + " + " + length + " bytes");
      }
    }
  }

  /** Whether the EPT pointer has the processor keep A and D flags. */
  boolean accessedDirty() {
    return (walker.eptPointer() & EptPointer.ENABLE_AD) != 0;
  }

  /**
   * Has the processor log the pages whose D it sets. @throws IllegalArgumentException if no frame is left for the log
   */
  void startModificationLog() {
    if (modificationLog < 0) {
      modificationLog = frames.allocate();
      if (modificationLog < 0) {
        throw new IllegalArgumentException("no frame left for a page-modification log: expected one more in the"
            + " tables region");
      }
    }
    walker.startPml(modificationLog);
  }

  void stopModificationLog() {
    walker.stopPml();
    frames.free(modificationLog);
    modificationLog = -1;
  }

  /** Tells the slots of all pages in the processor's log and empties it (KVM's {@code vmx_flush_pml_buffer}). */
  void drainModificationLog() {
    int written = walker.pmlIndex() >= EptWalker.PML_ENTRIES ? 0 : walker.pmlIndex() + 1;
    for (int i = EptWalker.PML_ENTRIES - 1; i >= written; i--) {
      slots.markDirty(memory.read64(modificationLog + 8L * i));
    }
    walker.setPmlIndex(EptWalker.PML_ENTRIES - 1);
  }

  /** Writes the processor's page-modification log. */
  void saveModificationLog(DataOutput out) throws IOException {
    out.writeByte(modificationLog < 0 ? 0 : 1);
    if (modificationLog >= 0) {
      out.writeShort(walker.pmlIndex());
      for (int i = 0; i < EptWalker.PML_ENTRIES; i++) {
        out.writeLong(memory.read64(modificationLog + 8L * i));
      }
    }
  }

  void loadModificationLog(DataInput in) throws IOException {
    if (in.readByte() != 0) {
      startModificationLog();
      walker.setPmlIndex(in.readShort() & 0xFFFF);
      for (int i = 0; i < EptWalker.PML_ENTRIES; i++) {
        memory.write64(modificationLog + 8L * i, in.readLong());
      }
    } else if (modificationLog >= 0) {
      stopModificationLog();
    }
  }

  /** Unmaps a range whose slots changed. */
  void unmap(@Gpa long gpa, long length) {
    if (views.unmap(gpa, length)) {
      flush();
    }
  }

  private int settle(int result) {
    if ((result & EptTables.INVEPT) != 0) {
      flush();
    }
    return EptTables.result(result);
  }

  /** INVEPT of the VM's contexts on all processors: guest-physical mappings and the combined ones made from them. */
  void flush() {
    long request = ++remote.requests;
    for (int i = 0; i < all.size(); i++) {
      all.get(i).invept();
      if (i != index) {
        remote.flushed(i, request);
      }
    }
  }

  private void invept() {
    tlbFlushes++;
    if (views.count() > 1) {
      walker.inveptGlobal();
      cpu.mmu.invept(INVEPT_GLOBAL, 0);
      return;
    }
    walker.inveptSingle(walker.eptPointer());
    cpu.mmu.invept(INVEPT_SINGLE, walker.eptPointer() & EptPointer.ADDRESS_MASK);
  }
}
