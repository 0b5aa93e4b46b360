package dev.gnomon.bench.cli;

import dev.gnomon.bench.AttachedGuest;
import dev.gnomon.bench.FirmwareGuest;
import dev.gnomon.bench.Guest;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.DiskImage;
import dev.gnomon.vmm.device.FileDiskImage;
import dev.gnomon.vmm.device.IdeChannel;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Option;

/** Options that say what firmware and disk a machine has. */
final class FirmwareOptions {
  @Option(names = "--bios", paramLabel = "FILE",
      description = "Firmware in ROM below 4 GiB, started at the reset vector; implies --machine pc. Without "
          + "--video-bios its console is the serial port.")
  Path bios;

  @Option(names = "--video-bios", paramLabel = "FILE",
      description = "Option ROM of the display for the firmware, whose console is then the VGA text screen.")
  Path videoBios;

  @Option(names = "--disk", paramLabel = "FILE",
      description = "Raw image of the IDE disk, given again that of the second; implies --machine pc. Without --bios "
          + "and --kernel the first one's boot sector is started.")
  List<Path> disks = List.of();

  @Option(names = "--disk-write",
      description = "The guest's writes go to the images, not only to the machine's memory.")
  boolean diskWrite;

  @Option(names = "--debugcon", paramLabel = "FILE",
      description = "Takes what the guest writes to ports 0xE9 and 0x402.")
  Path debugConsole;

  /** Whether only a machine pc has what was asked for. */
  boolean needsPc() {
    return bios != null || !disks.isEmpty();
  }

  /** The guest that the options name by themselves, null if they name none. */
  Guest guest() throws IOException {
    if (videoBios != null && bios == null) {
      throw new IllegalArgumentException("--video-bios: expected --bios FILE with it");
    }
    if (bios != null) {
      return FirmwareGuest.ofRom(new RomImage(bios.toString(), InputFile.read(bios),
          videoBios == null ? null : InputFile.read(videoBios)));
    }
    if (disks.isEmpty()) {
      return null;
    }
    Path disk = disks.get(0);
    byte[] sector = new byte[DiskImage.SECTOR_BYTES];
    try (FileDiskImage image = FileDiskImage.open(disk, false)) {
      image.read(0, sector, 0);
    }
    return FirmwareGuest.ofBootSector(new BootRequest.File(disk.toString(), sector));
  }

  /** A guest with the disks and debug console that were asked for. */
  Guest attach(Guest guest) throws IOException {
    if (diskWrite && disks.isEmpty()) {
      throw new IllegalArgumentException("--disk-write: expected --disk FILE with it");
    }
    if (disks.size() > IdeChannel.DRIVES) {
      throw new IllegalArgumentException("--disk " + disks.get(IdeChannel.DRIVES) + ": expected at most "
          + IdeChannel.DRIVES + " disks");
    }
    if (disks.isEmpty() && debugConsole == null) {
      return guest;
    }
    Map<String, DiskImage> images = new LinkedHashMap<>();
    for (Path disk : disks) {
      if (images.put(disk.toString(), FileDiskImage.open(disk, diskWrite)) != null) {
        throw new IllegalArgumentException("--disk " + disk + " twice: expected another image for the second disk");
      }
    }
    return new AttachedGuest(guest, images, diskWrite,
        debugConsole == null ? null : sink(Files.newOutputStream(debugConsole)));
  }

  private static ByteSink sink(OutputStream out) {
    return value -> {
      try {
        out.write(value);
      } catch (IOException e) {
        // Nobody can take it any more (a full disk); the run goes on.
        return;
      }
    };
  }
}
