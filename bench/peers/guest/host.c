/*
 * The chase on the host's own processor: "host chase N" prints the line that the guest ends with. The nodes lie as in the guest, in
 * huge pages if the host gives them. No emulator can be faster, since each load needs the address that the one before it brings.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "workloads.h"

#define HUGE_PAGE_BYTES ((uintptr_t) 2 << 20)

static unsigned *node_at(char *arena, unsigned node) {
  return (unsigned *) (arena + (size_t) node * NODE_BYTES);
}

static void build(char *arena) {
  for (unsigned node = 0; node < NODE_COUNT; node++) {
    *node_at(arena, node) = node * NODE_BYTES;
  }
  unsigned seed = CHASE_SEED;
  for (unsigned node = NODE_COUNT - 1; node != 0; node--) {
    unsigned *one = node_at(arena, node);
    unsigned *other = node_at(arena, random_below(&seed, node));
    unsigned link = *one;
    *one = *other;
    *other = link;
  }
}

int main(int argc, char **argv) {
  char *end = "x";
  unsigned n = argc == 3 && strcmp(argv[1], "chase") == 0 ? (unsigned) strtoul(argv[2], &end, 10) : 0;
  if (n == 0 || *end != 0) {
    fputs("usage: host chase N, with N from 1\n", stderr);
    return 2;
  }
  char *mapped = mmap(NULL, ARENA_BYTES + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    perror("host: mmap");
    return 1;
  }
  char *arena = (char *) (((uintptr_t) mapped + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1));
  madvise(arena, ARENA_BYTES, MADV_HUGEPAGE);
  build(arena);
  unsigned offset = 0;
  for (unsigned i = n; i != 0; i--) {
    offset = *(volatile unsigned *) (arena + offset);
  }
  return printf("done chase %u %08x\n", n, ARENA_BASE + offset) < 0;
}
