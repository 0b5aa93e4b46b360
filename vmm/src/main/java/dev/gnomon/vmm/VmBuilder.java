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

/** Assembles a {@link Vm}: memory, processor, the mode's translation, the platform, and what was asked for beside it. */
public final class VmBuilder {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  /** Tables that EPT needs beside those of RAM: the root and upper levels, devices, reserved pages. */
  private static final long EPT_SPARE_FRAMES = 64;
  /** Tables above one window at a place of its own, beside one for each 2 MiB of it. */
  private static final int EPT_FRAMES_PER_WINDOW = 3;
  private static final long EPT_TABLE_COVERS = 2L << 20;
  /** What shadowing needs beside its pages. */
  private static final long SHADOW_SPARE_FRAMES = 8;

  /** The virtual processor's tag, so that VM entries and exits flush nothing. */
  private static final int VPID = 1;

  private final VmOptions options;
  private ByteSink console = ByteSink.DISCARD;
  private ByteSink debugConsole = ByteSink.DISCARD;
  private final List<Device> devices = new ArrayList<>();
  private final List<DeviceSetup> setups = new ArrayList<>();
  private Consumer<String> report = line -> LoggerFactory.getLogger(VmBuilder.class).warn(line);
  private boolean requestDevices;
  /** Both null if there are none. */
  private RomImage rom;
  private DiskImage disk;

  /** What a {@link Vm} is made of, while it is being made. */
  static final class Parts {
    VmOptions options;
    HostMemory memory;
    MemorySlots slots;
    GuestPhysicalMemory guestMemory;
    PcPlatform platform;
    final DeviceAssembly devices = new DeviceAssembly();
    RequestDevices requestDevices;
    Cpu cpu;
    Processor processor;
    MachineBus bus;
    VmxControls controls;
    final ExitStatistics exits = new ExitStatistics();
    final KvmCounters counters = new KvmCounters();
    /** All null natively; of the last two one is null. */
    Emulator emulator;
    EptMemory ept;
    ShadowPaging shadow;
    Vcpu vcpu;
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

  /** The disk of the first IDE channel; only a machine pc can have it. */
  public VmBuilder disk(DiskImage image) {
    disk = image;
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
   * Builds the machine. The processor is in no state to run until an image is booted.
   *
   * @throws IllegalArgumentException if options or devices contradict each other, or there is not enough host memory
   */
  public Vm build() {
    if ((rom != null || disk != null) && !isPc()) {
      throw new IllegalArgumentException((rom != null ? "firmware" : "a disk") + " on machine "
          + options.platform().machine() + ": expected machine pc with it");
    }
    Parts parts = new Parts();
    parts.options = options;
    MemoryLayout layout = parts.devices.place(setups, layout());
    buildMemory(parts, layout);
    parts.cpu = new Cpu(parts.memory, new Mmu(parts.memory));
    parts.cpu.select(options.platform().cpu());
    parts.cpu.randomState = options.seed();
    parts.cpu.nsPerInstruction = options.nsPerInstruction();
    parts.processor = new Processor(parts.cpu, options.blockLimit());
    buildPlatform(parts);
    GuestCore core = GuestCore.of(parts.processor);
    if (options.mode().virtual()) {
      core = new MaskedCore(core, parts.cpu, parts.platform.addressLine20());
    }
    ExitDispatcher dispatcher = switch (options.mode()) {
      case NATIVE -> {
        buildNative(parts);
        yield null;
      }
      case EPT -> buildEpt(parts, core);
      case SHADOW -> buildShadow(parts, core);
    };
    parts.cpu.mmu.setPolicy(options.tlb());
    parts.vcpu = new Vcpu(parts.cpu, core, parts.platform.bus(), parts.bus, parts.platform.interrupts(), parts.devices.polled(), parts.exits, parts.counters,
        dispatcher);
    return new Vm(parts);
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
      parts.memory = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, options.backing()), tableBytes(parts));
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
    parts.platform = new PcPlatform(options.platform(), parts.cpu, chipset(parts), console, debugConsole,
        status -> parts.vcpu.end(new RunResult(End.GUEST_EXIT, status, "guest exit with status " + status, "")),
        source -> parts.vcpu.end(RunResult.of(End.RESET, "reset by " + source)),
        () -> parts.vcpu.end(RunResult.of(End.POWER_OFF, "powered off by the guest")));
    Firmware.describeMemory(parts.platform.rtc(), parts.slots.layout().ramEnd());
    parts.devices.build(new DeviceAssembly.Machine(parts.memory, parts.slots, parts.guestMemory, () -> parts.cpu.tscOffset,
        irq -> interrupt(parts, irq), report));
    if (requestDevices) {
      parts.requestDevices = new RequestDevices(parts.devices.hosts().get(0), parts.devices.hosts().get(1), parts.devices.hosts().get(2));
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
    parts.bus = new MachineBus(parts.cpu, parts.platform.bus(), parts.platform.coprocessorError()::raise);
    parts.cpu.bus = parts.bus;
    if (isPc()) {
      equipProcessor(parts);
    }
  }

  private PcPlatform.Chipset chipset(Parts parts) {
    if (!isPc()) {
      return PcPlatform.Chipset.NONE;
    }
    FwCfg fwCfg = new FwCfg(parts.guestMemory);
    RomImage.configure(fwCfg, Addresses.bits(parts.slots.layout().ramEnd()), rom);
    ShadowRam shadowRam = new ShadowRam(parts.slots, parts.guestMemory, (gpa, length) -> memoryChanged(parts, gpa, length));
    return new PcPlatform.Chipset(shadowRam, fwCfg, disk, rom != null);
  }

  /** Drops all translations of guest memory whose rights or contents changed. */
  private static void memoryChanged(Parts parts, @Gpa long gpa, long length) {
    if (parts.ept != null) {
      parts.ept.unmap(gpa, length);
    } else if (parts.shadow != null) {
      // As KVM does when a slot changes.
      parts.shadow.mmu.zapAll();
      parts.shadow.reload(true);
    }
    parts.cpu.mmu.flushAll();
  }

  private void equipProcessor(Parts parts) {
    parts.cpu.apic = new ProcessorApic(parts.cpu, parts.platform.localApic(), parts.bus);
    parts.cpu.cpuid.offerLocalApic(options.platform().x2Apic());
    parts.cpu.mtrrs = new Mtrrs(HostMemory.MAXPHYADDR);
    parts.cpu.cpuid.offerMtrrs();
    if (rom != null) {
      rom.install(parts.guestMemory);
      RomImage.describeBoot(parts.platform.rtc());
    } else {
      parts.cpu.mtrrs.setAsFirmware(Addresses.bits(MemoryLayout.DEVICE_START));
      Firmware.install(parts.guestMemory, parts.cpu.cpuid, options.platform().keyboard());
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
    parts.cpu.interrupts = parts.platform.interrupts();
    NativeMemoryMap open = new NativeMemoryMap(new PageWalker(parts.memory, parts.cpu.mmu.paging, null), parts.slots);
    NativeMemoryMap closed = new NativeMemoryMap(new PageWalker(parts.memory, parts.cpu.mmu.paging, new MaskedStage()), parts.slots);
    parts.cpu.mmu.setTranslator(open);
    AddressLine20 line = parts.platform.addressLine20();
    line.onChange(() -> parts.cpu.mmu.setTranslator(line.open() ? open : closed));
    parts.controls = new VmxControls(parts.cpu, Mode.NATIVE);
  }

  private ExitDispatcher buildEpt(Parts parts, GuestCore core) {
    EptCapabilities capabilities = EptCapabilities.ALL;
    TableFrames frames = new TableFrames(parts.memory);
    List<EptTables> views = new ArrayList<>();
    for (int i = 0; i < options.ept().views(); i++) {
      views.add(new EptTables(parts.memory, frames, parts.slots, capabilities, options.eptMaxPageShift(), options.ept()));
    }
    EptWalker walker = new EptWalker(parts.memory, capabilities, nestedTlb(), true);
    parts.cpu.mmu.setTags(VPID, 0);
    parts.cpu.mmu.setTranslator(new PageWalker(parts.memory, parts.cpu.mmu.paging, walker));
    EptViews eptViews = new EptViews(views, parts.memory, frames, parts.slots, options);
    parts.ept = new EptMemory(eptViews, walker, parts.cpu, frames, parts.slots);
    if (eptViews.count() > 1) {
      eptViews.allowSwitching(true);
    }
    for (Window window : parts.devices.memoryWindows()) {
      parts.ept.mapInAdvance(window.gpa(), window.bytes());
    }
    return dispatcher(parts, core, parts.cpu.mmu.paging.pdpte);
  }

  /**
   * The counted nested TLB of a processor that has walk caches at all. It holds where guest tables lie and not final addresses, as Bhargava et al.
   * (ASPLOS 2008) describe it, so that a miss still walks EPT for the data.
   */
  private NestedTlb nestedTlb() {
    boolean caches = options.tlb() instanceof TlbPolicy.Counted counted && !counted.geometry().structures().equals(TlbGeometry.Structures.NONE);
    return caches ? new NestedTlb(NestedTlb.DEFAULT_ENTRIES, NestedTlb.DEFAULT_WAYS, NestedTlb.Option.TABLES_ONLY) : null;
  }

  private ExitDispatcher buildShadow(Parts parts, GuestCore core) {
    ShadowPages pages = new ShadowPages(parts.memory, new TableFrames(parts.memory), parts.slots, options.shadow());
    parts.cpu.mmu.setTranslator(new PageWalker(parts.memory, parts.cpu.mmu.paging, null));
    parts.cpu.mmu.setTags(VPID, 0);
    ShadowMmu mmu = new ShadowMmu(pages, parts.cpu.mmu.paging, parts.cpu.mmu::flushAll);
    parts.shadow = new ShadowPaging(mmu, parts.cpu, parts.guestMemory, parts.platform.addressLine20());
    parts.guestMemory.setTracker(mmu::guestWrote);
    return dispatcher(parts, core, parts.shadow.pdptes());
  }

  private ExitDispatcher dispatcher(Parts parts, GuestCore core, long[] pdptes) {
    parts.controls = new VmxControls(parts.cpu, options.mode());
    parts.cpu.intercepts.cr8 = parts.cpu.apic != null;
    SlotStage slotStage =
        new SlotStage(parts.slots, parts.platform.addressLine20(), parts.ept == null ? gpa -> gpa : parts.ept::shown);
    EmulationPort port = new EmulationPort(parts.cpu, slotStage, pdptes,
        (paging, stage) -> new PageWalker(parts.memory, paging, stage));
    parts.emulator = new Emulator(parts.cpu, core, port, parts.shadow == null ? null : parts.shadow.mmu);
    if (core instanceof MaskedCore masked) {
      masked.setEmulator(parts.emulator);
      // The run ends with the instruction that closed the gate.
      parts.platform.addressLine20().onChange(() -> parts.cpu.stopRequested = true);
    }
    return new ExitDispatcher(parts.cpu, parts.exits, parts.counters, parts.controls, parts.emulator, parts.ept, parts.shadow);
  }
}
