package dev.gnomon.bench.cli;

import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Reg.*;

import dev.gnomon.guest.asm.Assembler;
import dev.gnomon.guest.asm.Label;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** Flat 64-bit guests in files, for commands. */
final class TestGuests {
  private static final long CODE = 1 << 20;
  private static final long STACK = 0x90000;

  private TestGuests() {}

  /** The file, and the options by which a command boots it. */
  static String[] arguments(Path directory, String command, Consumer<Assembler> code, String... more) {
    Assembler a = new Assembler(64);
    a.mov(RSP, STACK);
    code.accept(a);
    Path file = directory.resolve("guest.bin");
    try {
      Files.write(file, a.assemble(CODE));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    List<String> arguments = new ArrayList<>(List.of(command));
    arguments.addAll(List.of("--kernel", file.toString(), "--flat", "--entry", "long", "-m", "8M"));
    arguments.addAll(Arrays.asList(more));
    return arguments.toArray(String[]::new);
  }

  /** Prints a line on COM1. */
  static void print(Assembler a, String text) {
    Label string = new Label();
    Label behind = new Label();
    a.jmp(behind);
    a.bind(string);
    a.ascii(text);
    a.bind(behind);
    a.lea(RSI, dev.gnomon.guest.asm.Mem.rip(string));
    a.mov(ECX, text.length());
    a.mov(DX, 0x3F8);
    a.rep().outsb();
  }

  /** Ends the run with a value at the debug-exit port. */
  static void exit(Assembler a, int value) {
    a.mov(AL, value);
    a.out(0xF4, AL);
  }

  /** A bit of everything that costs: memory over 1 MiB, ports, CPUID, a CR3 load and video memory, then success. */
  static void mixed(Assembler a) {
    a.mov(RDI, 0x200000);
    a.mov(ECX, 256);
    Label touch = a.here();
    a.mov(ptr(RDI), RCX);
    a.add(RDI, 4096);
    a.dec(ECX);
    a.jne(touch);
    a.xor(EAX, EAX);
    a.cpuid();
    a.mov(RAX, CR3);
    a.mov(CR3, RAX);
    a.mov(RDI, 0xB8000);
    a.mov(ptr(RDI).w(), 0x0741);
    a.in(AL, 0x80);
    exit(a, 0);
  }
}
