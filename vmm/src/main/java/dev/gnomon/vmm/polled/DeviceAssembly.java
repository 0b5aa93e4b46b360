package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.vmm.device.Device;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import dev.gnomon.vmm.polled.dma.DeviceFrames;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.FaultLog;
import dev.gnomon.vmm.polled.dma.PhysicalDmaMemory;
import dev.gnomon.vmm.polled.dma.SecondLevelEntry;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;

/**
 * Puts devices into a machine that is being built: first their windows into its memory layout, then, once there is
 * memory, domains, hosts and what traps.
 */
public final class DeviceAssembly {
  private static final long ALIGNMENT = 2L << 20;
  /** Frames for the tables of a domain beside those of its RAM, and for what it keeps of a trapped device. */
  private static final int FRAMES_PER_DEVICE = 24;
  /** Bytes that one second-level table of 4K pages covers. */
  private static final long TABLE_COVERS = 2L << 20;

  /** What the machine has. */
  public record Machine(HostMemory memory, MemorySlots slots, GuestPhysicalMemory guestMemory, LongSupplier tscOffset,
      IntFunction<InterruptSink> interrupts, Consumer<String> report) {
  }

  private record Placed(DeviceSetup setup, PolledDevice device, List<Window> windows) {
    boolean trapped() {
      return !(setup.reach() instanceof DeviceSetup.Reach.Polled);
    }
  }

  private final List<Placed> placed = new ArrayList<>();
  private final List<DeviceHost> hosts = new ArrayList<>();
  private final List<DeviceHost> polled = new ArrayList<>();
  private final List<Device> bus = new ArrayList<>();
  private final FaultLog faults = new FaultLog();
  /** Null without devices. */
  private PhysicalDmaMemory memory;

  /**
   * Makes the first instance of each device and places its windows.
   *
   * @return the layout with them
   * @throws IllegalArgumentException if a window is misaligned, lies where something else is, or two devices have one
   *     name; both owners are named
   */
  public MemoryLayout place(List<DeviceSetup> setups, MemoryLayout base) {
    MemoryLayout layout = base;
    for (DeviceSetup setup : setups) {
      PolledDevice device = setup.factory().get();
      List<Window> windows = new ArrayList<>();
      boolean trapped = !(setup.reach() instanceof DeviceSetup.Reach.Polled);
      for (Window window : device.windows()) {
        boolean registers = trapped && windows.isEmpty();
        Window at = !window.isUnplaced() ? window
            : setup.reach() instanceof DeviceSetup.Reach.Mmio mmio && registers ? window.placed(mmio.gpa())
            : setup.reach() instanceof DeviceSetup.Reach.Polled polls && windows.isEmpty() && !polls.isAnywhere()
            ? window.placed(polls.gpa())
            : window.placed(free(layout, windows));
        windows.add(at);
        if (!registers) {
          layout = layout.with(new MemorySlot(at.guestWritable() ? MemorySlot.Kind.RESERVED : MemorySlot.Kind.READ_ONLY,
              at.gpa(), at.bytes(), windows.size() == 1 ? device.name() : device.name() + "-" + windows.size()));
        }
      }
      placed.add(new Placed(setup, device, List.copyOf(windows)));
    }
    return layout;
  }

  /** The first boundary behind all memory and the device's own windows. */
  private static @Gpa long free(MemoryLayout layout, List<Window> own) {
    @Gpa long end = layout.backedEnd();
    for (Window window : own) {
      end = Math.max(end, window.end());
    }
    return end + ALIGNMENT - 1 & -ALIGNMENT;
  }

  /** Whether there are any devices. */
  public boolean isEmpty() {
    return placed.isEmpty();
  }

  /** Makes the hosts. @throws IllegalArgumentException if a trapped device has no first window of 4096 bytes */
  public void build(Machine machine) {
    if (placed.isEmpty()) {
      return;
    }
    long tables = Addresses.bits(machine.slots().layout().ramEnd()) / TABLE_COVERS + 1;
    DeviceFrames frames = new DeviceFrames((int) (placed.size() * (FRAMES_PER_DEVICE + tables)));
    memory = new PhysicalDmaMemory(machine.memory(), frames.memory(), machine.guestMemory(), this::isWindow);
    for (Placed device : placed) {
      build(device, machine, frames);
    }
  }

  private boolean isWindow(@Gpa long gpa) {
    for (Placed one : placed) {
      for (Window window : one.windows()) {
        if (window.contains(gpa)) {
          return true;
        }
      }
    }
    return false;
  }

  /** What the ports lead to, null without devices. */
  public PhysicalDmaMemory memory() {
    return memory;
  }

  private void build(Placed one, Machine machine, DeviceFrames frames) {
    DeviceSetup setup = one.setup();
    DmaDomain domain = new DmaDomain(one.device().name(), setup.domain(), machine.slots(), frames, faults);
    @Hpa long registers = -1;
    for (int i = 0; i < one.windows().size(); i++) {
      Window window = one.windows().get(i);
      if (i == 0 && one.trapped()) {
        registers = registerPage(one, frames);
        domain.grant(window.gpa(), registers, HostMemory.FRAME_SIZE, SecondLevelEntry.RIGHTS);
      } else {
        domain.grant(window.gpa(), machine.slots().back(window.gpa()), window.bytes(), SecondLevelEntry.RIGHTS);
      }
    }
    Window trappedWindow = one.trapped() ? one.windows().get(0) : null;
    @Hpa long page = registers;
    DeviceHost.WindowEraser eraser = window -> {
      if (window == trappedWindow) {
        frames.memory().fill(page, HostMemory.FRAME_SIZE, (byte) 0);
      } else {
        machine.guestMemory().write(window.gpa(), new byte[(int) window.bytes()]);
      }
    };
    InterruptSink interrupt = setup.irq() < 0 ? InterruptSink.NONE : machine.interrupts().apply(setup.irq());
    DeviceHost host = new DeviceHost(one.device(),
        new DeviceHost.Parts(setup.factory(), one.windows(), setup.polls(), domain, memory,
        setup.limits(), eraser, interrupt, machine.tscOffset(), DeviceHost.CompletionListener.NONE, machine.report()));
    hosts.add(host);
    if (one.trapped()) {
      TrappedWindow trapped = new TrappedWindow(host, frames.memory(), frames.memory().offset(registers));
      bus.add(setup.reach() instanceof DeviceSetup.Reach.Mmio mmio ? new MmioFront(mmio.gpa(), trapped)
          : new PortFront(((DeviceSetup.Reach.Ports) setup.reach()).base(), trapped));
    } else {
      polled.add(host);
    }
    if (setup.doorbell() >= 0) {
      bus.add(new Doorbell(host, setup.doorbell()));
    }
  }

  private static @Hpa long registerPage(Placed one, DeviceFrames frames) {
    if (one.windows().get(0).bytes() != HostMemory.FRAME_SIZE) {
      throw new IllegalArgumentException("device " + one.device().name() + ": trapped registers of "
          + one.windows().get(0).bytes()
          + " bytes, expected a first window of 4096");
    }
    return frames.allocate();
  }

  /** All devices, in the order of their setups. */
  public List<DeviceHost> hosts() {
    return hosts;
  }

  /** Those that are polled. */
  public List<DeviceHost> polled() {
    return polled;
  }

  /** What must be registered on the device bus. */
  public List<Device> busDevices() {
    return bus;
  }

  /** The DMA faults of all devices. */
  public FaultLog faults() {
    return faults;
  }

  /** Windows that lie in guest memory. */
  public List<Window> memoryWindows() {
    List<Window> windows = new ArrayList<>();
    for (Placed one : placed) {
      windows.addAll(one.trapped() ? one.windows().subList(1, one.windows().size()) : one.windows());
    }
    return windows;
  }
}
