package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.VgaTextBits.*;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A VGA in colour text mode 3: 32 KiB of text memory at B8000h, 80 by 25 cells, and the CRTC's cursor and start
 * address.
 *
 * <p>The machine starts without a video BIOS, so a reset leaves the registers as a BIOS leaves them in mode 3 and the
 * memory blank. The other register files (sequencer, graphics, attribute, palette) hold what is written, so that probes
 * and save-restore code work, but the picture depends on none of them: no graphics mode, no font, no mono addresses at
 * 3Bxh. Input status 1 runs with virtual time: 449 lines of 31.778 µs, of which 400 are seen.
 */
public final class VgaText implements PortDevice, MmioDevice {
  /** Guest-physical address of the text memory. */
  public static final long MEMORY_GPA = 0xB8000;
  /** Bytes of the text memory. */
  public static final int MEMORY_SIZE = 0x8000;
  public static final int COLUMNS = 80;
  public static final int ROWS = 25;

  private static final int VERSION = 1;
  private static final VarHandle SHORT = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final int CELLS = MEMORY_SIZE / 2;
  private static final int BLANK_CELL = 0x0720;

  private static final long LINE_NS = 31_778;
  private static final long SEEN_NS_OF_LINE = 25_422;
  private static final int LINES = 449;
  private static final int SEEN_LINES = 400;
  private static final int FIRST_RETRACE_LINE = 412;
  private static final int LAST_RETRACE_LINE = 413;

  /** The register files of mode 3 as a VGA BIOS sets them. */
  private static final String MODE3_CRTC = "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff";
  private static final String MODE3_SEQUENCER = "0300030002";
  private static final String MODE3_GRAPHICS = "0000000000100e00ff";
  private static final String MODE3_ATTRIBUTES = "000102030405140738393a3b3c3d3e3f0c000f0800";
  private static final int MODE3_MISC = 0x67;
  private static final int PALETTE_BYTES = 768;

  private final byte[] memory = new byte[MEMORY_SIZE];
  private final byte[] crtc = bytes(MODE3_CRTC);
  private final byte[] sequencer = bytes(MODE3_SEQUENCER);
  private final byte[] graphics = bytes(MODE3_GRAPHICS);
  private final byte[] attributes = bytes(MODE3_ATTRIBUTES);
  private final byte[] palette = new byte[PALETTE_BYTES];
  private int crtcIndex;
  private int sequencerIndex;
  private int graphicsIndex;
  private int attributeIndex;
  private boolean attributeDataNext;
  private int misc;
  private int paletteMask;
  private int paletteReadAt;
  private int paletteWriteAt;
  private long now;

  public VgaText() {
    reset();
  }

  private static byte[] bytes(String hex) {
    byte[] b = new byte[hex.length() / 2];
    for (int i = 0; i < b.length; i++) {
      b[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    }
    return b;
  }

  private static void restore(byte[] registers, String hex) {
    System.arraycopy(bytes(hex), 0, registers, 0, registers.length);
  }

  @Override
  public String name() {
    return "vga";
  }

  @Override
  public List<PortRange> ports() {
    return List.of(
        new PortRange(PORT_ATTRIBUTE, 16), new PortRange(PORT_CRTC_INDEX, 2), new PortRange(PORT_STATUS1, 1));
  }

  @Override
  public MmioRange range() {
    return new MmioRange(MEMORY_GPA, MEMORY_SIZE);
  }

  @Override
  public void reset() {
    restore(crtc, MODE3_CRTC);
    restore(sequencer, MODE3_SEQUENCER);
    restore(graphics, MODE3_GRAPHICS);
    restore(attributes, MODE3_ATTRIBUTES);
    Arrays.fill(palette, (byte) 0);
    crtcIndex = 0;
    sequencerIndex = 0;
    graphicsIndex = 0;
    attributeIndex = 0;
    attributeDataNext = false;
    misc = MODE3_MISC;
    paletteMask = 0xFF;
    paletteReadAt = 0;
    paletteWriteAt = 0;
    for (int i = 0; i < CELLS; i++) {
      SHORT.set(memory, 2 * i, (short) BLANK_CELL);
    }
  }

  @Override
  public long read(long offset, int size, long nowNs) {
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    int at = (int) offset;
    return switch (size) {
      case 1 -> memory[at] & 0xFF;
      case 2 -> (short) SHORT.get(memory, at) & 0xFFFF;
      case 4 -> (int) INT.get(memory, at) & 0xFFFF_FFFFL;
      default -> (long) LONG.get(memory, at);
    };
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    int at = (int) offset;
    switch (size) {
      case 1 -> memory[at] = (byte) value;
      case 2 -> SHORT.set(memory, at, (short) value);
      case 4 -> INT.set(memory, at, (int) value);
      default -> LONG.set(memory, at, value);
    }
  }

  @Override
  public int in(int port, int size, long nowNs) {
    now = Math.max(now, nowNs);
    int value = peek(port, size);
    if (port == PORT_STATUS1) {
      attributeDataNext = false;
    } else if (port == PORT_PALETTE) {
      paletteReadAt = (paletteReadAt + 1) % PALETTE_BYTES;
    }
    return value;
  }

  @Override
  public int peek(int port, int size) {
    return switch (port) {
      case PORT_ATTRIBUTE -> attributeIndex;
      case PORT_ATTRIBUTE_READ -> get(attributes, attributeIndex & ATTRIBUTE_INDEX);
      case PORT_SEQUENCER_INDEX -> sequencerIndex;
      case PORT_SEQUENCER -> get(sequencer, sequencerIndex);
      case PORT_PALETTE_MASK -> paletteMask;
      case PORT_PALETTE_WRITE_INDEX -> paletteWriteAt / 3;
      case PORT_PALETTE -> palette[paletteReadAt] & 0xFF;
      case PORT_MISC_READ -> misc;
      case PORT_GRAPHICS_INDEX -> graphicsIndex;
      case PORT_GRAPHICS -> get(graphics, graphicsIndex);
      case PORT_CRTC_INDEX -> crtcIndex;
      case PORT_CRTC -> get(crtc, crtcIndex);
      case PORT_STATUS1 -> inputStatus1();
      default -> 0;
    };
  }

  /** A register of a file, 0 past its end. */
  private static int get(byte[] registers, int index) {
    return index < registers.length ? registers[index] & 0xFF : 0;
  }

  private static void put(byte[] registers, int index, int value) {
    if (index < registers.length) {
      registers[index] = (byte) value;
    }
  }

  private int inputStatus1() {
    long line = now / LINE_NS % LINES;
    boolean blank = line >= SEEN_LINES || now % LINE_NS >= SEEN_NS_OF_LINE;
    boolean retrace = line >= FIRST_RETRACE_LINE && line <= LAST_RETRACE_LINE;
    return (blank ? STATUS1_BLANK : 0) | (retrace ? STATUS1_RETRACE : 0);
  }

  @Override
  public void out(int port, int size, int value, long nowNs) {
    now = Math.max(now, nowNs);
    int v = value & 0xFF;
    switch (port) {
      case PORT_ATTRIBUTE -> writeAttribute(v);
      case PORT_MISC_WRITE -> misc = v;
      case PORT_SEQUENCER_INDEX -> sequencerIndex = v;
      case PORT_SEQUENCER -> put(sequencer, sequencerIndex, v);
      case PORT_PALETTE_MASK -> paletteMask = v;
      case PORT_PALETTE_READ_INDEX -> paletteReadAt = 3 * v;
      case PORT_PALETTE_WRITE_INDEX -> paletteWriteAt = 3 * v;
      case PORT_PALETTE -> {
        palette[paletteWriteAt] = (byte) (v & 0x3F);
        paletteWriteAt = (paletteWriteAt + 1) % PALETTE_BYTES;
      }
      case PORT_GRAPHICS_INDEX -> graphicsIndex = v;
      case PORT_GRAPHICS -> put(graphics, graphicsIndex, v);
      case PORT_CRTC_INDEX -> crtcIndex = v;
      case PORT_CRTC -> writeCrtc(v);
      default -> { }
    }
  }

  private void writeAttribute(int v) {
    if (attributeDataNext) {
      put(attributes, attributeIndex & ATTRIBUTE_INDEX, v);
    } else {
      attributeIndex = v & ATTRIBUTE_WRITABLE;
    }
    attributeDataNext = !attributeDataNext;
  }

  private void writeCrtc(int v) {
    boolean locked = (crtc[CRTC_RETRACE_END] & CRTC_RETRACE_END_LOCK) != 0 && crtcIndex <= CRTC_OVERFLOW;
    if (!locked) {
      put(crtc, crtcIndex, v);
    } else if (crtcIndex == CRTC_OVERFLOW) {
      put(crtc, crtcIndex, crtc[CRTC_OVERFLOW] & ~CRTC_OVERFLOW_LINE_COMPARE | v & CRTC_OVERFLOW_LINE_COMPARE);
    }
  }

  private int startCell() {
    return get(crtc, CRTC_START_HIGH) << 8 | get(crtc, CRTC_START_LOW);
  }

  /** The cell shown at a place of the screen: the character's code in bits 0 to 7, its attribute in bits 8 to 15. */
  public int cell(int row, int column) {
    int index = startCell() + row * COLUMNS + column & CELLS - 1;
    return (short) SHORT.get(memory, 2 * index) & 0xFFFF;
  }

  /** What is on the screen: 25 lines of 80 characters each, code page 437 put into Unicode. */
  public List<String> screenText() {
    List<String> lines = new ArrayList<>(ROWS);
    StringBuilder line = new StringBuilder(COLUMNS);
    for (int row = 0; row < ROWS; row++) {
      line.setLength(0);
      for (int column = 0; column < COLUMNS; column++) {
        line.append(CodePage437.toUnicode(cell(row, column)));
      }
      lines.add(line.toString());
    }
    return lines;
  }

  /** Where the cursor is on the screen. */
  public TextCursor cursor() {
    int cell = (get(crtc, CRTC_CURSOR_HIGH) << 8 | get(crtc, CRTC_CURSOR_LOW)) - startCell();
    int row = Math.floorDiv(cell, COLUMNS);
    int first = crtc[CRTC_CURSOR_START] & CURSOR_SCAN_LINE;
    int last = crtc[CRTC_CURSOR_END] & CURSOR_SCAN_LINE;
    boolean visible = (crtc[CRTC_CURSOR_START] & CURSOR_OFF) == 0 && first <= last && row >= 0 && row < ROWS;
    return new TextCursor(row, Math.floorMod(cell, COLUMNS), visible, first, last);
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(VERSION);
    out.write(memory);
    out.write(crtc);
    out.write(sequencer);
    out.write(graphics);
    out.write(attributes);
    out.write(palette);
    out.writeByte(crtcIndex);
    out.writeByte(sequencerIndex);
    out.writeByte(graphicsIndex);
    out.writeByte(attributeIndex);
    out.writeBoolean(attributeDataNext);
    out.writeByte(misc);
    out.writeByte(paletteMask);
    out.writeShort(paletteReadAt);
    out.writeShort(paletteWriteAt);
    out.writeLong(now);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), VERSION);
    in.readFully(memory);
    in.readFully(crtc);
    in.readFully(sequencer);
    in.readFully(graphics);
    in.readFully(attributes);
    in.readFully(palette);
    crtcIndex = in.readUnsignedByte();
    sequencerIndex = in.readUnsignedByte();
    graphicsIndex = in.readUnsignedByte();
    attributeIndex = in.readUnsignedByte() & ATTRIBUTE_WRITABLE;
    attributeDataNext = in.readBoolean();
    misc = in.readUnsignedByte();
    paletteMask = in.readUnsignedByte();
    paletteReadAt = in.readUnsignedShort() % PALETTE_BYTES;
    paletteWriteAt = in.readUnsignedShort() % PALETTE_BYTES;
    now = Math.max(0, in.readLong());
  }
}
