package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * The ports of a keyboard controller that is not there, 60h and 64h. They read all ones, as a bus that nothing drives.
 *
 * <p>All ones is what software takes for absence. Linux's i8042 driver drains 16 bytes, still sees output buffer full,
 * and gives up with "No controller found" after 33 reads; a status of 0 would look like a controller that never answers
 * and cost half a virtual second of timeout. Linux's real-mode A20 code looks for FFh by name. memtest86+ takes bit 0
 * for a key, reads the code FFh and drops it as unknown, which costs one read more a poll than 0 would and shows
 * nothing. What breaks is code that waits for input buffer empty without a limit; such a guest needs a real controller.
 *
 * <p>One command works, because PCs without a keyboard controller have it in their chipset: an output pulse with bit 0
 * low (FEh and its like at 64h) asks for a reset.
 */
public final class I8042Absent implements PortDevice {
  private static final int VERSION = 1;
  private static final int PORT_DATA = 0x60;
  private static final int PORT_COMMAND = 0x64;
  private static final int NOTHING_THERE = 0xFF;
  /** Commands F0h to FFh pulse the output lines whose bits are 0; line 0 is the processor's reset. */
  private static final int COMMAND_PULSE = 0xF0;
  private static final int PULSE_NO_RESET = 1 << 0;

  private final ResetRequest reset;

  /** @param reset told of reset commands */
  public I8042Absent(ResetRequest reset) {
    this.reset = reset;
  }

  @Override
  public String name() {
    return "i8042";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(new PortRange(PORT_DATA, 1), new PortRange(PORT_COMMAND, 1));
  }

  @Override
  public void reset() {
  }

  @Override
  public int in(int port, int size, long nowNs) {
    return NOTHING_THERE;
  }

  @Override
  public int peek(int port, int size) {
    return NOTHING_THERE;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    if (port == PORT_COMMAND && (value & (COMMAND_PULSE | PULSE_NO_RESET)) == COMMAND_PULSE) {
      reset.reset(ResetRequest.Source.KEYBOARD_CONTROLLER);
    }
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
  }
}
