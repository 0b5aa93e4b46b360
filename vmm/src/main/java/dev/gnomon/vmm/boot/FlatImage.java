package dev.gnomon.vmm.boot;

import dev.gnomon.guest.memory.Gpa;

/** A flat binary: the file's bytes at the requested address, which is also its entry. */
final class FlatImage implements GuestImage {
  private static final @Gpa long REAL_MODE_LIMIT = 0x100000;

  private final BootRequest request;

  FlatImage(BootRequest request) {
    this.request = request;
  }

  @Override
  public String format() {
    return "flat binary";
  }

  @Override
  public boolean followsFirmware() {
    return false;
  }

  @Override
  public InitialState load(BootMemory memory) {
    String name = request.kernel().name();
    byte[] bytes = request.kernel().bytes();
    @Gpa long address = request.loadAddress();
    if (bytes.length == 0) {
      throw new ImageException(name, "empty file: expected at least one byte");
    }
    if (!request.modules().isEmpty()) {
      throw new ImageException(name, request.modules().size() + " modules: a flat binary takes none");
    }
    if (request.entry() == BootRequest.Entry.REAL && address >= REAL_MODE_LIMIT) {
      throw new ImageException(name,
          "load address 0x" + Long.toHexString(address) + ": expected one below 0x100000 for real mode");
    }
    if (address >= BootMemory.LIMIT_4G) {
      throw new ImageException(name, "load address 0x" + Long.toHexString(address) + ": expected one below 4 GiB");
    }
    memory.claim(name, address, bytes.length, "flat binary");
    memory.write(address, bytes);
    return switch (request.entry()) {
      case REAL -> BootState.realMode(address);
      case LONG -> BootState.longMode(name, memory, address, 0);
      case PVH -> throw new ImageException(name, "PVH entry of a flat binary: expected real, protected or long");
      case DEFAULT, PROTECTED -> BootState.protectedMode(name, memory, address, 0, 0, 0);
    };
  }
}
