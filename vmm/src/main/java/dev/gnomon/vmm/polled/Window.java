package dev.gnomon.vmm.polled;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;

/**
 * Memory that a device shares with the guest: reserved in E820, mapped in advance, exempt from dirty logging. Its
 * contents are zero when the device is attached and untrusted by both sides afterwards.
 *
 * @param gpa first guest-physical address, a multiple of 4096; {@link #ANYWHERE} until the machine has placed it
 * @param bytes a positive multiple of 4096
 * @param guestWritable whether the guest may write it; the device always may
 */
public record Window(@Gpa long gpa, long bytes, boolean guestWritable) {
  /** The machine chooses the place: behind all memory, at a 2-MiB boundary of its own. */
  public static final @Gpa long ANYWHERE = -1L;

  private static final long PAGE = HostMemory.FRAME_SIZE;

  public Window {
    if (bytes <= 0 || (bytes & PAGE - 1) != 0) {
      throw new IllegalArgumentException("window of " + bytes + " bytes: expected a positive multiple of 4096");
    }
    if (gpa != ANYWHERE && (gpa < 0 || (gpa & PAGE - 1) != 0)) {
      throw new IllegalArgumentException("window at guest-physical 0x" + Long.toHexString(gpa)
          + ": expected a multiple of 4096");
    }
  }

  /** A window at a given place that both sides write. */
  public static Window at(@Gpa long gpa, long bytes) {
    return new Window(gpa, bytes, true);
  }

  /** A window that both sides write, wherever the machine has room. */
  public static Window anywhere(long bytes) {
    return new Window(ANYWHERE, bytes, true);
  }

  /** This window for a guest that may only read it. */
  public Window readOnly() {
    return new Window(gpa, bytes, false);
  }

  /** Whether the machine chooses its place. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean isUnplaced() {
    return gpa == ANYWHERE;
  }

  /** This window at a place. */
  public Window placed(@Gpa long at) {
    return new Window(at, bytes, guestWritable);
  }

  /** First guest-physical address behind the window. */
  public @Gpa long end() {
    return gpa + bytes;
  }

  /** Whether an address lies in the window. */
  @SuppressWarnings("subtyping") // The comparison of addresses is no address.
  public boolean contains(@Gpa long address) {
    return address >= gpa && address - gpa < bytes;
  }
}
