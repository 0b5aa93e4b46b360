package dev.gnomon.workloads;

import dev.gnomon.workloads.kernel.GuestKernel;
import java.util.Map;

/**
 * A guest ready to boot, and what it needs of the machine.
 *
 * @param name the workload's name
 * @param parameters the values that it was built with, as {@link Parameters#toString} writes them
 * @param image a multiboot1 image (ELF32), not copied
 * @param symbols addresses of the kernel's and the program's labels; the linear ones of the kernel's image
 * @param expected the result that the guest must report
 * @param memoryBytes the least RAM that it runs in, as an address at which RAM ends
 * @param requestDevices whether it speaks to one of {@link dev.gnomon.vmm.RequestDevices}
 */
public record GuestProgram(String name, String parameters, byte[] image, Map<String, Long> symbols, long expected, long memoryBytes,
    boolean requestDevices) {
  /** Exit status of the guest, as the debug-exit device gives it, when its result was right. */
  public static final int SUCCESS = 1;

  static GuestProgram of(Workload workload, Parameters parameters, GuestKernel.Image image, long expected, long memoryBytes) {
    return of(workload, parameters, image, expected, memoryBytes, false);
  }

  static GuestProgram of(Workload workload, Parameters parameters, GuestKernel.Image image, long expected, long memoryBytes,
      boolean requestDevices) {
    return new GuestProgram(workload.name(), parameters.toString(), image.bytes(), image.symbols(), expected, memoryBytes, requestDevices);
  }
}
