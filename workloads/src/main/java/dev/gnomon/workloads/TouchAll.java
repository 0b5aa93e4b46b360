package dev.gnomon.workloads;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.workloads.kernel.GuestKernel;
import dev.gnomon.workloads.kernel.KernelLayout;
import dev.gnomon.workloads.kernel.KernelOptions;
import dev.gnomon.workloads.kernel.Program;
import dev.gnomon.workloads.kernel.UserCode;
import java.util.List;

/**
 * First touch of every page of a heap: nothing but page faults, zeroing and the construction of page tables. Each page is checked to be zero. The
 * result is the number of pages whose mark is found again afterwards.
 */
final class TouchAll implements Workload {
  /** What the second pass adds for each page that holds its mark. */
  private static final int MARK = 0x5A;

  @Override
  public String name() {
    return "touchall";
  }

  @Override
  public String description() {
    return "first touch of every page of a heap: page faults and page-table construction";
  }

  @Override
  public List<Parameter> parameters() {
    return List.of(
        Parameter.size("size", 8 << 20, 1 << 12, 1 << 30, "size of the heap"),
        PageSize.parameter());
  }

  @Override
  public GuestProgram build(Parameters values) {
    PageSize page = PageSize.of(values);
    long size = page.roundUp(values.number("size"));
    long expected = size / page.bytes;
    GuestKernel.Image image =
        GuestKernel.build(name(), KernelOptions.defaults(), expected, Program.user(code -> emit(code, size, page)));
    return GuestProgram.of(this, values, image, expected, MachineMemory.forFrames(size));
  }

  private static void emit(UserCode code, long size, PageSize page) {
    Assembler a = code.a;
    code.map(KernelLayout.USER_HEAP, size, page.areaFlags());
    code.checkCall();
    code.regionBegin();
    Label loop = new Label();
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, size / page.bytes);
    a.bind(loop);
    a.add(ptr(RDX).q(), MARK);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(loop);
    code.regionEnd();
    Label check = new Label();
    Label lost = new Label();
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, size / page.bytes);
    a.xor(EBX, EBX);
    a.bind(check);
    a.cmp(ptr(RDX).q(), MARK);
    a.jne(lost);
    a.inc(RBX);
    a.bind(lost);
    a.add(RDX, page.bytes);
    a.dec(ECX);
    a.jne(check);
  }

  /** Reads and writes back a byte of each page of the heap, so that all of it is mapped; clobbers RCX and RDX. */
  static void emitTouch(Assembler a, long size, int pageBytes) {
    a.mov(RDX, KernelLayout.USER_HEAP);
    a.mov(ECX, size / pageBytes);
    Label loop = a.here();
    a.add(ptr(RDX).b(), 0);
    a.add(RDX, pageBytes);
    a.dec(ECX);
    a.jne(loop);
  }
}
