package dev.gnomon.guest.oracle;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** Registers and memory before or after a case, of either side. */
final class MachineState {
  static final String[] NAMES = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};

  private static final int LINE = 32;

  final long[] regs = new long[16];
  long rflags;
  long rip;
  /** Exception that ended the case. */
  int vector;
  long error;
  /** Address of a page fault. */
  long faultAddress;
  final byte[] code = new byte[OracleLayout.CODE_SIZE];
  final byte[] areas = new byte[OracleLayout.AREAS_SIZE];
  final FxImage fx = new FxImage();

  void copyFrom(MachineState other) {
    System.arraycopy(other.regs, 0, regs, 0, regs.length);
    rflags = other.rflags;
    rip = other.rip;
    System.arraycopy(other.code, 0, code, 0, code.length);
    System.arraycopy(other.areas, 0, areas, 0, areas.length);
    System.arraycopy(other.fx.bytes, 0, fx.bytes, 0, FxImage.SIZE);
  }

  /** Reads the helper's answer. */
  void read(ByteBuffer records, int at, OracleCase test) {
    for (int register = 0; register < regs.length; register++) {
      regs[register] = records.getLong(at + OracleLayout.REGISTERS + 8 * register);
    }
    rflags = records.getLong(at + OracleLayout.RFLAGS);
    rip = records.getLong(at + OracleLayout.RIP) + test.codeBase();
    vector = (int) records.getLong(at + OracleLayout.VECTOR);
    error = records.getLong(at + OracleLayout.ERROR);
    faultAddress = records.getLong(at + OracleLayout.FAULT_ADDRESS);
    records.get(at + OracleLayout.CODE_BYTES, code);
    records.get(at + OracleLayout.AREAS, areas);
    records.get(at + OracleLayout.FX, fx.bytes);
  }

  void write(ByteBuffer records, int at, OracleCase test) {
    for (int register = 0; register < regs.length; register++) {
      records.putLong(at + OracleLayout.REGISTERS + 8 * register, regs[register]);
    }
    records.putLong(at + OracleLayout.RFLAGS, rflags);
    records.putLong(at + OracleLayout.RIP, rip);
    records.putLong(at + OracleLayout.CS, test.cs);
    records.putLong(at + OracleLayout.LENGTH, test.codeLength);
    records.putLong(at + OracleLayout.DATA_SELECTOR,
        test.mode16() ? OracleLayout.USER_DATA_16 : OracleLayout.USER_DATA);
    records.putLong(at + OracleLayout.CODE_BASE, test.codeBase());
    records.put(at + OracleLayout.CODE_BYTES, code);
    records.put(at + OracleLayout.AREAS, areas);
    records.put(at + OracleLayout.FX, fx.bytes);
  }

  /** Puts a value of up to 8 bytes into the areas as far as they hold the address. */
  void poke(long address, int size, long value) {
    for (int i = 0; i < size; i++) {
      int index = OracleLayout.areaIndex(address + i);
      if (index >= 0) {
        areas[index] = (byte) (value >>> 8 * i);
      }
    }
  }

  /** All registers. */
  String dump() {
    StringBuilder text = new StringBuilder();
    for (int register = 0; register < regs.length; register++) {
      text.append(String.format("%-3s %016x%s", NAMES[register], regs[register], register % 4 == 3 ? "\n" : "  "));
    }
    return text.append(String.format("rip %016x  rflags %06x%n", rip, rflags)).toString();
  }

  /** How it ended, and the registers that another state has otherwise. */
  String differences(MachineState other) {
    StringBuilder text = new StringBuilder();
    for (int register = 0; register < regs.length; register++) {
      if (regs[register] != other.regs[register]) {
        text.append(String.format("%s %016x  ", NAMES[register], regs[register]));
      }
    }
    return text.append(String.format("rip %x  rflags %06x  vector %d  error %x  cr2 %x%n", rip, rflags, vector, error,
        faultAddress)).toString();
  }

  /** The lines of the data areas that another state has otherwise. */
  String memory(MachineState other) {
    StringBuilder text = new StringBuilder();
    int index = 0;
    for (int area = 0; area < OracleLayout.areas(); area++) {
      for (int i = 0; i < OracleLayout.areaSize(area); i += LINE) {
        if (!Arrays.equals(areas, index + i, index + i + LINE, other.areas, index + i, index + i + LINE)) {
          text.append(String.format("%08x", OracleLayout.areaAddress(area) + i));
          for (int j = 0; j < LINE; j++) {
            text.append(j % 8 == 0 ? " " : "").append(String.format("%02x", areas[index + i + j]));
          }
          text.append('\n');
        }
      }
      index += OracleLayout.areaSize(area);
    }
    return text.toString();
  }

  boolean sameMemory(MachineState other, int codeLength) {
    return Arrays.equals(areas, other.areas) && Arrays.equals(code, 0, codeLength, other.code, 0, codeLength);
  }
}
