package dev.gnomon.workloads;

import dev.gnomon.workloads.kernel.GuestKernel;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
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
public record GuestProgram(String name, String parameters, byte[] image, Map<String, Long> symbols, long expected,
    long memoryBytes, boolean requestDevices) {
  /** Exit status of the guest, as the debug-exit device gives it, when its result was right. */
  public static final int SUCCESS = 1;

  static GuestProgram of(Workload workload, Parameters values, Program program, long expected, long memoryBytes) {
    return of(workload, values, KernelOptions.defaults(), program, expected, memoryBytes);
  }

  static GuestProgram of(Workload workload, Parameters values, KernelOptions options, Program program, long expected,
      long memoryBytes) {
    GuestKernel.Image image = GuestKernel.build(workload.name(), options, expected, program);
    return new GuestProgram(workload.name(), values.toString(), image.bytes(), image.symbols(), expected, memoryBytes,
        false);
  }

  GuestProgram withRequestDevices() {
    return new GuestProgram(name, parameters, image, symbols, expected, memoryBytes, true);
  }
}
