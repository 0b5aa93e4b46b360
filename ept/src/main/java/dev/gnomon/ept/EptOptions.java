package dev.gnomon.ept;

/**
 * What form of EPT a hypervisor uses, beyond page sizes and A and D flags.
 *
 * @param levels of the tables, 4 or 5
 * @param modeBasedExecute execute rights are separate for supervisor-mode and user-mode linear addresses
 * @param exceptions entries suppress virtualization exceptions, present ones or not, so that only pages chosen raise
 *     them
 * @param views roots that there are, 1 to 512: views of memory, among which VMFUNC may switch
 */
public record EptOptions(int levels, boolean modeBasedExecute, boolean exceptions, int views) {
  public static final EptOptions DEFAULT = new EptOptions(EptEntry.LEVELS, false, false, 1);

  public EptOptions {
    if (levels != EptEntry.LEVELS && levels != EptEntry.MAX_LEVELS) {
      throw new IllegalArgumentException("EPT of " + levels + " levels: expected 4 or 5");
    }
    if (views < 1 || views > EptpSwitching.LIST_ENTRIES) {
      throw new IllegalArgumentException(views + " EPT views: expected 1 to " + EptpSwitching.LIST_ENTRIES);
    }
  }

  public EptOptions withLevels(int value) {
    return new EptOptions(value, modeBasedExecute, exceptions, views);
  }

  public EptOptions withModeBasedExecute(boolean value) {
    return new EptOptions(levels, value, exceptions, views);
  }

  public EptOptions withExceptions(boolean value) {
    return new EptOptions(levels, modeBasedExecute, value, views);
  }

  public EptOptions withViews(int value) {
    return new EptOptions(levels, modeBasedExecute, exceptions, value);
  }

  /** In the words of the command line's {@code --ept}. */
  @Override
  public String toString() {
    return "levels=" + levels + (modeBasedExecute ? ",mbec" : "") + (exceptions ? ",ve" : "")
        + (views > 1 ? ",views=" + views : "");
  }
}
