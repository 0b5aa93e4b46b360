package dev.gnomon.guest.oracle;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Cond;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Vector;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Code that changes while it runs: what is stored is what runs next (SDM vol. 3A, "Handling Self- and Cross-Modifying
 * Code").
 */
class SelfModifyingCodeTest {
  private static final long CODE = 0x40_0000;
  /** The same frames as {@link #CODE}. */
  private static final long ALIAS = 0x80_0000;
  private static final long STACK = 0x60_0000;
  private static final long CODE_FRAME = 0x4000;
  private static final long SPARE_FRAME = 0x8000;
  private static final long STACK_FRAME = 0x9000;
  private static final int PAGE = 0x1000;
  private static final long BUDGET = 100_000_000;
  /** First byte of MOV r32, imm32; the immediate follows. */
  private static final int IMMEDIATE = 1;
  private static final int NOP = 0x90;

  private UserMachine machine;

  private void build(int limit) {
    machine = new UserMachine(16 * PAGE, limit);
    for (int page = 0; page < 2; page++) {
      machine.pages.map(CODE + page * PAGE, CODE_FRAME + page * PAGE, PageMap.WRITE | PageMap.EXECUTE);
      machine.pages.map(ALIAS + page * PAGE, CODE_FRAME + page * PAGE, PageMap.WRITE | PageMap.EXECUTE);
    }
    machine.pages.map(STACK, STACK_FRAME, PageMap.WRITE);
    machine.cpu.regs[Cpu.RSP] = STACK + PAGE - 64;
  }

  private void load(int offset, Assembler asm) {
    byte[] code = asm.assemble(CODE + offset);
    machine.memory.writeBytes(CODE_FRAME + offset, code, 0, code.length);
  }

  /** Runs a program from an address to its INT3. */
  private void run(long from) {
    machine.cpu.rip = from;
    int reason = machine.processor.run(machine.cpu.retired + BUDGET);
    assertThat(ExitReason.name(reason)).isEqualTo("EXCEPTION_NMI");
    assertThat(machine.cpu.exit.interruptionInfo & 0xFF).as("vector at %x", machine.cpu.rip).isEqualTo(Vector.BP);
  }

  private void run(int limit, Consumer<Assembler> program) {
    build(limit);
    Assembler asm = new Assembler(64);
    program.accept(asm);
    asm.int3();
    load(0, asm);
    run(CODE);
  }

  private long rax() {
    return machine.cpu.regs[Cpu.RAX];
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldRunInstructionThatTheOneBeforeItStored(int limit) {
    run(limit, asm -> {
      Label target = new Label("target");
      asm.mov(rip(target, IMMEDIATE).d(), 7);
      asm.bind(target);
      asm.mov(EAX, 0x1111_1111);
    });
    assertThat(rax()).isEqualTo(7);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldRunWhatEachRoundOfALoopStored(int limit) {
    run(limit, asm -> {
      Label target = new Label("target");
      asm.xor(EAX, EAX);
      asm.mov(ECX, 100);
      Label again = asm.here();
      asm.inc(rip(target, IMMEDIATE).d());
      asm.bind(target);
      asm.mov(EDX, 0x1000_0000);
      asm.add(EAX, EDX);
      asm.dec(ECX);
      asm.jcc(Cond.NE, again);
    });
    assertThat(rax()).isEqualTo(100 * 0x1000_0000L + 5050 & 0xFFFF_FFFFL);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeStoreToBlockThatIsLinked(int limit) {
    run(limit, asm -> {
      Label far = new Label("far");
      Label back = new Label("back");
      Label end = new Label("end");
      asm.xor(EAX, EAX);
      asm.mov(ECX, 5);
      Label again = asm.here();
      asm.jmp(far);
      asm.align(64);
      asm.bind(back);
      asm.inc(rip(far, IMMEDIATE).b());
      asm.loop(again);
      asm.jmp(end);
      asm.align(256);
      asm.bind(far);
      asm.mov(EDX, 1);
      asm.add(EAX, EDX);
      asm.jmp(back);
      asm.bind(end);
    });
    assertThat(rax()).isEqualTo(1 + 2 + 3 + 4 + 5);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeStoreThroughAnotherAddressOfTheSameFrame(int limit) {
    run(limit, asm -> {
      Label target = new Label("target");
      asm.movabs(RBX, target);
      asm.add(RBX, (int) (ALIAS - CODE));
      asm.mov(ESI, 0);
      asm.mov(ECX, 3);
      Label again = asm.here();
      asm.inc(ptr(RBX, IMMEDIATE).d());
      asm.bind(target);
      asm.mov(EAX, 40);
      asm.add(ESI, EAX);
      asm.loop(again);
    });
    assertThat(machine.cpu.regs[Cpu.RSI]).isEqualTo(41 + 42 + 43);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 64})
  void shouldNoticeStoreToPageThatWasWritableBeforeItHeldCode(int limit) {
    build(limit);
    Assembler callee = new Assembler(64);
    callee.mov(EAX, 1);
    callee.ret();
    Assembler asm = new Assembler(64);
    // A store makes the page's alias quickly writable; then the page is decoded under its other address; then comes the
    // store that counts.
    asm.mov(EBX, ALIAS + PAGE);
    asm.mov(EDI, CODE + PAGE);
    asm.mov(ptr(RBX, 0x800).d(), 5);
    asm.call(RDI);
    asm.mov(ptr(RBX, IMMEDIATE).b(), 2);
    asm.call(RDI);
    asm.int3();
    load(0, asm);
    load(PAGE, callee);
    run(CODE);
    assertThat(rax()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeStoreThatCrossesIntoAnotherPageOfCode(int limit) {
    build(limit);
    Assembler asm = new Assembler(64);
    asm.xor(EAX, EAX);
    asm.mov(EBX, CODE + PAGE);
    asm.call(RBX);
    // The last two bytes of the store are the two low bytes of the immediate behind the opcode at the page's start.
    asm.mov(ptr(RBX, -1).d(), 0x0807_B890);
    asm.call(RBX);
    asm.int3();
    load(0, asm);
    Assembler next = new Assembler(64);
    next.mov(EAX, 0x0605_0403);
    next.ret();
    load(PAGE, next);
    run(CODE);
    assertThat(rax()).isEqualTo(0x0605_0807);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeRepeatedStoresOverWhatFollows(int limit) {
    run(limit, asm -> {
      Label target = new Label("target");
      asm.movabs(RDI, target);
      asm.mov(EAX, NOP);
      asm.mov(ECX, 5);
      asm.rep().stosb();
      asm.bind(target);
      asm.mov(EAX, 0x1111_1111);
    });
    assertThat(rax()).isEqualTo(NOP);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeRepeatedMovesOverWhatFollows(int limit) {
    run(limit, asm -> {
      Label source = new Label("source");
      Label target = new Label("target");
      asm.movabs(RSI, source);
      asm.movabs(RDI, target);
      asm.mov(ECX, 5);
      asm.rep().movsb();
      asm.bind(target);
      asm.mov(EAX, 1);
      asm.int3();
      asm.bind(source);
      asm.mov(EAX, 2);
    });
    assertThat(rax()).isEqualTo(2);
  }

  /** As processors do: the first iteration makes a NOP of the prefix, so that the next is one STOSB without it. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldStopRepeatedStoresThatOverwriteThemselves(int limit) {
    run(limit, asm -> {
      Label self = new Label("self");
      asm.movabs(RDI, self);
      asm.mov(EAX, NOP);
      asm.mov(ECX, 40);
      asm.bind(self);
      asm.rep().stosb();
    });
    assertThat(machine.cpu.regs[Cpu.RCX]).isEqualTo(39);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeStoresOfEveryKindOfInstruction(int limit) {
    // Each writes the byte 5 to the immediate of MOV EAX, 1 behind it, whose address is in RBX.
    assertSees(limit, 5, asm -> asm.mov(ptr(RBX).b(), 5));
    assertSees(limit, 5, asm -> asm.mov(ptr(RBX), CL));
    assertSees(limit, 5, asm -> asm.xchg(ptr(RBX), CL));
    assertSees(limit, 6, asm -> asm.add(ptr(RBX), CL));
    assertSees(limit, 6, asm -> asm.lock().add(ptr(RBX), CL));
    assertSees(limit, 6, asm -> asm.lock().xadd(ptr(RBX), CL));
    assertSees(limit, 5, asm -> asm.lock().bts(ptr(RBX).d(), 2));
    assertSees(limit, 2, asm -> asm.shl(ptr(RBX).b(), 1));
    assertSees(limit, 1, asm -> asm.set(Cond.NE, ptr(RBX).b()));
    assertSees(limit, 5, asm -> {
      asm.lea(RDI, ptr(RBX));
      asm.mov(EAX, ECX);
      asm.stosb();
    });
    assertSees(limit, 5, asm -> {
      asm.mov(EAX, 1);
      asm.lock().cmpxchg(ptr(RBX), CL);
    });
    assertSees(limit, 5, asm -> {
      // The INT3 behind the immediate is pushed over itself.
      asm.movabs(RCX, (long) OracleLayout.INT3 << 32 | 5);
      asm.lea(RSP, ptr(RBX, 8));
      asm.push(RCX);
    });
    assertSees(limit, 5, asm -> {
      asm.mov(EAX, 1);
      asm.mov(EDX, ptr(RBX, 4));
      asm.mov(RSI, RBX);
      asm.mov(RBX, RCX);
      asm.mov(ECX, EDX);
      asm.lock().cmpxchg8b(ptr(RSI));
    });
  }

  private void assertSees(int limit, long expected, Consumer<Assembler> writer) {
    run(limit, asm -> {
      Label target = new Label("target");
      asm.movabs(RBX, target);
      asm.add(RBX, IMMEDIATE);
      asm.mov(ECX, 5);
      writer.accept(asm);
      asm.bind(target);
      asm.mov(EAX, 1);
      asm.int3();
      asm.space(3);
    });
    assertThat(rax() & 0xFF).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldFetchSecondPageOfACrossingInstructionAnewOnceItIsRemapped(int limit) {
    build(limit);
    Assembler asm = new Assembler(64);
    asm.mov(EAX, 0x0101_0101);
    asm.int3();
    load(PAGE - 2, asm);
    byte[] other = {2, 2, 2, (byte) OracleLayout.INT3};
    machine.memory.writeBytes(SPARE_FRAME, other, 0, other.length);
    run(CODE + PAGE - 2);
    assertThat(rax()).isEqualTo(0x0101_0101);
    machine.pages.map(CODE + PAGE, SPARE_FRAME, PageMap.EXECUTE);
    machine.cpu.mmu.invlpg(CODE + PAGE);
    run(CODE + PAGE - 2);
    assertThat(rax()).isEqualTo(0x0202_0201);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeStoreToEitherPageOfACrossingInstruction(int limit) {
    build(limit);
    Assembler crossing = new Assembler(64);
    crossing.mov(EAX, 0x0101_0101);
    crossing.ret();
    load(PAGE - 2, crossing);
    Assembler asm = new Assembler(64);
    asm.mov(EBX, CODE + PAGE - 2);
    asm.call(RBX);
    asm.mov(abs(ALIAS + PAGE).b(), 9);
    asm.call(RBX);
    asm.mov(ESI, EAX);
    asm.mov(abs(CODE + PAGE - 1).b(), 8);
    asm.call(RBX);
    asm.int3();
    load(0, asm);
    run(CODE);
    assertThat(machine.cpu.regs[Cpu.RSI]).isEqualTo(0x0101_0901);
    assertThat(rax()).isEqualTo(0x0101_0908);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeACrossingInstructionThatStoresToItsOwnSecondPage(int limit) {
    build(limit);
    Assembler asm = new Assembler(64);
    Label again = asm.here();
    // MOV DWORD [abs], imm32 of 11 bytes, all but three of them in the second page: it stores a new immediate into
    // itself.
    asm.mov(abs(CODE + PAGE + 4).d(), 0x0202_0202);
    asm.mov(EAX, abs(CODE + PAGE + 4));
    asm.loop(again);
    asm.int3();
    load(PAGE - 3, asm);
    machine.cpu.regs[Cpu.RCX] = 2;
    run(CODE + PAGE - 3);
    assertThat(rax()).isEqualTo(0x0202_0202);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldFetchAnewOnceAPageIsRemapped(int limit) {
    build(limit);
    Assembler asm = new Assembler(64);
    asm.mov(EAX, 1);
    asm.int3();
    load(0, asm);
    byte[] code = asm.assemble(CODE);
    code[IMMEDIATE] = 2;
    machine.memory.writeBytes(SPARE_FRAME, code, 0, code.length);
    run(CODE);
    machine.pages.map(CODE, SPARE_FRAME, PageMap.EXECUTE);
    machine.cpu.mmu.invlpg(CODE);
    run(CODE);
    assertThat(rax()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 64})
  void shouldSeeWritesOfTheHypervisorAndOfDevices(int limit) {
    run(limit, asm -> asm.mov(EAX, 1));
    machine.memory.write(CODE_FRAME + IMMEDIATE, 1, 3);
    run(CODE);
    assertThat(rax()).isEqualTo(3);
  }

  /** Each round decodes anew, so that the room for decoded code runs out. */
  @ParameterizedTest
  @ValueSource(ints = {1, 64})
  void shouldGoOnWhenDecodedCodeIsDroppedForLackOfRoom(int limit) {
    int rounds = 80_000;
    run(limit, asm -> {
      Label target = new Label("target");
      asm.xor(ESI, ESI);
      asm.mov(ECX, rounds);
      Label again = asm.here();
      asm.mov(rip(target, IMMEDIATE), ECX);
      asm.bind(target);
      asm.mov(EAX, 0x1111_1111);
      asm.add(RSI, RAX);
      asm.dec(ECX);
      asm.jcc(Cond.NE, again);
    });
    assertThat(machine.cpu.regs[Cpu.RSI]).isEqualTo((long) rounds * (rounds + 1) / 2);
    assertThat(machine.processor.codeCache().flushes).isGreaterThan(1);
  }
}
