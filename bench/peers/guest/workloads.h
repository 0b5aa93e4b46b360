/* The constants of the three workloads, shared by the guest and by the host program that predicts its checksums. */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#define ALU_A 0x9e3779b9u
#define ALU_B 0x7f4a7c15u
#define ALU_C 0x00000001u

/* The chase's nodes lie in guest-physical [32 MiB, 96 MiB), identity-mapped by 4K pages. */
#define ARENA_BASE 0x02000000u
#define ARENA_BYTES 0x04000000u
#define NODE_BYTES 64u
#define NODE_COUNT (ARENA_BYTES / NODE_BYTES)
#define CHASE_SEED 2463534242u

/* What the churn's window shows while its PTE maps the first frame, and while it maps the second. */
#define CHURN_FIRST 0x2545f491u
#define CHURN_SECOND 0x4f6cdd1du

/* Marsaglia's xorshift32: any nonzero state, period 2^32 - 1. */
static inline unsigned next_random(unsigned *state) {
  unsigned x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

/* A number in [0, bound) by the high half of a product, which needs no division. */
static inline unsigned random_below(unsigned *state, unsigned bound) {
  return (unsigned) (((unsigned long long) next_random(state) * bound) >> 32);
}

#endif
