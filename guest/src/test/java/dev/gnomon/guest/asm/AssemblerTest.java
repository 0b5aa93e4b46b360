package dev.gnomon.guest.asm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.index;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.HexFormat;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Labels, data, modes and errors; and encodings checked against bytes from the manual, with no host tool. */
class AssemblerTest {

  private static String hex(int bits, long origin, Consumer<Assembler> code) {
    Assembler a = new Assembler(bits);
    code.accept(a);
    return HexFormat.of().formatHex(a.assemble(origin));
  }

  private static void shouldReject(int bits, String message, Consumer<Assembler> code) {
    assertThatIllegalArgumentException().isThrownBy(() -> hex(bits, 0, code)).withMessageContaining(message)
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
  }

  @Test
  void shouldEncodeKnownBytes() {
    assertThat(hex(64, 0, a -> a.add(RAX, RBX))).isEqualTo("4801d8");
    assertThat(hex(64, 0, a -> a.mov(EAX, 1))).isEqualTo("b801000000");
    assertThat(hex(64, 0, a -> a.lock().cmpxchg16b(ptr(RDI)))).isEqualTo("f0480fc70f");
    assertThat(hex(64, 0, a -> a.popcnt(R8, R9))).isEqualTo("f34d0fb8c1");
    assertThat(hex(64, 0, a -> a.invpcid(RAX, ptr(R8)))).isEqualTo("66410f388200");
    assertThat(hex(64, 0, Assembler::iretq)).isEqualTo("48cf");
    assertThat(hex(64, 0, a -> a.xchg(EAX, EAX))).isEqualTo("87c0");
    assertThat(hex(64, 0, Assembler::swapgs)).isEqualTo("0f01f8");
    assertThat(hex(32, 0, a -> a.inc(EAX))).isEqualTo("40");
    assertThat(hex(32, 0, a -> a.mov(AX, 1))).isEqualTo("66b80100");
    assertThat(hex(16, 0, a -> a.mov(AX, 1))).isEqualTo("b80100");
    assertThat(hex(16, 0, a -> a.mov(EAX, ptr(EBX)))).isEqualTo("67668b03");
    assertThat(hex(16, 0, a -> a.jmpFar(8, Label.absolute(0x10000), 4))).isEqualTo("66ea000001000800");
  }

  @Test
  void shouldEncodeAnyFormByOpcode() {
    assertThat(hex(64, 0, a -> a.encode(0x03, 8, RAX, RBX))).isEqualTo("4803c3");
    assertThat(hex(64, 0, a -> a.encode(0x00, 1, AL, BL))).isEqualTo("00c3");
    assertThat(hex(64, 0, a -> a.encode(0xC1, 4, 4, ECX, 1, 1))).isEqualTo("c1e101");
    assertThat(hex(64, 0, a -> a.encode(0x660F6E, 8, 0, R9))).isEqualTo("66490f6ec1");
  }

  @Test
  void shouldResolveBackwardAndForwardJumps() {
    assertThat(hex(64, 0x400000, a -> {
      Label top = a.here("top");
      Label end = new Label("end");
      a.jmpShort(end);
      a.jne(top);
      a.jmp(end);
      a.bind(end);
      a.call(top);
    })).isEqualTo("eb0b" + "0f85f8ffffff" + "e900000000" + "e8eeffffff");
  }

  @Test
  void shouldUse2ByteDisplacementsIn16BitCode() {
    assertThat(hex(16, 0x7C00, a -> {
      Label top = a.here();
      a.call(top);
      a.jz(top);
    })).isEqualTo("e8fdff" + "0f84f9ff");
  }

  @Test
  void shouldPlaceAddressesOfLabelsInDataAndOperands() {
    assertThat(hex(64, 0x1000, a -> {
      Label data = new Label();
      a.mov(ECX, data);
      a.mov(RAX, data);
      a.mov(EAX, index(RCX, 4, data));
      a.bind(data);
      a.dw(data);
      a.dd(data);
      a.dq(data);
    })).isEqualTo("b916100000" + "48b81610000000000000" + "8b048d16100000" + "1610" + "16100000" + "1610000000000000");
  }

  @Test
  void shouldReachLabelsRelativeToTheEndOfTheInstruction() {
    assertThat(hex(64, 0xFFFFFFFF80000000L, a -> {
      Label data = new Label();
      a.mov(RAX, rip(data));
      a.cmp(rip(data, 4).d(), 0x12345678);
      a.bind(data);
    })).isEqualTo("488b050a000000" + "813d0400000078563412");
  }

  @Test
  void shouldGivePhasedCodeTheAddressesItRunsAt() {
    Assembler a = new Assembler(32);
    Label low = a.here("low");
    Label high = new Label("high");
    a.mov(EAX, high);
    a.phase(0xC0000000L);
    a.bind(high);
    a.jmp(high);
    a.call(low);
    a.dephase();
    a.dd(a.here("after"));
    byte[] image = a.assemble(0x100000);
    assertThat(HexFormat.of().formatHex(image))
        .isEqualTo("b8000000c0" + "e9fbffffff" + "e8f6ff0f40" + "0f001000");
    assertThat(a.symbols(0x100000)).containsExactly(
        Map.entry("low", 0x100000L), Map.entry("high", 0xC0000000L),
        Map.entry("after", 0x10000FL));
    assertThat(a.addressOf(high, 0)).isEqualTo(0xC0000000L);
    assertThat(high.offset()).isEqualTo(5);
  }

  @Test
  void shouldAssembleAgainForAnotherOrigin() {
    Assembler a = new Assembler(64);
    a.dq(a.here());
    assertThat(a.assemble(0x1000)).startsWith(0x00, 0x10);
    assertThat(a.assemble(0x2000)).startsWith(0x00, 0x20);
  }

  @Test
  void shouldMixCodeSizesInOneImage() {
    assertThat(hex(16, 0, a -> {
      a.mov(AX, BX);
      a.bits(32);
      a.mov(AX, BX);
      a.bits(64);
      a.mov(RAX, RBX);
    })).isEqualTo("89d8" + "6689d8" + "4889d8");
  }

  @Test
  void shouldWriteData() {
    assertThat(hex(64, 0, a -> {
      a.db(1, 0xFF, -1);
      a.dw(0x1234);
      a.dd(0xDEADBEEFL);
      a.dq(-2);
      a.ascii("hi");
      a.asciz("!");
      a.space(2);
      a.align(8, 0xCC);
      a.org(0x1A);
    })).isEqualTo("01ffff" + "3412" + "efbeadde" + "feffffffffffffff" + "6869" + "2100" + "0000" + "cc" + "0000");
  }

  @Test
  void shouldWriteTheDistanceBetweenLabels() {
    assertThat(hex(64, 0x5000, a -> {
      Label start = a.here();
      Label end = new Label();
      a.distance(4, end, start);
      a.distance(2, start, end);
      a.bind(end);
    })).isEqualTo("06000000" + "faff");
  }

  @Test
  void shouldPadCodeWithFewNops() {
    assertThat(hex(64, 0, a -> {
      a.nop();
      a.align(16);
    })).isEqualTo("90" + "660f1f840000000000" + "660f1f440000");
    assertThat(hex(16, 0, a -> a.nop(3))).isEqualTo("909090");
  }

  @ParameterizedTest
  @ValueSource(ints = {-128, 127})
  void shouldReachTheEndsOfAShortJump(int distance) {
    assertThat(hex(64, 0x1000, a -> a.jmpShort(Label.absolute(0x1002 + distance))))
        .isEqualTo("eb" + HexFormat.of().toHexDigits((byte) distance));
  }

  @ParameterizedTest
  @ValueSource(ints = {-129, 128})
  void shouldRejectAShortJumpOutOfReach(int distance) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> hex(64, 0x1000, a -> a.jmpShort(Label.absolute(0x1002 + distance))))
        .withMessageContaining("out of reach");
  }

  @Test
  void shouldRejectLabelsThatHaveNoOneAddress() {
    shouldReject(64, "label lost is used but never bound", a -> a.jmp(new Label("lost")));
    shouldReject(64, "label twice is bound already", a -> a.bind(a.here("twice")));
    shouldReject(64, "another assembler", a -> a.jmp(new Assembler(64).here()));
  }

  @Test
  void shouldRejectAddressesThatDoNotFit() {
    Label high = Label.absolute(0xFFFFFFFFC0000000L);
    Label middle = Label.absolute(0xC0000000L);
    assertThat(hex(64, 0, a -> a.mov(EAX, abs(high)))).isEqualTo("8b0425000000c0");
    shouldReject(64, "does not fit 32 bits", a -> a.mov(EAX, abs(middle)));
    shouldReject(64, "does not fit 32 bits", a -> a.push(middle));
    shouldReject(64, "does not fit 32 bits", a -> a.jmp(middle));
    shouldReject(16, "does not fit 16 bits", a -> a.mov(AX, middle));
  }

  @Test
  void shouldRejectOperandsThatNoEncodingHas() {
    shouldReject(64, "unknown size", a -> a.add(ptr(RAX), 1));
    shouldReject(64, "operands of 8 and 4 bytes", a -> a.add(RAX, EBX));
    shouldReject(64, "AH to BH", a -> a.mov(AH, R8B));
    shouldReject(64, "AH to BH", a -> a.mov(SIL, AH));
    shouldReject(64, "AH to BH", a -> a.mov(BH, ptr(R8)));
    shouldReject(32, "32-bit code", a -> a.mov(RAX, RBX));
    shouldReject(32, "32-bit code", a -> a.mov(EAX, R8D));
    shouldReject(32, "32-bit code", a -> a.mov(SIL, AL));
    shouldReject(32, "32-bit code", a -> a.mov(EAX, ptr(RAX)));
    shouldReject(32, "32-bit code", a -> a.mov(EAX, rip(a.here())));
    shouldReject(64, "64-bit code", a -> a.mov(EAX, ptr(BX)));
    shouldReject(16, "16-bit addressing", a -> a.mov(AX, ptr(AX)));
    shouldReject(64, "64-bit code", a -> a.push(EAX));
    shouldReject(64, "64-bit code", a -> a.push(DS));
    shouldReject(64, "64-bit code", Assembler::pusha);
    shouldReject(32, "SYSRETQ: not in 32-bit code", Assembler::sysretq);
    shouldReject(64, "does not fit", a -> a.add(RAX, 0x80000000L));
    shouldReject(64, "does not fit", a -> a.mov(AL, 0x100));
    shouldReject(64, "cannot be an index", a -> a.mov(EAX, ptr(RAX, RSP, 1)));
    shouldReject(64, "scale 3", a -> a.mov(EAX, ptr(RAX, RBX, 3)));
    shouldReject(64, "registers of one size", a -> a.mov(EAX, ptr(RAX, EBX, 1)));
    shouldReject(64, "expected a general-purpose register", a -> a.add(CR0, RAX));
    shouldReject(64, "expected a general-purpose register", a -> a.add(ptr(RAX), ptr(RBX).d()));
    shouldReject(64, "register of 8 bytes", a -> a.mov(CR0, EAX));
    shouldReject(64, "expected CL", a -> a.shl(RAX, DL));
    shouldReject(64, "expected DX", a -> a.in(AL, CX));
    shouldReject(64, "expected 1, 2, 4", a -> a.string(StringOp.INS, 8));
  }
}
