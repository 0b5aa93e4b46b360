package dev.gnomon.vmm.boot;

/** The state after a reset, for firmware that is in ROM already. */
final class FirmwareStart implements GuestImage {
  private final int signature;

  /** @param signature the processor's, CPUID.1:EAX, which a reset leaves in EDX */
  FirmwareStart(int signature) {
    this.signature = signature;
  }

  @Override
  public String format() {
    return "firmware";
  }

  @Override
  public boolean followsFirmware() {
    return false;
  }

  @Override
  public InitialState load(BootMemory memory) {
    return BootState.reset().withRdx(signature & 0xFFFF_FFFFL);
  }
}
