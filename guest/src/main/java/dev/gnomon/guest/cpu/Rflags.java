package dev.gnomon.guest.cpu;

/**
 * RFLAGS bits (SDM vol. 1, "EFLAGS Register").
 * <pre>
 *  21 ID | 20 VIP | 19 VIF | 18 AC | 17 VM | 16 RF | 14 NT | 13:12 IOPL | 11 OF | 10 DF | 9 IF | 8 TF | 7 SF | 6 ZF | 4 AF | 2 PF | 1 fixed | 0 CF
 * </pre>
 */
public final class Rflags {
  public static final int CF = 1;
  public static final int FIXED = 1 << 1;
  public static final int PF = 1 << 2;
  public static final int AF = 1 << 4;
  public static final int ZF = 1 << 6;
  public static final int SF = 1 << 7;
  public static final int TF = 1 << 8;
  public static final int IF = 1 << 9;
  public static final int DF = 1 << 10;
  public static final int OF = 1 << 11;
  public static final int IOPL = 3 << 12;
  public static final int IOPL_SHIFT = 12;
  public static final int NT = 1 << 14;
  public static final int RF = 1 << 16;
  public static final int VM = 1 << 17;
  public static final int AC = 1 << 18;
  public static final int VIF = 1 << 19;
  public static final int VIP = 1 << 20;
  public static final int ID = 1 << 21;
  /** The flags that arithmetic sets, kept lazily. */
  public static final int STATUS = CF | PF | AF | ZF | SF | OF;
  public static final int DEFINED = STATUS | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;

  private Rflags() {}
}
