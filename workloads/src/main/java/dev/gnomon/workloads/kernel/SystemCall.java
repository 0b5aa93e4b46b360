package dev.gnomon.workloads.kernel;

/**
 * System calls of the guest kernel, numbered by their order. Number in RAX; arguments in RDI, RSI, RDX; result in RAX,
 * −1 for a mistake. RCX and R11 are lost, all else is kept.
 */
public enum SystemCall {
  /** RDI: exit code; of the first process it becomes the guest's status unless it is 0. */
  EXIT,
  /** The process's number. */
  GETPID,
  /** Lets the next process run. */
  YIELD,
  /** The child's number, and 0 in the child. */
  FORK,
  /** Waits for a child to end: its exit code, −1 without children. */
  WAIT,
  /** RDI: address; RSI: length; RDX: flags of {@link Areas}; multiples of the page size. The address. */
  MMAP,
  /** RDI: address; RSI: length; of exactly one mapping. */
  MUNMAP,
  /** RDI: address; RSI: length; RDX: 0 for read-only, 1 for read and write. */
  MPROTECT,
  /** RDI: a value of {@link GuestPorts#REGION}. */
  REGION,
  /** RDI: the program's result; the kernel prints it and whether it is right. */
  REPORT,
  /** RDI: where to go on a fault that the kernel cannot resolve, RDI then the page's address; 0 to end instead. */
  FAULT_HANDLER,
  /** Ends a fault handler: the interrupted instruction is tried again. */
  FAULT_RETURN,
  /** Timer interrupts since the start. */
  TICKS
}
