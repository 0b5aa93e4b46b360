package dev.gnomon.vmm.peers;

import java.util.function.Consumer;

/**
 * One case: code that starts in 64-bit mode, in ring 0, with known registers, and ends in whatever event it meets.
 *
 * @param name of the case, unique in its group
 */
record LongCase(String name, Consumer<LongAssembler> body) {}
