package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;

/**
 * Emits a program that runs in user mode. System calls lose RAX, RCX and R11, and RDI, RSI, RDX as far as they are
 * arguments.
 */
public final class UserCode {
  public final Assembler a;

  UserCode(Assembler a) {
    this.a = a;
  }

  /** A system call whose arguments are in place. */
  public void call(SystemCall call) {
    a.mov(EAX, call.ordinal());
    a.syscall();
  }

  /** @param flags of {@link Areas} */
  public void map(long address, long length, int flags) {
    range(address, length);
    a.mov(EDX, flags);
    call(SystemCall.MMAP);
  }

  public void unmap(long address, long length) {
    range(address, length);
    call(SystemCall.MUNMAP);
  }

  public void protect(long address, long length, boolean writable) {
    range(address, length);
    a.mov(EDX, writable ? 1 : 0);
    call(SystemCall.MPROTECT);
  }

  private void range(long address, long length) {
    a.mov(RDI, address);
    a.mov(RSI, length);
  }

  /** Starts the measured region. */
  public void regionBegin() {
    a.mov(EDI, GuestPorts.REGION_BEGIN);
    call(SystemCall.REGION);
  }

  /** Ends the measured region. */
  public void regionEnd() {
    a.mov(EDI, GuestPorts.REGION_END);
    call(SystemCall.REGION);
  }

  public void exit(int code) {
    a.mov(EDI, code);
    call(SystemCall.EXIT);
  }

  /** Ends the program with a code other than 0 if RAX is negative, the sign of a failed call. */
  public void checkCall() {
    Label fine = new Label();
    a.test(RAX, RAX);
    a.jns(fine);
    exit(Results.NO_RESULT);
    a.bind(fine);
  }
}
