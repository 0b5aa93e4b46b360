package example;

import dev.gnomon.vmm.polled.DeviceContext;
import dev.gnomon.vmm.polled.Poll;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.VirtualClock;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.dma.DmaPort;
import java.util.List;

/**
 * Doubles a number: the guest writes it and its request's number, and waits until the device has written that number
 * too.
 */
public final class Mailbox implements PolledDevice {
  public static final int SUBMITTED = 0x00;
  public static final int NUMBER = 0x04;
  public static final int COMPLETED = 0x40;
  public static final int DOUBLED = 0x44;
  public static final int ASLEEP = 0x80;

  private DeviceContext context;
  private long page;
  private int completed;

  @Override
  public String name() {
    return "mailbox";
  }

  @Override
  public List<Window> windows() {
    return List.of(Window.anywhere(4096));
  }

  @Override
  public void attach(DeviceContext given) {
    context = given;
    page = given.window(0).gpa();
  }

  @Override
  public Poll step(DmaPort memory, VirtualClock clock) {
    if (memory.poll32(page + SUBMITTED) == completed) {
      memory.put32(page + ASLEEP, 1);
      memory.fence();
      if (memory.poll32(page + SUBMITTED) == completed) {
        return Poll.SLEEP;
      }
    }
    memory.put32(page + ASLEEP, 0);
    int submitted = memory.poll32(page + SUBMITTED);
    memory.put32(page + DOUBLED, 2 * memory.u32(page + NUMBER));
    memory.put32(page + COMPLETED, submitted);
    completed = submitted;
    context.completed(submitted);
    return Poll.BUSY;
  }

  @Override
  public void restart(DmaPort memory) {
    completed = memory.u32(page + COMPLETED);
  }

  @Override
  public void reset() {
    completed = 0;
  }
}
