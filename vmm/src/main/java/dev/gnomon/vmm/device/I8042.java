package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.I8042Bits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * The PC's keyboard controller at 60h and 64h with a keyboard that takes commands, on IRQ 1 (IBM PS/2 Hardware
 * Interface Technical Reference).
 *
 * <p>Commands take no time, so the input buffer is always empty. There is no auxiliary port: its test reports a stuck
 * clock, and what is written for it comes back without the mark of the auxiliary device. Output port and
 * commands DDh and DFh drive {@link AddressLine20}. Nobody presses a key; {@link #type} puts scan codes in as if
 * somebody did.
 */
public final class I8042 implements PortDevice {
  /** The IRQ of the keyboard. */
  public static final int IRQ = 1;

  private static final int FORMAT = 1;
  private static final int PORT_DATA = 0x60;
  private static final int PORT_COMMAND = 0x64;
  private static final int NONE = -1;
  private static final int RAM_BYTES = 32;
  private static final int DEFAULT_SCAN_CODES = 2;

  private final InterruptLine irq;
  private final ResetRequest request;
  private final AddressLine20 line;
  private final ByteQueue answers = new ByteQueue();
  private final ByteQueue keys = new ByteQueue();
  private final byte[] ram = new byte[RAM_BYTES];
  private int outputPort;
  /** The byte in the output buffer, NONE if it is empty, and the last one there was. */
  private int output;
  private int last;
  /** Command of controller or keyboard that waits for its byte at 60h, NONE if none does. */
  private int command;
  private int keyboardCommand;
  private boolean lastWasCommand;
  private int scanCodes;
  private boolean scanning;

  /**
   * A controller as firmware leaves it: tested, translating, with the keyboard's interrupt enabled.
   *
   * @param irq the wire to IRQ 1
   * @param request told of reset commands
   */
  public I8042(InterruptLine irq, ResetRequest request) {
    this(irq, request, new AddressLine20());
  }

  /** The same before a gate. */
  public I8042(InterruptLine irq, ResetRequest request, AddressLine20 line) {
    this.line = line;
    this.irq = irq;
    this.request = request;
    reset();
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
    answers.clear();
    keys.clear();
    Arrays.fill(ram, (byte) 0);
    ram[0] = KEYBOARD_INTERRUPT | SYSTEM | AUX_DISABLED | TRANSLATE;
    outputPort = OUTPUT_RESET | OUTPUT_A20;
    line.set(true);
    output = NONE;
    last = 0;
    command = NONE;
    keyboardCommand = NONE;
    lastWasCommand = false;
    scanCodes = DEFAULT_SCAN_CODES;
    scanning = true;
    irq.set(false);
  }

  /**
   * Bytes that the keyboard sends, already in the form in which the guest reads them; dropped while it does not scan.
   */
  public void type(int... codes) {
    for (int code : codes) {
      if (scanning) {
        keys.add(code);
      }
    }
    fill();
  }

  private boolean has(int commandBit) {
    return (ram[0] & commandBit) != 0;
  }

  /** Moves the next byte into the empty output buffer, the controller's own first. */
  private void fill() {
    if (output == NONE) {
      if (!answers.isEmpty()) {
        output = answers.take();
      } else if (!keys.isEmpty() && !has(KEYBOARD_DISABLED)) {
        output = keys.take();
      }
    }
    irq.set(output != NONE && has(KEYBOARD_INTERRUPT));
  }

  @Override
  public int in(int port, int size, long nowNs) {
    int value = peek(port, size);
    if (port == PORT_DATA && output != NONE) {
      last = output;
      output = NONE;
      // The line falls between two bytes, so that each is an edge.
      irq.set(false);
      fill();
    }
    return value;
  }

  @Override
  public int peek(int port, int size) {
    if (port == PORT_DATA) {
      return output == NONE ? last : output;
    }
    return (output != NONE ? STATUS_OBF : 0) | (has(SYSTEM) ? STATUS_SYS : 0) | (lastWasCommand ? STATUS_CMD : 0)
        | STATUS_KEYL;
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    lastWasCommand = port == PORT_COMMAND;
    if (port == PORT_COMMAND) {
      command(value & 0xFF);
    } else if (command != NONE) {
      int waiting = command;
      command = NONE;
      finish(waiting, value & 0xFF);
    } else {
      ram[0] &= ~KEYBOARD_DISABLED;
      keyboard(value & 0xFF);
    }
    fill();
  }

  private void command(int value) {
    command = NONE;
    if (value >= PULSE) {
      if ((value & OUTPUT_RESET) == 0) {
        request.reset(ResetRequest.Source.KEYBOARD_CONTROLLER);
      }
      return;
    }
    switch (value) {
      case SELF_TEST -> {
        ram[0] |= SYSTEM;
        answers.add(SELF_TEST_PASSED);
      }
      case KEYBOARD_TEST -> answers.add(TEST_PASSED);
      case AUX_TEST -> answers.add(TEST_CLOCK_HIGH);
      case DISABLE_KEYBOARD -> ram[0] |= KEYBOARD_DISABLED;
      case ENABLE_KEYBOARD -> ram[0] &= ~KEYBOARD_DISABLED;
      case READ_INPUT -> answers.add(INPUT_NOT_LOCKED);
      case READ_OUTPUT -> answers.add(outputPort | (output != NONE ? OUTPUT_OBF : 0));
      case DISABLE_A20, ENABLE_A20 -> gate(outputPort & ~OUTPUT_A20 | (value == ENABLE_A20 ? OUTPUT_A20 : 0));
      case WRITE_OUTPUT, WRITE_KEYBOARD_BUFFER, WRITE_AUX_BUFFER, WRITE_AUX -> command = value;
      default -> {
        if (value >= READ_RAM && value < READ_RAM + RAM_BYTES) {
          answers.add(ram[value & RAM] & 0xFF);
        } else if (value >= WRITE_RAM && value < WRITE_RAM + RAM_BYTES) {
          command = value;
        }
      }
    }
  }

  private void gate(int port) {
    outputPort = port;
    line.set((port & OUTPUT_A20) != 0);
  }

  /** The byte that a command waited for. */
  private void finish(int waiting, int value) {
    switch (waiting) {
      case WRITE_OUTPUT -> {
        gate(value & (OUTPUT_RESET | OUTPUT_A20));
        if ((value & OUTPUT_RESET) == 0) {
          request.reset(ResetRequest.Source.KEYBOARD_CONTROLLER);
        }
      }
      case WRITE_KEYBOARD_BUFFER, WRITE_AUX_BUFFER -> answers.add(value);
      case WRITE_AUX -> { }
      default -> ram[waiting & RAM] = (byte) (waiting == WRITE_RAM ? value | AUX_DISABLED : value);
    }
  }

  private void keyboard(int value) {
    if (keyboardCommand != NONE) {
      int waiting = keyboardCommand;
      keyboardCommand = NONE;
      keys.add(KBD_ACK);
      if (waiting == KBD_SCAN_CODES && value == 0) {
        keys.add(scanCodes);
      } else if (waiting == KBD_SCAN_CODES && value <= 3) {
        scanCodes = value;
      }
      return;
    }
    switch (value) {
      case KBD_ECHO -> keys.add(KBD_ECHO);
      case KBD_SET_LEDS, KBD_SCAN_CODES, KBD_RATE -> {
        keyboardCommand = value;
        keys.add(KBD_ACK);
      }
      case KBD_IDENTIFY -> {
        keys.add(KBD_ACK);
        keys.add(KBD_ID1);
        keys.add(has(TRANSLATE) ? KBD_ID2_TRANSLATED : KBD_ID2);
      }
      case KBD_ENABLE -> acknowledge(true);
      case KBD_DISABLE -> acknowledge(false);
      case KBD_DEFAULTS -> {
        scanCodes = DEFAULT_SCAN_CODES;
        keys.add(KBD_ACK);
      }
      case KBD_RESET -> {
        keys.clear();
        scanCodes = DEFAULT_SCAN_CODES;
        acknowledge(true);
        keys.add(KBD_TEST_PASSED);
      }
      default -> keys.add(KBD_RESEND);
    }
  }

  private void acknowledge(boolean scan) {
    scanning = scan;
    keys.add(KBD_ACK);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(FORMAT);
    answers.save(out);
    keys.save(out);
    out.write(ram);
    for (int value : new int[] {outputPort, output, last, command, keyboardCommand, scanCodes}) {
      out.writeInt(value);
    }
    out.writeBoolean(lastWasCommand);
    out.writeBoolean(scanning);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), FORMAT);
    answers.load(in);
    keys.load(in);
    in.readFully(ram);
    outputPort = in.readInt() & (OUTPUT_RESET | OUTPUT_A20);
    output = byteOrNone(in.readInt());
    last = in.readInt() & 0xFF;
    command = byteOrNone(in.readInt());
    keyboardCommand = byteOrNone(in.readInt());
    scanCodes = in.readInt() & 3;
    lastWasCommand = in.readBoolean();
    scanning = in.readBoolean();
  }

  private static int byteOrNone(int value) {
    return value < 0 ? NONE : value & 0xFF;
  }
}
