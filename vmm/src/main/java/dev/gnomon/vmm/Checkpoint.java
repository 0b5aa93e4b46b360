package dev.gnomon.vmm;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.polled.DeviceHost;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Arrays;

/**
 * A point of a machine's run to which it goes back as often as wanted: pages that were written since, processors,
 * devices, whose turn it is. All that the guest can see is as it was; counters go on. What is derived from that, as
 * translations and shadow pages, is made anew, so a run from the point has the hypervisor's exits for that; EPT keeps
 * its mappings.
 */
public final class Checkpoint {
  private final Vm vm;
  private final HostMemory memory;
  private final byte[] state;
  /** By frame: what it held at the point; null if it was never written since. */
  private final byte[][] pages;
  private int[] changed = new int[64];
  private int changedCount;

  /** Makes the machine's present state, between runs, the point. A machine can have one. */
  public Checkpoint(Vm vm) {
    this.vm = vm;
    this.memory = vm.memory();
    this.state = save();
    int frames = (int) (memory.dramBytes() >> HostMemory.FRAME_SHIFT);
    this.pages = new byte[frames][];
    for (int frame = 0; frame < frames; frame++) {
      memory.setFrameFlags(frame, HostMemory.FRAME_KEPT);
    }
    HostMemory.WriteListener others = memory.writeListener();
    memory.setWriteListener((offset, size) -> {
      others.beforeWrite(offset, size);
      keep(offset >>> HostMemory.FRAME_SHIFT);
    });
    restore();
  }

  private void keep(int frame) {
    if ((memory.frameFlags(frame) & HostMemory.FRAME_KEPT) == 0) {
      return;
    }
    memory.clearFrameFlags(frame, HostMemory.FRAME_KEPT);
    if (pages[frame] == null) {
      pages[frame] = new byte[HostMemory.FRAME_SIZE];
      memory.readBytes(memory.hpa(frame << HostMemory.FRAME_SHIFT), pages[frame], 0, HostMemory.FRAME_SIZE);
    }
    if (changedCount == changed.length) {
      changed = Arrays.copyOf(changed, 2 * changedCount);
    }
    changed[changedCount++] = frame;
  }

  /** Pages that were written since the point or the last return to it. */
  public int changedPages() {
    return changedCount;
  }

  /** Goes back to the point. */
  public void restore() {
    for (int i = 0; i < changedCount; i++) {
      memory.writeBytes(memory.hpa(changed[i] << HostMemory.FRAME_SHIFT), pages[changed[i]], 0, HostMemory.FRAME_SIZE);
      memory.setFrameFlags(changed[i], HostMemory.FRAME_KEPT);
    }
    changedCount = 0;
    load();
  }

  private byte[] save() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    try {
      for (Vcpu vcpu : vm.vcpus()) {
        vcpu.save(out);
      }
      vm.turns().save(out);
      vm.platform().bus().save(out);
      for (DeviceHost host : vm.deviceHosts()) {
        host.save(out);
      }
      if (hasViews()) {
        vm.eptViews().save(out);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return bytes.toByteArray();
  }

  private void load() {
    if (vm.shadow() != null) {
      // Guest tables came back unseen by their shadows; processors make new ones as they load.
      vm.shadow().zapAll();
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(state));
    try {
      for (Vcpu vcpu : vm.vcpus()) {
        vcpu.load(in);
      }
      vm.turns().load(in);
      vm.platform().bus().load(in);
      for (DeviceHost host : vm.deviceHosts()) {
        host.load(in);
      }
      if (hasViews()) {
        vm.eptViews().load(in);
      }
    } catch (IOException e) {
      throw new IllegalStateException("a state that this very machine has saved", e);
    }
  }

  /** The rules of a single view do not change while the guest runs. */
  private boolean hasViews() {
    return vm.eptViews() != null && vm.eptViews().count() > 1;
  }
}
