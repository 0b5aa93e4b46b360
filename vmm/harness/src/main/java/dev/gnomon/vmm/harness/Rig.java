package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.device.InterruptLine;
import dev.gnomon.vmm.memory.BackingSize;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.InterruptSink;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DeviceFrames;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.FaultLog;
import dev.gnomon.vmm.polled.dma.SecondLevelEntry;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * One schedule's machine: RAM from address 0, devices with their windows, mock drivers, faults. The same rig is given to a test again for each
 * schedule; what stays is memory, zeroed where it was written.
 */
public final class Rig {
  /** Bytes of RAM, from guest-physical address 0. */
  public static final long RAM_BYTES = 256 << 10;
  private static final @Gpa long FIRST_WINDOW = 16 << 20;
  private static final int FRAMES_PER_DEVICE = 16;

  /** How a rig runs its schedules. */
  record Config(MemoryModel model, int storeBuffer, int maxPoints, int idleSteps, long nsPerAccess) {
  }

  private final Config config;
  private final Scheduler scheduler = new Scheduler();
  private final Watch watch = new Watch();
  private final List<Device> devices = new ArrayList<>();
  private final List<DriverActor> drivers = new ArrayList<>();
  private final List<Fault> faults = new ArrayList<>();
  private final List<FaultActor> pendingFaults = new ArrayList<>();
  private GuestCode guestCode;
  private GuestActor guest;
  private History history = new History();
  private Timeline timeline;
  private StaleValues pendingStale;
  private DmaDomain.Policy policy;
  private StepLimits limits;
  private boolean started;
  private boolean buffered;
  private boolean readyNeeded;
  private boolean isReady;
  private DeviceActor innermost;
  private long delayLeast;
  private long delayGreatest;
  private @Gpa long tearStart;
  private int tearLength;
  private int tearGrain;
  private int droppedInterrupts;

  // What stays from schedule to schedule as long as the windows are the same.
  private List<Window> layoutWindows = List.of();
  private SharedMemory memory;
  private DeviceFrames frames;
  private GuestMachine machine;
  private final FaultLog faultLog = new FaultLog();
  private final List<DmaDomain> domains = new ArrayList<>();

  /** A device in the rig. */
  public final class Device {
    private final Supplier<? extends PolledDevice> factory;
    private final PolledDevice first;
    private final List<Window> windows;
    private final int index;
    private DeviceActor actor;

    Device(Supplier<? extends PolledDevice> factory, PolledDevice first, List<Window> windows, int index) {
      this.factory = factory;
      this.first = first;
      this.windows = windows;
      this.index = index;
    }

    int index() {
      return index;
    }

    List<Window> windows() {
      return windows;
    }

    public String name() {
      return first.name();
    }

    /** Where a window of the device lies. */
    public @Gpa long window(int number) {
      return windows.get(number).gpa();
    }

    /** The hypervisor's side of it, once the rig runs. */
    public DeviceHost host() {
      return actor.host;
    }
  }

  Rig(Config config) {
    this.config = config;
  }

  void begin(Choices choices, boolean traced) {
    scheduler.begin(choices, config.maxPoints(), config.nsPerAccess());
    watch.leave(null);
    devices.clear();
    drivers.clear();
    faults.clear();
    guestCode = null;
    guest = null;
    history = new History();
    timeline = traced ? new Timeline() : null;
    policy = DmaDomain.Policy.QUEUES_AND_BUFFERS;
    limits = StepLimits.DEFAULT;
    started = false;
    buffered = config.model() == MemoryModel.TSO;
    readyNeeded = false;
    isReady = false;
    innermost = null;
    delayGreatest = 0;
    tearLength = 0;
    droppedInterrupts = 0;
  }

  Watch watch() {
    return watch;
  }

  Scheduler scheduler() {
    return scheduler;
  }

  SharedMemory memory() {
    return memory;
  }

  History history() {
    return history;
  }

  Timeline timeline() {
    return timeline;
  }

  FaultLog faultLog() {
    return faultLog;
  }

  List<Device> devices() {
    return devices;
  }

  List<DriverActor> drivers() {
    return drivers;
  }

  DeviceActor actor(Device device) {
    return device.actor;
  }

  /** Adds a device; another instance comes from the factory whenever its process has died. */
  public Device attach(Supplier<? extends PolledDevice> factory) {
    requireNotStarted();
    PolledDevice first = factory.get();
    List<Window> windows = new ArrayList<>();
    for (Window window : first.windows()) {
      windows.add(window.isUnplaced() ? window.placed(nextPlace(windows)) : window);
    }
    Device device = new Device(factory, first, List.copyOf(windows), devices.size());
    devices.add(device);
    return device;
  }

  private @Gpa long nextPlace(List<Window> own) {
    @Gpa long end = FIRST_WINDOW;
    for (Device device : devices) {
      for (Window window : device.windows) {
        end = Math.max(end, window.end());
      }
    }
    for (Window window : own) {
      end = Math.max(end, window.end());
    }
    return end + 0xFFFF & -0x1_0000;
  }

  /** Adds a mock driver. It depends on its port and its local variables alone. */
  public Rig driver(String name, Consumer<DriverPort> body) {
    requireNotStarted();
    drivers.add(new DriverActor(name, this, drivers.size(), body));
    return this;
  }

  /** Lets real x86 code be a driver, beside mock drivers if there are any. */
  public Rig guest(GuestCode code) {
    requireNotStarted();
    guestCode = code;
    return this;
  }

  /** Lets something go wrong. */
  public Rig inject(Fault fault) {
    requireNotStarted();
    faults.add(fault);
    return this;
  }

  /** What devices may reach beside their windows; by default what they pin. */
  public Rig domain(DmaDomain.Policy value) {
    policy = value;
    return this;
  }

  /** Limits of one step. */
  public Rig limits(StepLimits value) {
    limits = value;
    return this;
  }

  /** Devices must not touch RAM before the driver says {@link DriverPort#ready}, nor after a reset before it says so again. */
  public Rig requireReady() {
    readyNeeded = true;
    return this;
  }

  private void requireNotStarted() {
    if (started) {
      throw new IllegalStateException("the rig has run: expected devices, drivers and faults before that");
    }
  }

  /** Reads memory that everybody sees, 1, 2, 4 or 8 bytes. */
  public long read(@Gpa long gpa, int size) {
    int offset = memory.offset(gpa);
    return offset < 0 ? -1L >>> 64 - 8 * size : memory.host.load(offset, size);
  }

  /** Runs the schedule until nothing can happen any more or it is too long. */
  public Outcome run() {
    requireNotStarted();
    started = true;
    build();
    boolean abandoned = false;
    try {
      for (Actor next = scheduler.next(null); ; next = scheduler.next(null)) {
        if (next != null) {
          next.act();
        } else if (!passTime()) {
          break;
        }
      }
    } catch (Control control) {
      if (control != Control.ABANDONED) {
        throw control;
      }
      abandoned = true;
    }
    return new Outcome(this, abandoned);
  }

  private boolean passTime() {
    long wake = Long.MAX_VALUE;
    for (Device device : devices) {
      wake = Math.min(wake, device.actor.wakesAt());
    }
    if (wake == Long.MAX_VALUE) {
      return false;
    }
    scheduler.now = wake;
    return true;
  }

  private void build() {
    List<Window> windows = new ArrayList<>();
    devices.forEach(device -> windows.addAll(device.windows));
    boolean otherCode = machine == null ? guestCode != null
        : guestCode == null || machine.code.mode() != guestCode.mode() || !Arrays.equals(machine.code.bytes(), guestCode.bytes());
    if (memory == null || otherCode || !layoutWindows.equals(windows)) {
      buildMemory(windows);
    }
    for (DriverActor driver : drivers) {
      scheduler.add(driver);
    }
    int guestAgent = drivers.size() + devices.size();
    InvertedBuffer guestStores = new InvertedBuffer(config.storeBuffer());
    if (machine != null) {
      machine.reset();
      memory.setGuest(machine.vm.guestMemory(), guestStores, guestAgent);
      guest = new GuestActor(this, machine, guestAgent, guestStores);
      machine.doorbell = index -> {
        if (index < devices.size()) {
          kicked(devices.get(index));
        }
      };
      machine.begin = this::began;
      machine.end = this::ended;
      scheduler.add(guest);
    }
    for (Device device : devices) {
      device.actor = new DeviceActor(device.name(), this, drivers.size() + device.index);
      scheduler.add(device.actor);
    }
    int agents = guestAgent + (guest == null ? 0 : 1);
    faultLog.clear();
    faults.forEach(fault -> fault.install(this));
    StoreBuffer[] buffers = new StoreBuffer[agents];
    for (int i = 0; i < agents; i++) {
      buffers[i] = new StoreBuffer(buffered && i != guestAgent ? config.storeBuffer() : 0);
    }
    StaleValues stale = pendingStale;
    pendingStale = null;
    memory.reset(buffers);
    memory.setStale(stale);
    if (buffered) {
      if (guest != null) {
        scheduler.add(guest.new Flush());
      }
      for (int i = 0; i < guestAgent; i++) {
        scheduler.add(new FlushActor(i < drivers.size() ? drivers.get(i).name : devices.get(i - drivers.size()).name(), this, i));
      }
    }
    pendingFaults.forEach(scheduler::add);
    pendingFaults.clear();
    for (Device device : devices) {
      attachNow(device);
    }
  }

  private void buildMemory(List<Window> windows) {
    frames = new DeviceFrames(Math.max(1, devices.size() * FRAMES_PER_DEVICE));
    domains.clear();
    layoutWindows = List.copyOf(windows);
    if (guestCode != null) {
      machine = new GuestMachine(guestCode, devices, windows);
      memory = new SharedMemory(machine.vm.memory(), machine.vm.slots());
      return;
    }
    machine = null;
    List<MemorySlot> slots = new ArrayList<>();
    slots.add(new MemorySlot(MemorySlot.Kind.RAM, 0, RAM_BYTES, "RAM"));
    for (Device device : devices) {
      for (int i = 0; i < device.windows.size(); i++) {
        Window window = device.windows.get(i);
        slots.add(new MemorySlot(MemorySlot.Kind.RESERVED, window.gpa(), window.bytes(), i == 0 ? device.name() : device.name() + "-" + (i + 1)));
      }
    }
    MemoryLayout layout = new MemoryLayout(slots);
    HostMemory host = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    memory = new SharedMemory(host, MemorySlots.virtual(host, layout, BackingSize.SIZE_4K));
  }

  private void attachNow(Device device) {
    DmaDomain domain = device.index < domains.size() ? domains.get(device.index) : null;
    if (domain == null || domain.policy() != policy || !domain.device().equals(device.name())) {
      DmaDomain made = new DmaDomain(device.name(), policy, memory.slots, frames, faultLog);
      device.windows.forEach(window -> made.grant(window.gpa(), memory.slots.back(window.gpa()), window.bytes(), SecondLevelEntry.RIGHTS));
      if (domain != null) {
        domain.dispose();
        domains.set(device.index, made);
      } else {
        domains.add(made);
      }
      domain = made;
    } else if (domain.pinnedPages() > 0) {
      domain.revoke();
    }
    InterruptSink interrupt = () -> raise(device);
    Actor outerActor = watch.enter(device.actor);
    device.actor.host = new DeviceHost(device.first, new DeviceHost.Parts(device.factory, device.windows, PollPolicy.never(), domain, device.actor,
        limits, this::erase, interrupt, () -> 0, (id, written) -> completed(device, id, written), line -> trace(device.actor, line)));
    watch.leave(outerActor);
  }

  /** At the start of a schedule windows are zero already. */
  private void erase(Window window) {
    for (long at = 0; scheduler.points() > 0 && at < window.bytes(); at += 8) {
      memory.commit(-1, window.gpa() + at, memory.offset(window.gpa() + at), 8, 0);
    }
  }

  // What actors tell the rig.

  DeviceActor innermostStep() {
    return innermost;
  }

  DeviceActor enterStep(DeviceActor device) {
    DeviceActor outer = innermost;
    innermost = device;
    return outer;
  }

  void leaveStep(DeviceActor outer) {
    innermost = outer;
  }

  boolean looksAhead() {
    return scheduler.looksAhead();
  }

  int idleSteps() {
    return config.idleSteps();
  }

  long delay(DeviceActor device) {
    return delayGreatest == 0 ? 0 : scheduler.now + delayLeast + (delayGreatest - delayLeast) * scheduler.number(3) / 2;
  }

  void stepDone(DeviceActor device) {
    history.step(device.host.port().stepBytes(), device.host.port().stepAccesses());
    if (device.host.state() == DeviceHost.State.STOPPED) {
      throw new HarnessFailure("device stopped", device.host.failure());
    }
  }

  void deviceAccess(DeviceActor device, @Gpa long gpa, int length, boolean write) {
    if (gpa < FIRST_WINDOW) {
      device.bufferBytes += write ? length : 0;
      if (readyNeeded && !isReady) {
        history.violate(history.resets() == 0 ? History.BEFORE_READY : History.AFTER_RESET,
            device.name + (write ? " wrote " : " read ") + length + " bytes at 0x" + Long.toHexString(gpa));
      }
    }
  }

  /** Whether only devices write there: a window that the guest may only read. */
  boolean isOnlyTheDevices(@Gpa long gpa) {
    for (Device device : devices) {
      for (Window window : device.windows) {
        if (!window.guestWritable() && window.contains(gpa)) {
          return true;
        }
      }
    }
    return false;
  }

  void doubleFetch(DeviceActor device, @Gpa long gpa, int length) {
    history.violate(History.DOUBLE_FETCH, device.name + " read " + length + " bytes at " + describe(gpa) + " twice in one step");
  }

  void completed(Device device, long id, long bytes) {
    history.completed(id);
    trace(device.actor, "completes request " + id);
    if (bytes > device.actor.bufferBytes) {
      history.violate(History.LENGTH, device.name() + " says that it wrote " + bytes + " bytes for request " + id + ", and wrote "
          + device.actor.bufferBytes);
    }
    device.actor.bufferBytes = 0;
  }

  private void raise(Device device) {
    if (droppedInterrupts > 0 && scheduler.number(2) == 1) {
      droppedInterrupts--;
      trace(device.actor, "raises an interrupt, which is lost");
      return;
    }
    trace(device.actor, "raises an interrupt");
    interruptDrivers();
  }

  void interruptDrivers() {
    history.interrupted();
    drivers.forEach(driver -> driver.interrupt = true);
    if (guest != null) {
      InterruptLine line = machine.vm.platform().pic().line(GuestCode.IRQ);
      line.set(true);
      line.set(false);
      guest.interrupt();
    }
  }

  /** The processor's stores wait in its buffer. */
  boolean isTso() {
    return buffered;
  }

  void guestExited(ExitInfo exit) {
    history.exit(ExitReason.name(exit.reason), exit.reason == ExitReason.EPT_VIOLATION || exit.reason == ExitReason.EPT_MISCONFIG ? exit.guestPhysical : -1);
  }

  /** The real guest, null if there is none. */
  GuestActor guestActor() {
    return guest;
  }

  /** The exits of a real guest in this schedule; 0 without one. */
  public long guestExits() {
    return machine == null ? 0 : machine.exits();
  }

  /** Reads a real guest's register by its number in the instruction set, 0 for RAX; for the outcome of a test. */
  public long register(int number) {
    return machine.vm.cpu().regs[number];
  }

  void kicked(Device device) {
    history.exit("doorbell", -1);
    device.actor.kicked = true;
  }

  void trapped(@Gpa long gpa) {
    history.exit("trap", gpa);
  }

  void ready() {
    isReady = true;
  }

  void began(long id) {
    history.began(id, scheduler.now);
  }

  void ended(long id) {
    history.ended(id, scheduler.now);
  }

  // What faults do.

  void fault(String name, int times, BooleanSupplier possible, Runnable effect) {
    FaultActor[] self = new FaultActor[1];
    self[0] = new FaultActor(name, times, possible, () -> {
      trace(self[0], "happens");
      effect.run();
    });
    pendingFaults.add(self[0]);
  }

  void forEachDevice(Consumer<DeviceActor> action) {
    devices.forEach(device -> action.accept(device.actor));
  }

  void setDelay(long least, long greatest) {
    delayLeast = least;
    delayGreatest = greatest;
  }

  void setTearing(@Gpa long gpa, int length, int grain) {
    tearStart = gpa;
    tearLength = length;
    tearGrain = grain;
  }

  /** Bytes that a bulk write may tear into; more than a word if it is whole. */
  int tearing(@Gpa long gpa, int length) {
    return gpa < tearStart + tearLength && tearStart < gpa + length ? tearGrain : Integer.MAX_VALUE;
  }

  void bufferStores() {
    buffered = true;
  }

  void setStale(@Gpa long gpa, int size, int last) {
    pendingStale = new StaleValues(gpa, size, last, drivers.size() + devices.size(), scheduler);
  }

  void setDroppedInterrupts(int times) {
    droppedInterrupts = times;
  }

  /** The device's store buffer in which a flag waits behind others, −1 if none. */
  int overtaker(@Gpa long flag) {
    for (Device device : devices) {
      StoreBuffer buffer = memory.buffer(device.actor.agent);
      for (int i = 1; i < buffer.count; i++) {
        if (buffer.gpas[i] == flag) {
          return device.actor.agent;
        }
      }
    }
    return -1;
  }

  void overtake(@Gpa long flag) {
    int agent = overtaker(flag);
    StoreBuffer buffer = memory.buffer(agent);
    for (int i = 1; i < buffer.count; i++) {
      if (buffer.gpas[i] == flag) {
        memory.flush(agent, i);
        return;
      }
    }
  }

  boolean anyDeviceHasRead(@Gpa long gpa, int size) {
    for (Device device : devices) {
      if (device.actor.hasRead(gpa, size)) {
        return true;
      }
    }
    return false;
  }

  void scribble(@Gpa long gpa, int size, long value) {
    int offset = memory.offset(gpa);
    if (offset >= 0) {
      if (timeline != null) {
        timeline.add(scheduler.now, "hostile guest", "store of " + Long.toHexString(value) + " to " + describe(gpa));
      }
      memory.commit(-1, gpa, offset, size, value);
    }
  }

  void resetGuest() {
    isReady = false;
    history.reset();
    drivers.forEach(driver -> {
      memory.buffer(driver.agent).count = 0;
      driver.reboot();
    });
    if (guest != null) {
      guest.reboot();
    }
    devices.forEach(device -> device.actor.reset());
  }

  // The timeline.

  void trace(Actor actor, String text) {
    if (timeline != null) {
      timeline.add(scheduler.now, actor.name, text);
    }
  }

  void traceAccess(Actor actor, String kind, @Gpa long gpa, int size, long value) {
    if (timeline != null) {
      timeline.add(scheduler.now, actor.name, kind + " " + describe(gpa) + (size > 8 ? " " + size + " bytes" : "/" + size + " = 0x"
          + Long.toHexString(value)));
    }
  }

  /** The bytes of a real guest's next instruction, and its registers that are likely to matter. */
  String describeInstruction(GuestMachine of) {
    Cpu cpu = of.vm.cpu();
    StringBuilder text = new StringBuilder("rip 0x" + Long.toHexString(cpu.rip) + ":");
    int length = of.length();
    for (int i = 0; i < length; i++) {
      text.append(String.format(" %02x", of.code.bytes()[(int) (cpu.rip - GuestCode.CODE) + i]));
    }
    return text.toString();
  }

  /** A store of the real guest by where it lies in host memory. */
  void traceHostOffset(Actor actor, String kind, int offset, int size) {
    if (timeline != null) {
      for (Device device : devices) {
        for (Window window : device.windows) {
          int start = memory.offset(window.gpa());
          if (offset >= start && offset < start + window.bytes()) {
            traceAccess(actor, kind, window.gpa() + (offset - start), size, memory.host.load(offset, size));
            return;
          }
        }
      }
      trace(actor, kind + " somewhere else");
    }
  }

  /** An address by the window that it lies in. */
  private String describe(@Gpa long gpa) {
    for (Device device : devices) {
      for (int i = 0; i < device.windows.size(); i++) {
        if (device.windows.get(i).contains(gpa)) {
          return device.name() + (i == 0 ? "" : "-" + (i + 1)) + "+0x" + Long.toHexString(Addresses.bits(gpa - device.window(i)));
        }
      }
    }
    return "0x" + Long.toHexString(gpa);
  }

  /** Who is left doing what at the end. */
  String standstill() {
    StringBuilder text = new StringBuilder();
    drivers.forEach(driver -> text.append(driver.name).append(' ').append(driver.waiting()).append("; "));
    if (guest != null) {
      text.append("guest ").append(guest.waiting()).append("; ");
    }
    devices.forEach(device -> text.append(device.name()).append(' ').append(device.actor.waiting()).append("; "));
    return text.isEmpty() ? "" : text.substring(0, text.length() - 2);
  }
}
