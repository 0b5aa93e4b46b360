package dev.gnomon.guest.exec;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.Status;

/**
 * Reads descriptors and loads segment registers with the checks of SDM vol. 3A, "Protection". Table accesses are
 * implicit supervisor accesses. Checks come first, then the accessed or busy bit (the last thing that can fault), then
 * the register.
 */
final class SegmentLoader {
  private static final int RIGHTS_READ_WRITE = Segments.P | Segments.S | Segments.TYPE_WRITABLE
      | Segments.TYPE_ACCESSED;
  private static final int RIGHTS_V86 = RIGHTS_READ_WRITE | Segments.DPL;
  private static final int RIGHTS_CODE = Segments.P | Segments.S | Segments.TYPE_CODE | Segments.TYPE_WRITABLE
      | Segments.TYPE_ACCESSED;
  /** Byte of a descriptor that holds its type, and with it the accessed and busy bits. */
  private static final int TYPE_BYTE = 5;

  private final Cpu cpu;
  private final LinearMemory linear;
  private final Descriptor scratch = new Descriptor();

  SegmentLoader(Cpu cpu, LinearMemory linear) {
    this.cpu = cpu;
    this.linear = linear;
  }

  static boolean isNull(int selector) {
    return (selector & ~Descriptor.RPL & 0xFFFF) == 0;
  }

  /** Error code that names a selector. */
  static int errorCode(int selector) {
    return selector & (Descriptor.INDEX | Descriptor.TI);
  }

  /** Real-address or virtual-8086 mode: a selector is a paragraph number. */
  boolean paragraphs() {
    return !cpu.protectedMode() || cpu.v86();
  }

  /** Reads the descriptor of a selector that is not null; #GP(selector) if it lies outside its table. */
  int fetch(int selector, Descriptor out) {
    return fetch(selector, out, Vector.GP, 0);
  }

  /**
   * Reads the descriptor of a selector that is not null.
   *
   * @param vector exception if it lies outside its table, with the selector as error code
   * @param ext EXT bit of the error code
   */
  int fetch(int selector, Descriptor out, int vector, int ext) {
    out.selector = selector;
    boolean local = (selector & Descriptor.TI) != 0;
    if (local && (cpu.rights[Segments.LDTR] & Segments.UNUSABLE) != 0) {
      return cpu.fault(vector, errorCode(selector) | ext);
    }
    long tableBase = local ? cpu.base[Segments.LDTR] : cpu.gdtrBase;
    long tableLimit = local ? cpu.limit[Segments.LDTR] : cpu.gdtrLimit;
    int index = selector & Descriptor.INDEX;
    if (index + 7 > tableLimit) {
      return cpu.fault(vector, errorCode(selector) | ext);
    }
    out.gva = wrap(tableBase + index);
    if (!cpu.canonical(out.gva) || !cpu.canonical(out.gva + 15)) {
      return cpu.fault(vector, errorCode(selector) | ext);
    }
    int status = linear.read(out.gva, 8, Access.IMPLICIT);
    if (status == Status.OK) {
      out.decode(cpu.value);
    }
    return status;
  }

  /** Reads the upper half of a system descriptor or gate in IA-32e mode; #GP(selector) if it lies outside its table. */
  int fetchUpper(Descriptor out) {
    boolean local = (out.selector & Descriptor.TI) != 0;
    long tableLimit = local ? cpu.limit[Segments.LDTR] : cpu.gdtrLimit;
    if ((out.selector & Descriptor.INDEX) + 15 > tableLimit) {
      return cpu.fault(Vector.GP, errorCode(out.selector));
    }
    int status = linear.read(wrap(out.gva + 8), 8, Access.IMPLICIT);
    if (status == Status.OK) {
      out.high = cpu.value;
    }
    return status;
  }

  /** Linear addresses of system tables have 32 bits outside IA-32e mode. */
  @Gva long wrap(@Gva long gva) {
    return cpu.longMode() ? gva : gva & 0xFFFF_FFFFL;
  }

  /**
   * Checks that the accessed bit could be set, so that a transfer with two descriptors commits neither before both can.
   */
  int probeAccessed(Descriptor d) {
    return (d.rights & Segments.TYPE_ACCESSED) != 0 ? Status.OK
        : linear.probe(d.gva + TYPE_BYTE, 1, Access.IMPLICIT | Access.WRITE);
  }

  /** Sets the accessed bit of a code or data descriptor in its table, if it is clear. */
  int setAccessed(Descriptor d) {
    if ((d.rights & Segments.TYPE_ACCESSED) != 0) {
      return Status.OK;
    }
    int status = setTypeBits(d, Segments.TYPE_ACCESSED, 0);
    if (status == Status.OK) {
      d.rights |= Segments.TYPE_ACCESSED;
    }
    return status;
  }

  /** Sets the busy bit of a TSS descriptor. */
  int setBusy(Descriptor d) {
    return setTypeBits(d, Descriptor.BUSY, 0);
  }

  int clearBusy(Descriptor d) {
    return setTypeBits(d, 0, Descriptor.BUSY);
  }

  /** Changes type bits as the processor does, by a locked read-modify-write of the aligned word around them. */
  private int setTypeBits(Descriptor d, int set, int clear) {
    long gva = wrap(d.gva + TYPE_BYTE);
    long hpa = cpu.mmu.translate(gva, Access.IMPLICIT | Access.WRITE);
    if (hpa < 0) {
      return linear.failed(hpa);
    }
    if (cpu.memory.offset(hpa) < 0) {
      int status = linear.read(gva, 1, Access.IMPLICIT | Access.WRITE);
      return status < 0 ? status : linear.write(gva, 1, cpu.value & ~clear | set, Access.IMPLICIT);
    }
    long word = hpa & ~3L;
    int shift = (int) (hpa & 3) * 8;
    long old;
    do {
      old = cpu.memory.read32(word);
    } while (!cpu.memory.compareAndSet(word, 4, old, old & ~((long) clear << shift) | (long) set << shift));
    return Status.OK;
  }

  /** Loads ES, SS, DS, FS or GS as MOV, POP and the far-pointer loads do. */
  int load(int segment, int selector) {
    if (paragraphs()) {
      commitParagraph(segment, selector);
      cpu.updateMode();
      return Status.OK;
    }
    int status = segment == Segments.SS ? checkStack(selector, scratch) : checkData(selector, scratch);
    if (status < 0) {
      return status;
    }
    if (isNull(selector)) {
      commitNull(segment, selector);
    } else {
      status = setAccessed(scratch);
      if (status < 0) {
        return status;
      }
      commit(segment, scratch);
    }
    cpu.updateMode();
    return Status.OK;
  }

  /** Checks a selector for DS, ES, FS or GS; a null one passes. */
  private int checkData(int selector, Descriptor d) {
    if (isNull(selector)) {
      return Status.OK;
    }
    int status = fetch(selector, d);
    if (status < 0) {
      return status;
    }
    boolean ringless = d.code() && d.conforming();
    if (!d.readable() || !ringless && Math.max(selector & Descriptor.RPL, cpu.cpl) > d.dpl()) {
      return cpu.fault(Vector.GP, errorCode(selector));
    }
    return d.present() ? Status.OK : cpu.fault(Vector.NP, errorCode(selector));
  }

  /** Checks a selector for SS at the current privilege level; a null one passes in 64-bit mode below ring 3. */
  private int checkStack(int selector, Descriptor d) {
    int rpl = selector & Descriptor.RPL;
    if (isNull(selector)) {
      return cpu.code64() && cpu.cpl < 3 && rpl == cpu.cpl ? Status.OK : cpu.fault(Vector.GP);
    }
    return fetchStack(selector, d, cpu.cpl, Vector.GP, 0);
  }

  /**
   * Fetches and checks a stack segment for a privilege level.
   *
   * @param vector exception for a wrong descriptor: #GP, or #TS if the selector comes from a TSS; a segment that is not
   *     present raises #SS
   */
  int fetchStack(int selector, Descriptor d, int level, int vector, int ext) {
    int status = fetch(selector, d, vector, ext);
    if (status < 0) {
      return status;
    }
    if ((selector & Descriptor.RPL) != level || !d.writableData() || d.dpl() != level) {
      return cpu.fault(vector, errorCode(selector) | ext);
    }
    return d.present() ? Status.OK : cpu.fault(Vector.SS, errorCode(selector) | ext);
  }

  /** Takes a checked descriptor into a segment register. The caller calls {@link Cpu#updateMode} after the last one. */
  void commit(int segment, Descriptor d) {
    cpu.selector[segment] = d.selector;
    cpu.base[segment] = d.base();
    cpu.limit[segment] = d.limit();
    cpu.rights[segment] = d.rights;
  }

  /** Makes a segment register null. As on Intel processors, the base becomes 0. */
  void commitNull(int segment, int selector) {
    cpu.selector[segment] = selector;
    cpu.base[segment] = 0;
    cpu.limit[segment] = 0;
    cpu.rights[segment] = Segments.UNUSABLE | (segment == Segments.SS ? cpu.cpl << Segments.DPL_SHIFT : 0);
  }

  /**
   * Loads a paragraph number: in virtual-8086 mode with the fixed limit and rights, in real-address mode leaving limit
   * and the D/B and G bits as protected mode left them.
   */
  void commitParagraph(int segment, int selector) {
    cpu.selector[segment] = selector;
    cpu.base[segment] = (long) selector << 4;
    if (cpu.v86()) {
      cpu.limit[segment] = 0xFFFF;
      cpu.rights[segment] = RIGHTS_V86;
    } else if ((cpu.rights[segment] & Segments.UNUSABLE) != 0) {
      cpu.limit[segment] = 0xFFFF;
      cpu.rights[segment] = segment == Segments.CS ? RIGHTS_CODE : RIGHTS_READ_WRITE;
    } else {
      int kept = cpu.rights[segment] & (Segments.DB | Segments.G);
      cpu.rights[segment] = kept | (segment == Segments.CS ? RIGHTS_CODE : RIGHTS_READ_WRITE);
    }
  }

  /** Takes a checked code descriptor into CS at a privilege level; RPL becomes it. */
  void commitCode(Descriptor d, int level) {
    commit(Segments.CS, d);
    cpu.selector[Segments.CS] = d.selector & ~Descriptor.RPL | level;
  }

  /**
   * A return to an outer ring makes null every data segment that the new level must not use. Unlike a load it leaves
   * the base, which FS and GS have in 64-bit mode all the same (SDM vol. 2A, "IRET": only selector and validity
   * change).
   */
  void dropInnerSegments(int level) {
    for (int segment = Segments.ES; segment <= Segments.GS; segment++) {
      if (segment != Segments.CS && segment != Segments.SS) {
        int rights = cpu.rights[segment];
        boolean conformingCode = (rights & (Segments.TYPE_CODE | Segments.TYPE_EXPAND_DOWN))
            == (Segments.TYPE_CODE | Segments.TYPE_EXPAND_DOWN);
        boolean unusable = (rights & Segments.UNUSABLE) != 0;
        if (!unusable && !conformingCode && (rights >> Segments.DPL_SHIFT & 3) < level) {
          cpu.selector[segment] = 0;
          cpu.rights[segment] = Segments.UNUSABLE;
        }
      }
    }
  }

  /** LLDT, after its privilege check. */
  int loadLdtr(int selector) {
    if (isNull(selector)) {
      commitNull(Segments.LDTR, selector);
      return Status.OK;
    }
    int status = fetchSystem(selector);
    if (status < 0) {
      return status;
    }
    if (scratch.type() != Descriptor.LDT) {
      return cpu.fault(Vector.GP, errorCode(selector));
    }
    status = presentSystem(selector);
    if (status == Status.OK) {
      commit(Segments.LDTR, scratch);
    }
    return status;
  }

  /** LTR, after its privilege check: loads an available TSS and marks it busy. */
  int loadTr(int selector) {
    if (isNull(selector)) {
      return cpu.fault(Vector.GP);
    }
    int status = fetchSystem(selector);
    if (status < 0) {
      return status;
    }
    int type = scratch.type();
    if (type != Descriptor.TSS_AVAILABLE && (type != Descriptor.TSS16_AVAILABLE || cpu.longMode())) {
      return cpu.fault(Vector.GP, errorCode(selector));
    }
    status = presentSystem(selector);
    if (status < 0) {
      return status;
    }
    status = setBusy(scratch);
    if (status == Status.OK) {
      scratch.rights |= Descriptor.BUSY;
      commit(Segments.TR, scratch);
    }
    return status;
  }

  /** Reads a system descriptor that must lie in the GDT; the caller checks its type before {@link #presentSystem}. */
  private int fetchSystem(int selector) {
    if ((selector & Descriptor.TI) != 0) {
      return cpu.fault(Vector.GP, errorCode(selector));
    }
    int status = fetch(selector, scratch);
    if (status < 0) {
      return status;
    }
    return scratch.system() ? Status.OK : cpu.fault(Vector.GP, errorCode(selector));
  }

  /** Present check, and in IA-32e mode the upper half with a canonical base. */
  private int presentSystem(int selector) {
    if (cpu.longMode()) {
      int status = fetchUpper(scratch);
      if (status < 0) {
        return status;
      }
      if (!scratch.upperValid() || !cpu.canonicalBase(scratch.base())) {
        return cpu.fault(Vector.GP, errorCode(selector));
      }
    }
    return scratch.present() ? Status.OK : cpu.fault(Vector.NP, errorCode(selector));
  }
}
