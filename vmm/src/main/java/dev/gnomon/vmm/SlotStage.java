package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.SecondStage;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.WalkObserver;
import dev.gnomon.vmm.device.AddressLine20;
import dev.gnomon.vmm.memory.DeviceAddress;

/**
 * The hypervisor's own second stage: guest-physical addresses by the memory slots. What has no memory, and writes to
 * read-only memory, end on the device bus; the gate of address line 20 comes first. Page tables in read-only memory
 * whose A or D flag would have to be set have no answer ({@link Status#EXIT}), as in KVM.
 *
 * <p>It remembers where the emulated instruction was given leave to write.
 */
final class SlotStage implements SecondStage {
  /** Writes of one instruction: XSAVE of all that is offered makes some hundred of 8 bytes each. */
  private static final int MAX_WRITES = 128;
  private static final int WRITE_BACK = 6;
  private static final int RAM_RIGHTS =
      Translation.READABLE | Translation.EXECUTABLE | Translation.STAGE_WRITABLE | Translation.DIRTY;

  /** Which memory the processor's view shows at an address, see {@link EptViews}. */
  interface View {
    @Gpa long shown(@Gpa long gpa);
  }

  private final SlotMap slots;
  private final AddressLine20 line;
  private final View view;
  private final HostMemory memory;
  private final @Gpa long[] writes = new long[MAX_WRITES];
  /**
   * Where the two words of 8 bytes lie that a write may change, the second −1 beyond the page's end; and what they held
   * before.
   */
  private final @Hpa long[] places = new long[2 * MAX_WRITES];
  private final long[] before = new long[2 * MAX_WRITES];
  private int writeCount;

  SlotStage(HostMemory memory, SlotMap slots, AddressLine20 line, View view) {
    this.memory = memory;
    this.slots = slots;
    this.line = line;
    this.view = view;
  }

  void forgetWrites() {
    writeCount = 0;
  }

  /**
   * Places written since {@link #forgetWrites}, at most {@link #MAX_WRITES}; probes of an instruction count as its
   * writes.
   */
  int writeCount() {
    return writeCount;
  }

  @Gpa long write(int i) {
    return writes[i];
  }

  /**
   * Whether a doubleword has changed since leave was given for a write.
   *
   * @param doubleword 0 to 3, from the 8-byte boundary at or below the write's begin
   */
  boolean changed(int i, int doubleword) {
    int word = 2 * i + (doubleword >> 1);
    if (places[word] < 0) {
      return false;
    }
    long difference = memory.read64(places[word]) ^ before[word];
    return (int) (difference >>> 32 * (doubleword & 1)) != 0;
  }

  @Override
  public @Hpa long translate(@Gpa long address, @Gva long gva, int access, Translation out) {
    @Gpa long gpa = address & line.mask();
    @Gpa long shown = view.shown(gpa);
    long hpa = resolve(gpa, access, out, slots.kind(gpa) == SlotMap.NONE ? -1 : slots.back(shown));
    if (hpa >= 0 && (access & Access.WRITE) != 0 && slots.kind(gpa) == SlotMap.RAM) {
      slots.markDirty(gpa);
      if ((access & TABLE) == 0) {
        remember(gpa, hpa);
      }
    }
    return hpa;
  }

  private void remember(@Gpa long gpa, @Hpa long hpa) {
    for (int i = 0; i < writeCount; i++) {
      if (writes[i] == gpa) {
        return;
      }
    }
    if (writeCount < MAX_WRITES) {
      int word = 2 * writeCount;
      @Hpa long next = (hpa | Long.BYTES - 1) + 1;
      places[word] = next - Long.BYTES;
      places[word + 1] = (next & HostMemory.FRAME_SIZE - 1) == 0 ? -1 : next;
      for (int i = word; i <= word + 1; i++) {
        before[i] = places[i] < 0 ? 0 : memory.read64(places[i]);
      }
      writes[writeCount++] = gpa;
    }
  }

  @Override
  public @Hpa long peek(@Gpa long address, @Gva long gva, int access, Translation out, WalkObserver steps) {
    @Gpa long gpa = address & line.mask();
    return resolve(gpa, access, out, slots.backing(view.shown(gpa)));
  }

  private @Hpa long resolve(@Gpa long gpa, int access, Translation out, @Hpa long backing) {
    out.pageShift = HostMemory.FRAME_SHIFT;
    out.memoryType = WRITE_BACK;
    out.rights = RAM_RIGHTS;
    int kind = slots.kind(gpa);
    if (kind == SlotMap.READ_ONLY && (access & TABLE_UPDATE) != 0) {
      out.exitGpa = gpa;
      return Status.EXIT;
    }
    if (kind == SlotMap.NONE || backing < 0
        || kind == SlotMap.READ_ONLY && (access & (Access.WRITE | TABLE)) == Access.WRITE) {
      return DeviceAddress.of(gpa);
    }
    return backing;
  }
}
