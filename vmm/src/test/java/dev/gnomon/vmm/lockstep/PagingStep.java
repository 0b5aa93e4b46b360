package dev.gnomon.vmm.lockstep;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Gva;
import java.util.List;

/** What one step of a {@link PagingProgram} does, for whoever judges what came of it. */
sealed interface PagingStep {
  /** One store to a table. @param size in bytes, 4 or 8 */
  record Store(@Gpa long gpa, int size, long value) {
    @Override
    public String toString() {
      return "%x.%d := %x".formatted(gpa, size, value);
    }
  }

  enum AccessKind { READ, WRITE, ADD, CALL }

  /** Stores that change one table entry. */
  record Edit(List<Store> stores) implements PagingStep {}

  /**
   * One access through the tables.
   *
   * @param value what is written or added
   * @param override with EFLAGS.AC set
   */
  record Access(AccessKind kind, @Gva long gva, long value, boolean user, boolean override) implements PagingStep {
    @Override
    public String toString() {
      return "%s %x by %s%s, value %x".formatted(kind, gva, user ? "user" : "supervisor",
          override ? " with AC" : "", value);
    }
  }

  /** MOV to CR3. */
  record LoadRoot(@Gpa long root) implements PagingStep {}

  /** A change of WP, SMEP, SMAP or NXE. */
  record Toggle() implements PagingStep {}

  /** INVLPG. */
  record Invalidate(@Gva long gva) implements PagingStep {}

  /** A change of CR4.PGE and back, and MOV to CR3. */
  record FlushAll() implements PagingStep {}

  /** An access in compatibility mode; not in unsynchronised programs. */
  record CompatibilityAccess() implements PagingStep {}
}
