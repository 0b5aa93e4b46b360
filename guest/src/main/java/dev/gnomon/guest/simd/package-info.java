/**
 * Packed-integer arithmetic of MMX and SSE2 on 64-bit words, without state (SDM vol. 1, "Programming with Intel MMX
 * Technology").
 */
package dev.gnomon.guest.simd;
