package dev.gnomon.vmm.device;

import java.io.DataInput;
import java.io.IOException;

/** What the devices' saved sections have in common. */
final class StateSection {
  private StateSection() {
  }

  /** Reads a section's version and refuses any other than {@code version}. */
  static void expectVersion(DataInput in, String device, int version) throws IOException {
    int found = in.readInt();
    if (found != version) {
      throw new IOException(device + ": saved state has version " + found + ", expected " + version);
    }
  }
}
