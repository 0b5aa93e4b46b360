package dev.gnomon.vmm.peers;

import java.util.function.Consumer;

/**
 * One case: code that starts in ring 0 with flat segments, no paging, and known registers, and ends in whatever event
 * it meets.
 *
 * @param name of the case, unique in its group
 */
record PeerCase(String name, Consumer<PeerAssembler> body) {}
