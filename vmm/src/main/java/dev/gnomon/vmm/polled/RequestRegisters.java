package dev.gnomon.vmm.polled;

/**
 * The registers of the request device, the same behind memory, MMIO and ports:
 * <pre>
 *  00 submit (32)    the guest's request number; written last, it submits
 *  04 operation (32) 0 none | 1 add | 2 mix | 3 sum of memory
 *  08 operand a (64)
 *  10 operand b (64)
 *  18 result (64)
 *  20 complete (32)  the device's copy of the number, written last
 *  24 status (32)    0 done | 1 unknown operation | 2 bad address
 * </pre>
 * A guest writes operation and operands, then a number other than the last to {@code submit}, waits until {@code complete} equals it, and reads
 * result and status.
 */
interface RequestRegisters {
  int SUBMIT = 0x00;
  int OPERATION = 0x04;
  int OPERAND_A = 0x08;
  int OPERAND_B = 0x10;
  int RESULT = 0x18;
  int COMPLETE = 0x20;
  int STATUS = 0x24;
  /** Bytes of the register file. */
  int SIZE = 0x28;

  /** Reads 4 or 8 aligned bytes, zero-extended, after everything that the guest wrote before them. */
  long read(int offset, int size);

  /** Writes 4 or 8 aligned bytes, after everything written before them. */
  void write(int offset, int size, long value);
}
