package dev.gnomon.vmm.device;

/**
 * Registers and bits of the 16550 UART, by the names of its data sheet.
 *
 * <pre>
 *  offset  DLAB=0 read  DLAB=0 write  DLAB=1
 *    0     RBR          THR           DLL
 *    1     IER          IER           DLM
 *    2     IIR          FCR           IIR/FCR
 *    3     LCR  4 MCR  5 LSR  6 MSR  7 SCR
 *
 *         7      6     5     4     3     2     1     0
 *  IER    0      0     0     0    MSI   RLSI  THRI  RDI
 *  IIR   [FIFOs on]    0     0   [   source     ]  none
 *  FCR   [trigger ]    -     -    DMA   XFR   RFR   FE
 *  LCR   DLAB   BRK   SPAR  EPAR  PEN   STB  [ word  ]
 *  MCR    0      0     0    LOOP  OUT2  OUT1  RTS   DTR
 *  LSR   RXFE   TEMT  THRE   BI    FE    PE    OE    DR
 *  MSR   DCD    RI    DSR   CTS   DDCD  TERI  DDSR  DCTS
 * </pre>
 */
final class Uart16550Bits {
  static final int REG_DATA = 0;
  static final int REG_IER = 1;
  static final int REG_IIR_FCR = 2;
  static final int REG_LCR = 3;
  static final int REG_MCR = 4;
  static final int REG_LSR = 5;
  static final int REG_MSR = 6;
  static final int REG_SCR = 7;
  static final int REGISTERS = 8;

  static final int IER_RDI = 1 << 0;
  static final int IER_THRI = 1 << 1;
  static final int IER_RLSI = 1 << 2;
  static final int IER_MSI = 1 << 3;
  static final int IER_WRITABLE = IER_RDI | IER_THRI | IER_RLSI | IER_MSI;

  /** IIR source values, highest priority first. */
  static final int IIR_LINE_STATUS = 0x06;
  static final int IIR_RECEIVED_DATA = 0x04;
  static final int IIR_RECEIVE_TIMEOUT = 0x0C;
  static final int IIR_THR_EMPTY = 0x02;
  static final int IIR_MODEM_STATUS = 0x00;
  static final int IIR_NONE = 0x01;
  static final int IIR_FIFOS_ON = 0xC0;

  static final int FCR_ENABLE = 1 << 0;
  static final int FCR_RESET_RX = 1 << 1;
  static final int FCR_TRIGGER_SHIFT = 6;

  static final int LCR_WORD = 3;
  static final int LCR_TWO_STOP_BITS = 1 << 2;
  static final int LCR_PARITY = 1 << 3;
  static final int LCR_BREAK = 1 << 6;
  static final int LCR_DLAB = 1 << 7;

  static final int MCR_DTR = 1 << 0;
  static final int MCR_RTS = 1 << 1;
  static final int MCR_OUT1 = 1 << 2;
  static final int MCR_OUT2 = 1 << 3;
  static final int MCR_LOOP = 1 << 4;
  static final int MCR_WRITABLE = MCR_DTR | MCR_RTS | MCR_OUT1 | MCR_OUT2 | MCR_LOOP;

  static final int LSR_DR = 1 << 0;
  static final int LSR_OE = 1 << 1;
  static final int LSR_PE = 1 << 2;
  static final int LSR_FE = 1 << 3;
  static final int LSR_BI = 1 << 4;
  static final int LSR_THRE = 1 << 5;
  static final int LSR_TEMT = 1 << 6;
  static final int LSR_RXFE = 1 << 7;
  static final int LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI;

  static final int MSR_DCTS = 1 << 0;
  static final int MSR_DDSR = 1 << 1;
  static final int MSR_TERI = 1 << 2;
  static final int MSR_DDCD = 1 << 3;
  static final int MSR_DELTAS = MSR_DCTS | MSR_DDSR | MSR_TERI | MSR_DDCD;
  static final int MSR_CTS = 1 << 4;
  static final int MSR_DSR = 1 << 5;
  static final int MSR_RI = 1 << 6;
  static final int MSR_DCD = 1 << 7;
  static final int MSR_LINES = MSR_CTS | MSR_DSR | MSR_RI | MSR_DCD;
  /** How far a line lies above its delta. */
  static final int MSR_LINE_SHIFT = 4;

  private Uart16550Bits() {
  }
}
