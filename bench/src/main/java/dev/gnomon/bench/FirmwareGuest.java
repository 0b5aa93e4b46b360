package dev.gnomon.bench;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.firmware.RomImage;
import java.util.Map;

/** A guest that starts as a PC does: firmware in ROM, or without any the boot sector of a disk. */
public final class FirmwareGuest implements Guest {
  /** Exit status of QEMU's isa-debug-exit for a guest that wrote 0. */
  private static final int SUCCESS_STATUS = 1;

  /** One of the two is null. */
  private final RomImage rom;
  private final BootRequest.File bootSector;

  private FirmwareGuest(RomImage rom, BootRequest.File bootSector) {
    this.rom = rom;
    this.bootSector = bootSector;
  }

  /** Firmware, entered at the reset vector. */
  public static FirmwareGuest ofRom(RomImage rom) {
    return new FirmwareGuest(rom, null);
  }

  /** A boot sector, entered in real mode. @param disk the disk's name and at least its first sector */
  public static FirmwareGuest ofBootSector(BootRequest.File disk) {
    return new FirmwareGuest(null, disk);
  }

  @Override
  public String name() {
    String path = rom == null ? bootSector.name() : rom.name();
    return path.substring(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  }

  @Override
  public Map<String, String> parameters() {
    return Map.of("format", rom == null ? "boot sector" : "firmware");
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return AttachedGuest.onPc(options);
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    if (rom != null) {
      builder.firmware(rom);
    }
  }

  @Override
  public void boot(Vm vm) {
    vm.boot(rom == null ? GuestImages.bootSector(bootSector)
        : GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
  }

  @Override
  public boolean marksRegion() {
    return false;
  }

  @Override
  public Verdict verdict(int status) {
    return status == SUCCESS_STATUS ? Verdict.SUCCESS : Verdict.FAILURE;
  }
}
