package dev.gnomon.vmm;

import dev.gnomon.ept.EptTables;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.TlbStatistics;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.vmm.boot.BiosDataArea;
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
import dev.gnomon.vmm.polled.dma.PhysicalDmaMemory;
import java.util.List;
import java.util.Map;

/** A machine: what {@link VmBuilder} made, for whoever boots, runs and looks at it. */
public final class Vm {
  private final VmOptions options;
  private final HostMemory memory;
  private final MemorySlots slots;
  private final GuestPhysicalMemory guestMemory;
  private final PcPlatform platform;
  private final DeviceAssembly devices;
  private final RequestDevices requestDevices;
  private final List<Vcpu> vcpus;
  private final RunLoop loop;
  private final VmStatistics statistics;
  private final DirtyLog dirtyLog;

  Vm(VmBuilder.Parts parts) {
    options = parts.options;
    memory = parts.memory;
    slots = parts.slots;
    guestMemory = parts.guestMemory;
    platform = parts.platform;
    devices = parts.devices;
    requestDevices = parts.requestDevices;
    vcpus = List.copyOf(parts.vcpus);
    loop = parts.loop;
    dirtyLog = new DirtyLog(slots, vcpus);
    statistics = new VmStatistics(vcpus, slots, parts.remoteFlushes);
  }

  /**
   * Loads an image and puts the processor at its first instruction.
   *
   * @throws dev.gnomon.vmm.boot.ImageException if the image is malformed or does not fit
   */
  public void boot(GuestImage image) {
    BootMemory memory = bootMemory();
    if (image.followsFirmware()) {
      BiosDataArea.write(memory);
    }
    start(image.load(memory));
  }

  /** Guest memory for a loader; each gets a view in which nothing is taken yet. */
  public BootMemory bootMemory() {
    return new BootMemory(guestMemory, E820.of(slots.layout()),
        options.platform().machine() == MachineType.PC ? Firmware.RSDP : 0);
  }

  /** Puts the bootstrap processor into a state, as an INIT would; the others wait for their start-up messages. */
  public void start(InitialState state) {
    vcpus.get(0).start(state);
    for (Vcpu vcpu : vcpus.subList(1, vcpus.size())) {
      vcpu.await();
    }
  }

  /**
   * Puts each processor into a state of its own, as if all had been started already.
   *
   * @param states one for each processor
   */
  public void startAll(List<InitialState> states) {
    if (states.size() != vcpus.size()) {
      throw new IllegalArgumentException(states.size() + " states: expected one for each of " + vcpus.size()
          + " processors");
    }
    for (Vcpu vcpu : vcpus) {
      vcpu.start(states.get(vcpu.index()));
    }
  }

  /**
   * Runs one processor for at most so many instructions while the others wait, for whoever decides himself whose turn
   * it is. Time does not jump.
   *
   * @return {@link RunResult.End#HALTED} if the processor sleeps, though it could be woken
   */
  public RunResult runAlone(Vcpu vcpu, long instructions) {
    return loop.runAlone(vcpu, instructions);
  }

  /** Runs for at most so many more instructions, of all processors together. */
  public RunResult run(long maxInstructions) {
    return loop.run(maxInstructions);
  }

  /** Asks a run to return {@link RunResult.End#BUDGET} soon; from any thread. */
  public void requestStop() {
    loop.requestStop();
  }

  /** Who waits while all processors sleep; null to let time jump to the next event. */
  public void setIdle(Idle idle) {
    loop.setIdle(idle);
  }

  /** Who waits while all processors sleep, null if nobody does. */
  Idle idle() {
    return loop.idle();
  }

  /** Whether the run in hand is to return. */
  boolean stopRequested() {
    return loop.stopRequested();
  }

  public VmOptions options() {
    return options;
  }

  /** The bootstrap processor. */
  public Cpu cpu() {
    return vcpus.get(0).cpu();
  }

  /** The virtual processors by number; the first is the bootstrap processor. */
  public List<Vcpu> vcpus() {
    return vcpus;
  }

  /** The one whose turn it is. */
  public Vcpu current() {
    return loop.turns().current();
  }

  Turns turns() {
    return loop.turns();
  }

  /** Instructions that all processors have retired. */
  public long retired() {
    return loop.turns().retired();
  }

  /** Virtual time in nanoseconds. */
  public long now() {
    return current().cpu().now();
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

  /** What the ports of those devices lead to, null without devices. */
  PhysicalDmaMemory deviceMemory() {
    return devices.memory();
  }

  /** What those devices were refused. */
  public FaultLog dmaFaults() {
    return devices.faults();
  }

  /** Exits by reason and cause; all zero natively. With several processors a copy of their sums. */
  public ExitStatistics exits() {
    return vcpus.size() == 1 ? vcpus.get(0).exits() : ExitStatistics.sum(vcpus.stream().map(Vcpu::exits).toList());
  }

  /** Events of the modelled TLBs; with several processors a copy of their sums. */
  public TlbStatistics tlbStatistics() {
    if (vcpus.size() == 1) {
      return cpu().mmu.statistics;
    }
    TlbStatistics sum = new TlbStatistics();
    vcpus.forEach(vcpu -> sum.add(vcpu.cpu().mmu.statistics));
    return sum;
  }

  /** All counters by KVM's names, in KVM's order. */
  public Map<String, Long> statistics() {
    return statistics.byName();
  }

  /**
   * Drops all that processors and hypervisor hold of translations of a range, as when the host moves it (KVM: an MMU
   * notifier).
   */
  public void dropTranslations(@Gpa long gpa, long length) {
    VmBuilder.memoryChanged(vcpus, gpa, length);
  }

  /** Which pages of a memory slot are written. */
  public DirtyLog dirtyLog() {
    return dirtyLog;
  }

  /** The EPT tables, those of view 0 if there are several; null in other modes. */
  public EptTables ept() {
    EptViews views = eptViews();
    return views == null ? null : views.tables(0);
  }

  /** Views of memory under EPT, and what the guest may do with them; null in other modes. */
  public EptViews eptViews() {
    EptMemory ept = vcpus.get(0).ept;
    return ept == null ? null : ept.views;
  }

  /** The bootstrap processor's shadow MMU, null in other modes. */
  public ShadowMmu shadow() {
    return shadow(0);
  }

  /** A processor's shadow MMU, null in other modes. */
  public ShadowMmu shadow(int vcpu) {
    ShadowPaging shadow = vcpus.get(vcpu).shadow;
    return shadow == null ? null : shadow.mmu;
  }
}
