/**
 * Binary floating point as x86 processors do it, independent of the host's: every rounding mode, denormals and exact
 * exception flags (SDM vol. 1, "Programming with Intel SSE" and "Programming with the x87 FPU"; IEEE 754).
 */
package dev.gnomon.guest.fp;
