package dev.gnomon.guest.exec;

import dev.gnomon.guest.decode.CodeCache;
import dev.gnomon.guest.memory.HostMemory;

/**
 * Hears of writes to decoded code, whoever writes: drops the blocks, and tells the processor that runs if they were its
 * own.
 */
final class CodeWrites implements HostMemory.WriteListener {
  final CodeCache cache;
  /** Memory port of the processor that ran last. */
  LinearMemory running;

  CodeWrites(CodeCache cache) {
    this.cache = cache;
  }

  @Override
  public void beforeWrite(int offset, int size) {
    cache.beforeWrite(offset, size);
    running.codeChanged |= cache.currentChanged;
  }
}
