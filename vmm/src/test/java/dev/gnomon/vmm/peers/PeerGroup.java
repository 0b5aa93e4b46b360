package dev.gnomon.vmm.peers;

import java.util.List;
import java.util.function.IntFunction;

/**
 * Cases that share a ROM.
 *
 * @param cases names, in the ROM's order
 * @param fields names of the words of a case's line
 * @param bochs the processor model that Bochs takes
 * @param qemu the program that runs it on QEMU
 * @param rom what runs the cases from one on
 */
record PeerGroup(List<String> cases, List<String> fields, String bochs, String qemu, IntFunction<byte[]> rom) {
  private static final String LONG_BOCHS = "corei7_skylake_x";
  private static final String LONG_QEMU = "qemu-system-x86_64";

  /** Cases that begin in 32-bit protected mode. */
  static PeerGroup of(List<PeerCase> cases) {
    List<String> names = cases.stream().map(PeerCase::name).toList();
    return new PeerGroup(names, PeerRom.FIELDS, "bx_generic", "qemu-system-i386", first -> PeerRom.of(cases, first));
  }

  /** Cases that begin in 32-bit protected mode of a processor with IA-32e mode. */
  static PeerGroup ofModes(List<PeerCase> cases) {
    PeerGroup group = of(cases);
    return new PeerGroup(group.cases, group.fields, LONG_BOCHS, LONG_QEMU, group.rom);
  }

  /** Cases that begin in 64-bit mode. */
  static PeerGroup ofLong(List<LongCase> cases) {
    List<String> names = cases.stream().map(LongCase::name).toList();
    return new PeerGroup(names, LongRom.FIELDS, LONG_BOCHS, LONG_QEMU,
        first -> LongRom.of(cases, first));
  }
}
