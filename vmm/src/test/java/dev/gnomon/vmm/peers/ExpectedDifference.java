package dev.gnomon.vmm.peers;

import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A way in which another emulator differs from this machine, and why that is right.
 *
 * @param peer "bochs" or "qemu"
 * @param group of cases
 * @param cases pattern of whole names
 * @param why what the manual says, or that it says nothing
 */
record ExpectedDifference(String peer, String group, String cases, String why) {
  static final String LIMITS = "QEMU does not check segment limits";
  static final String ACCESSED = "QEMU sets the accessed bit of no segment that an interrupt or return loads (SDM "
      + "vol. 3A, \"Segment Descriptors\")";
  static final String INT1 = "QEMU 7.2 does not know INT1";
  static final String ABSENT_CODE = "QEMU raises #GP for JMP to code that is not present, which is #NP";
  private static final String CONFORMING = "QEMU takes a call through a gate to conforming code for one to an "
      + "inner ring (SDM vol. 2A, \"CALL\")";
  private static final String INNER_LIMIT = "SDM vol. 2A, \"CALL\" and \"INT n\": #TS if the stack's last byte, "
      + "5 behind its offset, lies behind the limit;"
      + " Bochs and QEMU want the two bytes behind it too";
  private static final String INNER_POINTER = "SDM vol. 2A, \"INT n\": ESP is what the TSS holds; Bochs and "
      + "QEMU keep the upper half where the new stack is one of 16 bits";
  private static final String ABSENT_INNER = "QEMU raises #TS for an inner stack that is not present, which is "
      + "#SS (SDM vol. 3A, \"Interrupt 10\")";
  private static final String NULL_SEGMENT = "QEMU lets a null segment be read";
  static final String ABSENT_STACK = "SDM vol. 2A, \"IRET\" and \"RET\": #SS for a stack segment that "
      + "is not present; they raise #NP, Bochs with IRET alone";
  private static final String INVALID_STACK = "SDM vol. 3A, \"Task Switching\": a fault in the new task without "
      + "a stack shuts down;"
      + " Bochs then pretends ring 3, so that the handler gets a stack";
  private static final String RESERVED = "QEMU omits P with RSVD in page-fault codes (SDM vol. 3A, \"Interrupt 14\")";
  private static final String CR0 = "QEMU keeps reserved bits of CR0, and does not check NW without CD nor, in "
      + "ring 0, PG without PE";
  private static final String MSR = "QEMU ignores unknown MSRs and reserved bits of others, and its 32-bit form "
      + "has neither EFER.LME nor FS's base";
  private static final String TASK_FAULTS =
      "the task-state segment is noise, so a fault in the new task finds no stack and shuts"
      + " down; QEMU delivers it";
  private static final String FLAGS_IN_TASK = "QEMU stores status flags of an earlier instruction, and no RF, "
      + "in the TSS that it leaves";
  private static final String FAULT_IN_TASK = "QEMU loses the new task's EIP when a fault belongs to it, checks "
      + "null code selectors before the stack,"
      + " and no limit, and delivers even without a stack";
  private static final String EXTERNAL = "QEMU does not set EXT in the error code of a fault during the "
      + "delivery of an exception (SDM vol. 3A, \"Error"
      + " Code\"), and raises #TS for an inner stack that is not present";
  private static final String TRAP_FLAG =
      "QEMU ignores the TSS's T flag (SDM vol. 3A, \"Task-Switch Exception Condition\")";

  private static final List<ExpectedDifference> LEGACY = List.of(
      qemu("interrupts", "int1 from .*", INT1),
      qemu("interrupts", "int from ring . to offset behind the limit", LIMITS),
      qemu("interrupts", "accessed bit of .*", ACCESSED),
      qemu("interrupts", "int with inner stack segment b7|int with inner stack pointer .*", LIMITS),
      qemu("interrupts", "int with limit 1[12] of the tss", INNER_LIMIT),
      bochs("interrupts", "int with limit 1[12] of the tss", INNER_LIMIT),
      qemu("interrupts", "int with inner stack segment 3[23]", ABSENT_INNER),
      qemu("interrupts", "int with 16-bit inner stack", INNER_POINTER),
      bochs("interrupts", "int with 16-bit inner stack", INNER_POINTER),
      qemu("calls", "call from ring . by rpl . through gate of dpl . to .f", CONFORMING),
      qemu("calls", "(call|jmp) from ring . through type [19]", TASK_FAULTS),
      qemu("calls", "(call|jmp) from ring . through gate behind the limit", LIMITS),
      qemu("calls", "jmp from ring . through gate to absent code", ABSENT_CODE),
      qemu("calls", "call with inner stack segment b7|call with inner stack pointer .*", LIMITS),
      qemu("calls", "call with limit 1[12] of the tss", INNER_LIMIT),
      bochs("calls", "call with limit 1[12] of the tss", INNER_LIMIT),
      qemu("calls", "call with inner stack segment 3[23]", ABSENT_INNER),
      qemu("calls", "call with 16-bit inner stack", INNER_POINTER),
      bochs("calls", "call with 16-bit inner stack", INNER_POINTER),
      qemu("loads", "mov SS, selector of 9[67] by rpl 0 in ring 0", LIMITS),
      qemu("loads", "read through null ..", NULL_SEGMENT),
      qemu("loads", "ltr [03]", "QEMU loads TR with a null selector, which is #GP (SDM vol. 2A, \"LTR\")"),
      qemu("transfers", "far (call|jmp) to (88|90|98):.*|(retf|iret) .* behind the limit", LIMITS),
      qemu("transfers", "(retf|iret) to ring 3 with stack 83", ABSENT_STACK),
      bochs("transfers", "iret to ring 3 with stack 83", ABSENT_STACK),
      qemu("transfers", "iret in ring 0 with iopl . to flags 3cbcd7",
          "QEMU's IRET does not load VIF and VIP in ring 0"),
      qemu("transfers", "retf fffc", "QEMU takes RET's operand for signed"),
      qemu("transfers", "sys(enter|exit) in ring . with cs 3",
          "QEMU compares the whole selector with 0, not without its RPL"),
      qemu("limits", ".*", LIMITS),
      bochs("tasks", ".* to task 68 in ring .",
          "the manual leaves open what the upper halves of registers become in a 16-bit task"),
      bochs("tasks", "task with selector b at 76",
          "SDM vol. 3A, \"Exception Conditions Checked During a Task Switch\": the code segment's privilege "
              + "goes before the stack"),
      bochs("tasks", "task with selector .* at (80|96)", INVALID_STACK),
      qemu("tasks", ".* to task with debug trap", TRAP_FLAG),
      qemu("tasks", "(FAULT_GATE|IRET) to (task|virtual-8086 task).*|FAULT_GATE to descriptor 89", FLAGS_IN_TASK),
      qemu("tasks",
          "task with selector .*|task whose entry .*|call to task that faults|.* to descriptor 8[13]", FAULT_IN_TASK),
      qemu("tasks", "task in a conforming segment", "QEMU wants RPL to equal the DPL of conforming code"),
      qemu("tasks", "IRET to itself|iret with nt to link 58",
          "QEMU reads the new TSS before it saves the old one, which is the same"),
      qemu("tasks", "(JMP|CALL|INT)_GATE to task selector [4c]",
          "SDM vol. 2A, \"CALL\", \"JMP\" and \"INT n\": #GP for a TSS of the LDT in a task gate; QEMU raises #TS"),
      qemu("virtual-8086", "in allowed .*",
          "port 80h is not a port of the machine alone: QEMU reads what was written, Gnomon 0"),
      qemu("virtual-8086", "(segment|stack) wrap .*|jmp behind the limit .*", LIMITS),
      qemu("virtual-8086",
          ".* with iopl [012], vme, .*|int with iopl 3, vme, redirected, .*|int with map base .*|.* vme, flags 180000",
              "QEMU offers the extensions and raises #GP as without them"),
      qemu("virtual interrupts", ".*", "QEMU has no virtual interrupts, and does not load VIF and VIP in ring 0"),
      qemu("virtual-8086", "int to segment 19",
          "QEMU lets an interrupt lead from virtual-8086 mode to ring 1, which is #GP"),
      qemu("virtual-8086", "iret from ring 3 with vm set", "QEMU lets ring 3 set VM by IRET"),
      qemu("virtual-8086", "iret to virtual-8086 mode with ip behind the limit", LIMITS),
      bochs("virtual-8086", "iret to virtual-8086 mode with ip behind the limit",
          "SDM vol. 2A, \"IRET\": #GP if EIP is behind CS's limit; Bochs drops its upper half"),
      qemu("delivery", "(exception .|int \\d+) meets .*", EXTERNAL),
      qemu("delivery", "double fault through a task gate", FLAGS_IN_TASK),
      qemu("paging", "large page 200087 with cr4 10|pae .* of entry .*", RESERVED),
      qemu("paging", "mov cr0 with pdpte .*", "QEMU checks no reserved bits of PDPTEs"),
      qemu("paging", "accessed bit of a descriptor on a read-only page",
          "QEMU writes the accessed bit with four bytes, and CR2 is the first"),
      qemu("debug", "single step, (lss|sti, nop)",
          "QEMU holds a trap back behind STI and not behind LSS: the manual has MOV SS and POP SS alone"),
      qemu("debug", "breakpoint . of length 0, .* at \\+5",
          "QEMU takes a breakpoint of one byte for one of its whole word"),
      qemu("debug", "instruction breakpoint behind mov ss",
          "QEMU does not block it (SDM vol. 3A, \"Masking Exceptions and Interrupts When Switching Stacks\")"),
      qemu("debug", "general detect", "QEMU does not know DR7.GD for reads"),
      qemu("debug", "port breakpoint", "QEMU does not ask for CR4.DE"),
      qemu("debug", "reserved bits of dr6 and dr7", "QEMU lets bit 12 of DR6 be set"),
      qemu("debug", "nmi",
          "an NMI that a processor sends itself comes when the APIC is ready: QEMU takes it an instruction later"),
      bochs("debug", "single step, repeated",
          "SDM vol. 3B, \"Instruction-Breakpoint Exception Condition\": RF is pushed as 1 between the iterations of"
          + " a repeated instruction"),
      bochs("debug", "single step, task switch",
          "SDM vol. 3B, \"Single-Step Exception Condition\": TF when the instruction begins decides;"
          + " Bochs asks the new task's flags"),
      qemu("control", "cr0 .*", CR0),
      qemu("control", "wrmsr .*", MSR));

  static final List<ExpectedDifference> ALL =
      Stream.concat(LEGACY.stream(), LongDifferences.ALL.stream()).toList();

  static ExpectedDifference bochs(String group, String cases, String why) {
    return new ExpectedDifference("bochs", group, cases, why);
  }

  static ExpectedDifference qemu(String group, String cases, String why) {
    return new ExpectedDifference("qemu", group, cases, why);
  }

  /**
   * The fields that differ but for two quirks that QEMU has everywhere: it sets RF in no image of the flags that a
   * fault pushes (SDM vol. 3A, "Restarting of the Faulting Instruction"), and takes an interrupt stack for a change of
   * ring, so that SS becomes null ("Stack Switching in IA-32e Mode").
   *
   * @param fields names of those that differ
   */
  static Set<String> besideQuirks(String peer, Set<String> fields, PeerResult mine, PeerResult other) {
    if (!peer.equals("qemu")) {
      return fields;
    }
    Set<String> left = new TreeSet<>(fields);
    left.removeIf(field -> field.endsWith("flags") && !field.startsWith("h") && mine.bits(other, field) == Rflags.RF);
    left.removeIf(field -> field.equals("hss") && other.isNullStack());
    return left;
  }

  boolean explains(String otherPeer, String otherGroup, String name) {
    return peer.equals(otherPeer) && group.equals(otherGroup) && name.matches(cases);
  }
}
