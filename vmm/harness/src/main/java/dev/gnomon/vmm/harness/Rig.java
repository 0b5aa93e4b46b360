package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.device.InterruptLine;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.FaultLog;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * One schedule's machine: RAM from address 0, devices with their windows, mock drivers, faults. The same rig is given
 * to a test again for each schedule; what stays is memory, zeroed where it was written.
 */
public final class Rig {
  /** Bytes of RAM, from guest-physical address 0. */
  public static final long RAM_BYTES = 256 << 10;
  private static final @Gpa long FIRST_WINDOW = 16 << 20;
  private static final int SHRINK_ATTEMPTS = 4000;
  private static final int SLOW_SHRINK_ATTEMPTS = 12;

  /** How a rig runs its schedules. */
  record Config(MemoryModel model, int storeBuffer, int maxPoints, int idleSteps, long nsPerAccess) {
  }

  private final Config config;
  private final Scheduler scheduler = new Scheduler();
  private final Watch watch = new Watch();
  private final Machinery machinery = new Machinery();
  private final Trace trace = new Trace(this);
  private final Witness witness = new Witness(this);
  private final Mischief mischief = new Mischief(this);
  private final List<Device> devices = new ArrayList<>();
  private final List<DriverActor> drivers = new ArrayList<>();
  private final List<Fault> faults = new ArrayList<>();
  private GuestCode guestCode;
  private LinuxGuest linux;
  /** The processors of a real guest, none without one. */
  private final List<GuestActor> processors = new ArrayList<>();
  private DmaDomain.Policy policy;
  private StepLimits limits;
  private boolean started;
  /** The device whose step runs and has not let another one's run, null if none. */
  private DeviceActor innermost;

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

    DeviceActor actor() {
      return actor;
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
    trace.begin(traced);
    witness.begin();
    mischief.begin();
    devices.clear();
    drivers.clear();
    faults.clear();
    guestCode = null;
    linux = null;
    processors.clear();
    policy = DmaDomain.Policy.QUEUES_AND_BUFFERS;
    limits = StepLimits.DEFAULT;
    started = false;
    innermost = null;
  }

  // What a test says before it runs the rig.

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
    @Gpa long end = ramEnd();
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

  /** Lets real x86 code be drivers, beside mock drivers if there are any. */
  public Rig guest(GuestCode code) {
    requireNotStarted();
    guestCode = code;
    return this;
  }

  /**
   * Lets an unmodified Linux be a driver, beside mock drivers if there are any; only random schedules suit it.
   *
   * @throws IllegalStateException if there are devices already: its RAM says where they can be
   */
  public Rig guest(LinuxGuest guest) {
    requireNotStarted();
    if (!devices.isEmpty()) {
      throw new IllegalStateException("a Linux guest behind " + devices.size() + " devices: expected it before them");
    }
    if (!scheduler.isRandom()) {
      throw new IllegalArgumentException(
          "a Linux guest under another strategy: expected RANDOM, under which nobody is kept waiting for ever");
    }
    linux = guest;
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

  /**
   * Devices must not touch RAM before the driver says {@link DriverPort#ready}, nor after a reset before it says so
   * again.
   */
  public Rig requireReady() {
    witness.requireReady();
    return this;
  }

  private void requireNotStarted() {
    if (started) {
      throw new IllegalStateException("the rig has run: expected devices, drivers and faults before that");
    }
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

  // What a test reads once it has run.

  /** Reads memory that everybody sees, 1, 2, 4 or 8 bytes. */
  public long read(@Gpa long gpa, int size) {
    int offset = memory().offset(gpa);
    return offset < 0 ? -1L >>> 64 - 8 * size : memory().visible(offset, size);
  }

  /** The exit status of a Linux guest's script, −1 if it did not come to its end. */
  public int guestStatus() {
    return processors.isEmpty() || !(processors.get(0) instanceof LinuxActor script) ? -1 : script.status();
  }

  /**
   * Reads a register of a real guest's first processor by its number in the instruction set, 0 for RAX; for the outcome
   * of a test.
   */
  public long register(int number) {
    return register(0, number);
  }

  /** Reads a register of one of a real guest's processors. */
  public long register(int processor, int number) {
    return machinery.machine().cpu(processor).regs[number];
  }

  // How a schedule is built: actors in the order of the numbers by which replays name them.

  private void build() {
    machinery.prepare(devices, guestCode, linux);
    drivers.forEach(scheduler::add);
    int guestAgent = drivers.size() + devices.size();
    for (Device device : devices) {
      device.actor = new DeviceActor(device.name(), this, drivers.size() + device.index);
    }
    if (machinery.machine() != null) {
      buildGuest(machinery.machine(), guestAgent);
    }
    if (linux == null) {
      processors.forEach(scheduler::add);
    }
    devices.forEach(device -> scheduler.add(device.actor));
    if (linux != null) {
      // Where a replay leaves it open who is next, devices come before a guest that polls them.
      processors.forEach(scheduler::add);
    }
    machinery.faultLog().clear();
    faults.forEach(fault -> fault.install(mischief));
    StoreBuffer[] buffers = new StoreBuffer[agents()];
    for (int i = 0; i < buffers.length; i++) {
      buffers[i] = new StoreBuffer(isTso() && i < guestAgent ? config.storeBuffer() : 0);
    }
    memory().reset(buffers);
    memory().setStale(mischief.stale());
    if (isTso()) {
      for (GuestActor processor : processors) {
        if (processor instanceof CodeActor code) {
          scheduler.add(code.new Flush());
        }
      }
      for (int i = 0; i < guestAgent; i++) {
        scheduler.add(new FlushActor(i < drivers.size() ? drivers.get(i).name
            : devices.get(i - drivers.size()).name(), this, i));
      }
    }
    mischief.actors().forEach(scheduler::add);
    devices.forEach(this::attachNow);
  }

  private void buildGuest(GuestMachine machine, int firstAgent) {
    machine.reset();
    machine.ports.connect(index -> {
      if (index < devices.size()) {
        witness.rang(devices.get(index).actor);
      }
    }, witness::began, witness::ended, witness::ready);
    memory().setGuest(machine.vm.guestMemory());
    if (machine instanceof LinuxMachine booted) {
      processors.add(new LinuxActor(this, booted, firstAgent, linux.instructions()));
    } else if (machine instanceof CodeMachine code) {
      int count = code.code.codes().size();
      for (int i = 0; i < count; i++) {
        processors.add(new CodeActor(count == 1 ? "guest" : "guest " + i, this, code, i, firstAgent + i,
            code.newStores(config.storeBuffer())));
      }
    }
  }

  private void attachNow(Device device) {
    DeviceHost.Parts parts = new DeviceHost.Parts(device.factory, device.windows, PollPolicy.never(),
        machinery.domain(device, policy), device.actor,
        limits, this::erase, () -> raise(device), () -> 0,
        (id, written) -> witness.completed(device.actor, id, written),
        line -> trace.say(device.actor, line));
    Actor outer = watch.enter(device.actor);
    device.actor.host = new DeviceHost(device.first, parts);
    watch.leave(outer);
  }

  /** At the start of a schedule windows are zero already. */
  private void erase(Window window) {
    for (long at = 0; scheduler.points() > 0 && at < window.bytes(); at += 8) {
      memory().commit(-1, window.gpa() + at, memory().offset(window.gpa() + at), 8, 0);
    }
  }

  private void raise(Device device) {
    if (mischief.dropsInterrupt()) {
      trace.say(device.actor, "raises an interrupt, which is lost");
      return;
    }
    trace.say(device.actor, "raises an interrupt");
    interruptDrivers();
  }

  void interruptDrivers() {
    witness.interrupted();
    drivers.forEach(driver -> driver.interrupt = true);
    if (!processors.isEmpty()) {
      InterruptLine line = machinery.machine().vm.platform().pic().line(GuestCode.IRQ);
      line.set(true);
      line.set(false);
      processors.get(0).interrupt();
    }
  }

  /** A reset of the guest: its drivers and devices begin again. */
  void resetGuest() {
    witness.reset();
    drivers.forEach(driver -> {
      memory().buffer(driver.agent).count = 0;
      driver.reboot();
    });
    if (!processors.isEmpty()) {
      memory().forgetStores();
      machinery.machine().reset();
      processors.forEach(GuestActor::reboot);
    }
    devices.forEach(device -> device.actor.reset());
  }

  // What its parts ask of each other.

  Scheduler scheduler() {
    return scheduler;
  }

  SharedMemory memory() {
    return machinery.memory();
  }

  Watch watch() {
    return watch;
  }

  Machinery machinery() {
    return machinery;
  }

  Trace trace() {
    return trace;
  }

  Witness witness() {
    return witness;
  }

  Mischief mischief() {
    return mischief;
  }

  History history() {
    return witness.history();
  }

  FaultLog faultLog() {
    return machinery.faultLog();
  }

  List<Device> devices() {
    return devices;
  }

  List<DriverActor> drivers() {
    return drivers;
  }

  /** The processors of a real guest, none if there is none. */
  List<GuestActor> processors() {
    return processors;
  }

  /** What was done in the schedule so far; nothing if it was not run. */
  Work work() {
    return started ? Work.of(devices.stream().map(Device::host).toList(), history()) : Work.NONE;
  }

  /** Drivers, devices and processors of real guests. */
  int agents() {
    return drivers.size() + devices.size() + processors.size();
  }

  /** Behind all RAM, where windows can be. */
  @Gpa long ramEnd() {
    return linux == null ? FIRST_WINDOW : LinuxGuest.MEMORY_BYTES;
  }

  /** How many schedules shortening a failing one may take: few where each takes long. */
  int shrinkAttempts() {
    return linux == null ? SHRINK_ATTEMPTS : SLOW_SHRINK_ATTEMPTS;
  }

  /** Whether stores wait in buffers. */
  boolean isTso() {
    return config.model() == MemoryModel.TSO || mischief.storesAreBuffered();
  }

  boolean looksAhead() {
    return scheduler.looksAhead();
  }

  int idleSteps() {
    return config.idleSteps();
  }

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

  /** Who is left doing what at the end. */
  String standstill() {
    StringBuilder text = new StringBuilder();
    drivers.forEach(driver -> text.append(driver.name).append(' ').append(driver.waiting()).append("; "));
    processors.forEach(processor -> text.append(processor.name).append(' ').append(processor.waiting()).append("; "));
    devices.forEach(device -> text.append(device.name()).append(' ').append(device.actor.waiting()).append("; "));
    return text.isEmpty() ? "" : text.substring(0, text.length() - 2);
  }
}
