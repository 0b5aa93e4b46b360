package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.decode.InstructionDecoder;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.boot.InitialState;
import dev.gnomon.vmm.device.PortDevice;
import dev.gnomon.vmm.device.PortRange;
import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.io.DataInput;
import java.io.DataOutput;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;

/**
 * A machine with a real guest, built once and reset for each schedule by restoring the pages that were written. Every store passes the write seam,
 * because each frame is watched.
 */
final class GuestMachine {
  /** What an instruction is to the scheduler. */
  static final int PRIVATE = 0;
  /** It can touch memory that others see. */
  static final int ACCESS = 1;
  /** It waits for the store buffer to be empty: LOCK, XCHG, fences, serialising instructions, I/O (SDM vol. 3A, "Memory Ordering"). */
  static final int DRAIN = 2;
  static final int PAUSE = 3;
  private static final int UNKNOWN = -1;

  /** The windows of a device, without it: the harness lets the device itself run. */
  private record Reservation(String name, List<Window> windows) implements PolledDevice {
    @Override
    public void attach(DeviceContext context) {}

    @Override
    public Poll step(DmaPort memory, VirtualClock clock) {
      return Poll.SLEEP;
    }
  }

  /** The harness's own ports. */
  private final class Ports implements PortDevice {
    @Override
    public String name() {
      return "harness";
    }

    @Override
    public List<PortRange> ports() {
      return List.of(new PortRange(GuestCode.DOORBELL_PORT, GuestCode.END_PORT + 4 - GuestCode.DOORBELL_PORT));
    }

    @Override
    public int portWidth() {
      return 4;
    }

    @Override
    public void reset() {}

    @Override
    public int in(int port, int size, long nowNs) {
      return 0;
    }

    @Override
    public int peek(int port, int size) {
      return 0;
    }

    @Override
    public void out(int port, int size, int value, long nowNs) {
      if (port == GuestCode.BEGIN_PORT) {
        begin.accept(value & 0xFFFF_FFFFL);
      } else if (port == GuestCode.END_PORT) {
        end.accept(value & 0xFFFF_FFFFL);
      } else {
        doorbell.accept((port - GuestCode.DOORBELL_PORT) / 4);
      }
    }

    @Override
    public void save(DataOutput out) {}

    @Override
    public void load(DataInput in) {}
  }

  final GuestCode code;
  final List<Window> windows;
  final Vm vm;
  private final HostMemory memory;
  private final InitialState start;
  private final boolean[] dirty;
  private final byte[][] pristine;
  private final int[] classes;
  private final InstructionDecoder decoder = new InstructionDecoder();
  private final Instruction instruction = new Instruction();

  IntConsumer doorbell;
  LongConsumer begin;
  LongConsumer end;
  /** Null unless the processor has a store buffer and runs. */
  InvertedBuffer buffer;
  Runnable flushHead;
  /** A store has happened since it was cleared. */
  boolean wrote;
  private long exits;

  GuestMachine(GuestCode code, List<Rig.Device> devices, List<Window> windows) {
    this.code = code;
    this.windows = windows;
    VmBuilder builder = new VmBuilder(VmOptions.of(code.mode()).withMemoryBytes(GuestCode.MEMORY_BYTES)).device(new Ports());
    for (Rig.Device device : devices) {
      builder.polled(DeviceSetup.polled(() -> new Reservation(device.name(), device.windows()), PollPolicy.never()));
    }
    vm = builder.build();
    memory = vm.memory();
    start = GuestImages.flat(BootRequest.of("driver", code.bytes()).withLoadAddress(GuestCode.CODE).withEntry(BootRequest.Entry.LONG))
        .load(vm.bootMemory());
    dirty = new boolean[memory.frames()];
    pristine = new byte[memory.frames()][];
    classes = new int[code.bytes().length];
    Arrays.fill(classes, UNKNOWN);
    for (int frame = 0; frame < memory.dramBytes() >> HostMemory.FRAME_SHIFT; frame++) {
      memory.setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    HostMemory.WriteListener processor = memory.writeListener();
    memory.setWriteListener((offset, size) -> {
      processor.beforeWrite(offset, size);
      beforeWrite(offset, size);
    });
  }

  private void beforeWrite(int offset, int size) {
    int frame = offset >>> HostMemory.FRAME_SHIFT;
    if (frame < dirty.length && !dirty[frame] && offset < memory.dramBytes()) {
      dirty[frame] = true;
      if (pristine[frame] == null) {
        pristine[frame] = new byte[HostMemory.FRAME_SIZE];
        memory.readBytes(memory.hpa(frame << HostMemory.FRAME_SHIFT), pristine[frame], 0, HostMemory.FRAME_SIZE);
      }
    }
    wrote = true;
    if (buffer != null) {
      for (int done = 0; done < size; done += Long.BYTES) {
        if (buffer.isFull()) {
          flushHead.run();
        }
        int bytes = Math.min(Long.BYTES, size - done);
        buffer.push(offset + done, bytes, load(offset + done, bytes));
      }
    }
  }

  private long load(int offset, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (memory.get8(offset + i) & 0xFFL) << 8 * i;
    }
    return value;
  }

  /** As it was before the first schedule. */
  void reset() {
    buffer = null;
    for (int frame = 0; frame < dirty.length; frame++) {
      if (dirty[frame]) {
        dirty[frame] = false;
        memory.writeBytes(memory.hpa(frame << HostMemory.FRAME_SHIFT), pristine[frame], 0, HostMemory.FRAME_SIZE);
        dirty[frame] = false;
      }
    }
    vm.platform().bus().reset();
    if (vm.shadow() != null) {
      vm.shadow().zapAll();
    }
    vm.cpu().retired = 0;
    vm.cpu().skippedNs = 0;
    vm.start(start);
    exits = vm.exits().total();
  }

  /** Exits in the schedule so far. */
  long exits() {
    return vm.exits().total() - exits;
  }

  /** Runs one instruction. */
  RunResult step() {
    return vm.run(1);
  }

  /** What the next instruction is to the scheduler. */
  int next() {
    Cpu cpu = vm.cpu();
    long at = cpu.rip - GuestCode.CODE;
    if (at < 0 || at >= classes.length || cpu.eventPending) {
      return ACCESS;
    }
    if (classes[(int) at] == UNKNOWN) {
      classes[(int) at] = decoder.decode(code.bytes(), (int) at, code.bytes().length, cpu.codeMode, instruction) == InstructionDecoder.OK
          ? classify(instruction) : ACCESS;
    }
    return classes[(int) at];
  }

  /** Bytes of the next instruction, 0 if it is not of the driver's code. */
  int length() {
    int at = (int) (vm.cpu().rip - GuestCode.CODE);
    return at >= 0 && at < classes.length && decoder.decode(code.bytes(), at, code.bytes().length, vm.cpu().codeMode, instruction)
        == InstructionDecoder.OK ? instruction.length : 0;
  }

  private static int classify(Instruction i) {
    int opcode = i.opcode;
    if (opcode == 0x90 && i.rep == 0xF3) {
      return PAUSE;
    }
    boolean io = opcode >= 0xE4 && opcode <= 0xE7 || opcode >= 0xEC && opcode <= 0xEF || opcode >= 0x6C && opcode <= 0x6F;
    boolean exchange = (opcode == 0x86 || opcode == 0x87) && i.isMemory();
    boolean fence = opcode == 0x1AE && !i.isMemory() && (i.group() == 6 || i.group() == 7);
    boolean system = opcode == 0xF4 || opcode == 0xCF || opcode == 0xCC || opcode == 0xCD || opcode >= 0x100 && opcode <= 0x101
        || opcode >= 0x120 && opcode <= 0x123 || opcode == 0x130 || opcode == 0x1A2;
    if (i.lock || io || exchange || fence || system) {
      return DRAIN;
    }
    boolean string = opcode >= 0xA4 && opcode <= 0xAF && opcode != 0xA8 && opcode != 0xA9;
    boolean offset = opcode >= 0xA0 && opcode <= 0xA3;
    return i.isMemory() && opcode != 0x8D && (opcode & 0x3F8) != 0x118 || string || offset ? ACCESS : PRIVATE;
  }
}
