package dev.gnomon.vmm.peers;

import static dev.gnomon.guest.asm.Reg.*;
import static dev.gnomon.vmm.peers.PeerLayout.COMPARED_END;
import static dev.gnomon.vmm.peers.PeerLayout.DATA0;
import static dev.gnomon.vmm.peers.PeerLayout.DATA3;
import static dev.gnomon.vmm.peers.PeerLayout.DONE;
import static dev.gnomon.vmm.peers.PeerLayout.GDT;
import static dev.gnomon.vmm.peers.PeerLayout.HAND_OVER;
import static dev.gnomon.vmm.peers.PeerLayout.PROGRAM;
import static dev.gnomon.vmm.peers.PeerLayout.TASK;
import static dev.gnomon.vmm.peers.PeerLayout.USER;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import dev.gnomon.guest.cpu.Rflags;
import java.util.List;
import java.util.function.Consumer;

/**
 * A ROM for the reset vector that runs cases one after another and writes to port E9h, for each, a line of what a
 * program can see at its end: the event that ended it with its frame, registers, and what changed in the descriptor
 * tables and task-state segments. Here is what does not depend on the mode but for the size of a word.
 *
 * @param <A> what cases are written with
 */
abstract sealed class CaseRom<A extends CaseAssembler> permits PeerRom, LongRom {
  private static final int DEBUG_PORT = 0xE9;
  private static final int EXIT_PORT = 0xF4;
  /** Bochs ends when the word "Shutdown" comes here. */
  private static final int BOCHS_SHUTDOWN_PORT = 0x8900;
  /** In place of an error code where there is none. */
  private static final int NO_ERROR_CODE = 0xEEEE_EEEE;
  /** Variables behind the fields of a line, by number. */
  private static final int NEXT = 64;
  private static final int RETURN = 65;

  final Assembler a = new Assembler(32);
  final Label common = new Label("common");
  final Label finish = new Label("finish");
  /** Handlers by vector. */
  final Label[] stubs = new Label[256];
  private final Label reset = new Label("reset");
  private final Label template = new Label("template");
  private final Label hex = new Label("hex");
  private final Label end = new Label("end");
  private final int word;
  private final List<String> fields;
  private final int variables;
  private final int stack0;
  private final int templateBytes;

  /**
   * @param word bytes of a general register, 4 or 8
   * @param fields names of the words of a line, in its order
   * @param variables address of the engine's
   * @param stack0 top of the stack of ring 0
   * @param restoredEnd end of what a case finds as {@link #template} has it, from {@link PeerLayout#GDT} on
   */
  CaseRom(int word, List<String> fields, int variables, int stack0, int restoredEnd) {
    this.word = word;
    this.fields = fields;
    this.variables = variables;
    this.stack0 = stack0;
    this.templateBytes = restoredEnd - GDT;
  }

  /** Writes everything that cases use. */
  abstract A engine();

  /** What lies from {@link PeerLayout#GDT} on before each case. */
  abstract byte[] template();

  /** Puts an address into a variable. */
  abstract void store(Mem variable, Label address);

  /** A ROM of whole blocks of 64 KiB. @param first number of the first case */
  final byte[] build(List<Consumer<A>> cases, int first) {
    Label main = new Label("main");
    a.jmp(main);
    A writer = engine();
    a.bind(main);
    maskInterrupts();
    Label start = new Label();
    a.jmp(start);
    Label next = new Label();
    for (int i = 0; i < cases.size(); i++) {
      a.bind(next);
      if (i == first) {
        a.bind(start);
      }
      next = new Label();
      a.call(reset);
      a.mov(variable("case"), i);
      store(variable(NEXT), next);
      cases.get(i).accept(writer);
      writer.finish();
    }
    a.bind(next);
    a.jmp(end);
    a.align(4);
    a.bind(template);
    a.emit(template());
    return PeerImage.of(a.assemble(PROGRAM));
  }

  /** Masks both interrupt controllers. */
  private void maskInterrupts() {
    a.mov(AL, 0xFF);
    a.out(0x21, AL);
    a.out(0xA1, AL);
  }

  final Mem variable(String field) {
    return variable(fields.indexOf(field));
  }

  private Mem variable(int number) {
    return Mem.abs(variables + (long) word * number).sized(word);
  }

  static String name(Reg register) {
    return register.name().toLowerCase();
  }

  /** Handlers of exceptions and of the vectors of cases: each goes on at {@link #common}, its vector on the stack. */
  final void stubs() {
    for (int vector = 0; vector < 32; vector++) {
      stub(vector, vector == 8 || vector >= 10 && vector <= 14 || vector == 17);
    }
    stub(USER, false);
    stub(DONE, false);
  }

  private void stub(int vector, boolean errorCode) {
    stubs[vector] = a.here();
    if (!errorCode) {
      a.push(NO_ERROR_CODE);
    }
    a.push(vector);
    a.jmp(common);
  }

  /** Saves what the handler runs with, and goes on at {@link #finish} in ring 0. */
  final void handOver() {
    if (word == 8) {
      a.pushfq();
    } else {
      a.pushfd();
    }
    a.pop(variable("hflags"));
    Reg pointer = ESP.as(word);
    a.mov(variable("h" + name(pointer)), pointer);
    a.mov(EAX, SS);
    a.mov(variable("hss"), EAX.as(word));
    a.mov(EAX, CS);
    a.mov(variable("hcs"), EAX.as(word));
    a.test(AL, 3);
    a.jz(finish);
    a.interrupt(HAND_OVER);
  }

  /** Begins {@link #finish}: a stack of ring 0, task and LDT, control and debug registers. */
  final void saveSystem(Reg... registers) {
    a.bind(finish);
    a.mov(EAX, DATA0);
    a.mov(SS, AX);
    a.mov(ESP, stack0);
    a.xor(EAX, EAX);
    a.str(AX);
    a.mov(variable("tr"), EAX.as(word));
    a.sldt(AX);
    a.mov(variable("ldtr"), EAX.as(word));
    for (Reg register : registers) {
      a.mov(EAX.as(word), register);
      a.mov(variable(name(register)), EAX.as(word));
    }
  }

  /** Writes the line and goes on with the next case. */
  final void report() {
    a.mov(AL, '#');
    a.out(DEBUG_PORT, AL);
    a.mov(ESI, variables);
    a.mov(EDI, fields.size());
    Label field = a.here();
    if (word == 8) {
      a.lodsq();
    } else {
      a.lodsd();
    }
    a.call(hex);
    a.dec(EDI);
    a.jnz(field);
    // What changed of the tables: address=value.
    a.mov(ESI, GDT);
    a.mov(EDI, template);
    a.mov(ECX, (COMPARED_END - GDT) / 4);
    Label compare = a.here();
    Label same = new Label();
    a.repe().cmpsd();
    a.jz(same);
    Mem changed = Mem.ptr(ESI.as(word), -4);
    a.push(ECX.as(word));
    a.lea(EAX.as(word), changed);
    a.call(hex);
    a.mov(EAX, changed);
    a.call(hex);
    a.pop(ECX.as(word));
    if (word == 8) {
      a.jrcxz(same);
    } else {
      a.jecxz(same);
    }
    a.jmp(compare);
    a.bind(same);
    a.mov(AL, '\n');
    a.out(DEBUG_PORT, AL);
    a.jmp(variable(NEXT));
  }

  /**
   * A routine that writes a word in EAX or RAX with a blank behind it, without leading zeros; changes RAX, RCX, RDX.
   */
  final void printHex() {
    a.bind(hex);
    Reg copy = EDX.as(word);
    a.mov(copy, EAX.as(word));
    a.mov(ECX, 2 * word);
    Label skip = a.here();
    a.rol(copy, 4);
    a.test(DL, 0xF);
    Label digits = new Label();
    a.jnz(digits);
    a.dec(ECX);
    a.jnz(skip);
    a.inc(ECX);
    a.bind(digits);
    Label digit = a.here();
    a.mov(AL, DL);
    a.and(AL, 0xF);
    a.add(AL, '0');
    a.cmp(AL, '9');
    Label decimal = new Label();
    a.jbe(decimal);
    a.add(AL, 'a' - '9' - 1);
    a.bind(decimal);
    a.out(DEBUG_PORT, AL);
    a.rol(copy, 4);
    a.dec(ECX);
    a.jnz(digit);
    a.mov(AL, ' ');
    a.out(DEBUG_PORT, AL);
    a.ret();
  }

  /** Ends the machine, whichever it is. */
  final void end() {
    a.bind(end);
    a.mov(AL, 0);
    a.out(EXIT_PORT, AL);
    a.mov(EDX, BOCHS_SHUTDOWN_PORT);
    for (char c : "Shutdown".toCharArray()) {
      a.mov(AL, c);
      a.out(DX, AL);
    }
    Label halt = a.here();
    a.cli();
    a.hlt();
    a.jmp(halt);
  }

  /** Six registers from the stack, then the end of the case. @param size bytes of each */
  final void popAndDone(int size) {
    for (Reg register : new Reg[] {EAX, EBX, ECX, EDX, ESI, EDI}) {
      a.pop(register.as(size));
    }
    a.interrupt(DONE);
  }

  /** Restores the tables. */
  final void copyTemplate() {
    a.mov(ESI, template);
    a.mov(EDI, GDT);
    a.mov(ECX, templateBytes / 4);
    a.rep().movsd();
  }

  /** Begins the routine before each case: the memory that it finds. @param tops of stacks, above which pops read */
  final void resetMemory(int... tops) {
    a.bind(reset);
    a.pop(variable(RETURN));
    copyTemplate();
    a.mov(EDI, variables);
    a.xor(EAX, EAX);
    a.mov(ECX, fields.size());
    clear();
    for (int top : tops) {
      a.mov(EDI, top);
      a.mov(ECX, 8);
      clear();
    }
  }

  private void clear() {
    a.rep();
    if (word == 8) {
      a.stosq();
    } else {
      a.stosd();
    }
  }

  /** The task, segments and flags that a case finds. */
  final void resetSegments() {
    a.mov(Mem.abs(GDT + TASK + 5).b(), 0x89);
    a.mov(EAX, TASK);
    a.ltr(AX);
    a.mov(EAX, DATA3);
    a.mov(DS, AX);
    a.mov(ES, AX);
    a.mov(EAX, DATA0);
    a.mov(FS, AX);
    a.mov(SS, AX);
    a.mov(ESP, stack0);
    a.xor(EAX, EAX);
    a.mov(GS, AX);
    a.push(Rflags.FIXED);
    if (word == 8) {
      a.popfq();
    } else {
      a.popfd();
    }
  }

  /** Ends the routine before each case. */
  final void resetDone() {
    a.jmp(variable(RETURN));
  }
}
