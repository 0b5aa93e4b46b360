/*
 * Predicts a run's checksum on the host: "expect NAME N" prints the line that the guest ends with.
 * The chase walks an array of indices and the churn is a closed form, so a wrong translation cannot cancel out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads.h"

static unsigned alu(unsigned n) {
  unsigned a = ALU_A;
  unsigned b = ALU_B;
  unsigned c = ALU_C;
  while (n-- != 0) {
    a += b;
    b ^= a;
    c += b;
  }
  return a ^ c;
}

static unsigned chase(unsigned n) {
  static unsigned next[NODE_COUNT];
  for (unsigned node = 0; node < NODE_COUNT; node++) {
    next[node] = node;
  }
  unsigned seed = CHASE_SEED;
  for (unsigned node = NODE_COUNT - 1; node != 0; node--) {
    unsigned other = random_below(&seed, node);
    unsigned link = next[node];
    next[node] = next[other];
    next[other] = link;
  }
  unsigned node = 0;
  for (n %= NODE_COUNT; n != 0; n--) {
    node = next[node];
  }
  return ARENA_BASE + node * NODE_BYTES;
}

static unsigned churn(unsigned n) {
  return (n - n / 2) * CHURN_FIRST + n / 2 * CHURN_SECOND;
}

int main(int argc, char **argv) {
  if (argc == 3) {
    char *end;
    unsigned n = (unsigned) strtoul(argv[2], &end, 10);
    if (n != 0 && *end == 0) {
      if (strcmp(argv[1], "alu") == 0) {
        return printf("done alu %u %08x\n", n, alu(n)) < 0;
      }
      if (strcmp(argv[1], "chase") == 0) {
        return printf("done chase %u %08x\n", n, chase(n)) < 0;
      }
      if (strcmp(argv[1], "churn") == 0) {
        return printf("done churn %u %08x\n", n, churn(n)) < 0;
      }
    }
  }
  fputs("usage: expect alu|chase|churn N, with N from 1\n", stderr);
  return 2;
}
