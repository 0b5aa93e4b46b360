package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;
import dev.gnomon.bench.KernelGuest;
import dev.gnomon.bench.WorkloadGuest;
import dev.gnomon.vmm.boot.BootRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options that say what guest runs. */
final class GuestOptions {
  private static final long MAX_FILE_BYTES = 1L << 30;

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
      description = "Who unpacks the kernel in a bzImage: host, or guest, that is the image's own decompressor. Default: "
          + "${DEFAULT-VALUE}.")
  BootRequest.Unpack unpack;

  @Option(names = "--flat", description = "The kernel file is a flat binary.")
  boolean flat;

  @Option(names = "--load-address", paramLabel = "ADDRESS", converter = Quantity.Address.class,
      description = "Where a flat binary goes. Default: 0x100000.")
  Long loadAddress;

  /** Guests from workload names and kernel files, in this order. */
  List<Guest> guests(List<String> workloads, Long seed) throws IOException {
    List<Guest> guests = new ArrayList<>();
    for (String workload : workloads) {
      guests.add(WorkloadGuest.parse(workload, seed));
    }
    for (Path kernel : kernels) {
      guests.add(kernel(kernel));
    }
    if (kernels.isEmpty() && (!append.isEmpty() || !modules.isEmpty() || flat || loadAddress != null
        || entry != BootRequest.Entry.DEFAULT || unpack != BootRequest.Unpack.HOST)) {
      throw new IllegalArgumentException("--append, --initrd, --module, --entry, --unpack, --flat and --load-address: expected "
          + "--kernel FILE with them");
    }
    return guests;
  }

  /** The one guest that was asked for. */
  Guest guest(String workload, Long seed) throws IOException {
    List<Guest> guests = guests(workload == null ? List.of() : List.of(workload), seed);
    if (guests.size() != 1) {
      throw new IllegalArgumentException((guests.isEmpty() ? "no guest" : guests.size() + " guests")
          + ": expected one workload (gnomon workloads lists them) or one --kernel FILE");
    }
    return guests.get(0);
  }

  private KernelGuest kernel(Path path) throws IOException {
    List<BootRequest.File> files = new ArrayList<>();
    for (String module : modules) {
      int blank = module.indexOf(' ');
      String file = blank < 0 ? module : module.substring(0, blank);
      files.add(new BootRequest.File(file, read(Path.of(file)), blank < 0 ? "" : module.substring(blank + 1)));
    }
    BootRequest request = BootRequest.of(path.toString(), read(path)).withCommandLine(append).withModules(files)
        .withEntry(entry).withUnpack(unpack);
    return new KernelGuest(loadAddress == null ? request : request.withLoadAddress(loadAddress), flat);
  }

  private static byte[] read(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new IllegalArgumentException(path + ": is a directory, expected a file");
    }
    if (Files.exists(path) && Files.size(path) > MAX_FILE_BYTES) {
      throw new IllegalArgumentException(path + ": " + Files.size(path) + " bytes, expected at most " + MAX_FILE_BYTES);
    }
    return Files.readAllBytes(path);
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
