package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImage;
import dev.gnomon.vmm.boot.GuestImages;
import java.util.LinkedHashMap;
import java.util.Map;

/** A guest from a file: multiboot, Linux boot protocol or, if asked for, a flat binary. */
public final class KernelGuest implements Guest {
  /** Exit status of QEMU's isa-debug-exit for a guest that wrote 0. */
  private static final int SUCCESS_STATUS = 1;

  // Linux, kernel/panic.c.
  private static final String PANIC = "Kernel panic - not syncing";
  private static final String PANIC_END = "---[ end Kernel panic";

  private final BootRequest request;
  private final GuestImage image;

  /**
   * @param flat the file is a flat binary, whatever it looks like
   * @throws IllegalArgumentException if the format is not recognised
   */
  public KernelGuest(BootRequest request, boolean flat) {
    this.request = request;
    this.image = flat ? GuestImages.flat(request) : GuestImages.recognize(request);
  }

  @Override
  public String name() {
    String path = request.kernel().name();
    return path.substring(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  }

  @Override
  public Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>();
    parameters.put("format", image.format());
    if (!request.commandLine().isEmpty()) {
      parameters.put("append", request.commandLine());
    }
    return parameters;
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return memoryGiven ? options : options.withMemoryBytes(Math.max(options.memoryBytes(), image.comfortableMemory()));
  }

  @Override
  public void boot(Vm vm) {
    vm.boot(image);
  }

  @Override
  public boolean marksRegion() {
    return false;
  }

  @Override
  public Verdict verdict(int status) {
    return status == SUCCESS_STATUS ? Verdict.SUCCESS : Verdict.FAILURE;
  }

  @Override
  public boolean dies(String line) {
    return line.contains(PANIC);
  }

  /** Without {@code panic=} in its command line Linux spins for ever behind this. */
  @Override
  public boolean ends(String line) {
    return line.contains(PANIC_END);
  }
}
