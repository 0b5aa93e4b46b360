package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;
import dev.gnomon.bench.KernelGuest;
import dev.gnomon.bench.LinuxGuest;
import dev.gnomon.bench.WorkloadGuest;
import dev.gnomon.bench.polled.ThreadPolling;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.workloads.linux.Busybox;
import dev.gnomon.workloads.linux.LinuxWorkload;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options that say what guest runs. */
final class GuestOptions {
  @Option(names = "--kernel", paramLabel = "FILE",
      description = "Guest image: multiboot1 ELF or Linux kernel, or with --flat any file.")
  List<Path> kernels = List.of();

  @Option(names = "--append", paramLabel = "TEXT", defaultValue = "", description = "Command line of the kernel.")
  String append;

  @Option(names = {"--initrd", "--module"}, paramLabel = "FILE",
      description = "Initial RAM disk of a Linux kernel, or a multiboot module (may be repeated); \"FILE ARGUMENTS\" "
          + "gives it arguments.")
  List<String> modules = List.of();

  @Option(names = "--entry", paramLabel = "MODE", converter = EntryConverter.class, defaultValue = "default",
      description = "Processor mode at the first instruction: default, real (flat only), protected, long, or pvh "
          + "(ELF kernels, and what bzImages hold). Linux: pvh by default.")
  BootRequest.Entry entry;

  @Option(names = "--unpack", paramLabel = "WHO", converter = UnpackConverter.class, defaultValue = "host",
      description =
          "Who unpacks the kernel in a bzImage: host, or guest, that is the image's own decompressor. Default: "
          + "${DEFAULT-VALUE}.")
  BootRequest.Unpack unpack;

  @Option(names = "--flat", description = "The kernel file is a flat binary.")
  boolean flat;

  @Option(names = "--load-address", paramLabel = "ADDRESS", converter = Quantity.Address.class,
      description = "Where a flat binary goes. Default: 0x100000.")
  Long loadAddress;

  @Option(names = "--workload", paramLabel = "NAME",
      description = "A workload, as if named by itself; linux:NAME or linux:NAME,count=N needs --kernel and --busybox "
          + "(gnomon workloads lists them).")
  List<String> named = List.of();

  @Option(names = "--busybox", paramLabel = "FILE",
      description = "A statically linked busybox for the linux: workloads (Debian: /bin/busybox of busybox-static).")
  Path busybox;

  @Mixin
  FirmwareOptions firmware = new FirmwareOptions();

  @Mixin
  private PolledOptions polled = new PolledOptions();

  /** Whether any guest is named. */
  boolean none() {
    return kernels.isEmpty() && named.isEmpty() && firmware.bios == null && firmware.disks.isEmpty();
  }

  /** Guests from workload names and kernel files, in this order. */
  List<Guest> guests(List<String> workloads, Long seed) throws IOException {
    return guests(workloads, seed, null);
  }

  private List<Guest> guests(List<String> workloads, Long seed, ThreadPolling threads) throws IOException {
    List<Guest> guests = new ArrayList<>();
    List<String> all = new ArrayList<>(workloads);
    all.addAll(named);
    boolean linux = all.stream().anyMatch(LinuxWorkload::isName);
    for (String workload : all) {
      guests.add(LinuxWorkload.isName(workload) ? linux(workload) : WorkloadGuest.parse(workload, seed));
    }
    for (Path kernel : linux ? List.<Path>of() : kernels) {
      guests.add(kernel(kernel));
    }
    if (busybox != null && !linux) {
      throw new IllegalArgumentException("--busybox: expected a linux: workload with it");
    }
    if (kernels.isEmpty() && (!append.isEmpty() || !modules.isEmpty() || flat || loadAddress != null
        || entry != BootRequest.Entry.DEFAULT || unpack != BootRequest.Unpack.HOST)) {
      throw new IllegalArgumentException(
          "--append, --initrd, --module, --entry, --unpack, --flat and --load-address: expected "
          + "--kernel FILE with them");
    }
    Guest alone = guests.isEmpty() || firmware.bios != null ? firmware.guest() : null;
    if (alone != null) {
      guests.add(alone);
    }
    for (int i = 0; i < guests.size(); i++) {
      guests.set(i, polled.attach(firmware.attach(guests.get(i)), seed, threads));
    }
    return guests;
  }

  /** The one guest that was asked for. */
  Guest guest(String workload, Long seed) throws IOException {
    return guest(workload, seed, null);
  }

  /** The one guest that was asked for. @param threads null unless threads of the host are to poll its devices */
  Guest guest(String workload, Long seed, ThreadPolling threads) throws IOException {
    List<Guest> guests = guests(workload == null ? List.of() : List.of(workload), seed, threads);
    if (guests.size() != 1) {
      throw new IllegalArgumentException((guests.isEmpty() ? "no guest" : guests.size() + " guests")
          + ": expected one workload (gnomon workloads lists them), one --kernel FILE, --bios FILE "
          + "or --disk FILE");
    }
    return guests.get(0);
  }

  private LinuxGuest linux(String text) throws IOException {
    LinuxWorkload workload = LinuxWorkload.parse(text);
    if (kernels.size() != 1 || busybox == null || !modules.isEmpty() || flat || loadAddress != null) {
      throw new IllegalArgumentException("workload '" + text
          + "': expected one --kernel FILE and --busybox FILE with it, "
          + "and no --initrd, --module, --flat or --load-address");
    }
    Path path = kernels.get(0);
    BootRequest request = BootRequest.of(path.toString(), InputFile.read(path)).withCommandLine(append).withEntry(entry)
        .withUnpack(unpack);
    return new LinuxGuest(workload, request, Busybox.parse(busybox.toString(), InputFile.read(busybox)));
  }

  private KernelGuest kernel(Path path) throws IOException {
    List<BootRequest.File> files = new ArrayList<>();
    for (String module : modules) {
      int blank = module.indexOf(' ');
      String file = blank < 0 ? module : module.substring(0, blank);
      files.add(new BootRequest.File(file, InputFile.read(Path.of(file)),
          blank < 0 ? "" : module.substring(blank + 1)));
    }
    BootRequest request = BootRequest.of(path.toString(), InputFile.read(path)).withCommandLine(append)
        .withModules(files).withEntry(entry).withUnpack(unpack);
    return new KernelGuest(loadAddress == null ? request : request.withLoadAddress(loadAddress), flat);
  }

  /** Reads {@code --entry}. */
  static final class EntryConverter implements ITypeConverter<BootRequest.Entry> {
    @Override
    public BootRequest.Entry convert(String text) {
      return switch (text) {
        case "default" -> BootRequest.Entry.DEFAULT;
        case "real", "16" -> BootRequest.Entry.REAL;
        case "protected", "32" -> BootRequest.Entry.PROTECTED;
        case "long", "64" -> BootRequest.Entry.LONG;
        case "pvh" -> BootRequest.Entry.PVH;
        default -> throw new TypeConversionException("'" + text + "': expected default, real, protected, long or pvh");
      };
    }
  }

  /** Reads {@code --unpack}. */
  static final class UnpackConverter implements ITypeConverter<BootRequest.Unpack> {
    @Override
    public BootRequest.Unpack convert(String text) {
      return switch (text) {
        case "host" -> BootRequest.Unpack.HOST;
        case "guest" -> BootRequest.Unpack.GUEST;
        default -> throw new TypeConversionException("'" + text + "': expected host or guest");
      };
    }
  }
}
