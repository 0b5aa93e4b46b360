package dev.gnomon.workloads;

import dev.gnomon.workloads.kernel.Areas;

/** The page-size parameter that most workloads have. */
enum PageSize {
  SIZE_4K(1 << 12), SIZE_2M(1 << 21);

  final int bytes;

  PageSize(int bytes) {
    this.bytes = bytes;
  }

  static Parameter parameter() {
    return Parameter.choice("page", "page size of the memory under test", "4k", "2m");
  }

  static PageSize of(Parameters values) {
    return values()[values.count("page")];
  }

  /** Flags of {@link Areas} for memory with such pages. */
  int areaFlags() {
    return this == SIZE_2M ? Areas.PAGES_2M : 0;
  }

  /** Level of the entry that maps such a page. */
  int level() {
    return this == SIZE_2M ? 2 : 1;
  }

  long roundUp(long size) {
    return (size + bytes - 1) & -(long) bytes;
  }

  long pages(long size) {
    return roundUp(size) / bytes;
  }
}
