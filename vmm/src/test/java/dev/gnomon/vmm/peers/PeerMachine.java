package dev.gnomon.vmm.peers;

import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.firmware.RomImage;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Something that runs a ROM from the reset vector and shows what it writes to port E9h. */
interface PeerMachine {
  /** What stands for a case at which the machine shut down or hung: it wrote no line. */
  String SHUTDOWN = "shutdown";

  /** What the guest wrote until it ended. */
  String run(byte[] rom) throws IOException, InterruptedException;

  /** A case's line by its name. A machine that is lost at a case is started again behind it. */
  default Map<String, String> results(PeerGroup group) throws IOException, InterruptedException {
    Map<String, String> results = new LinkedHashMap<>();
    List<String> cases = group.cases();
    int next = 0;
    while (next < cases.size()) {
      String log = run(group.rom().apply(next));
      for (String line : log.split("\n")) {
        int start = line.indexOf('#');
        if (start >= 0 && line.startsWith(Integer.toHexString(next) + " ", start + 1) && line.endsWith(" ")) {
          results.put(cases.get(next++), line.substring(start + 1).trim());
        }
      }
      if (next < cases.size()) {
        results.put(cases.get(next++), SHUTDOWN);
      }
    }
    return results;
  }

  /** This machine. */
  record Gnomon(Mode mode) implements PeerMachine {
    private static final long BUDGET = 200_000_000L;
    /** Without 5-level paging, which Bochs does not offer: it widens what is canonical. */
    private static final String CPU = "max,-la57";
    private static final int VME = 1 << 1;

    private static Vm machine(Mode mode, byte[] rom, ByteArrayOutputStream log) {
      VmOptions options = VmOptions.of(mode).withMemoryBytes(4 << 20)
          .withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC).withCpu(CpuModel.parse(CPU)));
      return new VmBuilder(options).firmware(new RomImage("cases", rom)).debugConsole(log::write).build();
    }

    /** Whether the processor has virtual-8086 mode's extensions. */
    static boolean offersVme() {
      return (machine(Mode.NATIVE, new byte[4096], new ByteArrayOutputStream()).cpu().cpuid.query(1,
          0)[Cpuid.EDX] & VME) != 0;
    }

    @Override
    public String run(byte[] rom) {
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      Vm vm = machine(mode, rom, log);
      vm.boot(GuestImages.firmware(vm.cpu().cpuid.query(1, 0)[Cpuid.EAX]));
      vm.run(BUDGET);
      return log.toString(StandardCharsets.ISO_8859_1);
    }
  }

  /** An emulator of the host's. */
  abstract class Program implements PeerMachine {
    /** For an emulator that hangs; the longest run takes seconds. */
    private static final int SECONDS = 20;

    abstract List<String> command(Path folder, byte[] rom) throws IOException;

    abstract String output(Path folder, String stdout) throws IOException;

    static boolean isPresent(String program) {
      return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
          .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    @Override
    public String run(byte[] rom) throws IOException, InterruptedException {
      Path folder = Files.createTempDirectory("peer");
      try {
        Files.write(folder.resolve("rom"), rom);
        Process process = new ProcessBuilder(command(folder, rom)).directory(folder.toFile()).redirectErrorStream(true)
            .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null"))).redirectOutput(folder.resolve("stdout")
            .toFile()).start();
        if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
          process.destroyForcibly().waitFor();
        }
        return output(folder, Files.readString(folder.resolve("stdout"), StandardCharsets.ISO_8859_1));
      } finally {
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
          files = all.toList();
        }
        for (Path file : files) {
          Files.delete(file);
        }
        Files.delete(folder);
      }
    }
  }

  /** Debian's QEMU without KVM. */
  final class Qemu extends Program {
    private final String program;

    Qemu(String program) {
      this.program = program;
    }

    @Override
    List<String> command(Path folder, byte[] rom) {
      return List.of(program, "-accel", "tcg", "-cpu", "max,-la57", "-m", "16", "-nodefaults", "-display", "none",
          "-no-reboot", "-bios", "rom", "-device",
          "isa-debug-exit,iobase=0xf4,iosize=0x4", "-chardev", "file,id=log,path=log", "-device",
              "isa-debugcon,iobase=0xe9,chardev=log");
    }

    @Override
    String output(Path folder, String stdout) throws IOException {
      return Files.exists(folder.resolve("log")) ? Files.readString(folder.resolve("log"),
          StandardCharsets.ISO_8859_1) : stdout;
    }
  }

  /** Debian's bochs, which starts in its debugger. */
  final class Bochs extends Program {
    static final String PROGRAM = "bochs";

    private final String model;

    Bochs(String model) {
      this.model = model;
    }

    @Override
    List<String> command(Path folder, byte[] rom) throws IOException {
      List<String> lines = new ArrayList<>(List.of("megs: 16", "romimage: file=rom, address=0x%x"
          .formatted(0x1_0000_0000L - rom.length),
          "display_library: rfb, options=\"timeout=0\"", "log: log", "panic: action=fatal", "error: action=ignore",
              "info: action=ignore",
          "port_e9_hack: enabled=1", "cpu: model=" + model
          + ", reset_on_triple_fault=0, ignore_bad_msrs=0, ips=50000000",
              "pci: enabled=1, chipset=i440fx"));
      Files.write(folder.resolve("bochsrc"), lines);
      Files.writeString(folder.resolve("commands"), "c\n");
      return List.of(PROGRAM, "-q", "-f", "bochsrc", "-rc", "commands");
    }

    @Override
    String output(Path folder, String stdout) {
      return stdout;
    }
  }
}
