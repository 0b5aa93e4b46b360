package dev.gnomon.bench;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.DiskImage;
import dev.gnomon.vmm.device.SnapshotDiskImage;
import java.util.LinkedHashMap;
import java.util.Map;

/** A guest on a machine with more to it: a disk, and a listener at the debug console. */
public final class AttachedGuest extends ForwardingGuest {
  private final String diskName;
  private final DiskImage disk;
  private final boolean writable;
  private final ByteSink debugConsole;

  /**
   * Wraps a guest.
   *
   * @param diskName for reports
   * @param disk null for none
   * @param writable whether the guest's writes reach it; otherwise each machine keeps its own
   * @param debugConsole null for none
   */
  public AttachedGuest(Guest guest, String diskName, DiskImage disk, boolean writable, ByteSink debugConsole) {
    super(guest);
    this.diskName = diskName;
    this.disk = disk;
    this.writable = writable;
    this.debugConsole = debugConsole;
  }

  /** The options with machine pc, which alone has disks and firmware. */
  static VmOptions onPc(VmOptions options) {
    return options.platform().machine() == MachineType.PC ? options
        : options.withPlatform(options.platform().withMachine(MachineType.PC));
  }

  @Override
  public Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>(super.parameters());
    if (disk != null) {
      parameters.put("disk", diskName);
    }
    return parameters;
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return super.adapt(disk == null ? options : onPc(options), memoryGiven);
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    super.equip(builder, region);
    if (disk != null) {
      builder.disk(writable ? disk : new SnapshotDiskImage(disk));
    }
    if (debugConsole != null) {
      builder.debugConsole(debugConsole);
    }
  }
}
