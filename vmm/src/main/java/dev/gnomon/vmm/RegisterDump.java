package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;

/** A processor's registers as text, in the layout that QEMU's {@code info registers} made familiar. */
final class RegisterDump {
  private static final String[] NAMES = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8 ", "R9 ", "R10",
      "R11", "R12", "R13", "R14", "R15"};
  private static final String[] SEGMENTS = {"ES ", "CS ", "SS ", "DS ", "FS ", "GS ", "LDT", "TR "};
  private static final int[] SEGMENT_ORDER = {Segments.ES, Segments.CS, Segments.SS, Segments.DS, Segments.FS,
      Segments.GS, Segments.LDTR, Segments.TR};

  private RegisterDump() {}

  static String of(Cpu cpu) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < NAMES.length; i++) {
      text.append(String.format("%s=%016x%s", NAMES[i], cpu.regs[i], i % 4 == 3 ? "\n" : " "));
    }
    text.append(String.format("RIP=%016x RFL=%08x CPL=%d HLT=%d%n", cpu.rip, cpu.rflags(), cpu.cpl,
        cpu.halted ? 1 : 0));
    for (int segment : SEGMENT_ORDER) {
      text.append(String.format("%s=%04x %016x %08x %05x%n", SEGMENTS[segment], cpu.selector[segment],
          cpu.base[segment], cpu.limit[segment], cpu.rights[segment]));
    }
    text.append(String.format("GDT= %016x %04x%nIDT= %016x %04x%n", cpu.gdtrBase, cpu.gdtrLimit, cpu.idtrBase,
        cpu.idtrLimit));
    text.append(String.format("CR0=%08x CR2=%016x CR3=%016x CR4=%08x EFER=%04x%n", cpu.cr0, cpu.cr2, cpu.cr3,
        cpu.cr4, cpu.efer));
    text.append(String.format("DR6=%08x DR7=%08x", cpu.dr[6], cpu.dr[7]));
    return text.toString().replace(System.lineSeparator(), "\n");
  }
}
