package dev.gnomon.workloads;

import java.util.stream.Stream;

/** Workloads at sizes for tests: every workload and every kernel option at least once. */
final class SmallWorkloads {
  private SmallWorkloads() {}

  static Stream<String> all() {
    return Stream.concat(withoutPcid(), Stream.of(
        "ctxswitch:processes=5,switches=50,pcid=on",
        "forkcow:size=64K,writes=5,iterations=3,pcid=on",
        "kpti:calls=200,pcid=on",
        "polled:requests=20",
        "polled:requests=20,device=mmio",
        "polled:requests=20,device=ports"));
  }

  /** Those that run on any PC. */
  static Stream<String> withoutPcid() {
    return Stream.of(
        "walkprobe:iterations=500",
        "walkprobe:iterations=500,page=2m",
        "walkprobe:iterations=500,page=1g,flush=invlpg",
        "gups:size=256K,updates=2000,seed=7",
        "gups:size=4M,page=2m,updates=2000",
        "ptrchase:size=128K,stride=256,loads=3000,seed=0x123456789abcdef",
        "ptrchase:size=2M,page=2m,stride=4096,loads=3000",
        "touchall:size=300K,seed=-3",
        "touchall:size=2M,page=2m",
        "pfloop:size=64K,iterations=6",
        "pfloop:size=64K,iterations=6,frames=fresh",
        "pfloop:page=2m,iterations=2",
        "ptchurn:iterations=1000,pages=9,frames=5",
        "ptchurn:iterations=500,page=2m,frames=3",
        "ctxswitch:processes=1,switches=40",
        "ctxswitch:processes=3,switches=200,hz=10000",
        "ctxswitch:processes=2,size=2M,page=2m,switches=40",
        "forkcow:size=64K,writes=5,iterations=3",
        "forkcow:size=8K,writes=0,iterations=2",
        "forkcow:size=2M,page=2m,iterations=1",
        "protect:size=32K,iterations=3",
        "protect:page=2m,iterations=3",
        "mmap:size=32K,reads=4,iterations=10",
        "syscall:calls=200",
        "syscall:calls=20,page=2m",
        "kpti:calls=200",
        "phases:size=256K,rounds=2,chunk=16K,chunks=2,updates=500");
  }
}
