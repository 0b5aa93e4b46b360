package dev.gnomon.shadow;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.TableFrames;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.PageWalker;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/**
 * A guest without a processor, twice: under the shadow MMU, with a walker over the shadow tables and a TLB that forgets
 * nothing it was not told to forget; and natively, with a walker over the guest's own tables and no TLB. Both must
 * agree on addresses, fault codes and A and D bits.
 */
final class ShadowMachine implements TlbFlusher {
  /** Set in an outcome that is a guest fault; the rest is the error code. */
  static final long FAULT = 1L << 62;
  private static final int TABLE_BYTES = 1 << 20;
  private static final int MOST_EXITS = 40;

  final TestSlots slots;
  final HostMemory host;
  final HostMemory nativeMemory = new HostMemory(0, TestSlots.BYTES, 0);
  final PagingContext hardware = new PagingContext();
  final PagingContext nativeContext = new PagingContext();
  final ShadowPages pages;
  final ShadowMmu mmu;
  final GuestPagingState state = new GuestPagingState();
  final Translation translation = new Translation();
  final Translator hardwareWalker;
  final Translator nativeWalker;
  /** Last result of {@link ShadowMmu#handleFault}, null if the access took no exit. */
  FaultResult lastResult;
  int exits;
  int flushes;
  /** Walks that ended in a large shadow mapping. */
  long seenLarge;
  private final Map<String, Long> tlb = new HashMap<>();

  ShadowMachine(ShadowOptions options, boolean largeBacking, long seed) {
    slots = new TestSlots(largeBacking, new Random(seed));
    host = new HostMemory(HostMemory.VM_DRAM_BASE, TestSlots.BYTES, TABLE_BYTES);
    pages = new ShadowPages(host, new TableFrames(host), slots, options);
    mmu = new ShadowMmu(pages, hardware, this);
    hardwareWalker = new PageWalker(host, hardware, null);
    nativeWalker = new PageWalker(nativeMemory, nativeContext, null);
  }

  @Override
  public void flushAll() {
    flushes++;
    tlb.clear();
  }

  /** Sets both guests' registers. */
  HardwareFlush load(boolean flush) {
    if (state.pae()) {
      for (int i = 0; i < 4; i++) {
        state.pdpte[i] = read(state.rootTable() + 8 * i, 8) & (PageTableEntry.ADDRESS | PageTableEntry.P);
      }
    }
    state.fill(nativeContext);
    nativeContext.pse = state.pse();
    nativeContext.root = state.rootTable();
    System.arraycopy(state.pdpte, 0, nativeContext.pdpte, 0, 4);
    HardwareFlush result = mmu.loadRoot(state, flush);
    if (result == HardwareFlush.ALL) {
      tlb.clear();
    } else if (result == HardwareFlush.CURRENT_PCID) {
      String tag = hardware.pcid + "/";
      tlb.keySet().removeIf(key -> key.startsWith(tag));
    }
    return result;
  }

  void longMode() {
    state.cr0 = ControlRegister.CR0_PE | ControlRegister.CR0_PG | ControlRegister.CR0_WP;
    state.cr4 = ControlRegister.CR4_PAE;
    state.efer = ControlRegister.EFER_LME | ControlRegister.EFER_LMA | ControlRegister.EFER_NXE;
  }

  void paeMode() {
    state.cr0 = ControlRegister.CR0_PE | ControlRegister.CR0_PG | ControlRegister.CR0_WP;
    state.cr4 = ControlRegister.CR4_PAE;
    state.efer = ControlRegister.EFER_NXE;
  }

  void legacyMode() {
    state.cr0 = ControlRegister.CR0_PE | ControlRegister.CR0_PG | ControlRegister.CR0_WP;
    state.cr4 = ControlRegister.CR4_PSE;
    state.efer = 0;
  }

  void noPaging() {
    state.cr0 = ControlRegister.CR0_PE;
    state.efer &= ~ControlRegister.EFER_LMA;
  }

  int entrySize() {
    return state.paging() && !state.legacy() ? 8 : 4;
  }

  /** Puts a value into both guests' memory before the shadow MMU has seen it. */
  void poke(long gpa, int size, long value) {
    host.write(slots.back(gpa), size, value);
    nativeMemory.write(gpa, size, value);
  }

  /** Writes as a device or the emulator does: the shadow MMU is told. */
  void foreignWrite(long gpa, int size, long value) {
    poke(gpa, size, value);
    mmu.guestWrote(gpa, size);
  }

  long read(long gpa, int size) {
    return host.read(slots.back(gpa), size);
  }

  void invlpg(long gva) {
    mmu.invlpg(gva);
    dropFromTlb(gva, hardware.pcid);
  }

  void invpcid(long gva, int pcid) {
    mmu.invpcidAddress(gva, pcid);
    dropFromTlb(gva, pcid);
  }

  private void dropFromTlb(long gva, int pcid) {
    String page = tag(gva, pcid);
    tlb.keySet().removeIf(key -> key.startsWith(page));
  }

  private static String tag(long gva, int pcid) {
    return pcid + "/" + Long.toHexString(gva >>> 12) + ":";
  }

  /** Outcome of an access by the native walk: the guest-physical address, or {@link #FAULT} with the code. */
  long nativeAccess(long gva, int access) {
    long gpa = nativeWalker.translate(gva, access, translation);
    return gpa >= 0 ? gpa : FAULT | translation.errorCode;
  }

  /** The same under the shadow MMU: walks, exits and walks again until the access is done, emulated or faults. */
  long shadowAccess(long gva, int access) {
    exits = 0;
    lastResult = null;
    String key = tag(gva, hardware.pcid) + access;
    Long cached = tlb.get(key);
    if (cached != null) {
      return slots.gpa(cached | gva & 0xFFF);
    }
    while (true) {
      long hpa = hardwareWalker.translate(gva, access, translation);
      if (hpa >= 0) {
        seenLarge += translation.pageShift > 12 ? 1 : 0;
        tlb.put(key, hpa & ~0xFFFL);
        long gpa = slots.gpa(hpa);
        if ((access & Access.WRITE) != 0 && slots.kind(gpa) != TestSlots.RAM) {
          throw new AssertionError("direct write outside RAM at gpa 0x" + Long.toHexString(gpa));
        }
        return gpa;
      }
      if (hpa != Status.FAULT || ++exits > MOST_EXITS) {
        throw new AssertionError("no progress at gva 0x" + Long.toHexString(gva) + " access " + access + ": "
            + lastResult + " "
            + mmu.fault.reason + "\n" + mmu.peek(gva));
      }
      dropFromTlb(gva, hardware.pcid);
      lastResult = mmu.handleFault(gva, translation.errorCode, access & (Access.IMPLICIT | Access.SMAP_OVERRIDE));
      if (lastResult == FaultResult.INJECT) {
        return FAULT | mmu.fault.errorCode;
      }
      if (lastResult == FaultResult.EMULATE) {
        return mmu.fault.gpa;
      }
    }
  }

  /**
   * A guest store: hidden from the shadow MMU if the shadow tables let it through, emulated otherwise. Outcome as of an
   * access.
   */
  long store(long gva, int access, int size, long value) {
    long gpa = shadowAccess(gva, access | Access.WRITE);
    if ((gpa & FAULT) == 0 && slots.kind(gpa) == TestSlots.RAM) {
      poke(gpa, size, value);
      if (lastResult == FaultResult.EMULATE) {
        mmu.guestWrote(gpa, size);
      }
    }
    return gpa;
  }
}
