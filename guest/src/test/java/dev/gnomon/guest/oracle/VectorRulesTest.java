package dev.gnomon.guest.oracle;

import static dev.gnomon.guest.asm.Mem.ptr;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Bus;
import dev.gnomon.guest.cpu.ControlRegister;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Mxcsr;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.HostMemory;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Rules of MMX, SSE and x87 that user code on the host cannot show: control registers, and what processors leave open.
 */
class VectorRulesTest {
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = 0x10_0000;
  private static final long DATA = 0x20_0000;
  private static final long CODE_FRAME = PAGE;
  private static final long DATA_FRAME = 2 * PAGE;
  /** Relative error that RCPPS and RSQRTPS may have (SDM vol. 2B). */
  private static final double APPROXIMATION = 1.5 / 4096;
  private static final int NO_VECTOR = -1;

  private final UserMachine machine = new UserMachine((int) (8 * PAGE), 64);

  VectorRulesTest() {
    machine.pages.map(CODE, CODE_FRAME, PageMap.WRITE | PageMap.EXECUTE);
    machine.pages.map(DATA, DATA_FRAME, PageMap.WRITE);
    machine.select(OracleLayout.USER_CODE_64);
    machine.cpu.cr0 |= ControlRegister.CR0_MP;
  }

  /** Runs code with RSI at the data page. @return vector of its exception, −1 if it reached the HLT behind it */
  private int run(Consumer<Assembler> code) {
    Assembler asm = new Assembler(64);
    code.accept(asm);
    asm.int3();
    byte[] bytes = asm.assemble(CODE);
    machine.memory.writeBytes(CODE_FRAME, bytes, 0, bytes.length);
    machine.cpu.rip = CODE;
    machine.cpu.regs[6] = DATA;
    int reason = machine.processor.run(machine.cpu.retired + 100);
    assertThat(reason).isEqualTo(ExitReason.EXCEPTION_NMI);
    int vector = machine.cpu.exit.interruptionInfo & 0xFF;
    return vector == Vector.BP ? NO_VECTOR : vector;
  }

  private static void encode(Assembler asm, int opcode, int reg, boolean memory) {
    if (opcode == 0x0F77 || opcode == 0x9B) {
      asm.db(opcode == 0x9B ? new int[] {0x9B} : new int[] {0x0F, 0x77});
    } else {
      asm.encode(opcode, 0, reg, memory ? ptr(Reg.RSI, 0) : Reg.EAX);
    }
  }

  /**
   * Opcode, memory operand or register, then the outcome with EM, with TS, without OSFXSR, and with an x87 exception
   * pending.
   */
  @ParameterizedTest
  @CsvSource({
      "660F6F, 0, true, UD, NM, UD, -", "660FFE, 0, false, UD, NM, UD, -", "0F58, 0, false, UD, NM, UD, -",
          "0F2F, 0, true, UD, NM, UD, -",
      "0F6F, 0, true, UD, NM, -, MF", "0FFE, 0, false, UD, NM, -, MF", "0FE7, 0, true, UD, NM, -, MF",
          "0F77, 0, false, UD, NM, -, MF",
      "0F2A, 0, false, UD, NM, UD, MF", "F30FD6, 0, false, UD, NM, UD, MF", "0FAE, 0, true, NM, NM, -, -",
          "0FAE, 1, true, NM, NM, -, -",
      "0FAE, 2, true, UD, NM, UD, -", "0FAE, 3, true, UD, NM, UD, -", "0FC3, 0, true, -, -, -, -",
          "0F18, 1, true, -, -, -, -", "D8, 0, false, NM, NM, -, MF",
      "DD, 7, true, NM, NM, -, -", "9B, 0, false, -, NM, -, MF"})
  void shouldCheckControlRegistersFirst(String opcode, int reg, boolean memory, String em, String ts, String noFxsr,
      String pending) {
    int code = Integer.parseInt(opcode, 16);
    Consumer<Assembler> instruction = asm -> encode(asm, code, reg, memory);
    long cr0 = machine.cpu.cr0;
    long cr4 = machine.cpu.cr4;
    machine.cpu.cr0 = cr0 | ControlRegister.CR0_EM;
    assertThat(run(instruction)).as("EM").isEqualTo(vector(em));
    machine.cpu.cr0 = cr0 | ControlRegister.CR0_TS;
    assertThat(run(instruction)).as("TS").isEqualTo(vector(ts));
    machine.cpu.cr0 = cr0;
    machine.cpu.cr4 = cr4 & ~ControlRegister.CR4_OSFXSR;
    assertThat(run(instruction)).as("no OSFXSR").isEqualTo(vector(noFxsr));
    machine.cpu.cr4 = cr4;
    machine.cpu.fpuControl &= ~1;
    machine.cpu.fpuStatus |= 1;
    assertThat(run(instruction)).as("pending exception").isEqualTo(vector(pending));
  }

  private static int vector(String name) {
    return switch (name) {
      case "UD" -> Vector.UD;
      case "NM" -> Vector.NM;
      case "MF" -> Vector.MF;
      default -> NO_VECTOR;
    };
  }

  @Test
  void shouldRaiseUdForUnmaskedExceptionWithoutOsxmmexcpt() {
    machine.cpu.mxcsr = 0;
    machine.cpu.xmm[0] = Double.doubleToRawLongBits(1);
    Consumer<Assembler> divide = asm -> encode(asm, 0xF20F5E, 0, true);
    assertThat(run(divide)).isEqualTo(Vector.XM);
    assertThat(machine.cpu.mxcsr & Mxcsr.FLAGS).isEqualTo(4);
    machine.cpu.cr4 &= ~ControlRegister.CR4_OSXMMEXCPT;
    assertThat(run(divide)).isEqualTo(Vector.UD);
    assertThat(machine.cpu.xmm[0]).isEqualTo(Double.doubleToRawLongBits(1));
  }

  @Test
  void shouldRaiseNoMathFaultWithoutNumericError() {
    int[] signals = new int[1];
    machine.cpu.bus = new ErrorLine(signals);
    machine.cpu.cr0 &= ~ControlRegister.CR0_NE;
    machine.cpu.fpuControl &= ~1;
    machine.cpu.fpuStatus |= 1;
    assertThat(run(asm -> encode(asm, 0x9B, 0, false))).isEqualTo(NO_VECTOR);
    assertThat(signals[0]).as("FERR#").isPositive();
  }

  @Test
  void shouldStoreNothingAcrossIntoAnAbsentPage() {
    machine.cpu.xmm[0] = -1;
    machine.cpu.xmm[1] = -1;
    int vector = run(asm -> asm.encode(0xF30F7F, 0, 0, ptr(Reg.RSI, PAGE - 1)));
    assertThat(vector).isEqualTo(Vector.PF);
    assertThat(machine.memory.read(DATA_FRAME + PAGE - 1, 1)).isZero();
    assertThat(machine.cpu.exit.qualification).isEqualTo(DATA + PAGE);
  }

  @Test
  void shouldStoreAcrossPagesThatAreFarApart() {
    machine.pages.map(DATA + PAGE, 5 * PAGE, PageMap.WRITE);
    machine.cpu.xmm[0] = 0x0807_0605_0403_0201L;
    machine.cpu.xmm[1] = 0x100F_0E0D_0C0B_0A09L;
    assertThat(run(asm -> {
      asm.encode(0xF30F7F, 0, 0, ptr(Reg.RSI, PAGE - 5));
      asm.encode(0xF30F6F, 0, 1, ptr(Reg.RSI, PAGE - 5));
    })).isEqualTo(NO_VECTOR);
    assertThat(machine.memory.read(DATA_FRAME + PAGE - 1, 1)).isEqualTo(5);
    assertThat(machine.memory.read(5 * PAGE, 8)).isEqualTo(0x0D0C_0B0A_0908_0706L);
    assertThat(machine.cpu.xmm).startsWith(0x0807_0605_0403_0201L, 0x100F_0E0D_0C0B_0A09L, 0x0807_0605_0403_0201L,
        0x100F_0E0D_0C0B_0A09L);
  }

  @Test
  void shouldChangeCodeThatLiesBehindInTheSameBlock() {
    // MOVUPS over an instruction that was decoded with it: MOV EAX, 11H and INT3s instead.
    machine.cpu.xmm[0] = 0xCCCC_CC00_0000_11B8L;
    machine.cpu.xmm[1] = 0xCCCC_CCCC_CCCC_CCCCL;
    Assembler asm = new Assembler(64);
    asm.encode(0x0F11, 0, 0, ptr(Reg.RSI, 8));
    asm.nop(4);
    asm.mov(Reg.EAX, 7);
    asm.int3();
    byte[] bytes = asm.assemble(CODE);
    machine.memory.writeBytes(CODE_FRAME, bytes, 0, bytes.length);
    machine.cpu.rip = CODE;
    machine.cpu.regs[6] = CODE;
    machine.processor.run(machine.cpu.retired + 100);
    assertThat(machine.cpu.regs[0]).isEqualTo(0x11);
  }

  @Test
  void shouldApproximateReciprocalsWithinTheBound() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 1000; i++) {
      float x = Float.intBitsToFloat(random.nextInt(0x0100_0000, 0x7E00_0000));
      machine.cpu.xmm[0] = Float.floatToRawIntBits(x);
      run(asm -> {
        asm.encode(0xF30F53, 0, 1, Reg.EAX);
        asm.encode(0xF30F52, 0, 2, Reg.EAX);
      });
      assertThat(Float.intBitsToFloat((int) machine.cpu.xmm[2]) * (double) x).isBetween(1 - APPROXIMATION, 1
          + APPROXIMATION);
      assertThat(Float.intBitsToFloat((int) machine.cpu.xmm[4]) * Math.sqrt(x)).isBetween(1 - APPROXIMATION, 1
          + APPROXIMATION);
    }
    assertThat(machine.cpu.mxcsr).isEqualTo(Mxcsr.INITIAL);
  }

  /** SSE3, SSSE3 and SSE4: not offered, so not there. */
  @ParameterizedTest
  @CsvSource({"F20F12", "F30F16", "660FD0", "F20FF0", "660F7C", "660F3800", "660F3817", "DB", "F30FB8", "F20F38F0"})
  void shouldRaiseUdForWhatCpuidDoesNotOffer(String opcode) {
    assertThat(run(asm -> asm.encode(Integer.parseUnsignedInt(opcode, 16), 0, 1,
        ptr(Reg.RSI, 0)))).isEqualTo(Vector.UD);
  }

  /** A bus of a processor's FERR# alone. */
  private record ErrorLine(int[] signals) implements Bus {
    @Override
    public int in(int port, int size) {
      return -1;
    }

    @Override
    public void out(int port, int size, int value) { }

    @Override
    public long mmioRead(long hpa, int size) {
      return -1;
    }

    @Override
    public void mmioWrite(long hpa, int size, long value) { }

    @Override
    public void coprocessorError() {
      signals[0]++;
    }
  }
}
