package dev.gnomon.workloads.kernel;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.rip;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;

/**
 * Physical memory: 4K frames from the bottom and 2M frames from the top of what the image leaves, each with a count of
 * its users in a table of 32-bit counts by frame number. Freed frames go on a stack of frame numbers and come back last
 * in, first out.
 */
final class FrameAllocator {
  private static final int SHIFT_2M = 21;
  private static final int MAX_FREE_2M = 1024;

  private final GuestKernel k;
  private final Assembler a;
  final Label initialize = new Label("frames_initialize");
  /** A frame with one user and whatever was in it. @return RAX physical; clobbers RCX, RDX */
  final Label allocate = new Label("frame_allocate");
  /** A frame of zeros with one user. @return RAX physical; clobbers RCX, RDX, RDI */
  final Label allocateZeroed = new Label("frame_allocate_zeroed");
  /** RDI: physical address of a frame that has a user less. Clobbers RAX, RCX, RDX. */
  final Label release = new Label("frame_release");
  /** Like {@link #allocate}, 2M. */
  final Label allocate2M = new Label("frame_allocate_2m");
  /** Like {@link #release}, 2M. */
  final Label release2M = new Label("frame_release_2m");
  /** End of the image in memory; bound by the kernel. */
  final Label imageEnd = new Label("image_end");

  /** Linear addresses of the counts and of the free stack. */
  final Label counts;
  private final Label freeFrames;
  private final Label freeCount;
  /** Physical addresses: the next frame never used, and the end of what 4K frames may take. */
  private final Label next;
  private final Label limit;
  private final Label free2M;
  private final Label free2MCount;

  FrameAllocator(GuestKernel k) {
    this.k = k;
    this.a = k.a;
    this.counts = k.variable("frame_counts", 8);
    this.freeFrames = k.variable("free_frames", 8);
    this.freeCount = k.variable("free_count", 8);
    this.next = k.variable("frame_next", 8);
    this.limit = k.variable("frame_limit", 8);
    this.free2M = k.variable("free_2m", 4 * MAX_FREE_2M);
    this.free2MCount = k.variable("free_2m_count", 8);
  }

  void emit() {
    emitInitialize();
    emitAllocate();
    emitAllocateZeroed();
    emitRelease();
    emitAllocate2M();
    emitRelease2M();
  }

  private void emitInitialize() {
    a.bind(initialize);
    a.mov(RAX, rip(k.boot.ramEnd));
    a.mov(RCX, RAX);
    a.shr(RCX, 12 - 2);
    a.and(RAX, -KernelLayout.PAGE_2M);
    a.mov(rip(limit), RAX);
    a.lea(RDX, rip(imageEnd));
    a.sub(RDX, KernelLayout.IMAGE_BASE);
    a.lea(RAX, ptr(R15, RDX, 1));
    a.mov(rip(counts), RAX);
    a.add(RAX, RCX);
    a.mov(rip(freeFrames), RAX);
    a.lea(RDX, ptr(RDX, RCX, 2, KernelLayout.PAGE - 1));
    a.and(RDX, -KernelLayout.PAGE);
    a.mov(rip(next), RDX);
    Label enough = new Label();
    a.cmp(RDX, rip(limit));
    a.jb(enough);
    k.results.panic("too little memory");
    a.bind(enough);
    a.ret();
  }

  private void emitAllocate() {
    Label recycled = new Label();
    Label fresh = new Label();
    Label none = new Label();
    Label done = new Label();
    a.bind(allocate);
    if (k.options.freshFrames()) {
      emitFresh(recycled, done);
      emitRecycled(recycled, none, done);
    } else {
      emitRecycled(recycled, fresh, done);
      a.bind(fresh);
      emitFresh(none, done);
    }
    a.bind(none);
    k.results.panic("out of memory");
    a.bind(done);
    emitCountOne();
    a.ret();
  }

  private void emitRecycled(Label here, Label otherwise, Label done) {
    a.bind(here);
    a.mov(RCX, rip(freeCount));
    a.test(RCX, RCX);
    a.je(otherwise);
    a.dec(RCX);
    a.mov(rip(freeCount), RCX);
    a.mov(RDX, rip(freeFrames));
    a.mov(EAX, ptr(RDX, RCX, 4));
    a.shl(RAX, 12);
    a.jmp(done);
  }

  private void emitFresh(Label otherwise, Label done) {
    a.mov(RAX, rip(next));
    a.lea(RCX, ptr(RAX, KernelLayout.PAGE));
    a.cmp(RCX, rip(limit));
    a.ja(otherwise);
    a.mov(rip(next), RCX);
    a.jmp(done);
  }

  private void emitCountOne() {
    a.mov(RCX, RAX);
    a.shr(RCX, 12);
    a.mov(RDX, rip(counts));
    a.mov(ptr(RDX, RCX, 4).d(), 1);
  }

  private void emitAllocateZeroed() {
    a.bind(allocateZeroed);
    a.call(allocate);
    a.mov(RDX, RAX);
    a.lea(RDI, ptr(R15, RAX, 1));
    a.mov(ECX, KernelLayout.PAGE / 8);
    a.xor(EAX, EAX);
    a.rep().stosq();
    a.mov(RAX, RDX);
    a.ret();
  }

  private void emitRelease() {
    Label shared = new Label();
    a.bind(release);
    a.mov(RAX, RDI);
    a.shr(RAX, 12);
    a.mov(RDX, rip(counts));
    a.dec(ptr(RDX, RAX, 4).d());
    a.jne(shared);
    a.mov(RCX, rip(freeCount));
    a.mov(RDX, rip(freeFrames));
    a.mov(ptr(RDX, RCX, 4), EAX);
    a.inc(rip(freeCount).q());
    a.bind(shared);
    a.ret();
  }

  private void emitAllocate2M() {
    Label fresh = new Label();
    Label enough = new Label();
    Label done = new Label();
    a.bind(allocate2M);
    a.mov(RCX, rip(free2MCount));
    a.test(RCX, RCX);
    a.je(fresh);
    a.dec(RCX);
    a.mov(rip(free2MCount), RCX);
    a.lea(RDX, rip(free2M));
    a.mov(EAX, ptr(RDX, RCX, 4));
    a.shl(RAX, SHIFT_2M);
    a.jmp(done);
    a.bind(fresh);
    a.mov(RAX, rip(limit));
    a.sub(RAX, KernelLayout.PAGE_2M);
    a.cmp(RAX, rip(next));
    a.jae(enough);
    k.results.panic("out of 2M pages");
    a.bind(enough);
    a.mov(rip(limit), RAX);
    a.bind(done);
    emitCountOne();
    a.ret();
  }

  private void emitRelease2M() {
    Label shared = new Label();
    a.bind(release2M);
    a.mov(RAX, RDI);
    a.shr(RAX, 12);
    a.mov(RDX, rip(counts));
    a.dec(ptr(RDX, RAX, 4).d());
    a.jne(shared);
    a.shr(RAX, SHIFT_2M - 12);
    a.mov(RCX, rip(free2MCount));
    a.lea(RDX, rip(free2M));
    a.mov(ptr(RDX, RCX, 4), EAX);
    a.inc(rip(free2MCount).q());
    a.bind(shared);
    a.ret();
  }
}
