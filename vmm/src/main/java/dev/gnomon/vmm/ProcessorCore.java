package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.exec.Processor;
import dev.gnomon.guest.mmu.Translator;

/** {@link GuestCore} by the interpreter. */
final class ProcessorCore implements GuestCore {
  private final Processor processor;
  private final Cpu cpu;

  ProcessorCore(Processor processor) {
    this.processor = processor;
    this.cpu = processor.cpu();
  }

  @Override
  public int run(long limit) {
    return processor.run(limit);
  }

  @Override
  public int emulateOne(Translator port) {
    return processor.emulateOne(port);
  }

  @Override
  public void queue(int vector, int type, boolean hasErrorCode, int errorCode, int length) {
    processor.events().queue(vector, type, hasErrorCode, errorCode, length);
  }

  @Override
  public int raise() {
    boolean intercepting = cpu.intercepts.enabled;
    cpu.intercepts.enabled = false;
    int status = processor.events().raise();
    cpu.intercepts.enabled = intercepting;
    return status;
  }

  @Override
  public int deliverThrough(Translator port) {
    boolean intercepting = cpu.intercepts.enabled;
    cpu.intercepts.enabled = false;
    cpu.mmu.usePort(port);
    int status = processor.events().dispatch();
    cpu.mmu.usePort(null);
    cpu.intercepts.enabled = intercepting;
    return status;
  }
}
