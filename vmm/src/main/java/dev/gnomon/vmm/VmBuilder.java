package dev.gnomon.vmm;

import dev.gnomon.ept.EptCapabilities;
import dev.gnomon.ept.EptTables;
import dev.gnomon.ept.EptWalker;
import dev.gnomon.ept.NestedTlb;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Mtrrs;
import dev.gnomon.guest.exec.Processor;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.TlbGeometry;
import dev.gnomon.guest.mmu.TlbPolicy;
import dev.gnomon.shadow.ShadowMmu;
import dev.gnomon.shadow.ShadowPages;
import dev.gnomon.vmm.RunResult.End;
import dev.gnomon.vmm.device.AddressLine20;
import dev.gnomon.vmm.device.ByteSink;
import dev.gnomon.vmm.device.Device;
import dev.gnomon.vmm.device.DiskImage;
import dev.gnomon.vmm.device.FwCfg;
import dev.gnomon.vmm.device.InterruptLine;
import dev.gnomon.vmm.device.MmioDevice;
import dev.gnomon.vmm.device.MmioRange;
import dev.gnomon.vmm.firmware.Firmware;
import dev.gnomon.vmm.firmware.RomImage;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import dev.gnomon.vmm.memory.NativeMemoryMap;
import dev.gnomon.vmm.polled.DeviceAssembly;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.InterruptSink;
import dev.gnomon.vmm.polled.Window;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.LoggerFactory;

/**
 * Assembles a {@link Vm}: memory, processor, the mode's translation, the platform, and what was asked for beside it.
 */
public final class VmBuilder {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  /** Tables that EPT needs beside those of RAM: the root and upper levels, devices, reserved pages. */
  private static final long EPT_SPARE_FRAMES = 64;
  /** Tables above one window at a place of its own, beside one for each 2 MiB of it. */
  private static final int EPT_FRAMES_PER_WINDOW = 3;
  private static final long EPT_TABLE_COVERS = 2L << 20;
  /** What shadowing needs beside its pages. */
  private static final long SHADOW_SPARE_FRAMES = 8;

  /**
   * Each virtual processor's tag, so that VM entries and exits flush nothing; one will do, since each has a processor's
   * TLBs to itself.
   */
  private static final int VPID = 1;

  private final VmOptions options;
  private ByteSink console = ByteSink.DISCARD;
  private ByteSink debugConsole = ByteSink.DISCARD;
  private final List<Device> devices = new ArrayList<>();
  private final List<DeviceSetup> setups = new ArrayList<>();
  private Consumer<String> report = line -> LoggerFactory.getLogger(VmBuilder.class).warn(line);
  private boolean requestDevices;
  /** Null if there is none. */
  private RomImage rom;
  private final List<DiskImage> disks = new ArrayList<>();

  /** What a {@link Vm} is made of, while it is being made. */
  static final class Parts {
    VmOptions options;
    HostMemory memory;
    MemorySlots slots;
    GuestPhysicalMemory guestMemory;
    PcPlatform platform;
    final DeviceAssembly devices = new DeviceAssembly();
    RequestDevices requestDevices;
    final List<Vcpu> vcpus = new ArrayList<>();
    final RemoteFlushes remoteFlushes = new RemoteFlushes(vcpus);
    MachineBus bus;
    RunLoop loop;

    List<Cpu> cpus() {
      return vcpus.stream().map(Vcpu::cpu).toList();
    }
  }

  public VmBuilder(VmOptions options) {
    this.options = options;
  }

  /** Where COM1's bytes go. */
  public VmBuilder console(ByteSink sink) {
    console = sink;
    return this;
  }

  /** Firmware in ROM; only a machine pc can have it. Boot it with {@link dev.gnomon.vmm.boot.GuestImages#firmware}. */
  public VmBuilder firmware(RomImage image) {
    rom = image;
    return this;
  }

  /** A disk of the first IDE channel, which has room for two; only a machine pc can have it. */
  public VmBuilder disk(DiskImage image) {
    disks.add(image);
    return this;
  }

  /** Where the bytes of ports E9h and 402h go. */
  public VmBuilder debugConsole(ByteSink sink) {
    debugConsole = sink;
    return this;
  }

  /** One more device on the bus. */
  public VmBuilder device(Device device) {
    devices.add(device);
    return this;
  }

  /** The {@link RequestDevices}, the polled one looked at once a period of virtual nanoseconds. */
  public VmBuilder requestDevices(long periodNs) {
    setups.addAll(0, RequestDevices.setups(periodNs, options.seed()));
    requestDevices = true;
    return this;
  }

  /** A device that is polled in shared memory, or the same behind traps. */
  public VmBuilder polled(DeviceSetup setup) {
    setups.add(setup);
    return this;
  }

  /** Who is told when such a device fails, in one line; by default the log. */
  public VmBuilder deviceReport(Consumer<String> sink) {
    report = sink;
    return this;
  }

  /**
   * Builds the machine. The processors are in no state to run until an image is booted.
   *
   * @throws IllegalArgumentException if options or devices contradict each other, or there is not enough host memory
   */
  public Vm build() {
    if ((rom != null || !disks.isEmpty()) && !isPc()) {
      throw new IllegalArgumentException((rom != null ? "firmware" : "a disk") + " on machine "
          + options.platform().machine() + ": expected machine pc with it");
    }
    Parts parts = new Parts();
    parts.options = options;
    MemoryLayout layout = parts.devices.place(setups, layout());
    buildMemory(parts, layout);
    buildProcessors(parts);
    buildPlatform(parts);
    switch (options.mode()) {
      case NATIVE -> buildNative(parts);
      case EPT -> buildEpt(parts);
      case SHADOW -> buildShadow(parts);
    }
    for (Cpu cpu : parts.cpus()) {
      cpu.mmu.setPolicy(options.tlb());
    }
    parts.loop = new RunLoop(parts.vcpus, options.platform().processors().turn(), parts.platform.bus(), parts.bus,
        parts.platform.localApicPage(), parts.devices.polled());
    return new Vm(parts);
  }

  private void buildProcessors(Parts parts) {
    int count = options.platform().processors().count();
    try {
      buildProcessors(parts, count);
    } catch (OutOfMemoryError e) {
      throw new IllegalArgumentException("cannot reserve memory for the TLBs of " + count
          + " processors; give Java more with -Xmx");
    }
  }

  private void buildProcessors(Parts parts, int count) {
    Processor first = null;
    for (int i = 0; i < count; i++) {
      Cpu cpu = new Cpu(parts.memory, new Mmu(parts.memory));
      cpu.select(options.platform().cpu());
      cpu.cpuid.setTopology(i, count);
      cpu.randomState = options.seed() + i;
      cpu.nsPerInstruction = options.nsPerInstruction();
      Processor processor = first == null ? new Processor(cpu, options.blockLimit()) : new Processor(cpu, first);
      first = first == null ? processor : first;
      parts.vcpus.add(new Vcpu(i, processor));
    }
  }

  private boolean isPc() {
    return options.platform().machine() == MachineType.PC;
  }

  private MemoryLayout layout() {
    MemoryLayout layout = MemoryLayout.pc(options.memoryBytes());
    if (isPc()) {
      layout = layout.withAttributeSegments();
    }
    if (rom != null) {
      layout = layout.withFirmware(rom.bytes().length);
    }
    return layout;
  }

  private void buildMemory(Parts parts, MemoryLayout layout) {
    if (options.mode() == Mode.NATIVE) {
      parts.memory = new HostMemory(0, layout.nativeBytes(), 0);
      parts.slots = MemorySlots.identity(parts.memory, layout);
    } else {
      parts.memory =
          new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, options.backing()), tableBytes(parts));
      parts.slots = MemorySlots.virtual(parts.memory, layout, options.backing());
    }
    parts.guestMemory = new GuestPhysicalMemory(parts.memory, parts.slots);
  }

  private long tableBytes(Parts parts) {
    if (options.tableBytes() != 0) {
      return options.tableBytes();
    }
    long windows = 0;
    for (Window window : parts.devices.memoryWindows()) {
      windows += EPT_FRAMES_PER_WINDOW + window.bytes() / EPT_TABLE_COVERS;
    }
    return options.mode() == Mode.EPT
        ? options.ept().views() * (options.memoryBytes() / EPT_TABLE_COVERS + EPT_SPARE_FRAMES + windows) * PAGE
        : (options.shadow().pageLimit() + SHADOW_SPARE_FRAMES) * PAGE;
  }

  private void buildPlatform(Parts parts) {
    parts.platform = new PcPlatform(options.platform(), parts.cpus(), chipset(parts), console, debugConsole,
        status -> parts.loop.end(new RunResult(End.GUEST_EXIT, status, "guest exit with status " + status, "")),
        source -> parts.loop.end(RunResult.of(End.RESET, "reset by " + source)),
        () -> parts.loop.end(RunResult.of(End.POWER_OFF, "powered off by the guest")));
    Firmware.describeMemory(parts.platform.rtc(), parts.slots.layout().ramEnd());
    Cpu first = parts.vcpus.get(0).cpu();
    parts.devices.build(new DeviceAssembly.Machine(parts.memory, parts.slots, parts.guestMemory, () -> first.tscOffset,
        irq -> interrupt(parts, irq), report));
    if (requestDevices) {
      parts.requestDevices =
          new RequestDevices(parts.devices.hosts().get(0), parts.devices.hosts().get(1), parts.devices.hosts().get(2));
    }
    devices.addAll(parts.devices.busDevices());
    for (Device device : devices) {
      parts.platform.bus().register(device);
    }
    for (MmioRange range : parts.platform.bus().mmioRanges()) {
      // Shadow RAM takes the writes of read-only slots.
      if (!(parts.platform.bus().mmioOwner(range.start()) instanceof ShadowRam)) {
        reserve(parts, range);
      }
    }
    parts.bus = new MachineBus(first, parts.platform.bus(), parts.platform.coprocessorError()::raise);
    for (Vcpu vcpu : parts.vcpus) {
      vcpu.cpu().bus = parts.bus;
      vcpu.interrupts = parts.platform.interrupts(vcpu.index());
      if (isPc()) {
        vcpu.apic = parts.platform.localApics().get(vcpu.index());
        equipProcessor(vcpu, parts.bus);
      }
    }
    if (isPc()) {
      installFirmware(parts);
    }
  }

  private PcPlatform.Chipset chipset(Parts parts) {
    if (!isPc()) {
      return PcPlatform.Chipset.NONE;
    }
    FwCfg fwCfg = new FwCfg(parts.guestMemory);
    RomImage.configure(fwCfg, Addresses.bits(parts.slots.layout().ramEnd()), rom,
        options.platform().processors().count());
    ShadowRam shadowRam =
        new ShadowRam(parts.slots, parts.guestMemory, (gpa, length) -> memoryChanged(parts.vcpus, gpa, length));
    return new PcPlatform.Chipset(shadowRam, fwCfg, disks, rom != null);
  }

  /** Drops all translations of guest memory whose rights or contents changed. */
  static void memoryChanged(List<Vcpu> vcpus, @Gpa long gpa, long length) {
    Vcpu first = vcpus.get(0);
    if (first.ept != null) {
      first.ept.unmap(gpa, length);
    } else if (first.shadow != null) {
      // As KVM does when a slot changes.
      first.shadow.mmu.zapAll();
      for (Vcpu vcpu : vcpus) {
        vcpu.shadow.reload(true);
      }
    }
    for (Vcpu vcpu : vcpus) {
      vcpu.cpu().mmu.flushAll();
    }
  }

  private void equipProcessor(Vcpu vcpu, MachineBus bus) {
    Cpu cpu = vcpu.cpu();
    cpu.apic = new ProcessorApic(cpu, vcpu.apic, bus);
    cpu.cpuid.offerLocalApic(options.platform().x2Apic());
    cpu.mtrrs = new Mtrrs(HostMemory.MAXPHYADDR);
    cpu.cpuid.offerMtrrs();
    if (rom == null) {
      cpu.mtrrs.setAsFirmware(Addresses.bits(MemoryLayout.DEVICE_START));
    }
  }

  private void installFirmware(Parts parts) {
    int processors = parts.vcpus.size();
    if (rom != null) {
      rom.install(parts.guestMemory);
      RomImage.describeBoot(parts.platform.rtc(), processors);
    } else {
      Firmware.install(parts.guestMemory, parts.vcpus.get(0).cpu().cpuid, processors, options.platform().keyboard());
    }
  }

  /** A device's interrupt, as an edge on an ISA line. */
  private static InterruptSink interrupt(Parts parts, int irq) {
    InterruptLine line = parts.platform.irq(irq);
    return () -> {
      line.set(true);
      line.set(false);
    };
  }

  /** A slot for a device's memory, so that nothing else is put there and the overlap with memory is an error. */
  private static void reserve(Parts parts, MmioRange range) {
    @Gpa long start = range.start() & -PAGE;
    @Gpa long end = range.end() + PAGE - 1 & -PAGE;
    String name = ((MmioDevice) parts.platform.bus().mmioOwner(range.start())).name();
    parts.slots.add(new MemorySlot(MemorySlot.Kind.MMIO, start, Addresses.bits(end - start), name));
  }

  private void buildNative(Parts parts) {
    AddressLine20 line = parts.platform.addressLine20();
    for (Vcpu vcpu : parts.vcpus) {
      Cpu cpu = vcpu.cpu();
      cpu.interrupts = vcpu.interrupts;
      NativeMemoryMap open = new NativeMemoryMap(new PageWalker(parts.memory, cpu.mmu.paging, null), parts.slots);
      NativeMemoryMap closed =
          new NativeMemoryMap(new PageWalker(parts.memory, cpu.mmu.paging, new MaskedStage()), parts.slots);
      cpu.mmu.setTranslator(open);
      line.onChange(() -> cpu.mmu.setTranslator(line.open() ? open : closed));
      vcpu.controls = new VmxControls(cpu, Mode.NATIVE);
    }
  }

  private void buildEpt(Parts parts) {
    EptCapabilities capabilities = EptCapabilities.ALL;
    TableFrames frames = new TableFrames(parts.memory);
    List<EptTables> tables = new ArrayList<>();
    for (int i = 0; i < options.ept().views(); i++) {
      tables.add(new EptTables(parts.memory, frames, parts.slots, capabilities, options.eptMaxPageShift(),
          options.ept()));
    }
    EptViews views = new EptViews(tables, parts.memory, frames, parts.slots, options);
    List<EptMemory> all = new ArrayList<>();
    for (Vcpu vcpu : parts.vcpus) {
      Cpu cpu = vcpu.cpu();
      EptWalker walker = new EptWalker(parts.memory, capabilities, nestedTlb(), true);
      cpu.mmu.setTags(VPID, 0);
      cpu.mmu.setTranslator(new PageWalker(parts.memory, cpu.mmu.paging, walker));
      vcpu.ept = new EptMemory(views, walker, cpu, frames, parts.slots, all, parts.remoteFlushes);
      buildDispatcher(parts, vcpu, cpu.mmu.paging.pdpte);
    }
    if (views.count() > 1) {
      views.allowSwitching(true);
    }
    for (Window window : parts.devices.memoryWindows()) {
      all.get(0).mapInAdvance(window.gpa(), window.bytes());
    }
  }

  /**
   * The counted nested TLB of a processor that has walk caches at all. It holds where guest tables lie and not final
   * addresses, as Bhargava et al. (ASPLOS 2008) describe it, so that a miss still walks EPT for the data.
   */
  private NestedTlb nestedTlb() {
    boolean caches = options.tlb() instanceof TlbPolicy.Counted counted
        && !counted.geometry().structures().equals(TlbGeometry.Structures.NONE);
    return caches
        ? new NestedTlb(NestedTlb.DEFAULT_ENTRIES, NestedTlb.DEFAULT_WAYS, NestedTlb.Option.TABLES_ONLY) : null;
  }

  private void buildShadow(Parts parts) {
    ShadowPages pages = new ShadowPages(parts.memory, new TableFrames(parts.memory), parts.slots, options.shadow());
    for (Vcpu vcpu : parts.vcpus) {
      Cpu cpu = vcpu.cpu();
      cpu.mmu.setTranslator(new PageWalker(parts.memory, cpu.mmu.paging, null));
      cpu.mmu.setTags(VPID, 0);
      ShadowMmu mmu = new ShadowMmu(pages, cpu.mmu.paging, () -> {
        cpu.mmu.flushAll();
        parts.remoteFlushes.flushed(vcpu.index(), pages.statistics().remoteTlbFlushRequests);
      });
      vcpu.shadow = new ShadowPaging(mmu, cpu, parts.guestMemory, parts.platform.addressLine20());
      buildDispatcher(parts, vcpu, vcpu.shadow.pdptes());
    }
    parts.guestMemory.setTracker(parts.vcpus.get(0).shadow.mmu::guestWrote);
  }

  private void buildDispatcher(Parts parts, Vcpu vcpu, long[] pdptes) {
    Cpu cpu = vcpu.cpu();
    vcpu.controls = new VmxControls(cpu, options.mode());
    cpu.intercepts.cr8 = cpu.apic != null;
    AddressLine20 line = parts.platform.addressLine20();
    MaskedCore core = new MaskedCore(vcpu.core(), cpu, line);
    vcpu.setCore(core);
    SlotStage stage = new SlotStage(parts.memory, parts.slots, line, vcpu.ept == null ? gpa -> gpa : vcpu.ept::shown);
    EmulationPort port =
        new EmulationPort(cpu, stage, pdptes, (paging, second) -> new PageWalker(parts.memory, paging, second));
    vcpu.emulator = new Emulator(cpu, core, port, vcpu.shadow == null ? null : vcpu.shadow.mmu);
    core.setEmulator(vcpu.emulator);
    // The run ends with the instruction that closed the gate.
    line.onChange(() -> cpu.stopRequested = true);
    vcpu.dispatcher = new ExitDispatcher(cpu, vcpu.exits, vcpu.counters, vcpu.controls, vcpu.emulator, vcpu.ept,
        vcpu.shadow, parts.devices.memoryWindows());
  }
}
