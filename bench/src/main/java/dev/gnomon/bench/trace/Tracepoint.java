package dev.gnomon.bench.trace;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;

/**
 * The events. Names, fields and text are those of the Linux kernel 6.1 (arch/x86/kvm/trace.h, mmu/mmutrace.h,
 * include/trace/events/kvm.h), so that scripts made for ftrace and perf understand them; those of the groups {@code
 * guest} and {@code tlb} are Gnomon's own. {@link Field} says how each value is held: addresses and codes as {@code
 * Long}, counts as {@code Long}, the rest as {@code String}.
 */
public enum Tracepoint {
  KVM_ENTRY("exit", fields("vcpu", "rip:x"), v -> text("vcpu %d, rip 0x%x", v[0], v[1])),
  KVM_EXIT("exit", fields("vcpu", "reason:s", "rip:x", "info1:x", "info2:x", "intr_info:x", "error_code:x"),
      v -> text("vcpu %d reason %s rip 0x%x info1 0x%016x info2 0x%016x intr_info 0x%08x error_code 0x%08x", v)),
  KVM_PAGE_FAULT("page_fault", fields("vcpu", "rip:x", "address:x", "error_code:x"),
      v -> text("vcpu %d rip 0x%x address 0x%016x error_code 0x%x", v)),
  KVM_INJ_EXCEPTION("page_fault inject", fields("exception:s", "error_code:x", "reinjected"),
      v -> text("%s (0x%x)%s", v[0], v[1], v[2].equals(0L) ? "" : " [reinjected]")),
  KVM_INJ_VIRQ("inject", fields("irq:x", "soft", "reinjected"),
      v -> text("%s 0x%x%s", v[1].equals(0L) ? "IRQ" : "Soft/INTn", v[0], v[2].equals(0L) ? "" : " [reinjected]")),
  KVM_CR("cr", fields("rw:s", "cr:x", "val:x"), v -> text("cr_%s %x = 0x%x", v)),
  KVM_MSR("msr", fields("rw:s", "ecx:x", "data:x", "exception"),
      v -> text("msr_%s %x = 0x%x%s", v[0], v[1], v[2], v[3].equals(0L) ? "" : " (#GP)")),
  KVM_CPUID("cpuid", fields("function:x", "index:x", "rax:x", "rbx:x", "rcx:x", "rdx:x"),
      v -> text("func %x idx %x rax %x rbx %x rcx %x rdx %x, cpuid entry found", v)),
  KVM_PIO("pio", fields("rw:s", "port:x", "size", "count", "val:x"),
      v -> text("pio_%s at 0x%x size %d count %d val 0x%x ", v)),
  KVM_MMIO("mmio", fields("type:s", "len", "gpa:x", "val:x"), v -> text("mmio %s len %d gpa 0x%x val 0x%x", v)),
  KVM_HYPERCALL("hypercall", fields("nr:x", "a0:x", "a1:x", "a2:x", "a3:x"),
      v -> text("nr 0x%x a0 0x%x a1 0x%x a2 0x%x a3 0x%x", v)),
  KVM_EMULATE_INSN("emulate", fields("csbase:x", "rip:x", "insn:s", "mode:s"), v -> text("%x:%x:%s (%s)", v)),

  KVM_MMU_PAGETABLE_WALK("mmu", fields("addr:x", "pferr:x", "flags:s"), v -> text("addr %x pferr %x %s", v)),
  KVM_MMU_PAGING_ELEMENT("mmu", fields("pte:x", "level"), v -> text("pte %x level %d", v)),
  KVM_MMU_SET_ACCESSED_BIT("mmu", fields("gpa:x"), v -> text("gpa %x", v)),
  KVM_MMU_SET_DIRTY_BIT("mmu", fields("gpa:x"), v -> text("gpa %x", v)),
  KVM_MMU_WALKER_ERROR("mmu", fields("pferr:x", "flags:s"), v -> text("pferr %x %s", v)),
  KVM_MMU_GET_PAGE("mmu", fields("page:s", "created:s"), v -> text("%s %s", v)),
  KVM_MMU_SYNC_PAGE("mmu", fields("page:s"), v -> text("%s", v)),
  KVM_MMU_UNSYNC_PAGE("mmu", fields("page:s"), v -> text("%s", v)),
  KVM_MMU_PREPARE_ZAP_PAGE("mmu", fields("page:s"), v -> text("%s", v)),
  MARK_MMIO_SPTE("mmu", fields("sptep:x", "gfn:x", "access:x", "gen:x"),
      v -> text("sptep:%016x gfn %x access %x gen %x", v)),
  HANDLE_MMIO_PAGE_FAULT("mmu", fields("addr:x", "gfn:x", "access:x"), v -> text("addr:%x gfn %x access %x", v)),
  KVM_MMU_SPTE_REQUESTED("mmu", fields("gfn:x", "pfn:x", "level"), v -> text("gfn %x pfn %x level %d", v)),
  KVM_MMU_SET_SPTE("mmu", fields("gfn:x", "spte:x", "rights:s", "level", "sptep:x"),
      v -> text("gfn %x spte %x (%s) level %d at %x", v)),
  KVM_TDP_MMU_SPTE_CHANGED("mmu", fields("as_id", "gfn:x", "level", "old_spte:x", "new_spte:x"),
      v -> text("as id %d gfn %x level %d old_spte %x new_spte %x", v)),
  KVM_MMU_SPLIT_HUGE_PAGE("mmu", fields("gfn:x", "spte:x", "level", "errno"),
      v -> text("gfn %x spte %x level %d errno %d", v)),
  KVM_MMU_ZAP_ALL_FAST("mmu", List.of(), v -> "kvm: all pages"),

  GUEST_EVENT("guest", fields("vector:x", "type:s", "error_code:x", "rip:x", "cr2:x"),
      v -> text("vector 0x%x type %s error_code 0x%x rip 0x%x cr2 0x%x", v)),
  TLB_FILL("tlb", fields("addr:x", "hpa:x", "page:s", "access:s"), v -> text("addr %x hpa %x page %s access %s", v)),
  TLB_FLUSH("tlb", fields("addr:x", "scope:s"), v -> text("addr %x scope %s", v));

  /** Names of all groups, in the order to show them. */
  public static final List<String> GROUPS = List.of("exit", "page_fault", "inject", "mmu", "mmio", "pio", "cr",
      "msr", "cpuid", "hypercall", "emulate", "guest", "tlb");

  /** How a value is printed. */
  enum Kind {
    DECIMAL, HEXADECIMAL, TEXT
  }

  /** A field of an event. */
  record Field(String name, Kind kind) {}

  private final List<String> groups;
  private final List<Field> fields;
  private final Function<Object[], String> format;

  Tracepoint(String groups, List<Field> fields, Function<Object[], String> format) {
    this.groups = List.of(groups.split(" "));
    this.fields = fields;
    this.format = format;
  }

  private static List<Field> fields(String... specifications) {
    return Arrays.stream(specifications).map(specification -> {
      int colon = specification.indexOf(':');
      return colon < 0 ? new Field(specification, Kind.DECIMAL)
          : new Field(specification.substring(0, colon), specification.endsWith("x") ? Kind.HEXADECIMAL : Kind.TEXT);
    }).toList();
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** The kernel's name, such as {@code kvm_exit}. */
  public String eventName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The tracepoints of a group, or the one of that name; none if there is neither. */
  public static Set<Tracepoint> named(String groupOrName) {
    Set<Tracepoint> points = EnumSet.noneOf(Tracepoint.class);
    for (Tracepoint point : values()) {
      if (point.in(groupOrName) || point.eventName().equals(groupOrName)) {
        points.add(point);
      }
    }
    return points;
  }

  boolean in(String group) {
    return groups.contains(group);
  }

  List<Field> fields() {
    return fields;
  }

  String format(Object[] values) {
    return format.apply(values);
  }
}
