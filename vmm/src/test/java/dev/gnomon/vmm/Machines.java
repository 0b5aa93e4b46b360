package dev.gnomon.vmm;

import static dev.gnomon.guest.asm.Reg.AL;
import static dev.gnomon.guest.asm.Reg.RSP;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.GuestImages;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/** Small guests for tests: 64-bit code at 1 MiB, the first 4 GiB mapped to themselves, a stack below 90000h. */
final class Machines {
  static final long MIB = 1 << 20;
  static final long CODE = MIB;
  static final long STACK = 0x90000;
  /** Memory that guests may use as they like. */
  static final long DATA = 0x200000;

  private Machines() {}

  static VmOptions options(Mode mode) {
    VmOptions options = VmOptions.of(mode).withMemoryBytes(8 * MIB);
    return options.withShadow(options.shadow().withAudit(true));
  }

  static Vm boot(VmOptions options, Consumer<Assembler> code) {
    return boot(new VmBuilder(options).build(), code);
  }

  static Vm boot(Vm vm, Consumer<Assembler> code) {
    Assembler a = new Assembler(64);
    a.mov(RSP, STACK);
    code.accept(a);
    return boot(vm, a.assemble(CODE), BootRequest.Entry.LONG);
  }

  static Vm boot(Vm vm, byte[] code, BootRequest.Entry entry) {
    vm.boot(GuestImages.flat(BootRequest.of("test", code).withLoadAddress(CODE).withEntry(entry)));
    return vm;
  }

  /** Ends the run with an exit status of {@code 2 * value + 1}. */
  static void exit(Assembler a, int value) {
    a.mov(AL, value);
    a.out(0xF4, AL);
  }

  /** Everything that the guest could know of the processor, and the time. */
  static String state(Cpu cpu) {
    return RegisterDump.of(cpu) + "\nretired=" + cpu.retired + " skipped=" + cpu.skippedNs;
  }

  /** Checksum of all guest memory. */
  static long memory(Vm vm) {
    CRC32C sum = new CRC32C();
    for (long gpa = 0; gpa < vm.options().memoryBytes(); gpa += 4096) {
      sum.update(vm.guestMemory().covers(gpa, 4096) ? vm.guestMemory().read(gpa, 4096, 4096) : new byte[1]);
    }
    return sum.getValue();
  }
}
