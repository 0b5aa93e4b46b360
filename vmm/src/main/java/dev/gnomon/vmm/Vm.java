package dev.gnomon.vmm;

import dev.gnomon.ept.EptTables;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.exec.Processor;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.boot.BootMemory;
import dev.gnomon.vmm.boot.GuestImage;
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.firmware.Firmware;
import dev.gnomon.vmm.memory.E820;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemorySlots;
import dev.gnomon.vmm.polled.DeviceAssembly;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.dma.FaultLog;
import java.util.List;
import java.util.Map;

/** A machine with one virtual processor: what {@link VmBuilder} made, for whoever boots, runs and looks at it. */
public final class Vm {
  private final VmOptions options;
  private final HostMemory memory;
  private final MemorySlots slots;
  private final GuestPhysicalMemory guestMemory;
  private final PcPlatform platform;
  private final DeviceAssembly devices;
  private final RequestDevices requestDevices;
  private final Processor processor;
  private final Vcpu vcpu;
  private final ExitStatistics exits;
  private final VmStatistics statistics;
  private final VmxControls controls;
  private final EptMemory ept;
  private final ShadowPaging shadow;
  private final DirtyLog dirtyLog;

  Vm(VmBuilder.Parts parts) {
    options = parts.options;
    memory = parts.memory;
    slots = parts.slots;
    guestMemory = parts.guestMemory;
    platform = parts.platform;
    devices = parts.devices;
    requestDevices = parts.requestDevices;
    processor = parts.processor;
    vcpu = parts.vcpu;
    exits = parts.exits;
    controls = parts.controls;
    ept = parts.ept;
    shadow = parts.shadow;
    dirtyLog = new DirtyLog(slots, ept, shadow == null ? null : shadow.mmu);
    statistics = new VmStatistics(exits, parts.counters, parts.emulator, slots, ept, shadow);
  }

  /**
   * Loads an image and puts the processor at its first instruction.
   *
   * @throws dev.gnomon.vmm.boot.ImageException if the image is malformed or does not fit
   */
  public void boot(GuestImage image) {
    start(image.load(bootMemory()));
  }

  /** Guest memory for a loader; each gets a view in which nothing is taken yet. */
  public BootMemory bootMemory() {
    return new BootMemory(guestMemory, E820.of(slots.layout()), options.platform().machine() == MachineType.PC ? Firmware.RSDP : 0);
  }

  /** Puts the processor into a state, as an INIT would. */
  public void start(InitialState state) {
    state.applyTo(cpu());
    if (shadow != null) {
      shadow.reload(true);
    }
    if (options.mode().virtual()) {
      controls.refreshShadows();
    }
  }

  /** Runs for at most so many more instructions. */
  public RunResult run(long maxInstructions) {
    return vcpu.run(maxInstructions);
  }

  public VmOptions options() {
    return options;
  }

  public Cpu cpu() {
    return vcpu.cpu();
  }

  public Vcpu vcpu() {
    return vcpu;
  }

  public Processor processor() {
    return processor;
  }

  public HostMemory memory() {
    return memory;
  }

  public MemorySlots slots() {
    return slots;
  }

  public GuestPhysicalMemory guestMemory() {
    return guestMemory;
  }

  public PcPlatform platform() {
    return platform;
  }

  /** The request devices, null unless the machine was built with them. */
  public RequestDevices requestDevices() {
    return requestDevices;
  }

  /** The devices that shared memory or traps lead to, in the order in which the machine got them. */
  public List<DeviceHost> deviceHosts() {
    return devices.hosts();
  }

  /** What those devices were refused. */
  public FaultLog dmaFaults() {
    return devices.faults();
  }

  /** Exits by reason and cause; all zero natively. */
  public ExitStatistics exits() {
    return exits;
  }

  /** All counters by KVM's names, in KVM's order. */
  public Map<String, Long> statistics() {
    return statistics.byName();
  }

  /** Which pages of a memory slot are written. */
  public DirtyLog dirtyLog() {
    return dirtyLog;
  }

  /** The EPT tables, those of view 0 if there are several; null in other modes. */
  public EptTables ept() {
    return ept == null ? null : ept.views.tables(0);
  }

  /** Views of memory under EPT, and what the guest may do with them; null in other modes. */
  public EptViews eptViews() {
    return ept == null ? null : ept.views;
  }

  /** The shadow MMU, null in other modes. */
  public ShadowMmu shadow() {
    return shadow == null ? null : shadow.mmu;
  }
}
