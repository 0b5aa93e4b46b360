package dev.gnomon.vmm.polled.device;

import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.RegisterFile;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.List;

/**
 * A clock that the guest reads from a page without an exit, as the pvclock of KVM and Xen:
 * <pre>
 *  00 sequence (32)  odd while the device writes the rest
 *  08 nanoseconds (64)  virtual time of the last update
 *  10 TSC (64)          the guest's time-stamp counter at that time
 * </pre>
 * A guest reads {@code sequence} until it is even, reads the rest, and begins again if {@code sequence} is another by
 * then. The time between updates it adds by RDTSC, one tick a nanosecond. The guest cannot write the page.
 */
public final class TimerPage extends OneWindowDevice {
  public static final int SEQUENCE = 0x00;
  public static final int NANOSECONDS = 0x08;
  public static final int TSC = 0x10;
  /** Bytes of the register file. */
  public static final int SIZE = 0x18;

  /** A clock at a place that the machine chooses. */
  public TimerPage() {
    this("timer-page", Window.anywhere(4096));
  }

  /** @param window where it lies, 4096 bytes */
  public TimerPage(String name, Window window) {
    super(name, window.readOnly());
  }

  @Override
  public RegisterFile registers() {
    return new RegisterFile(SIZE, List.of(), List.of(), true);
  }

  /** The sequence number lies in the page alone, which the guest cannot write: so a restart has nothing to recover. */
  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    int sequence = memory.u32(base + SEQUENCE) & ~1;
    memory.put32(base + SEQUENCE, sequence + 1);
    memory.put64(base + NANOSECONDS, clock.nanos());
    memory.put64(base + TSC, clock.tsc());
    memory.put32(base + SEQUENCE, sequence + 2);
    return Poll.IDLE;
  }
}
