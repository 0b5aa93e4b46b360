package dev.gnomon.vmm.device;

import java.util.ArrayList;
import java.util.List;

/**
 * The gate before the processor's address line 20 (IBM PS/2, port 92h; PS/2 keyboard controller, output port): while it
 * is closed, bit 20 of every physical address that the processor uses is 0, so that the second megabyte shows the
 * first. Devices' own accesses to memory do not pass it. Open after a reset, as in QEMU and Bochs, whose firmware would
 * open it anyway; and as there port 92h and the keyboard controller act on one gate, so that the last write decides.
 */
public final class AddressLine20 {
  /** Bit 20 of an address. */
  public static final long BIT = 1L << 20;

  private boolean open = true;
  private final List<Runnable> changed = new ArrayList<>();

  /** Whom to tell when the gate opens or closes; told at an instruction that accesses a port. */
  public void onChange(Runnable listener) {
    changed.add(listener);
  }

  public boolean open() {
    return open;
  }

  /** Bits of a physical address that pass. */
  public long mask() {
    return open ? -1L : ~BIT;
  }

  public void set(boolean opened) {
    if (opened != open) {
      open = opened;
      changed.forEach(Runnable::run);
    }
  }
}
