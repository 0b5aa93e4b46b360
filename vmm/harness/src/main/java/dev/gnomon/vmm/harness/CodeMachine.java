package dev.gnomon.vmm.harness;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.decode.InstructionDecoder;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageTableEntry;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import dev.gnomon.vmm.boot.InitialState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The machine of {@link GuestCode}; each schedule begins at the code's first instructions. Every store passes the write
 * seam, because each frame is watched.
 */
final class CodeMachine extends GuestMachine {
  private static final int TABLE_ENTRIES = 512;
  /** Memory types of the PAT that a processor does not cache: UC, WC, UC−. */
  private static final int UC = 0;
  private static final int WC = 1;
  private static final int UC_MINUS = 7;

  final GuestCode code;
  private final HostMemory memory;
  /** Told of code that changes. */
  private final HostMemory.WriteListener decoder;
  /** By processor and offset in its code, null where it was never looked at. */
  private final InstructionClass[][] classes;
  private final InstructionDecoder decode = new InstructionDecoder();
  private final Instruction instruction = new Instruction();
  private final Translation translation = new Translation();
  /** Takes the stores of the processor that runs; null while none runs. */
  private ProcessorStores capturing;

  CodeMachine(GuestCode code, List<Rig.Device> devices) {
    super(new VmBuilder(options(code)), devices);
    this.code = code;
    memory = vm.memory();
    decoder = memory.writeListener();
    classes = new InstructionClass[code.codes().size()][];
    List<InitialState> states = new ArrayList<>();
    InitialState first =
        GuestImages.flat(BootRequest.of("driver", code.image()).withLoadAddress(GuestCode.CODE)
        .withEntry(BootRequest.Entry.LONG)).load(vm.bootMemory());
    for (int i = 0; i < classes.length; i++) {
      classes[i] = new InstructionClass[code.codes().get(i).length];
      states.add(at(first, GuestCode.code(i)));
    }
    markTables(first.cr3(), 4);
    vm.startAll(states);
    markStart();
    for (int frame = 0; frame < memory.dramBytes() >> HostMemory.FRAME_SHIFT; frame++) {
      memory.setFrameFlags(frame, HostMemory.FRAME_WATCHED);
    }
    HostMemory.WriteListener others = memory.writeListener();
    memory.setWriteListener((offset, size) -> {
      others.beforeWrite(offset, size);
      if (capturing != null) {
        capturing.push(offset, size);
      }
    });
  }

  private static VmOptions options(GuestCode code) {
    VmOptions options = VmOptions.of(code.mode()).withMemoryBytes(GuestCode.MEMORY_BYTES);
    int processors = code.codes().size();
    return processors == 1 ? options : options.withPlatform(PlatformOptions.DEFAULT.withMachine(MachineType.PC)
        .withProcessors(new Processors(processors, Processors.DEFAULT_TURN)));
  }

  private static InitialState at(InitialState s, @Gpa long code) {
    return new InitialState(Addresses.bits(code), s.rax(), s.rbx(), s.rdx(), s.rsi(), s.segments(), s.cr0(), s.cr3(),
        s.cr4(), s.efer(), s.gdtrBase(), s.gdtrLimit(), s.idtrLimit());
  }

  /** Sets all A and D flags: processors set them at once and for all to see, which their store buffers would not. */
  private void markTables(@Gpa long table, int level) {
    for (int i = 0; i < TABLE_ENTRIES; i++) {
      @Gpa long at = table + 8L * i;
      long entry = vm.guestMemory().read(at, 8);
      if ((entry & PageTableEntry.P) != 0) {
        vm.guestMemory().write(at, 8, entry | PageTableEntry.A | PageTableEntry.D);
        if (level > 1 && (entry & PageTableEntry.PS) == 0) {
          markTables(PageTableEntry.page(entry, 1), level - 1);
        }
      }
    }
  }

  /** Stores of a processor that wait until others see them. */
  ProcessorStores newStores(int depth) {
    return new ProcessorStores(memory, decoder, depth);
  }

  @Override
  void reset() {
    capturing = null;
    super.reset();
  }

  /** Whether a processor neither sleeps nor waits to be started. */
  boolean isAwake(int processor) {
    return vm.vcpus().get(processor).runnable();
  }

  /** Runs one instruction of a processor, whose stores go to its buffer too. */
  RunResult step(int processor, ProcessorStores stores) {
    capturing = stores;
    RunResult result = vm.runAlone(vm.vcpus().get(processor), 1);
    capturing = null;
    stores.instructionDone();
    return result;
  }

  /** What a processor's next instruction is to the scheduler. */
  InstructionClass next(int processor) {
    Cpu cpu = cpu(processor);
    int at = offset(processor);
    if (at < 0 || cpu.eventPending) {
      return InstructionClass.ACCESS;
    }
    InstructionClass known = classes[processor][at];
    if (known == null) {
      known = decode(processor, at) ? InstructionClass.of(instruction) : InstructionClass.ACCESS;
      classes[processor][at] = known;
    }
    boolean uncached = known == InstructionClass.ACCESS && code.mode() == Mode.NATIVE && decode(processor, at)
        && isUncached(cpu);
    return uncached ? InstructionClass.LOCKED : known;
  }

  private int offset(int processor) {
    long at = cpu(processor).rip - GuestCode.code(processor);
    return at >= 0 && at < classes[processor].length ? (int) at : -1;
  }

  private boolean decode(int processor, int at) {
    byte[] bytes = code.codes().get(processor);
    return decode.decode(bytes, at, bytes.length, cpu(processor).codeMode, instruction) == InstructionDecoder.OK;
  }

  /**
   * Whether the instruction reaches memory that the processor does not cache, or a device. Under EPT and under shadow
   * paging all memory is write-back, as in KVM without devices of the host, and devices exit.
   */
  private boolean isUncached(Cpu cpu) {
    if (InstructionClass.isString(instruction.opcode)) {
      return isUncached(cpu, cpu.regs[Cpu.RSI]) || isUncached(cpu, cpu.regs[Cpu.RDI]);
    }
    if (!instruction.isMemory()) {
      return false;
    }
    long address = instruction.displacement + (instruction.ripRelative ? cpu.rip + instruction.length : 0);
    address += instruction.base < 0 ? 0 : cpu.regs[instruction.base];
    address += instruction.index < 0 ? 0 : cpu.regs[instruction.index] << instruction.scale;
    return isUncached(cpu, address);
  }

  private boolean isUncached(Cpu cpu, @Gva long gva) {
    @Hpa long hpa = cpu.mmu.peek(gva, Access.READ, translation, null);
    if (hpa < 0) {
      return false;
    }
    int offset = memory.offset(hpa);
    int type = translation.memoryType;
    return offset < 0 || type == UC || type == WC || type == UC_MINUS;
  }

  /** The bytes of a processor's next instruction; empty if it is not of the driver's code. */
  byte[] nextBytes(int processor) {
    int at = offset(processor);
    return at >= 0 && decode(processor, at)
        ? Arrays.copyOfRange(code.codes().get(processor), at, at + instruction.length) : new byte[0];
  }
}
