package dev.gnomon.guest.oracle;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Access;
import dev.gnomon.guest.mmu.PageFaultCode;
import dev.gnomon.guest.mmu.Status;
import dev.gnomon.guest.mmu.Translation;
import dev.gnomon.guest.mmu.Translator;
import dev.gnomon.guest.mmu.WalkObserver;
import java.util.HashMap;
import java.util.Map;

/**
 * A translator from a table of pages: any linear page to any frame, with user, write and execute rights. All pages are
 * user pages.
 */
final class PageMap implements Translator {
  static final int WRITE = 1;
  static final int EXECUTE = 2;

  private record Page(long frame, int rights) { }

  private final Map<Long, Page> pages = new HashMap<>();

  /** @param gva any address of the page, {@code hpa} of the frame */
  PageMap map(long gva, long hpa, int rights) {
    pages.put(gva >>> HostMemory.FRAME_SHIFT, new Page(hpa >>> HostMemory.FRAME_SHIFT, rights));
    return this;
  }

  @Override
  public long translate(long gva, int access, Translation out) {
    Page page = pages.get(gva >>> HostMemory.FRAME_SHIFT);
    boolean write = (access & Access.WRITE) != 0;
    boolean fetch = (access & Access.FETCH) != 0;
    if (page == null || write && (page.rights & WRITE) == 0 || fetch && (page.rights & EXECUTE) == 0) {
      out.errorCode = access & Access.ERROR_CODE_MASK | (page == null ? 0 : PageFaultCode.P);
      return Status.FAULT;
    }
    long hpa = page.frame << HostMemory.FRAME_SHIFT | gva & HostMemory.FRAME_SIZE - 1;
    out.hpa = hpa;
    out.gpa = hpa;
    out.pageShift = HostMemory.FRAME_SHIFT;
    out.guestPageShift = HostMemory.FRAME_SHIFT;
    out.rights = Translation.READABLE | Translation.STAGE_WRITABLE | Translation.DIRTY | Translation.USER
        | ((page.rights & WRITE) != 0 ? Translation.WRITABLE : 0)
        | ((page.rights & EXECUTE) != 0 ? Translation.EXECUTABLE : 0);
    return hpa;
  }

  @Override
  public long peek(long gva, int access, Translation out, WalkObserver steps) {
    return translate(gva, access, out);
  }

  @Override
  public void flushAddress(long gva, int pcid) { }

  @Override
  public void flushLinear(int pcid) { }

  @Override
  public void flushAll() { }
}
