package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.device.DeviceBus;
import dev.gnomon.vmm.memory.BackingSize;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.util.ArrayList;
import java.util.List;

/** A machine of 4 MiB and devices, without a processor. */
public final class TestMachine {
  public static final long RAM_BYTES = 4 << 20;
  /** Where the first window without a place lies. */
  public static final long WINDOW = RAM_BYTES;

  public final MemorySlots slots;
  public final GuestPhysicalMemory memory;
  public final DeviceAssembly devices = new DeviceAssembly();
  public final DeviceBus bus = new DeviceBus();
  public final List<String> reports = new ArrayList<>();
  /** Interrupt lines raised, in order. */
  public final List<Integer> interrupts = new ArrayList<>();

  public TestMachine(DeviceSetup... setups) {
    MemoryLayout layout = devices.place(List.of(setups), MemoryLayout.pc(RAM_BYTES));
    HostMemory host = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    slots = MemorySlots.virtual(host, layout, BackingSize.SIZE_4K);
    memory = new GuestPhysicalMemory(host, slots);
    devices.build(new DeviceAssembly.Machine(host, slots, memory, () -> 1000, irq -> () -> interrupts.add(irq),
        reports::add));
    devices.busDevices().forEach(bus::register);
  }

  /** The first device. */
  public DeviceHost host() {
    return devices.hosts().get(0);
  }
}
