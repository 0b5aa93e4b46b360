package dev.gnomon.bench.trace;

import dev.gnomon.ept.EptEntry;
import dev.gnomon.ept.EptObserver;
import dev.gnomon.ept.MmioMarker;
import dev.gnomon.guest.cpu.Bus;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.shadow.ShadowObserver;
import dev.gnomon.shadow.ShadowPage;
import dev.gnomon.shadow.ShadowPte;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vcpu;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.memory.DeviceAddress;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Makes events of what a machine's seams tell, from the moment that it is {@link #attach attached}. A machine without
 * one has none of its hooks and runs as fast as before.
 */
public final class Tracer {
  private static final String[] EXCEPTIONS = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",
      "#TS", "#NP", "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM", "#VE"};
  private static final int MAX_INSTRUCTION = 15;

  private final Vm vm;
  private final Set<Tracepoint> wanted;
  private final List<TraceSink> sinks;
  private final long maxEvents;
  private final Runnable full;
  private long events;
  private boolean on;
  // The exit in hand, kept because emulation uses the machine's own record again.
  private int reason;
  private long qualification;
  private long msr;
  private long msrData;
  private long leaf;
  private long subleaf;
  private boolean handling;
  /** A run that is cut into slices enters again without an exit, which is no event. */
  private final boolean[] inside;

  /**
   * @param wanted tracepoints to tell of
   * @param maxEvents after which nothing more is told
   * @param full called when so many have been told
   */
  public Tracer(Vm vm, Set<Tracepoint> wanted, List<TraceSink> sinks, long maxEvents, Runnable full) {
    this.vm = vm;
    this.inside = new boolean[vm.vcpus().size()];
    this.wanted = EnumSet.copyOf(wanted);
    this.sinks = List.copyOf(sinks);
    this.maxEvents = maxEvents;
    this.full = full;
  }

  /** Hooks itself to the machine, beside the observer that is there. */
  public void attach() {
    for (Vcpu vcpu : vm.vcpus()) {
      Cpu cpu = vcpu.cpu();
      cpu.observer = new ProcessorHooks(cpu.observer);
      if (wants(Tracepoint.TLB_FILL) || wants(Tracepoint.TLB_FLUSH)) {
        cpu.mmu.observer = new TlbHooks();
      }
      if (wants(Tracepoint.KVM_PIO) || wants(Tracepoint.KVM_MMIO)) {
        cpu.bus = new BusHooks(cpu.bus);
      }
    }
    if (wanted.stream().anyMatch(point -> point.in("mmu"))) {
      if (vm.shadow() != null) {
        vm.shadow().setObserver(new ShadowHooks());
      }
      if (vm.ept() != null) {
        vm.ept().setObserver(new EptHooks());
      }
    }
  }

  /** Begins the files. */
  public void begin() {
    for (TraceSink sink : sinks) {
      io(() -> sink.begin(vm.now(), vm.retired()));
    }
  }

  /** Starts or stops telling. */
  public void enable(boolean enabled) {
    on = enabled;
  }

  /** Ends the files. @throws UncheckedIOException if one cannot be written */
  public void end() {
    for (TraceSink sink : sinks) {
      io(() -> sink.end(vm.now(), vm.retired()));
    }
  }

  /** Events told. */
  public long events() {
    return events;
  }

  private interface Io {
    void run() throws IOException;
  }

  private static void io(Io io) {
    try {
      io.run();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private boolean wants(Tracepoint point) {
    return wanted.contains(point);
  }

  private void tell(Tracepoint point, Object... values) {
    if (!on || !wants(point)) {
      return;
    }
    TraceEvent event = new TraceEvent(vm.current().index(), vm.now(), vm.retired(), point, values);
    for (TraceSink sink : sinks) {
      io(() -> sink.event(event));
    }
    if (++events == maxEvents) {
      on = false;
      full.run();
    }
  }

  private static String exception(int vector) {
    return vector < EXCEPTIONS.length ? EXCEPTIONS[vector] : Integer.toString(vector);
  }

  private static long bit(boolean value) {
    return value ? 1 : 0;
  }

  private Cpu cpu() {
    return vm.current().cpu();
  }

  private long vcpu() {
    return vm.current().index();
  }

  private void exited(ExitInfo exit) {
    Cpu cpu = cpu();
    reason = exit.reason;
    qualification = exit.qualification;
    handling = true;
    inside[vm.current().index()] = false;
    tell(Tracepoint.KVM_EXIT, vcpu(), ExitReason.name(reason), cpu.rip, qualification,
        exit.idtVectoringInfo & 0xFFFF_FFFFL, exit.interruptionInfo & 0xFFFF_FFFFL,
        exit.interruptionErrorCode & 0xFFFF_FFFFL);
    switch (reason) {
      case ExitReason.EPT_VIOLATION ->
          tell(Tracepoint.KVM_PAGE_FAULT, vcpu(), cpu.rip, bits(exit.guestPhysical), qualification);
      case ExitReason.EPT_MISCONFIG -> tell(Tracepoint.HANDLE_MMIO_PAGE_FAULT, bits(exit.guestPhysical),
          Addresses.frame(exit.guestPhysical), 7L);
      case ExitReason.EXCEPTION_NMI -> {
        if (vm.options().mode() == Mode.SHADOW
            && (exit.interruptionInfo & ExitQualification.INFO_VECTOR) == Vector.PF) {
          tell(Tracepoint.KVM_PAGE_FAULT, vcpu(), cpu.rip, qualification, exit.interruptionErrorCode & 0xFFFF_FFFFL);
        }
      }
      case ExitReason.MSR_READ, ExitReason.MSR_WRITE -> {
        msr = cpu.regs[Cpu.RCX] & 0xFFFF_FFFFL;
        msrData = cpu.regs[Cpu.RDX] << 32 | cpu.regs[Cpu.RAX] & 0xFFFF_FFFFL;
      }
      case ExitReason.CPUID -> {
        leaf = cpu.regs[Cpu.RAX] & 0xFFFF_FFFFL;
        subleaf = cpu.regs[Cpu.RCX] & 0xFFFF_FFFFL;
      }
      case ExitReason.CR_ACCESS -> controlRegister(ExitQualification.CR_MOV_TO, "write");
      case ExitReason.VMCALL -> tell(Tracepoint.KVM_HYPERCALL, cpu.regs[Cpu.RAX], cpu.regs[Cpu.RBX], cpu.regs[Cpu.RCX],
          cpu.regs[Cpu.RDX], cpu.regs[Cpu.RSI]);
      default -> { }
    }
  }

  private static long bits(@Gpa long gpa) {
    return Addresses.bits(gpa);
  }

  private void controlRegister(int type, String name) {
    Cpu cpu = cpu();
    if (ExitQualification.crType(qualification) == type) {
      tell(Tracepoint.KVM_CR, name, (long) ExitQualification.crNumber(qualification),
          cpu.regs[ExitQualification.register(qualification)]);
    }
  }

  private void handled() {
    if (!handling) {
      return;
    }
    handling = false;
    Cpu cpu = cpu();
    switch (reason) {
      case ExitReason.MSR_READ -> tell(Tracepoint.KVM_MSR, "read", msr,
          cpu.eventPending ? 0L : cpu.regs[Cpu.RDX] << 32 | cpu.regs[Cpu.RAX] & 0xFFFF_FFFFL, bit(cpu.eventPending));
      case ExitReason.MSR_WRITE -> tell(Tracepoint.KVM_MSR, "write", msr, msrData, bit(cpu.eventPending));
      case ExitReason.CPUID -> tell(Tracepoint.KVM_CPUID, leaf, subleaf, cpu.regs[Cpu.RAX], cpu.regs[Cpu.RBX],
          cpu.regs[Cpu.RCX], cpu.regs[Cpu.RDX]);
      case ExitReason.CR_ACCESS -> controlRegister(ExitQualification.CR_MOV_FROM, "read");
      default -> { }
    }
    if (on) {
      String cause = vm.current().exits().lastCause();
      for (TraceSink sink : sinks) {
        io(() -> sink.exitHandled(ExitReason.name(reason), cause, vm.now(), vm.retired()));
      }
    }
  }

  private final class ProcessorHooks implements Observer {
    private final Observer next;

    ProcessorHooks(Observer next) {
      this.next = next == null ? new Observer() { } : next;
    }

    @Override
    public void exit(ExitInfo exit, long retired) {
      next.exit(exit, retired);
      exited(exit);
    }

    @Override
    public void exitHandled(long retired) {
      next.exitHandled(retired);
      handled();
    }

    @Override
    public void entry(@Gva long rip, long retired) {
      next.entry(rip, retired);
      if (!inside[vm.current().index()]) {
        tell(Tracepoint.KVM_ENTRY, vcpu(), Addresses.bits(rip));
      }
      inside[vm.current().index()] = true;
    }

    @Override
    public void injected(int vector, int type, boolean hasErrorCode, int errorCode, boolean again) {
      next.injected(vector, type, hasErrorCode, errorCode, again);
      if (type == Vector.TYPE_EXTERNAL || type == Vector.TYPE_SOFTWARE_INTERRUPT) {
        tell(Tracepoint.KVM_INJ_VIRQ, (long) vector, bit(type == Vector.TYPE_SOFTWARE_INTERRUPT), bit(again));
      } else {
        tell(Tracepoint.KVM_INJ_EXCEPTION, exception(vector), hasErrorCode ? errorCode & 0xFFFF_FFFFL : 0L, bit(again));
      }
    }

    @Override
    public void emulating(@Gva long rip) {
      next.emulating(rip);
      if (on && wants(Tracepoint.KVM_EMULATE_INSN)) {
        Cpu cpu = cpu();
        tell(Tracepoint.KVM_EMULATE_INSN, cpu.code64() ? 0L : cpu.base[Segments.CS], Addresses.bits(rip),
            instructionBytes(rip), !cpu.protectedMode() ? "real" : cpu.code64() ? "prot64" : "prot32");
      }
    }

    @Override
    public void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {
      next.delivered(vector, type, errorCode, rip, retired);
      tell(Tracepoint.GUEST_EVENT, (long) vector,
          type == Vector.TYPE_EXTERNAL ? "interrupt" : type == Vector.TYPE_NMI ? "nmi"
          : type == Vector.TYPE_HARDWARE_EXCEPTION ? "exception" : "software", errorCode & 0xFFFF_FFFFL,
          Addresses.bits(rip), vector == Vector.PF ? Addresses.bits(cpu().cr2) : 0L);
    }

    @Override
    public void watchedWrite(@Hpa long hpa, int size, long retired) {
      next.watchedWrite(hpa, size, retired);
    }
  }

  /** Up to 15 bytes at an address as the guest's tables map it; fewer if a page is missing. */
  private String instructionBytes(@Gva long rip) {
    Cpu cpu = cpu();
    StringBuilder bytes = new StringBuilder();
    Translation out = new Translation();
    for (int i = 0; i < MAX_INSTRUCTION; i++) {
      @Hpa long hpa = cpu.mmu.peek(cpu.code64() ? rip + i : rip + i + cpu.base[Segments.CS], Access.FETCH, out, null);
      if (hpa < 0 || DeviceAddress.is(hpa)) {
        break;
      }
      bytes.append(bytes.isEmpty() ? "" : " ").append(String.format("%02x", vm.memory().read(hpa, 1)));
    }
    return bytes.toString();
  }

  private final class TlbHooks implements Observer {
    @Override
    public void tlbFill(@Gva long gva, int access, Translation walk) {
      tell(Tracepoint.TLB_FILL, Addresses.bits(gva), Addresses.bits(walk.hpa),
          walk.pageShift == 12 ? "4k" : walk.pageShift < 30 ? "2m" : "1g",
          (access & Access.FETCH) != 0 ? "x" : (access & Access.WRITE) != 0 ? "w" : "r");
    }

    @Override
    public void tlbFlush(@Gva long gva, boolean all) {
      tell(Tracepoint.TLB_FLUSH, Addresses.bits(gva), all ? "all" : "address");
    }
  }

  /** Tells of accesses that left the guest; natively devices are reached without a hypervisor, and there are none. */
  private final class BusHooks implements Bus {
    private final Bus bus;

    BusHooks(Bus bus) {
      this.bus = bus;
    }

    private boolean virtual() {
      return vm.options().mode().virtual();
    }

    @Override
    public int in(int port, int size) {
      int value = bus.in(port, size);
      if (virtual()) {
        tell(Tracepoint.KVM_PIO, "read", (long) port, (long) size, 1L, value & -1L >>> 64 - 8 * size);
      }
      return value;
    }

    @Override
    public void out(int port, int size, int value) {
      if (virtual()) {
        tell(Tracepoint.KVM_PIO, "write", (long) port, (long) size, 1L, value & -1L >>> 64 - 8 * size);
      }
      bus.out(port, size, value);
    }

    @Override
    public long mmioRead(@Hpa long hpa, int size) {
      long value = bus.mmioRead(hpa, size);
      if (virtual()) {
        tell(Tracepoint.KVM_MMIO, "read", (long) size, bits(DeviceAddress.gpa(hpa)), value);
      }
      return value;
    }

    @Override
    public void mmioWrite(@Hpa long hpa, int size, long value) {
      if (virtual()) {
        tell(Tracepoint.KVM_MMIO, "write", (long) size, bits(DeviceAddress.gpa(hpa)), value);
      }
      bus.mmioWrite(hpa, size, value);
    }
  }

  private final class ShadowHooks implements ShadowObserver {
    @Override
    public void pagetableWalk(@Gva long gva, int errorCode) {
      tell(Tracepoint.KVM_MMU_PAGETABLE_WALK, Addresses.bits(gva), (long) errorCode, flags(errorCode));
    }

    private String flags(int errorCode) {
      return errorCode == 0 ? "" : PageFaultCode.toString(errorCode);
    }

    @Override
    public void pagingElement(long gpte, int level) {
      tell(Tracepoint.KVM_MMU_PAGING_ELEMENT, gpte, (long) level);
    }

    @Override
    public void walkerError(int errorCode) {
      tell(Tracepoint.KVM_MMU_WALKER_ERROR, (long) errorCode, flags(errorCode));
    }

    @Override
    public void getPage(ShadowPage page, boolean created) {
      tell(Tracepoint.KVM_MMU_GET_PAGE, page.toString(), created ? "new" : "existing");
    }

    @Override
    public void syncPage(ShadowPage page) {
      tell(Tracepoint.KVM_MMU_SYNC_PAGE, page.toString());
    }

    @Override
    public void unsyncPage(ShadowPage page) {
      tell(Tracepoint.KVM_MMU_UNSYNC_PAGE, page.toString());
    }

    @Override
    public void zapPage(ShadowPage page) {
      tell(Tracepoint.KVM_MMU_PREPARE_ZAP_PAGE, page.toString());
    }

    @Override
    public void setSpte(ShadowPage page, int index, long spte) {
      long at = Addresses.bits(page.spt()) + 8L * index;
      if (ShadowPte.isMmio(spte)) {
        tell(Tracepoint.MARK_MMIO_SPTE, at, ShadowPte.mmioGfn(spte), (long) ShadowPte.access(spte),
            (long) ShadowPte.mmioGeneration(spte));
        return;
      }
      long gfn = page.leafGfn(index);
      tell(Tracepoint.KVM_MMU_SET_SPTE, gfn, spte, "r" + ((spte & ShadowPte.W) != 0 ? "w" : "-")
          + ((spte & ShadowPte.XD) == 0 ? "x" : "-") + ((spte & ShadowPte.U) != 0 ? "u" : "-"),
          (long) page.level(), at);
    }

    @Override
    public void setAccessedOrDirty(@Gpa long gpa, long gpte) {
      boolean dirty = (gpte & PageTableEntry.D) != 0;
      tell(dirty ? Tracepoint.KVM_MMU_SET_DIRTY_BIT : Tracepoint.KVM_MMU_SET_ACCESSED_BIT, bits(gpa));
    }
  }

  private final class EptHooks implements EptObserver {
    @Override
    public void requested(@Gpa long gpa, @Hpa long hpa, int level) {
      tell(Tracepoint.KVM_MMU_SPTE_REQUESTED, Addresses.frame(gpa), Addresses.bits(hpa) >>> 12, (long) level);
    }

    @Override
    public void changed(@Gpa long gpa, int level, long old, long entry, @Hpa long at) {
      long gfn = Addresses.frame(gpa);
      if (MmioMarker.isMarker(entry)) {
        tell(Tracepoint.MARK_MMIO_SPTE, Addresses.bits(at), gfn, 7L, (long) MmioMarker.generation(entry));
      } else {
        tell(Tracepoint.KVM_MMU_SET_SPTE, gfn, entry, ((entry & EptEntry.READ) != 0 ? "r" : "-")
            + ((entry & EptEntry.WRITE) != 0 ? "w" : "-") + ((entry & EptEntry.EXECUTE) != 0 ? "x" : "-"), (long) level,
            Addresses.bits(at));
      }
      tell(Tracepoint.KVM_TDP_MMU_SPTE_CHANGED, 0L, gfn, (long) level, old, entry);
    }

    @Override
    public void split(@Gpa long gpa, int level, long entry) {
      tell(Tracepoint.KVM_MMU_SPLIT_HUGE_PAGE, Addresses.frame(gpa), entry, (long) level, 0L);
    }

    @Override
    public void zapAll() {
      tell(Tracepoint.KVM_MMU_ZAP_ALL_FAST);
    }
  }
}
