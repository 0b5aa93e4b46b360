package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Near transfers to a target behind the code segment's limit fault before they have any effect (SDM vol. 2A, "JMP").
 */
class NearBranchLimitTest {
  private static final int START = 0x7C00;
  private static final int HANDLER = 0x600;

  /**
   * Instructions with 32-bit operands in real mode, where the limit is FFFFh; EBX and the top of the stack hold 18000h.
   */
  @ParameterizedTest
  @CsvSource({"jmp, 66E900000100", "call, 66E800000100", "jc not taken then jmp, 660F820000010066E900000100",
      "jz taken, 660F8400000100", "loop, E2FE",
      "jmp register, 66FFE3", "call register, 66FFD3", "ret, 66C3"})
  void shouldFaultAtTheInstruction(String name, String code) {
    for (Mode mode : Mode.values()) {
      Vm vm = new VmBuilder(Machines.options(mode)).build();
      Assembler a = new Assembler(16);
      a.mov(SP, 0x1000);
      a.pushd(0x1_8000);
      a.mov(EBX, 0x1_8000);
      a.mov(CX, 5);
      a.xor(AX, AX);
      int at = START + a.offset();
      byte[] bytes = HexFormat.of().parseHex(code);
      a.emit(bytes);
      vm.boot(GuestImages.flat(BootRequest.of("test", a.assemble(START)).withLoadAddress(START)
          .withEntry(BootRequest.Entry.REAL)));
      // The handler of #GP takes the address off the stack and ends the run.
      vm.guestMemory().write(4 * 13, 4, HANDLER);
      vm.guestMemory().write(HANDLER, 4, 0xE6_585AL);
      vm.guestMemory().write(HANDLER + 3, 1, 0xF4);
      vm.run(40);
      if (name.equals("loop")) {
        // It jumps within the limit, so that it counts to its end.
        assertThat(vm.cpu().regs[Cpu.RCX]).isZero();
        continue;
      }
      assertThat(vm.cpu().regs[Cpu.RDX]).as(mode + " " + name).isEqualTo(at + (name.startsWith("jc") ? 7 : 0));
      assertThat(vm.cpu().regs[Cpu.RSP]).isEqualTo(0xFFC - 2);
      assertThat(vm.cpu().regs[Cpu.RCX]).isEqualTo(5);
    }
  }
}
