package dev.gnomon.guest.memory;

import com.sun.jna.Function;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.util.Locale;

/**
 * Asks the host's Linux to back a buffer with large pages of its own, so that the processor which runs Gnomon does not
 * miss its TLB at each of the guest's random accesses. QEMU asks the same for its guests' memory ({@code ram_block_add}
 * in {@code softmmu/physmem.c}).
 *
 * <p>Only a wish: where it cannot be fulfilled (another operating system, {@code never} in
 * {@code /sys/kernel/mm/transparent_hugepage/enabled}, a temporary directory from which JNA cannot load its library)
 * all goes on as without it, and nothing that a guest or a counter can see depends on it. Source: madvise(2).
 */
final class HostLargePages {
  private static final long PAGE = 4096;
  /** What is smaller fits the reach of a processor's TLB almost whole, and is gone before the call has paid. */
  private static final int SMALLEST = 32 << 20;
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;

  private HostLargePages() {
  }

  /**
   * @param zeros a direct buffer, all zeros. The small pages that {@code allocateDirect} has touched are given back;
   *     what comes in their place reads as zeros too
   * @return whether the host took the advice
   */
  static boolean advise(ByteBuffer zeros) {
    if (zeros.capacity() < SMALLEST || !System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("linux")) {
      return false;
    }
    try {
      long address = Pointer.nativeValue(Native.getDirectBufferPointer(zeros));
      long first = (address + PAGE - 1) & -PAGE;
      long length = (address + zeros.capacity() - first) & -PAGE;
      Function madvise = Function.getFunction("c", "madvise");
      return madvise(madvise, first, length, MADV_HUGEPAGE) && madvise(madvise, first, length, MADV_DONTNEED);
    } catch (LinkageError e) {
      return false;
    }
  }

  private static boolean madvise(Function madvise, long address, long length, int advice) {
    return madvise.invokeInt(new Object[] {new Pointer(address), new NativeLong(length), advice}) == 0;
  }
}
