package dev.gnomon.vmm.guests;

import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;

/**
 * One run of a Linux kernel with a busybox and a script as its userland.
 *
 * @param console everything on the serial port
 * @param counters all counters by KVM's names
 */
record LinuxRun(Vm vm, RunResult result, String console, Map<String, Long> counters) {
  private static final long BUDGET = 3_000_000_000L;
  private static final long MEMORY = 128L << 20;
  private static final long NS_PER_INSTRUCTION = 8;

  /** What must not differ between modes. */
  record Shown(String console, long retired, long ns, RunResult.End end) {}

  Shown shown() {
    return new Shown(console, vm.retired(), vm.now(), result.end());
  }

  /** Boots and runs to the end. @param request adds to the kernel and its RAM disk what the test wants */
  static LinuxRun of(Mode mode, PlatformOptions platform, byte[] kernel, byte[] initramfs,
      UnaryOperator<BootRequest> request) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    VmOptions options = VmOptions.of(mode).withMemoryBytes(MEMORY).withNsPerInstruction(NS_PER_INSTRUCTION)
        .withPlatform(platform);
    Vm vm = new VmBuilder(options).console(console::write).build();
    BootRequest files = BootRequest.of("vmlinuz", kernel)
        .withModules(List.of(new BootRequest.File("initramfs", initramfs)));
    vm.boot(GuestImages.recognize(request.apply(files)));
    RunResult result = vm.run(BUDGET);
    return new LinuxRun(vm, result, console.toString(StandardCharsets.ISO_8859_1), vm.statistics());
  }

  /** A cpio archive with a busybox as shell and a script as {@code /init}. */
  static byte[] initramfs(byte[] busybox, String script) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (CpioArchiveOutputStream archive = new CpioArchiveOutputStream(bytes)) {
      for (String directory : List.of("bin", "dev", "proc", "sys", "tmp")) {
        put(archive, directory, CpioArchiveEntry.C_ISDIR | 0755, new byte[0]);
      }
      CpioArchiveEntry console = entry("dev/console", CpioArchiveEntry.C_ISCHR | 0600, 0);
      console.setRemoteDeviceMaj(5);
      console.setRemoteDeviceMin(1);
      archive.putArchiveEntry(console);
      archive.closeArchiveEntry();
      put(archive, "bin/busybox", CpioArchiveEntry.C_ISREG | 0755, busybox);
      put(archive, "bin/sh", CpioArchiveEntry.C_ISLNK | 0777, "busybox".getBytes(StandardCharsets.US_ASCII));
      put(archive, "init", CpioArchiveEntry.C_ISREG | 0755, ("#!/bin/sh\n" + script).getBytes(StandardCharsets.UTF_8));
    }
    return bytes.toByteArray();
  }

  private static CpioArchiveEntry entry(String name, long mode, int size) {
    CpioArchiveEntry entry = new CpioArchiveEntry(CpioArchiveEntry.FORMAT_NEW, name, size);
    entry.setMode(mode);
    return entry;
  }

  private static void put(CpioArchiveOutputStream archive, String name, long mode, byte[] content) throws IOException {
    archive.putArchiveEntry(entry(name, mode, content.length));
    archive.write(content);
    archive.closeArchiveEntry();
  }
}
