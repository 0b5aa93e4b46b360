package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.polled.Window;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The machine of {@link LinuxGuest}; each schedule begins where the script does. A run stops behind each store to a
 * window.
 */
final class LinuxMachine extends GuestMachine {
  private static final long NS_PER_INSTRUCTION = 8;
  private static final long BOOT_INSTRUCTIONS = 3_000_000_000L;
  private static final String COMMAND_LINE =
      "console=ttyS0 quiet acpi=off noapic nolapic nohpet tsc=reliable no_timer_check "
      + "mitigations=off panic=-1 reboot=t cryptomgr.notests";
  private static final int CONSOLE_SHOWN = 400;

  private final List<List<Window>> windows;
  private final ByteArrayOutputStream console;
  private boolean running;
  /** Offset in host memory of the store to a window that stopped the last run, −1 if none, and its bytes. */
  private int storeOffset;
  private int storeSize;

  private LinuxMachine(VmBuilder builder, ByteArrayOutputStream console, List<Rig.Device> devices) {
    super(builder, devices);
    this.console = console;
    this.windows = devices.stream().map(Rig.Device::windows).toList();
    HostMemory memory = vm.memory();
    HostMemory.WriteListener others = memory.writeListener();
    memory.setWriteListener((offset, size) -> {
      others.beforeWrite(offset, size);
      if (running && (memory.frameFlags(offset >>> HostMemory.FRAME_SHIFT) & HostMemory.FRAME_WATCHED) != 0) {
        storeOffset = offset;
        storeSize = size;
        vm.requestStop();
      }
    });
    for (List<Window> one : windows) {
      for (Window window : one) {
        int first = memory.offset(vm.slots().back(window.gpa())) >>> HostMemory.FRAME_SHIFT;
        for (int i = 0; i < window.bytes() >> HostMemory.FRAME_SHIFT; i++) {
          memory.setFrameFlags(first + i, HostMemory.FRAME_WATCHED);
        }
      }
    }
  }

  /** @throws IllegalArgumentException if the kernel does not come to the script */
  static LinuxMachine boot(Mode mode, byte[] kernel, byte[] initramfs, List<Rig.Device> devices) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    VmOptions options = VmOptions.of(mode).withMemoryBytes(LinuxGuest.MEMORY_BYTES)
        .withNsPerInstruction(NS_PER_INSTRUCTION);
    LinuxMachine machine = new LinuxMachine(new VmBuilder(options).console(console::write), console, devices);
    boolean[] started = new boolean[1];
    machine.ports.atStart(() -> {
      started[0] = true;
      machine.vm.requestStop();
    });
    machine.vm.boot(GuestImages.recognize(BootRequest.of("kernel", kernel).withCommandLine(COMMAND_LINE)
        .withModules(List.of(new BootRequest.File("initramfs", initramfs)))));
    RunResult result = machine.vm.run(BOOT_INSTRUCTIONS);
    if (!started[0]) {
      throw new IllegalArgumentException("the kernel does not come to its script: " + result.end() + " "
          + result.detail() + machine.lastWords());
    }
    machine.markStart();
    return machine;
  }

  boolean hasWindowsOf(List<Rig.Device> devices) {
    return windows.equals(devices.stream().map(Rig.Device::windows).toList());
  }

  @Override
  void reset() {
    running = false;
    super.reset();
    console.reset();
  }

  /** Runs for at most so many instructions, or to the next store to a window. */
  RunResult run(long instructions) {
    storeOffset = -1;
    running = true;
    RunResult result = vm.run(instructions);
    running = false;
    return result;
  }

  int storeOffset() {
    return storeOffset;
  }

  int storeSize() {
    return storeSize;
  }

  /** The end of what the guest has printed. */
  String lastWords() {
    String text = console.toString(StandardCharsets.ISO_8859_1).strip();
    return text.isEmpty() ? ""
        : "; its console ends with: " + text.substring(Math.max(0, text.length() - CONSOLE_SHOWN));
  }
}
