package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;

/** Output to the debug console at port E9 and the 16550 at 3F8, 115200 baud, 8N1. */
final class Console {
  private static final int DEBUG_CONSOLE = 0xE9;
  private static final int UART = 0x3F8;
  private static final int UART_IER = UART + 1;
  private static final int UART_FCR = UART + 2;
  private static final int UART_LCR = UART + 3;
  private static final int UART_MCR = UART + 4;
  private static final int UART_LSR = UART + 5;
  private static final int LCR_DLAB = 0x80;
  private static final int LCR_8N1 = 0x03;
  private static final int FCR_ENABLE = 0x01;
  private static final int MCR_DTR_RTS = 0x03;
  private static final int LSR_THR_EMPTY = 0x20;
  /** So that a machine whose UART never gets ready cannot hold the guest. */
  private static final int MAX_WAIT = 10_000;

  private final Assembler a;
  final Label initialize = new Label("console_initialize");
  private final Label putCharacter = new Label("console_put_character");
  /** RDI: linear address of a zero-terminated string. */
  final Label putString = new Label("console_put_string");
  /** RDI: value, printed as 0x and sixteen digits. */
  final Label putHex = new Label("console_put_hex");

  Console(GuestKernel k) {
    this.a = k.a;
  }

  void emit() {
    emitInitialize();
    emitPutCharacter();
    emitPutString();
    emitPutHex();
  }

  private void emitInitialize() {
    a.bind(initialize);
    out(UART_IER, 0);
    out(UART_LCR, LCR_DLAB);
    out(UART, 1);
    out(UART_IER, 0);
    out(UART_LCR, LCR_8N1);
    out(UART_FCR, FCR_ENABLE);
    out(UART_MCR, MCR_DTR_RTS);
    a.ret();
  }

  private void out(int port, int value) {
    a.mov(EDX, port);
    a.mov(AL, value);
    a.out(DX, AL);
  }

  /** Prints the character in DIL; clobbers RAX, RCX, RDX. */
  private void emitPutCharacter() {
    Label wait = new Label();
    Label ready = new Label();
    a.bind(putCharacter);
    a.mov(EAX, EDI);
    a.out(DEBUG_CONSOLE, AL);
    a.mov(EDX, UART_LSR);
    a.mov(ECX, MAX_WAIT);
    a.bind(wait);
    a.in(AL, DX);
    a.test(AL, LSR_THR_EMPTY);
    a.jne(ready);
    a.dec(ECX);
    a.jne(wait);
    a.bind(ready);
    a.mov(EDX, UART);
    a.mov(EAX, EDI);
    a.out(DX, AL);
    a.ret();
  }

  private void emitPutString() {
    Label loop = new Label();
    Label done = new Label();
    a.bind(putString);
    a.push(RBX);
    a.mov(RBX, RDI);
    a.bind(loop);
    a.movzx(EDI, ptr(RBX).b());
    a.test(EDI, EDI);
    a.je(done);
    a.call(putCharacter);
    a.inc(RBX);
    a.jmp(loop);
    a.bind(done);
    a.pop(RBX);
    a.ret();
  }

  private void emitPutHex() {
    Label loop = new Label();
    Label digit = new Label();
    a.bind(putHex);
    a.push(RBX);
    a.push(R12);
    a.mov(RBX, RDI);
    a.mov(R12D, 16);
    a.mov(EDI, '0');
    a.call(putCharacter);
    a.mov(EDI, 'x');
    a.call(putCharacter);
    a.bind(loop);
    a.rol(RBX, 4);
    a.mov(EDI, EBX);
    a.and(EDI, 0xF);
    a.add(EDI, '0');
    a.cmp(EDI, '9');
    a.jbe(digit);
    a.add(EDI, 'a' - '9' - 1);
    a.bind(digit);
    a.call(putCharacter);
    a.dec(R12D);
    a.jne(loop);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }
}
