package dev.gnomon.bench.cli;

import dev.gnomon.workloads.linux.Busybox;
import dev.gnomon.workloads.linux.Initramfs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** {@code gnomon initramfs}. */
@Command(name = "initramfs",
    description = {"Packs a busybox and a shell script into an initial RAM disk for a Linux kernel.",
        "Its /init mounts /proc, /sys and /dev, runs the script on the console and powers off; a script that fails "
            + "ends the run as the guest's failure."},
    footer = {
        "  gnomon initramfs --busybox bin/busybox --script boot.sh --out initrd.cpio",
        "  gnomon initramfs --busybox bin/busybox --script sort.sh --add words.txt=/data/words --gzip --out initrd.gz",
        "  gnomon run --kernel vmlinuz --initrd initrd.cpio --append console=ttyS0 -m 128M --mode ept"})
final class InitramfsCommand implements Callable<Integer> {
  @ParentCommand
  private Gnomon gnomon;
  @Option(names = "--busybox", paramLabel = "FILE", required = true,
      description = "A statically linked busybox for x86-64 or i386 (Debian: /bin/busybox of busybox-static).")
  private Path busybox;
  @Option(names = "--script", paramLabel = "FILE", required = true, description = "Shell script that the guest runs.")
  private Path script;
  @Option(names = "--add", paramLabel = "FILE=PATH",
      description = "Also put a file at an absolute path in the guest (may be repeated).")
  private List<String> additions = List.of();
  @Option(names = "--gzip", description = "Compress the archive by gzip.")
  private boolean gzip;
  @Option(names = "--out", paramLabel = "FILE", required = true, description = "Where the archive goes.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    InputFile.checkTarget("--out", out);
    Busybox parsed = Busybox.parse(busybox.toString(), InputFile.read(busybox));
    Initramfs initramfs = new Initramfs(parsed, script.toString(), InputFile.read(script));
    for (String addition : additions) {
      int equals = addition.lastIndexOf('=');
      if (equals <= 0) {
        throw new IllegalArgumentException("--add '" + addition
            + "': expected FILE=PATH, such as words.txt=/data/words");
      }
      Path file = Path.of(addition.substring(0, equals));
      initramfs.add(addition.substring(equals + 1), Files.isExecutable(file) ? 0755 : 0644, InputFile.read(file));
    }
    byte[] bytes = gzip ? initramfs.gzip() : initramfs.cpio();
    gnomon.environment().interruption().check();
    Files.write(out, bytes);
    gnomon.environment().err().printf("gnomon: %s: %,d bytes, busybox with %d applets%n", out, bytes.length,
        parsed.applets().size());
    return ExitCode.DONE;
  }
}
