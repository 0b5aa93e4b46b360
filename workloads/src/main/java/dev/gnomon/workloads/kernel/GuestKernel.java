package dev.gnomon.workloads.kernel;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.ElfImage;
import dev.gnomon.guest.asm.Label;
import dev.gnomon.guest.asm.Mem;
import dev.gnomon.guest.asm.Reg;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Builds one guest: the kernel with a program in it, as a multiboot1 image of class ELF32. Equal arguments give equal
 * bytes.
 *
 * <p>The guest runs the program, prints one line ({@code NAME: result 0x... ok} or {@code WRONG, expected 0x...}) on
 * the debug console and the first serial port, and writes its status to the debug-exit port: 0 for the expected result,
 * {@link Results#WRONG_RESULT} for another, {@link Results#PANIC} if the kernel gave up.
 */
public final class GuestKernel {
  /** The image's bytes with the addresses of its named labels, in order of address. */
  public record Image(byte[] bytes, Map<String, Long> symbols) {}

  private record Variable(Label label, int bytes) {}

  final Assembler a = new Assembler(32);
  final KernelOptions options;
  final String name;
  private final List<Variable> variables = new ArrayList<>();
  private final List<Variable> pages = new ArrayList<>();

  final Console console = new Console(this);
  final EntryCode entry = new EntryCode(this);
  final FrameAllocator frames = new FrameAllocator(this);
  final PageTables tables = new PageTables(this);
  final Areas areas = new Areas(this);
  final AddressSpaces spaces = new AddressSpaces(this);
  final Unmapping unmapping = new Unmapping(this);
  final Isolation isolation = new Isolation(this);
  final ForkCopy forkCopy = new ForkCopy(this);
  final PageFaults faults = new PageFaults(this);
  final Processes processes = new Processes(this);
  final SystemCalls calls = new SystemCalls(this);
  final Traps traps = new Traps(this);
  final Timer timer = new Timer(this);
  final Results results;
  final BootCode boot = new BootCode(this);

  private GuestKernel(String name, KernelOptions options, long expected) {
    this.name = name;
    this.options = options;
    this.results = new Results(this, expected);
  }

  /**
   * Builds an image.
   *
   * @param name the program's name, printed before its result
   * @param expected the right result
   * @param program what runs
   */
  public static Image build(String name, KernelOptions options, long expected, Program program) {
    GuestKernel kernel = new GuestKernel(name, options, expected);
    return kernel.assemble(program);
  }

  private Image assemble(Program program) {
    boot.emitEntry();
    a.align(KernelLayout.PAGE, 0);
    entry.emit();
    a.align(KernelLayout.PAGE, 0);
    entry.emitData();
    a.align(KernelLayout.PAGE, 0);
    boolean user = program instanceof Program.User;
    boot.emitStart(user ? processes.startFirst : boot.main);
    console.emit();
    frames.emit();
    tables.emit();
    areas.emit();
    spaces.emit();
    unmapping.emit();
    if (options.isolation()) {
      isolation.emit();
    }
    forkCopy.emit();
    faults.emit();
    processes.emit(user);
    calls.emit();
    traps.emit();
    timer.emit();
    results.emit();
    emitProgram(program);
    results.emitStrings();
    int fileEnd = a.offset();
    emitVariables();
    if (a.offset() > KernelLayout.IMAGE_LIMIT) {
      throw new IllegalArgumentException(
          name + ": kernel image of " + a.offset() + " bytes, expected at most " + KernelLayout.IMAGE_LIMIT);
    }
    long origin = KernelLayout.IMAGE_BASE + KernelLayout.LOAD_ADDRESS;
    byte[] image = a.assemble(origin);
    byte[] file = ElfImage.elf32(KernelLayout.LOAD_ADDRESS + boot.entry.offset())
        .segment(KernelLayout.LOAD_ADDRESS, KernelLayout.LOAD_ADDRESS,
            ElfImage.READ | ElfImage.WRITE | ElfImage.EXECUTE, Arrays.copyOf(image, fileEnd), image.length)
        .toBytes();
    return new Image(file, new LinkedHashMap<>(a.symbols(origin)));
  }

  private void emitProgram(Program program) {
    if (program instanceof Program.User user) {
      a.align(KernelLayout.PAGE, 0);
      a.bind(processes.userText);
      a.phase(KernelLayout.USER_TEXT);
      UserCode code = new UserCode(a);
      user.code().accept(code);
      a.mov(Reg.RDI, Reg.RBX);
      code.call(SystemCall.REPORT);
      code.exit(0);
      a.dephase();
      a.align(KernelLayout.PAGE, 0);
      a.bind(processes.userTextEnd);
    } else if (program instanceof Program.Kernel inKernel) {
      a.bind(boot.main);
      KernelModeCode code = new KernelModeCode(this);
      code.emitStart();
      inKernel.code().accept(code);
      a.mov(Reg.RDI, Reg.RBX);
      a.call(results.report);
      a.xor(Reg.EDI, Reg.EDI);
      a.jmp(results.finish);
    }
  }

  /** A variable of the kernel, zero at the start. */
  Label variable(String label, int bytes) {
    Variable variable = new Variable(new Label(label), bytes);
    variables.add(variable);
    return variable.label;
  }

  /** Whole pages of the kernel's own, zero at the start. */
  Label pages(String label, int count) {
    Variable variable = new Variable(new Label(label), count * KernelLayout.PAGE);
    pages.add(variable);
    return variable.label;
  }

  /** An operand in the image by its physical address, for code that runs before the image's linear addresses exist. */
  static Mem physical(Label label, long offset) {
    return new Mem(0, null, null, null, 1, offset - KernelLayout.IMAGE_BASE, label, false);
  }

  /** Linear address of a place in the image that is bound already. */
  static long address(Label bound) {
    return KernelLayout.IMAGE_BASE + KernelLayout.LOAD_ADDRESS + bound.offset();
  }

  private void emitVariables() {
    a.align(KernelLayout.PAGE, 0);
    for (Variable page : pages) {
      a.bind(page.label);
      a.space(page.bytes);
    }
    for (Variable variable : variables) {
      a.align(8, 0);
      a.bind(variable.label);
      a.space(variable.bytes);
    }
    a.align(KernelLayout.PAGE, 0);
    a.bind(frames.imageEnd);
  }
}
