package dev.gnomon.vmm.peers;

import static dev.gnomon.vmm.peers.ExpectedDifference.ABSENT_CODE;
import static dev.gnomon.vmm.peers.ExpectedDifference.ABSENT_STACK;
import static dev.gnomon.vmm.peers.ExpectedDifference.ACCESSED;
import static dev.gnomon.vmm.peers.ExpectedDifference.INT1;
import static dev.gnomon.vmm.peers.ExpectedDifference.LIMITS;
import static dev.gnomon.vmm.peers.ExpectedDifference.bochs;
import static dev.gnomon.vmm.peers.ExpectedDifference.qemu;

import java.util.List;
import java.util.stream.Stream;

/** What {@link ExpectedDifference} has of 64-bit mode. */
final class LongDifferences {
  private static final String INTERRUPTS = "long interrupts";
  private static final String RETURNS = "long returns";
  private static final String CALLS = "long calls";
  private static final String FAST = "long system calls";
  private static final String REGISTERS = "long registers";
  private static final String CONTROL = "long control";
  private static final String DELIVERY = "long delivery";
  private static final String BRANCHES = "long branches";

  private static final String STACK_CODE =
      "SDM vol. 2A, \"INT n\" and \"CALL\": #SS for a new stack that is not canonical "
      + "names no selector; Bochs names the one in SS";
  private static final String NULL_STACK =
      "SDM vol. 2A, \"IRET\", and vol. 2B, \"RET\": #GP(0) if a null stack selector's RPL is not "
      + "the privilege returned to; they do not ask";
  private static final String FMASK = "IA32_FMASK has 32 bits, the others are reserved (SDM vol. 4); they ignore them";
  private static final String TASK_LIMIT =
      "SDM vol. 2A, \"LTR\": the base must be canonical; they ask for the segment's end too, or raise "
      + "the next fault for it";
  private static final String TARGETS = "QEMU checks no target of a transfer for canonical form";
  private static final String ADDRESSES =
      "QEMU raises #GP also for stack addresses that are not canonical, and asks for an access's "
      + "first byte alone";
  private static final String CODES = "QEMU's error codes have 16 bytes of an IDT entry for 8, and no EXT";
  private static final String SIZES =
      "QEMU takes code with both L and D (SDM vol. 3A, \"Code-Segment Descriptor in 64-bit Mode\")";
  private static final String BASES = "QEMU does not ask whether bases are canonical";
  private static final String VIRTUAL_FLAGS = "QEMU does not load VIF and VIP in ring 0";
  private static final String SYSENTER = "QEMU has no SYSENTER and SYSEXIT in IA-32e mode but for models of Intel's";
  private static final String CALL_STACKS =
      "QEMU pushes through a 64-bit call gate with a pointer of 32 bits where the ring stays, "
      + "does not check the new one, and loses RIP";

  private static final List<ExpectedDifference> BOCHS = List.of(
      bochs(INTERRUPTS, "int with rsp0 .*|int from ring . by interrupt stack at .*", STACK_CODE),
      bochs(INTERRUPTS, "int from ring . with reserved bits .* of the gate's last word",
          "SDM vol. 3A, \"64-Bit Mode IDT\": the word is reserved, and no check of it is listed; Bochs wants a type"
              + " of 0"),
      bochs(CALLS, "call with rsp0 .*", STACK_CODE),
      bochs(DELIVERY, ".* meets stack that is not canonical .*", STACK_CODE),
      bochs(RETURNS, "iret of [24] bytes in ring . .*",
          "SDM vol. 2A, \"IRET\": 64-bit code pops SS and RSP whatever the operand size; Bochs with 64 bits alone"),
      bochs(RETURNS, "(iret|retf) of 8 bytes in ring 0 to ring . with ss [0-3]", NULL_STACK),
      bochs(RETURNS, "iret of 8 bytes in ring 0 to ring . with absent stack segment", ABSENT_STACK),
      bochs(FAST, "sysret with a stack that is not canonical",
          "the manual leaves open what becomes of upper halves of registers in compatibility mode"),
      bochs(REGISTERS, "wrmsr c0000084 of .*", FMASK),
      bochs(REGISTERS, "ltr of base 7fffffffff.*", TASK_LIMIT),
      bochs(CONTROL, "cr4 with bit 22", "the processor model has no protection keys"));

  private static final List<ExpectedDifference> QEMU = List.of(
      qemu("modes", "paging with (efer.lme and cr4 1?0|task segment 81 .*|code of flags e .*)"
          + "|cr0 [8a]00000.* with efer.lme|cr4 with pcid .*|efer.lme with .*",
          "QEMU asks neither for CR4.PAE nor for CS.L nor for the task segment, and lets LME and PCIDE be set at any"
              + " time"),
      qemu(INTERRUPTS, "int through type .*|int3? from .* through gate of dpl .|int .*through absent gate.*"
          + "|int 20 with idt limit .*", CODES),
      qemu(INTERRUPTS, "int1 from .*", INT1),
      qemu(INTERRUPTS, "int from ring . to a segment with base and limit|accessed bit of .*", ACCESSED),
      qemu(INTERRUPTS, "int from ring . to offset .*", TARGETS),
      qemu(INTERRUPTS, "frame of int .* with flags 180002", VIRTUAL_FLAGS),
      qemu(INTERRUPTS, "int with rsp0? .*|int from ring . by interrupt stack at .*", ADDRESSES),
      qemu(RETURNS, ".* and limit 17 by rpl .", LIMITS),
      qemu(RETURNS, ".* to code with flags e .*", SIZES),
      qemu(RETURNS, ".* to code that was not accessed|.* with stack segment 1[26]", ACCESSED),
      qemu(RETURNS, ".* to ring . with ss [0-3]", NULL_STACK),
      qemu(RETURNS, ".* to 32-bit code .* with ss [03]",
          "QEMU lets SS be null in compatibility mode of ring 0 (SDM vol. 2A, \"IRET\")"),
      qemu(RETURNS, ".* with absent stack segment", ABSENT_STACK),
      qemu(RETURNS, "(iretq|retfq) with rsp .*", ADDRESSES),
      qemu(RETURNS, ".* to rip .* of ring .", TARGETS),
      qemu(RETURNS, ".* to rip .* of 32-bit code", "QEMU keeps bits of RIP that compatibility mode does not have"),
      qemu(RETURNS, "iret .* to flags 3cfed7", VIRTUAL_FLAGS),
      qemu(RETURNS, "iret of 4 bytes .* to flags 20202", "QEMU enters virtual-8086 mode from IA-32e mode"),
      qemu(CALLS, "call from ring . .* to (code )?.f.*", "QEMU takes the ring of conforming code for the new one"),
      qemu(CALLS, "jmp from ring . through gate to absent code", ABSENT_CODE),
      qemu(CALLS, ".* to offset .*", TARGETS),
      qemu(CALLS, "call with rsp0? .*|call to ring 1 with limit .* of the tss", CALL_STACKS),
      qemu(CALLS, ".* to code .. with flags e", SIZES),
      qemu(CALLS, "call from ring . to code with a small limit",
          "QEMU names the selector in the #GP of a target behind the limit"),
      qemu(CALLS, ".* with an operand of 2 bytes", LIMITS),
      qemu(CALLS, ".* with far pointer at .*", ADDRESSES),
      qemu(FAST, "syscall in ring . with flags .* and mask .*", "QEMU loads RFLAGS without the status flags"),
      qemu(FAST, "sys(call|ret) in 32-bit code",
          "QEMU has SYSCALL and SYSRET in compatibility mode, as AMD's processors do"),
      qemu(FAST, "syscall at the end of the lower half|sysretq to .*", TARGETS),
      qemu(FAST, "syscall with a stack that is not canonical", "QEMU loads RFLAGS without the status flags"),
      qemu(FAST, "sysretq? with flags 70002", "QEMU's single step comes before the instruction behind SYSRET"),
      qemu(FAST, "sysretq? with flags 3c0002", VIRTUAL_FLAGS),
      qemu(FAST, "sys(enter|exitq?) .*", SYSENTER),
      qemu(REGISTERS, "efer .*", "QEMU ignores reserved bits of EFER and lets LME be cleared with paging on"),
      qemu(REGISTERS, "wrmsr (c000008[23]|c000010[012]|17[56]) of .*", BASES),
      qemu(REGISTERS, "wrmsr 174 of .*", "QEMU keeps 16 bits of IA32_SYSENTER_CS"),
      qemu(REGISTERS, "wrmsr c0000084 of .*", FMASK),
      qemu(REGISTERS, "l[gi]dt with base .*|l(tr|ldt) of base .*", BASES),
      qemu(REGISTERS, "lldt with bits .* of the last word|ltr of type [08]1|ltr of selector [03]",
          "QEMU checks no upper half of an LDT descriptor, takes a 16-bit TSS and a null selector for TR"),
      qemu(REGISTERS, "mov SS, . in ring .", "QEMU does not check the RPL of a null stack selector"),
      qemu(REGISTERS, "lar and lsl of type [1345]", "QEMU takes types that IA-32e mode does not have for valid"),
      qemu(DELIVERY, ".* meets handler that is not canonical .*", TARGETS),
      qemu(DELIVERY, "exception (3|6) .*|int .* meets (bad|absent) gate .*", CODES),
      qemu(DELIVERY, "exception 12 .*", ADDRESSES),
      qemu(BRANCHES, "(jmp|call|ret)( .*)? to .* in ring .|.* at the edge in ring .", TARGETS),
      qemu(BRANCHES, "(read|write) of . bytes at .*|(push|call with stack) at .*|(read|stosb) at .*|jmp back .*",
          ADDRESSES));

  /** All of them. */
  static final List<ExpectedDifference> ALL = Stream.of(BOCHS, QEMU).flatMap(List::stream).toList();

  private LongDifferences() {}
}
