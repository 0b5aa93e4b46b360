/**
 * A small 64-bit guest kernel, written with the project's assembler: it boots by multiboot1, enters long mode, and runs
 * one program either in the kernel itself or as its first user process.
 *
 * <p>It has what makes a memory-management unit work as under a real system: demand paging, processes with page tables
 * of their own and optional PCIDs, copy-on-write fork, mprotect with fault handlers in user mode, munmap with INVLPG,
 * system calls with and without page-table isolation, and a timer. It knows nothing of the machine's mode and reads no
 * time, so it does the same in each.
 *
 * <p>One class emits one subject. {@link dev.gnomon.workloads.kernel.GuestKernel} puts them together. Kernel routines
 * follow the System V calling convention (arguments in RDI, RSI, RDX; result in RAX; RBX, RBP and R12 to R14
 * preserved), with one register more: in the kernel R15 holds the base of the direct map, so that {@code [r15 +
 * physical address]} is memory. The kernel itself runs with interrupts disabled.
 */
package dev.gnomon.workloads.kernel;
