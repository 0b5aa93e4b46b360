package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.cpu.Cpuid;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.boot.BootRequest;
import dev.gnomon.vmm.boot.InitialState;

/**
 * A guest for runs in lockstep: code, what else lies in memory when it starts, and a log of what happened to it. All
 * use the same places:
 * <pre>
 *  100000  code        200000  log: 16 bytes an exception, its error code, vector (4 bytes each) and CR2 (8)
 *  400000  4 MiB of data, every 4K page of which begins with RET
 * </pre>
 */
interface GuestProgram {
  @Gpa long CODE = 0x100000;
  /** Ring 3 has its stack below the log, so that code must end some way before. */
  int MAX_CODE_BYTES = 0xF0000;
  @Gpa long LOG = 0x200000;
  @Gpa long DATA = 0x400000;
  long DATA_BYTES = 0x400000;
  long PAGE = 0x1000;
  /** Eight RET instructions. */
  long RETURNS = 0xC3C3C3C3C3C3C3C3L;

  /** Where initial structures go. */
  interface Poke {
    void write64(@Gpa long gpa, long value);
  }

  /** To be loaded and entered at {@link #CODE}. */
  byte[] code();

  /** Offers what the program wants beside the default processor. */
  default void equip(Cpuid cpuid) {}

  /** Puts the processor into the program's own state instead of the one that {@link #entry} stands for. */
  default InitialState start(InitialState state) {
    return state;
  }

  /** The mode in which the code is entered. */
  BootRequest.Entry entry();

  /** Writes what the program finds in memory when it starts. */
  void poke(Poke memory);

  static void pokeData(Poke memory) {
    for (@Gpa long page = DATA; page < DATA + DATA_BYTES; page += PAGE) {
      memory.write64(page, RETURNS);
    }
  }
}
