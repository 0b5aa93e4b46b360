package dev.gnomon.vmm.device;

import static dev.gnomon.vmm.device.LocalApicBits.*;

import dev.gnomon.guest.cpu.ApicPort;
import dev.gnomon.guest.cpu.Msr;
import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.HostMemory;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.function.LongSupplier;

/**
 * A processor's local APIC (SDM vol. 3A, "Advanced Programmable Interrupt Controller (APIC)"): xAPIC by its page at
 * FEE00000h and, where offered, x2APIC by MSR.
 *
 * <p>Where the manual leaves a choice this does what Linux KVM does (arch/x86/kvm/lapic.c): the timer's clock is one
 * tick a virtual nanosecond; only aligned 32-bit accesses reach a register, others read zero and write nothing; the ID
 * cannot be written; the bootstrap processor's LINT0 is ExtINT after a reset, so that software that knows no APIC gets
 * the 8259's interrupts; SMI and redirected ExtINT messages vanish; the page moves with IA32_APIC_BASE, but is not seen
 * where there is RAM or another device. An EOI of a level-triggered interrupt is always broadcast.
 *
 * <p>INIT and start-up messages are kept for whoever runs the processor ({@link #takeInit}, {@link #takeStartup}).
 */
public final class LocalApic implements MmioDevice {
  /** Guest-physical address of the page after a reset. */
  public static final @Gpa long BASE = 0xFEE0_0000L;

  private static final int FORMAT = 1;
  private static final int PAGE = 4096;
  private static final int NONE = VectorSet.NONE;
  private static final long NEVER = Long.MAX_VALUE;
  private static final int X2_ID_LOW = 0xF;

  private final int id;
  private final ApicBus bus;
  private final LongSupplier tscOffset;
  private final Runnable nmi;
  private Runnable startupListener = () -> { };
  private Runnable pageListener = () -> { };
  private final boolean x2Offered;
  private final LocalApicTimer timer = new LocalApicTimer();
  private final InterruptCommand icr;
  private final LocalApicMsrs msrs;

  private long base;
  private final VectorSet isr = new VectorSet();
  private final VectorSet tmr = new VectorSet();
  private final VectorSet irr = new VectorSet();
  private final LocalVectorTable lvt = new LocalVectorTable();
  private int tpr;
  private int ldr;
  private int dfr;
  private int svr;
  /** What ESR shows, and what it will show after the next write to it. */
  private int esr;
  private int errors;
  private boolean lint0;
  private boolean initReceived;
  private int startup = NONE;
  /** Vector to deliver now, or NONE; kept by {@link #update}. */
  private int ready = NONE;

  /**
   * A local APIC in the state after a reset.
   *
   * @param id 0 to 254; 0 is the bootstrap processor's
   * @param tscOffset TSC less virtual time
   * @param nmi told of NMI messages
   * @param x2Offered whether it has x2APIC mode
   */
  public LocalApic(int id, ApicBus bus, LongSupplier tscOffset, Runnable nmi, boolean x2Offered) {
    this.id = id;
    this.bus = bus;
    icr = new InterruptCommand(this, bus);
    msrs = new LocalApicMsrs(this, timer, icr);
    this.tscOffset = tscOffset;
    this.nmi = nmi;
    this.x2Offered = x2Offered;
    bus.add(this);
    reset();
  }

  @Override
  public String name() {
    return "lapic" + id;
  }

  @Override
  public MmioRange range() {
    return new MmioRange(BASE, PAGE);
  }

  @Override
  public int mmioWidth() {
    return 4;
  }

  @Override
  public void reset() {
    setBase(Addresses.bits(BASE) | ApicPort.BASE_ENABLE | (id == 0 ? ApicPort.BASE_BSP : 0));
    resetRegisters();
  }

  private void setBase(long value) {
    boolean moved = ((base ^ value) & -PAGE) != 0;
    base = value;
    if (moved) {
      pageListener.run();
    }
  }

  private void resetRegisters() {
    isr.clear();
    tmr.clear();
    irr.clear();
    lvt.reset(id == 0);
    tpr = 0;
    ldr = 0;
    dfr = DFR_FLAT;
    svr = SVR_RESET;
    esr = 0;
    errors = 0;
    icr.set(0, 0);
    initReceived = false;
    startup = NONE;
    timer.reset();
    update();
  }

  /** Who is told that the page has moved. */
  public void setPageListener(Runnable listener) {
    pageListener = listener;
  }

  /** Guest-physical address of the page. */
  public @Gpa long page() {
    return base & -PAGE;
  }

  /** Who is told that an INIT or start-up message has arrived. */
  public void setStartupListener(Runnable listener) {
    startupListener = listener;
  }

  /**
   * Virtual wire mode, as firmware leaves it (Intel MultiProcessor Specification, "Virtual Wire Mode"): enabled, LINT0
   * ExtINT, LINT1 NMI.
   */
  public void setAsFirmware() {
    svr |= SVR_ENABLE;
    lvt.setVirtualWire();
  }

  /** Whether this is the bootstrap processor's. */
  public boolean isBootstrap() {
    return (base & ApicPort.BASE_BSP) != 0;
  }

  boolean globallyEnabled() {
    return (base & ApicPort.BASE_ENABLE) != 0;
  }

  /** x2APIC mode. */
  boolean x2() {
    return (base & ApicPort.BASE_X2APIC) != 0;
  }

  /** Whether fixed interrupts are taken. */
  boolean accepts() {
    return globallyEnabled() && (svr & SVR_ENABLE) != 0;
  }

  // Interrupts to the processor.

  /** Whether an interrupt of a priority above the processor's waits for {@link #acknowledge}. */
  public boolean pending() {
    return ready != NONE;
  }

  /** The processor's acknowledge: the vector in service from now on; with nothing pending the spurious one. */
  public int acknowledge() {
    int vector = ready;
    if (vector == NONE) {
      return svr & VECTOR;
    }
    irr.remove(vector);
    isr.add(vector);
    update();
    return vector;
  }

  /** Whether the processor takes interrupts of an 8259 on LINT0. */
  public boolean acceptsExtInt() {
    return !globallyEnabled() || !lvt.isMasked(LVT_LINT0) && lvt.mode(LVT_LINT0) == EXTINT;
  }

  /** The level of the LINT0 pin. It counts for delivery modes other than ExtINT, which asks the 8259 itself. */
  public void setLint0(boolean level) {
    boolean rises = level && !lint0;
    lint0 = level;
    if (rises && globallyEnabled()) {
      deliverLocal(LVT_LINT0);
    }
  }

  private void deliverLocal(int register) {
    if (!lvt.isMasked(register) && lvt.mode(register) != EXTINT) {
      receive(lvt.mode(register), lvt.vector(register), lvt.isLevel(register));
    }
  }

  /** Finds the vector to deliver. */
  void update() {
    int vector = irr.highest();
    boolean above = vector != NONE && (vector & PRIORITY_CLASS) > (processorPriority() & PRIORITY_CLASS);
    ready = above && accepts() ? vector : NONE;
  }

  private int processorPriority() {
    int served = isr.highest() & PRIORITY_CLASS;
    return isr.highest() == NONE || (tpr & PRIORITY_CLASS) >= served ? tpr : served;
  }

  // Messages.

  /** Priority in arbitration: the processor's. */
  int priority() {
    return processorPriority();
  }

  /**
   * Whether a message's destination means this APIC.
   *
   * @param wide the destination is 32 bits, of which FFFFFFFFh is everybody
   */
  boolean isDestination(int destination, boolean wide, boolean logical) {
    if (!globallyEnabled()) {
      return false;
    }
    if (destination == (wide ? X2_BROADCAST : BROADCAST)) {
      return true;
    }
    if (!logical) {
      return destination == id;
    }
    if (x2()) {
      int own = x2LogicalId();
      return own >>> 16 == destination >>> 16 && (own & destination & 0xFFFF) != 0;
    }
    int own = ldr >>> ID_SHIFT;
    return dfr == DFR_FLAT ? (own & destination) != 0 : own >> 4 == destination >> 4 && (own & destination & 0xF) != 0;
  }

  private int x2LogicalId() {
    return id >> 4 << 16 | 1 << (id & X2_ID_LOW);
  }

  /** Takes a message. @return whether it was accepted */
  boolean receive(int mode, int vector, boolean level) {
    switch (mode) {
      case FIXED, LOWEST_PRIORITY:
        return receiveFixed(vector, level);
      case NMI:
        nmi.run();
        return true;
      case INIT:
        initReceived = true;
        startup = NONE;
        startupListener.run();
        return true;
      case STARTUP:
        startup = vector;
        startupListener.run();
        return true;
      default:
        return false;
    }
  }

  private boolean receiveFixed(int vector, boolean level) {
    if (!accepts()) {
      return false;
    }
    if (vector < FIRST_VECTOR) {
      error(ESR_RECEIVED_VECTOR);
      return false;
    }
    irr.add(vector);
    if (level) {
      tmr.add(vector);
    } else {
      tmr.remove(vector);
    }
    update();
    return true;
  }

  /** Whether an INIT or start-up message waits for {@link #takeInit} and {@link #takeStartup}. */
  public boolean hasStartupMessage() {
    return initReceived || startup != NONE;
  }

  /**
   * Whether an INIT arrived since the last call. If so, the registers are those after an INIT: as after a reset, but
   * the mode and the ID stay (SDM, "Local APIC State After It Receives an INIT Reset"). A start-up message behind it
   * stays.
   */
  public boolean takeInit() {
    if (!initReceived) {
      return false;
    }
    int behind = startup;
    resetRegisters();
    startup = behind;
    return true;
  }

  /** {@link #startupVector}, which from now on is −1. */
  public int takeStartup() {
    int vector = startup;
    startup = NONE;
    return vector;
  }

  /**
   * Vector of the last start-up IPI since an INIT, 0 to 255, −1 if there was none: the processor starts at physical
   * address vector × 4096.
   */
  public int startupVector() {
    return startup;
  }

  /** Notes an error, a bit of ESR. */
  void error(int bit) {
    boolean fresh = (errors & bit) == 0;
    errors |= bit;
    // An error interrupt with an illegal vector would be an error again.
    if (fresh && lvt.vector(LVT_ERROR) >= FIRST_VECTOR) {
      deliverLocal(LVT_ERROR);
    }
  }

  private void endOfInterrupt() {
    int vector = isr.highest();
    if (vector == NONE) {
      return;
    }
    isr.remove(vector);
    update();
    if (tmr.contains(vector)) {
      bus.endOfInterrupt(vector);
    }
  }

  // Time.

  @Override
  public boolean hasTimer() {
    return true;
  }

  /** A masked timer runs on unseen. */
  @Override
  public long nextDeadline() {
    return lvt.isMasked(LVT_TIMER) ? NEVER : timer.expiry(tscOffset.getAsLong());
  }

  @Override
  public void advanceTo(long nowNs) {
    if (timer.advance(nowNs, tscOffset.getAsLong())) {
      deliverLocal(LVT_TIMER);
    }
  }

  // Registers by memory.

  @Override
  public long read(long offset, int size, long nowNs) {
    advanceTo(nowNs);
    if (globallyEnabled() && !x2() && !exists((int) offset & -STEP)) {
      error(ESR_REGISTER);
    }
    return peek(offset, size);
  }

  @Override
  public long peek(long offset, int size) {
    if (!globallyEnabled() || x2()) {
      return -1L >>> 64 - 8 * size;
    }
    int within = (int) offset & STEP - 1;
    return within + size > 4 ? 0 : (register((int) offset & -STEP) & 0xFFFF_FFFFL) >>> 8 * within;
  }

  @Override
  public void write(long offset, int size, long value, long nowNs) {
    advanceTo(nowNs);
    if (size != 4 || (offset & STEP - 1) != 0 || !globallyEnabled() || x2()) {
      return;
    }
    int register = (int) offset;
    if (register == ICR_HIGH) {
      icr.setHigh((int) value);
    } else if (register == LDR) {
      ldr = (int) value & 0xFF << ID_SHIFT;
    } else if (register == DFR) {
      dfr = (int) value >>> DFR_SHIFT;
    } else if (!setRegister(register, (int) value)) {
      error(ESR_REGISTER);
    }
    update();
  }

  static boolean exists(int register) {
    return register == ID || register == VERSION || register >= TPR && register <= ESR
        || register >= ICR_LOW && register <= CURRENT_COUNT || register == DIVIDE;
  }

  int register(int register) {
    if (register >= ISR && register < ESR) {
      int word = (register - ISR) / STEP % VectorSet.WORDS;
      return register < TMR ? isr.word(word) : register < IRR ? tmr.word(word) : irr.word(word);
    }
    if (LocalVectorTable.contains(register)) {
      return lvt.get(register);
    }
    return switch (register) {
      case ID -> x2() ? id : id << ID_SHIFT;
      case VERSION -> VERSION_VALUE;
      case TPR -> tpr;
      case PPR -> processorPriority();
      case LDR -> x2() ? x2LogicalId() : ldr;
      case DFR -> dfr << DFR_SHIFT | (1 << DFR_SHIFT) - 1;
      case SVR -> svr;
      case ESR -> esr;
      case ICR_LOW -> icr.low();
      case ICR_HIGH -> icr.high();
      case INITIAL_COUNT -> timer.initialCount();
      case CURRENT_COUNT -> timer.currentCount();
      case DIVIDE -> timer.divideRegister();
      default -> 0;
    };
  }

  /** A register that both modes have. @return whether it exists and can be written */
  boolean setRegister(int register, int value) {
    switch (register) {
      case TPR -> tpr = value & 0xFF;
      case EOI -> endOfInterrupt();
      case SVR -> setSpurious(value);
      case ESR -> {
        esr = errors;
        errors = 0;
      }
      case ICR_LOW -> icr.setLow(value);
      case LVT_TIMER -> {
        timer.setMode(value >> TIMER_MODE_SHIFT & TIMER_MODE);
        setLvt(register, value);
      }
      case LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR -> setLvt(register, value);
      case INITIAL_COUNT -> timer.setInitialCount(value);
      case DIVIDE -> timer.setDivide(value);
      // Read-only ones swallow writes.
      default -> {
        return exists(register);
      }
    }
    return true;
  }

  private void setSpurious(int value) {
    svr = value & SVR_WRITABLE;
    if ((svr & SVR_ENABLE) == 0) {
      lvt.maskAll();
    }
  }

  private void setLvt(int register, int value) {
    lvt.set(register, value, (svr & SVR_ENABLE) == 0);
  }

  // Registers by MSR.

  /** IA32_APIC_BASE. */
  public long base() {
    return base;
  }

  /** Writes IA32_APIC_BASE. @return whether the change of mode is legal (SDM, "x2APIC State Transitions") */
  public boolean writeBase(long value, long nowNs) {
    boolean enable = (value & ApicPort.BASE_ENABLE) != 0;
    boolean extend = (value & ApicPort.BASE_X2APIC) != 0;
    if (extend && (!x2Offered || !enable || !globallyEnabled()) || x2() && enable && !extend) {
      return false;
    }
    advanceTo(nowNs);
    boolean disabled = globallyEnabled() && !enable;
    boolean entersX2 = extend && !x2();
    setBase(value);
    if (disabled) {
      resetRegisters();
    }
    if (entersX2) {
      icr.setHigh(0);
    }
    update();
    return true;
  }

  /** Whether an MSR can be read in the present mode. */
  public boolean readable(int msr) {
    return msrs.readable(msr);
  }

  /** Reads an MSR that is {@link #readable}. */
  public long readMsr(int msr, long nowNs) {
    advanceTo(nowNs);
    return msrs.read(msr);
  }

  /** Writes an MSR. @return whether it exists in the present mode, can be written and takes the value */
  public boolean writeMsr(int msr, long value, long nowNs) {
    advanceTo(nowNs);
    boolean taken = msrs.write(msr, value);
    if (msr == Msr.TSC_DEADLINE) {
      advanceTo(nowNs);
    }
    return taken;
  }

  /** CR8. */
  public int taskPriority() {
    return tpr >> 4;
  }

  /** @param priorityClass 0 to 15 */
  public void setTaskPriority(int priorityClass) {
    tpr = priorityClass << 4;
    update();
  }

  @Override
  public void save(DataOutput out) throws IOException {
    out.writeInt(FORMAT);
    out.writeLong(base);
    isr.save(out);
    tmr.save(out);
    irr.save(out);
    lvt.save(out);
    for (int word : new int[] {tpr, ldr, dfr, svr, esr, errors, icr.low(), icr.high(), startup}) {
      out.writeInt(word);
    }
    out.writeBoolean(lint0);
    out.writeBoolean(initReceived);
    timer.save(out);
  }

  @Override
  public void load(DataInput in) throws IOException {
    StateSection.expectVersion(in, name(), FORMAT);
    setBase(in.readLong() & (1L << HostMemory.MAXPHYADDR) - 1);
    isr.load(in);
    tmr.load(in);
    irr.load(in);
    lvt.load(in);
    tpr = in.readInt() & 0xFF;
    ldr = in.readInt();
    dfr = in.readInt() & DFR_FLAT;
    svr = in.readInt() & SVR_WRITABLE;
    esr = in.readInt();
    errors = in.readInt();
    icr.set(in.readInt(), in.readInt());
    startup = Math.max(NONE, Math.min(VECTOR, in.readInt()));
    lint0 = in.readBoolean();
    initReceived = in.readBoolean();
    timer.load(in);
    update();
  }
}
