package dev.gnomon.bench;

import dev.gnomon.bench.WalkReport.Walk;
import dev.gnomon.ept.EptPointer;
import dev.gnomon.ept.EptViolation;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.PagingContext;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.Vcpu;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.memory.DeviceAddress;
import java.util.ArrayList;
import java.util.List;

/** Walks one address on a stopped machine, without any effect. */
public final class AddressWalk {

  private final Vm vm;
  private final Cpu cpu;
  private final @Gva long gva;
  private final int access;

  /**
   * @param vcpu the virtual processor whose walk it is
   * @param access bits of {@link Access}
   * @throws IllegalArgumentException if the address cannot be one in the guest's present mode
   */
  public AddressWalk(Vm vm, Vcpu vcpu, @Gva long gva, int access) {
    cpu = vcpu.cpu();
    if (!cpu.canonical(gva)) {
      throw new IllegalArgumentException("address 0x" + Long.toHexString(gva)
          + " is not canonical: expected its bits from 63 down to " + (cpu.linearBits() - 1) + " all equal");
    }
    if (!cpu.longMode() && gva >>> 32 != 0) {
      throw new IllegalArgumentException("address 0x" + Long.toHexString(gva)
          + ": expected at most 0xffffffff, the guest is in 32-bit mode");
    }
    this.vm = vm;
    this.gva = gva;
    this.access = access;
  }

  /** All walks that the mode has. */
  public WalkReport report(Provenance provenance, String guest, boolean grid) {
    Mode mode = vm.options().mode();
    GuestTables guestTables = new GuestTables(vm, cpu);
    List<Walk> walks = new ArrayList<>();
    if (mode == Mode.SHADOW) {
      Walk software = software(guestTables);
      walks.add(hardware(mode, software.outcome()));
      walks.add(software);
    } else {
      walks.add(hardware(mode, ""));
    }
    return new WalkReport(provenance, guest, mode.toString(), vm.retired(), String.format("0x%016x", gva),
        indexes(guestTables.paging()), describe(access), walks, grid);
  }

  private Walk hardware(Mode mode, String guestOutcome) {
    PagingContext paging = cpu.mmu.paging;
    WalkRecorder recorder = new WalkRecorder(paging, mode == Mode.SHADOW);
    Translation out = new Translation();
    long result = cpu.mmu.peek(gva, access, out, recorder);
    finish(recorder, result, out);
    String tables = switch (mode) {
      case NATIVE -> "guest tables";
      case EPT -> "guest tables through EPT";
      case SHADOW -> "shadow tables";
    };
    return new Walk(tables + " (the processor's walk)", root(mode, paging), mode == Mode.EPT, recorder.rows(),
        outcome(mode, result, out, guestOutcome), recorder.guestReads(), recorder.eptReads());
  }

  private Walk software(GuestTables tables) {
    WalkRecorder recorder = new WalkRecorder(tables.paging(), false);
    Translation out = new Translation();
    long result = tables.peek(gva, access, out, recorder);
    finish(recorder, result, out);
    String outcome;
    if (result == Status.EXIT) {
      outcome = "= gpa 0x" + Long.toHexString(out.exitGpa) + ", not backed yet: reads as 0";
    } else if (result == Status.FAULT) {
      outcome = fault(out);
    } else {
      outcome = "= gpa 0x" + Long.toHexString(out.gpa) + (DeviceAddress.is(result) ? ", a device's or nobody's" : "")
          + "   effective " + rights(out.rights);
    }
    return new Walk("guest tables (what the hypervisor reads to fill a shadow entry)",
        "cr3 gpa 0x" + Long.toHexString(tables.paging().root), false, recorder.rows(), outcome, recorder.guestReads(),
        recorder.eptReads());
  }

  private static void finish(WalkRecorder recorder, @Hpa long result, Translation out) {
    if (result >= 0) {
      recorder.delivered(out);
    } else if (result == Status.EXIT) {
      recorder.exited();
    }
  }

  private String root(Mode mode, PagingContext paging) {
    String place = switch (mode) {
      case NATIVE -> "cr3 hpa 0x";
      case EPT -> "cr3 gpa 0x";
      case SHADOW -> "root hpa 0x";
    };
    String root = paging.mode == PagingContext.NONE ? "no paging" : place + Long.toHexString(paging.root);
    if (mode != Mode.EPT) {
      return root;
    }
    long eptp = vm.ept().eptPointer(vm.options().eptAccessedDirty());
    return root + ", eptp hpa 0x" + Long.toHexString(EptPointer.root(eptp)) + " (4-level, WB"
        + (vm.options().eptAccessedDirty() ? ", A/D)" : ")");
  }

  private String outcome(Mode mode, @Hpa long result, Translation out, String guestOutcome) {
    if (result == Status.FAULT) {
      return fault(out) + route(mode, guestOutcome);
    }
    if (result == Status.EXIT) {
      String exit = ExitReason.name(out.exitReason) + " exit for gpa 0x" + Long.toHexString(out.exitGpa);
      return out.exitReason != ExitReason.EPT_VIOLATION ? exit
          : exit + ", qualification 0x" + Long.toHexString(out.exitQualification) + " ("
              + EptViolation.toString(out.exitQualification) + ")";
    }
    String place = DeviceAddress.is(result) ? "= device bus gpa 0x" + Long.toHexString(DeviceAddress.gpa(result))
        : "= hpa 0x" + Long.toHexString(result);
    return place + "   effective " + rights(out.rights) + "   no TLB was looked at or filled";
  }

  private static String route(Mode mode, String guestOutcome) {
    return switch (mode) {
      case NATIVE -> ", delivered to the guest";
      case EPT -> ", delivered to the guest without an exit";
      case SHADOW -> ": exit EXCEPTION_NMI, " + (guestOutcome.startsWith("#PF")
          ? "reflected to the guest, whose own tables fault too"
          : "hidden from the guest, whose own tables allow the access: the hypervisor fills the shadow entry");
    };
  }

  private static String fault(Translation out) {
    return "#PF error 0x" + Integer.toHexString(out.errorCode) + " (" + PageFaultCode.toString(out.errorCode)
        + ((out.errorCode & PageFaultCode.P) == 0 ? ", not present" : "") + ")";
  }

  private static String rights(int rights) {
    int write = Translation.WRITABLE | Translation.STAGE_WRITABLE;
    return ((rights & Translation.READABLE) != 0 ? "r" : "-") + ((rights & write) == write ? "w" : "-")
        + ((rights & Translation.EXECUTABLE) != 0 ? "x" : "-")
        + ((rights & Translation.USER) != 0 ? " user" : " supervisor");
  }

  private static String describe(int access) {
    String kind = (access & Access.FETCH) != 0 ? "fetch" : (access & Access.WRITE) != 0 ? "write" : "read";
    return kind + ((access & Access.USER) != 0 ? " by user" : " by supervisor");
  }

  private String indexes(PagingContext paging) {
    long low = gva & 0xFFF;
    long pt = gva >>> 12 & 511;
    long pd = gva >>> 21 & 511;
    return switch (paging.mode) {
      case PagingContext.LONG4, PagingContext.LONG4_KEYS -> String.format("PML4[%d] PDPT[%d] PD[%d] PT[%d] +0x%x",
          gva >>> 39 & 511, gva >>> 30 & 511, pd, pt, low);
      case PagingContext.LONG5, PagingContext.LONG5_KEYS ->
          String.format("PML5[%d] PML4[%d] PDPT[%d] PD[%d] PT[%d] +0x%x", gva >>> 48 & 511,
          gva >>> 39 & 511, gva >>> 30 & 511, pd, pt, low);
      case PagingContext.PAE -> String.format("PDPTE%d PD[%d] PT[%d] +0x%x", gva >>> 30 & 3, pd, pt, low);
      case PagingContext.LEGACY -> String.format("PD[%d] PT[%d] +0x%x", gva >>> 22 & 1023, gva >>> 12 & 1023, low);
      default -> "linear = physical";
    };
  }

  /** The access bits of a data access or fetch at the privilege level that the guest is at. */
  public static int currentPrivilege(Cpu cpu) {
    return cpu.cpl == 3 ? Access.USER : 0;
  }
}
