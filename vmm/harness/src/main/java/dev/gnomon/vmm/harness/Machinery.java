package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.BackingSize;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.memory.MemorySlots;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DeviceFrames;
import dev.gnomon.vmm.polled.dma.DmaDomain;
import dev.gnomon.vmm.polled.dma.FaultLog;
import dev.gnomon.vmm.polled.dma.SecondLevelEntry;
import java.util.ArrayList;
import java.util.List;

/**
 * What stays from schedule to schedule as long as windows and guest are the same: memory, domains, and the machine of a
 * real guest.
 */
final class Machinery {
  private static final int FRAMES_PER_DEVICE = 16;

  private record Range(@Gpa long gpa, long length) {
  }

  private final FaultLog faultLog = new FaultLog();
  private final List<DmaDomain> domains = new ArrayList<>();
  private List<Window> windows = List.of();
  private SharedMemory memory;
  private DeviceFrames frames;
  private final List<Range> lost = new ArrayList<>();
  /** Null without a real guest. */
  private GuestMachine machine;

  SharedMemory memory() {
    return memory;
  }

  GuestMachine machine() {
    return machine;
  }

  FaultLog faultLog() {
    return faultLog;
  }

  /** Builds what is not there or is of another schedule. @param code and linux real guests, null if they are none */
  void prepare(List<Rig.Device> devices, GuestCode code, LinuxGuest linux) {
    List<Window> wanted = new ArrayList<>();
    devices.forEach(device -> wanted.addAll(device.windows()));
    boolean otherGuest = linux != null ? machine != linux.machine(devices)
        : code != null ? !(machine instanceof CodeMachine old) || !old.code.isSame(code) : machine != null;
    giveBack(devices);
    if (memory == null || otherGuest || !windows.equals(wanted)) {
      windows = List.copyOf(wanted);
      frames = new DeviceFrames(Math.max(1, devices.size() * FRAMES_PER_DEVICE));
      domains.clear();
      machine = linux != null ? linux.machine(devices) : code != null ? new CodeMachine(code, devices) : null;
      memory = machine == null ? withoutGuest(devices) : new SharedMemory(machine.vm.memory(), machine.vm.slots());
    }
  }

  private void giveBack(List<Rig.Device> devices) {
    for (int i = 0; i < domains.size() && !lost.isEmpty(); i++) {
      for (Range range : lost) {
        domains.get(i).remap(range.gpa, range.length);
      }
      if (i < devices.size()) {
        grantWindows(domains.get(i), devices.get(i));
      }
    }
    lost.clear();
  }

  private void grantWindows(DmaDomain domain, Rig.Device device) {
    device.windows().forEach(window ->
        domain.grant(window.gpa(), memory.slots.back(window.gpa()), window.bytes(), SecondLevelEntry.RIGHTS));
  }

  private static SharedMemory withoutGuest(List<Rig.Device> devices) {
    List<MemorySlot> slots = new ArrayList<>();
    slots.add(new MemorySlot(MemorySlot.Kind.RAM, 0, Rig.RAM_BYTES, "RAM"));
    for (Rig.Device device : devices) {
      for (int i = 0; i < device.windows().size(); i++) {
        Window window = device.windows().get(i);
        slots.add(new MemorySlot(MemorySlot.Kind.RESERVED, window.gpa(), window.bytes(),
            i == 0 ? device.name() : device.name() + "-" + (i + 1)));
      }
    }
    MemoryLayout layout = new MemoryLayout(slots);
    HostMemory host = new HostMemory(HostMemory.VM_DRAM_BASE, MemorySlots.hostBytes(layout, BackingSize.SIZE_4K), 0);
    return new SharedMemory(host, MemorySlots.virtual(host, layout, BackingSize.SIZE_4K));
  }

  /** Domains lose pages, which they must have again in the next schedule. */
  void domainsLose(@Gpa long gpa, long length) {
    lost.add(new Range(gpa, length));
  }

  /** A device's domain with its windows and nothing else granted. */
  DmaDomain domain(Rig.Device device, DmaDomain.Policy policy) {
    DmaDomain domain = device.index() < domains.size() ? domains.get(device.index()) : null;
    if (domain != null && domain.policy() == policy && domain.device().equals(device.name())) {
      if (domain.pinnedPages() > 0) {
        domain.revoke();
      }
      return domain;
    }
    DmaDomain made = new DmaDomain(device.name(), policy, memory.slots, frames, faultLog);
    grantWindows(made, device);
    if (domain != null) {
      domain.dispose();
      domains.set(device.index(), made);
    } else {
      domains.add(made);
    }
    return made;
  }
}
