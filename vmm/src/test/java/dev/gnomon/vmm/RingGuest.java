package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.vmm.polled.device.SharedRing;

/** Guest code that drives a {@link SharedRing}: RDI is its window, EBX how many requests it has published. */
final class RingGuest {
  private RingGuest() {}

  /** Publishes the next request: an operation with 16 bytes at {@link Machines#DATA}. Changes EAX. */
  static void publish(Assembler a, int operation) {
    a.mov(EAX, EBX);
    a.and(EAX, SharedRing.ENTRIES - 1);
    a.shl(EAX, 5);
    a.add(RAX, RDI);
    a.mov(ptr(RAX, SharedRing.ENTRY_0 + SharedRing.ID), RBX);
    a.mov(ptr(RAX, SharedRing.ENTRY_0 + SharedRing.ADDRESS).q(), (int) Machines.DATA);
    a.mov(ptr(RAX, SharedRing.ENTRY_0 + SharedRing.LENGTH).d(), 16);
    a.mov(ptr(RAX, SharedRing.ENTRY_0 + SharedRing.OPERATION).d(), operation);
    a.inc(EBX);
    a.mov(ptr(RDI, SharedRing.PRODUCER), EBX);
  }

  /** Wakes the device if it sleeps. Changes DX. */
  static void wake(Assembler a, int doorbell) {
    Label awake = new Label();
    a.mfence();
    a.test(ptr(RDI, SharedRing.DEVICE_FLAGS).d(), SharedRing.ASLEEP);
    a.jz(awake);
    a.mov(DX, doorbell);
    a.out(DX, EAX);
    a.bind(awake);
  }

  /** Waits until all requests are answered. */
  static void await(Assembler a) {
    Label wait = a.here();
    a.pause();
    a.cmp(ptr(RDI, SharedRing.CONSUMER), EBX);
    a.jne(wait);
  }
}
