/*
 * The guest of the cross-emulator comparison: one workload, chosen by the multiboot command line ("alu 200000000",
 * "chase 5000000", "churn 2000000"), in 32-bit protected mode under 4K non-PAE paging, with interrupts off.
 * COM1 carries the lines "start NAME N" before the timed loop and "done NAME N CHECKSUM" after it.
 */
#include "workloads.h"

enum {
  COM1 = 0x3f8,
  LINE_CONTROL = COM1 + 3,
  LINE_STATUS = COM1 + 5,
  LINE_8N1 = 0x03,
  TRANSMITTER_EMPTY = 0x20,
  DEBUG_EXIT = 0xf4,
  BOCHS_SHUTDOWN = 0x8900
};

/*
 * 32-bit page-table entry (Intel SDM vol. 3, "32-Bit Paging"):
 *   31            12 11       7 6  5  4  1 1 0
 *  +----------------+----------+--+--+----+-+-+
 *  |     frame      |    0     |D |A | .. |W|P|
 *  +----------------+----------+--+--+----+-+-+
 */
enum { PTE_PRESENT = 1, PTE_WRITABLE = 2, PAGE_BYTES = 4096, ENTRIES = 1024 };

enum { MAPPED_TABLES = 32, MAPPED_BYTES = MAPPED_TABLES * ENTRIES * PAGE_BYTES };

/* The churn's page, the first one above the identity map. */
#define WINDOW ((unsigned) MAPPED_BYTES)

#define BOOT_MAGIC 0x2badb002u
enum { BOOT_HAS_MEMORY = 1, BOOT_HAS_COMMAND_LINE = 4 };

#define DEFAULT_COUNT 10000000u

struct boot_information {
  unsigned flags;
  unsigned lower_kib;
  unsigned upper_kib;
  unsigned boot_device;
  const char *command_line;
};

#define PAGE_ALIGNED __attribute__((aligned(4096)))

static unsigned directory[ENTRIES] PAGE_ALIGNED;
static unsigned identity[MAPPED_TABLES * ENTRIES] PAGE_ALIGNED;
static unsigned window_table[ENTRIES] PAGE_ALIGNED;
static unsigned frames[2][ENTRIES] PAGE_ALIGNED;

static inline void out8(unsigned short port, unsigned char value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline unsigned char in8(unsigned short port) {
  unsigned char value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

/* The wait is bounded, so that a machine whose line status never turns ready still ends. */
static void put_char(char c) {
  for (unsigned tries = 100000; tries != 0 && (in8(LINE_STATUS) & TRANSMITTER_EMPTY) == 0; tries--) {
  }
  out8(COM1, (unsigned char) c);
}

static void put_string(const char *s) {
  while (*s != 0) {
    put_char(*s++);
  }
}

static void put_decimal(unsigned value) {
  char digits[10];
  unsigned length = 0;
  do {
    digits[length++] = (char) ('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (length != 0) {
    put_char(digits[--length]);
  }
}

static void put_hex(unsigned value) {
  for (int shift = 28; shift >= 0; shift -= 4) {
    put_char("0123456789abcdef"[value >> shift & 15]);
  }
}

/* Ends QEMU by its isa-debug-exit device, Bochs by its shutdown port, and any other machine by HLT with interrupts off. */
static void end_machine(void) {
  out8(DEBUG_EXIT, 0);
  for (const char *s = "Shutdown"; *s != 0; s++) {
    out8(BOCHS_SHUTDOWN, (unsigned char) *s);
  }
  for (;;) {
    __asm__ volatile("cli; hlt");
  }
}

static void fail(const char *message) {
  put_string("error ");
  put_string(message);
  put_string("\r\n");
  end_machine();
}

static void enable_paging(void) {
  for (unsigned page = 0; page < MAPPED_TABLES * ENTRIES; page++) {
    identity[page] = page * PAGE_BYTES | PTE_PRESENT | PTE_WRITABLE;
  }
  for (unsigned table = 0; table < MAPPED_TABLES; table++) {
    directory[table] = (unsigned) &identity[table * ENTRIES] | PTE_PRESENT | PTE_WRITABLE;
  }
  directory[MAPPED_TABLES] = (unsigned) window_table | PTE_PRESENT | PTE_WRITABLE;
  __asm__ volatile(
      "movl %%cr4, %%eax\n\t"
      "andl $~0xb0, %%eax\n\t"        /* PGE, PAE and PSE off */
      "movl %%eax, %%cr4\n\t"
      "movl %0, %%cr3\n\t"
      "movl %%cr0, %%eax\n\t"
      "orl $0x80010000, %%eax\n\t"    /* PG and WP on */
      "movl %%eax, %%cr0\n\t"
      "jmp 1f\n"
      "1:"
      : : "r"(directory) : "eax", "cc", "memory");
}

/* Five instructions an iteration, none of which touches memory. */
__attribute__((noinline, noclone)) unsigned alu_loop(unsigned n) {
  unsigned a = ALU_A;
  unsigned b = ALU_B;
  unsigned c = ALU_C;
  do {
    a += b;
    b ^= a;
    c += b;
  } while (--n != 0);
  return a ^ c;
}

/* Sattolo's shuffle: the links form one cycle through all nodes. */
static void build_chase(void) {
  for (unsigned node = 0; node < NODE_COUNT; node++) {
    unsigned address = ARENA_BASE + node * NODE_BYTES;
    *(unsigned *) address = address;
  }
  unsigned seed = CHASE_SEED;
  for (unsigned node = NODE_COUNT - 1; node != 0; node--) {
    unsigned *one = (unsigned *) (ARENA_BASE + node * NODE_BYTES);
    unsigned *other = (unsigned *) (ARENA_BASE + random_below(&seed, node) * NODE_BYTES);
    unsigned link = *one;
    *one = *other;
    *other = link;
  }
}

/* Three instructions an iteration, of which one loads the address of the next node. */
__attribute__((noinline, noclone)) unsigned chase_loop(unsigned n) {
  unsigned node = ARENA_BASE;
  do {
    node = *(const unsigned *) node;
  } while (--n != 0);
  return node;
}

/*
 * Six instructions an iteration: write the PTE, INVLPG, load through it, change frames, count, branch.
 * The PTE is written with A clear, so every walk sets it anew.
 */
__attribute__((noinline, noclone)) unsigned churn_loop(unsigned n, unsigned entry, unsigned difference) {
  unsigned sum = 0;
  do {
    window_table[0] = entry;
    __asm__ volatile("invlpg %0" : : "m"(*(char *) WINDOW) : "memory");
    sum += *(const unsigned *) WINDOW;
    entry ^= difference;
  } while (--n != 0);
  return sum;
}

static unsigned churn(unsigned n) {
  frames[0][0] = CHURN_FIRST;
  frames[1][0] = CHURN_SECOND;
  unsigned first = (unsigned) frames[0] | PTE_PRESENT | PTE_WRITABLE;
  unsigned second = (unsigned) frames[1] | PTE_PRESENT | PTE_WRITABLE;
  return churn_loop(n, first, first ^ second);
}

/* The rest of the line after the given word, or 0 if the line does not begin with that word. */
static const char *after_word(const char *line, const char *word) {
  while (*word != 0) {
    if (*line++ != *word++) {
      return 0;
    }
  }
  return *line == 0 || *line == ' ' ? line : 0;
}

static unsigned parse_count(const char *line) {
  while (*line == ' ') {
    line++;
  }
  if (*line == 0) {
    return DEFAULT_COUNT;
  }
  unsigned value = 0;
  for (; *line >= '0' && *line <= '9'; line++) {
    unsigned digit = (unsigned) (*line - '0');
    if (value > (0xffffffffu - digit) / 10) {
      fail("count: expected at most 4294967295");
    }
    value = value * 10 + digit;
  }
  if (value == 0 || (*line != 0 && *line != ' ')) {
    fail("count: expected a decimal number from 1");
  }
  return value;
}

enum workload { ALU, CHASE, CHURN, WORKLOADS };

static const char names[WORKLOADS][6] = {"alu", "chase", "churn"};

/* Some loaders put the image's path before the arguments, so every word is tried. */
static enum workload parse_command_line(const char *line, unsigned *count) {
  while (*line != 0) {
    for (unsigned i = 0; i < WORKLOADS; i++) {
      const char *rest = after_word(line, names[i]);
      if (rest != 0) {
        *count = parse_count(rest);
        return (enum workload) i;
      }
    }
    while (*line != 0 && *line != ' ') {
      line++;
    }
    while (*line == ' ') {
      line++;
    }
  }
  *count = DEFAULT_COUNT;
  return ALU;
}

static void put_header(const char *word, enum workload workload, unsigned count) {
  put_string(word);
  put_char(' ');
  put_string(names[workload]);
  put_char(' ');
  put_decimal(count);
}

void guest_main(unsigned magic, const struct boot_information *boot) {
  out8(LINE_CONTROL, LINE_8N1);
  if (magic != BOOT_MAGIC) {
    fail("not started by a multiboot loader");
  }
  if ((boot->flags & BOOT_HAS_MEMORY) == 0 || boot->upper_kib < (ARENA_BASE + ARENA_BYTES) / 1024 - 1024) {
    fail("memory: expected at least 96 MiB");
  }
  unsigned count;
  const char *line = (boot->flags & BOOT_HAS_COMMAND_LINE) != 0 ? boot->command_line : "";
  /* The line is read before paging is on: it may lie above the identity map or in the chase's arena. */
  enum workload workload = parse_command_line(line, &count);
  enable_paging();
  if (workload == CHASE) {
    build_chase();
  }
  put_header("start", workload, count);
  put_string("\r\n");
  unsigned checksum = workload == ALU ? alu_loop(count) : workload == CHASE ? chase_loop(count) : churn(count);
  put_header("done", workload, count);
  put_char(' ');
  put_hex(checksum);
  put_string("\r\n");
  end_machine();
}
