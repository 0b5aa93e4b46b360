package dev.gnomon.guest.exec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Feature;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.mmu.PagingContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Which paging mode each write of CR0, CR4 or EFER leads to, and which are #GP(0) and change nothing (SDM vol. 3A,
 * "Paging-Mode Enabling" and "Control Registers"); and the reserved bits of MSRs.
 */
class PagingModeTransitionsTest {
  private static final int MOV_TO = 0x122;
  private static final long PROTECTED = ControlRegister.CR0_PE | ControlRegister.CR0_NE | ControlRegister.CR0_ET;

  private static boolean has(String words, String word) {
    return (" " + words + " ").contains(" " + word + " ");
  }

  private static SystemMachine machine(String state) {
    boolean code64 = has(state, "64");
    SystemMachine m = code64 || has(state, "LMA") ? SystemMachine.longMode(0) : SystemMachine.protectedMode(0);
    m.cpu.cpuid.offer(Feature.LA57, true);
    m.cpu.cpuid.offer(Feature.PKU, true);
    m.cpu.cpuid.offer(Feature.PKS, true);
    if (!code64 && has(state, "LMA")) {
      m.load(Segments.CS, SystemMachine.CODE0_COMPAT);
    }
    m.cpu.cr0 = PROTECTED | (has(state, "PG") ? ControlRegister.CR0_PG : 0);
    m.cpu.cr4 = cr4(state);
    m.cpu.efer = (has(state, "LME") ? ControlRegister.EFER_LME : 0)
        | (has(state, "LMA") ? ControlRegister.EFER_LMA : 0);
    m.cpu.cr3 = has(state, "PCID1") ? 1 : 0;
    m.cpu.updateMode();
    m.cpu.syncPaging();
    return m;
  }

  private static long cr4(String words) {
    return (has(words, "PAE") ? ControlRegister.CR4_PAE : 0) | (has(words, "LA57") ? ControlRegister.CR4_LA57 : 0)
        | (has(words, "PKE") ? ControlRegister.CR4_PKE : 0) | (has(words, "PCIDE") ? ControlRegister.CR4_PCIDE : 0);
  }

  private static String mode(SystemMachine m) {
    return switch (m.mmu.paging.mode) {
      case PagingContext.NONE -> "none";
      case PagingContext.LEGACY -> "2-level";
      case PagingContext.PAE -> "PAE";
      case PagingContext.LONG4 -> "4-level";
      case PagingContext.LONG4_KEYS -> "4-level keys";
      case PagingContext.LONG5 -> "5-level";
      default -> "5-level keys";
    };
  }

  /** State before; write: register and the bits set in it; mode after, or #GP. */
  @ParameterizedTest
  @CsvSource({
      "'',                     CR0 PE PG,  2-level",
      "'',                     CR0 PG,     #GP",
      "LA57,                   CR0 PE PG,  2-level",
      "LME,                    CR0 PE PG,  #GP",
      "PAE,                    CR0 PE PG,  PAE",
      "PAE LA57 PKE,           CR0 PE PG,  PAE",
      "PAE LME,                CR0 PE PG,  4-level",
      "PAE LME PKE,            CR0 PE PG,  4-level keys",
      "PAE LME LA57,           CR0 PE PG,  5-level",
      "PAE LME LA57 PKE,       CR0 PE PG,  5-level keys",
      "PG,                     CR4 PAE,    PAE",
      "PG PAE,                 CR4,        2-level",
      "PG PAE,                 CR0 PE,     none",
      "PG,                     EFER LME,   #GP",
      "PG PAE,                 EFER LME,   #GP",
      "'',                     EFER LME,   none",
      "'',                     CR4 PCIDE,  #GP",
      "PG PAE,                 CR4 PAE PCIDE, #GP",
      "PG PAE,                 CR4 PAE LA57, PAE",
      "PG PAE LME LMA 64,      CR0 PE,     #GP",
      "PG PAE LME LMA 64,      CR4,        #GP",
      "PG PAE LME LMA 64,      EFER,       #GP",
      "PG PAE LME LMA 64,      CR4 PAE LA57, #GP",
      "PG PAE LME LMA LA57 64, CR4 PAE,    #GP",
      "PG PAE LME LMA LA57 64, CR4 PAE LA57 PKE, 5-level keys",
      "PG PAE LME LMA 64,      CR4 PAE PCIDE, 4-level",
      "PG PAE LME LMA PCID1 64, CR4 PAE PCIDE, #GP",
      "PG PAE LME LMA,         CR0 PE,     none",
      "PG PAE LME LMA LA57,    CR0 PE,     none",
      "PG PAE LME LMA,         CR4,        #GP",
      "PG PAE LME LMA PCIDE,   CR0 PE,     #GP"})
  void shouldLeadToTheModeOfTheManual(String state, String write, String expected) {
    SystemMachine m = machine(state);
    String before = mode(m);
    int status;
    if (has(write, "EFER")) {
      status = new ModelRegisters(m.cpu).write(Msr.EFER, has(write, "LME") ? ControlRegister.EFER_LME : 0);
    } else {
      m.cpu.regs[Cpu.RAX] = has(write, "CR4") ? cr4(write)
          : ControlRegister.CR0_NE | ControlRegister.CR0_ET | (has(write, "PE") ? ControlRegister.CR0_PE : 0)
              | (has(write, "PG") ? ControlRegister.CR0_PG : 0);
      status = m.run(m.register(MOV_TO, has(write, "CR4") ? 4 : 0, Cpu.RAX));
    }
    boolean faults = expected.equals("#GP");
    assertThat(m.outcome(status)).isEqualTo(faults ? "#GP(0)" : "OK");
    assertThat(mode(m)).isEqualTo(faults ? before : expected);
  }

  /** Register and value, which one bit too many makes #GP(0). */
  @ParameterizedTest
  @CsvSource({"c0000084, ffffffff, OK", "c0000084, 100000000, '#GP(0)'", "1a0, 1, OK", "1a0, 400c51889, OK",
      "1a0, 2, '#GP(0)'", "1a0, 8000000001, '#GP(0)'", "c0000080, d01, OK", "c0000080, 1d01, '#GP(0)'",
      "c0000080, 4d01, '#GP(0)'", "c0000103, ffffffff, OK", "c0000103, 100000000, '#GP(0)'", "277, 7040600070406, OK",
      "277, 2, '#GP(0)'", "277, 800000000000000, '#GP(0)'", "1b, fee00900, OK", "1b, fee00901, '#GP(0)'",
      "1b, 4000fee00900, '#GP(0)'", "6e1, 55555555, OK", "6e1, 100000000, '#GP(0)'", "17, 0, '#GP(0)'",
      "48, 0, '#GP(0)'", "10000000, 0, '#GP(0)'"})
  void shouldRefuseReservedBitsAndUnknownMsrs(String msr, String value, String outcome) {
    SystemMachine m = machine("PG PAE LME LMA 64");
    m.cpu.efer |= ControlRegister.EFER_NXE;
    assertThat(m.outcome(new ModelRegisters(m.cpu).write((int) Long.parseLong(msr, 16), Long.parseLong(value, 16))))
        .isEqualTo(outcome);
  }
}
