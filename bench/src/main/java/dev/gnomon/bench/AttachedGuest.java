package dev.gnomon.bench;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.DiskImage;
import dev.gnomon.vmm.device.SnapshotDiskImage;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** A guest on a machine with more to it: disks, and a listener at the debug console. */
public final class AttachedGuest extends ForwardingGuest {
  private final Map<String, DiskImage> disks;
  private final boolean writable;
  private final ByteSink debugConsole;

  /**
   * Wraps a guest.
   *
   * @param disks in the order of their numbers, each by its name in reports
   * @param writable whether the guest's writes reach them; otherwise each machine keeps its own
   * @param debugConsole null for none
   */
  public AttachedGuest(Guest guest, Map<String, DiskImage> disks, boolean writable, ByteSink debugConsole) {
    super(guest);
    this.disks = Collections.unmodifiableMap(new LinkedHashMap<>(disks));
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
    if (!disks.isEmpty()) {
      parameters.put("disk", String.join(", ", disks.keySet()));
    }
    return parameters;
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return super.adapt(disks.isEmpty() ? options : onPc(options), memoryGiven);
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    super.equip(builder, region);
    for (DiskImage disk : disks.values()) {
      builder.disk(writable ? disk : new SnapshotDiskImage(disk));
    }
    if (debugConsole != null) {
      builder.debugConsole(debugConsole);
    }
  }
}
