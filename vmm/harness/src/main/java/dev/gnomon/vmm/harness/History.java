package dev.gnomon.vmm.harness;

import dev.gnomon.guest.memory.Gpa;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a schedule's requests, exits and steps came to. */
final class History {
  /** Kinds of violations. */
  static final String DOUBLE_FETCH = "double fetch";
  static final String BEFORE_READY = "access before the driver was ready";
  static final String AFTER_RESET = "access after a reset";
  static final String LENGTH = "length beyond what was written";

  /** The reason of an exit. */
  static final String DOORBELL = "doorbell";

  /** One request. */
  static final class Request {
    final long begun;
    long ended = -1;
    int completions;
    /** Resets when it began. */
    final int boot;

    Request(long begun, int boot) {
      this.begun = begun;
      this.boot = boot;
    }
  }

  record Exit(String reason, @Gpa long gpa) {
  }

  record Violation(String kind, String detail) {
  }

  private final Map<Long, Request> requests = new LinkedHashMap<>();
  private final Map<Long, Integer> unknown = new LinkedHashMap<>();
  private final List<Exit> exits = new ArrayList<>();
  private final List<Violation> violations = new ArrayList<>();
  private int resets;
  private int interrupts;
  private int fences;
  private int windowFills;
  private int maxStepBytes;
  private int maxStepAccesses;

  void began(long id, long now) {
    requests.put(id, new Request(now, resets));
  }

  void ended(long id, long now) {
    Request request = requests.get(id);
    if (request != null && request.ended < 0) {
      request.ended = now;
    }
  }

  void completed(long id) {
    Request request = requests.get(id);
    if (request == null) {
      unknown.merge(id, 1, Integer::sum);
    } else {
      request.completions++;
    }
  }

  void exit(String reason, @Gpa long gpa) {
    exits.add(new Exit(reason, gpa));
  }

  void violate(String kind, String detail) {
    violations.add(new Violation(kind, detail));
  }

  void interrupted() {
    interrupts++;
  }

  /** A driver has made a fence or a compare-and-swap. */
  void fence() {
    fences++;
  }

  /** A page fault that shadow paging takes for a guest's access to a window. */
  void windowFill() {
    windowFills++;
  }

  void reset() {
    resets++;
  }

  void step(int bytes, int accesses) {
    maxStepBytes = Math.max(maxStepBytes, bytes);
    maxStepAccesses = Math.max(maxStepAccesses, accesses);
  }

  Map<Long, Request> requests() {
    return requests;
  }

  Map<Long, Integer> unknown() {
    return unknown;
  }

  List<Exit> exits() {
    return exits;
  }

  List<Violation> violations() {
    return violations;
  }

  int resets() {
    return resets;
  }

  int interrupts() {
    return interrupts;
  }

  int fences() {
    return fences;
  }

  int windowFills() {
    return windowFills;
  }

  int maxStepBytes() {
    return maxStepBytes;
  }

  int maxStepAccesses() {
    return maxStepAccesses;
  }
}
