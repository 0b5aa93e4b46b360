package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.workloads.RegionMarker;
import dev.gnomon.workloads.linux.Busybox;
import dev.gnomon.workloads.linux.LinuxWorkload;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A Linux kernel that runs one {@link LinuxWorkload} from an initial RAM disk of its own. */
public final class LinuxGuest implements Guest {
  /**
   * The command line if none is given: what boots in the fewest instructions, without crypto self tests and without
   * what probes for devices that a minimal machine lacks.
   */
  public static final String COMMAND_LINE =
      "console=ttyS0 quiet acpi=off noapic nolapic nohpet tsc=reliable no_timer_check "
      + "mitigations=off panic=-1 reboot=t cryptomgr.notests";

  private final LinuxWorkload workload;
  private final KernelGuest kernel;
  private Region region;

  /**
   * @param request the kernel and how it is booted; an empty command line becomes {@link #COMMAND_LINE}
   * @throws IllegalArgumentException if the kernel's format is not recognised
   */
  public LinuxGuest(LinuxWorkload workload, BootRequest request, Busybox busybox) {
    this.workload = workload;
    BootRequest.File initrd = new BootRequest.File("initramfs", workload.initramfs(busybox), "");
    kernel = new KernelGuest(request.withModules(List.of(initrd)).withCommandLine(
        request.commandLine().isEmpty() ? COMMAND_LINE : request.commandLine()), false);
  }

  @Override
  public String name() {
    return LinuxWorkload.PREFIX + workload.name();
  }

  @Override
  public Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>();
    if (!workload.count().isEmpty()) {
      parameters.put("count", Integer.toString(workload.repetitions()));
    }
    parameters.put("kernel", kernel.name());
    parameters.putAll(kernel.parameters());
    return parameters;
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return kernel.adapt(options, memoryGiven);
  }

  @Override
  public void equip(VmBuilder builder, Region measured) {
    region = measured;
    RegionMarker marker = new RegionMarker(measured);
    if (workload.measuresFromStart()) {
      marker.openFromStart();
    }
    builder.device(marker);
  }

  @Override
  public void boot(Vm vm) {
    kernel.boot(vm);
    if (workload.measuresFromStart()) {
      region.regionBegin();
    }
  }

  @Override
  public boolean marksRegion() {
    return true;
  }

  @Override
  public Verdict verdict(int status) {
    return kernel.verdict(status);
  }

  @Override
  public boolean dies(String line) {
    return kernel.dies(line);
  }

  @Override
  public boolean ends(String line) {
    return kernel.ends(line);
  }
}
