package dev.gnomon.vmm.harness;

import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * Watches code under test from another thread: which device's step or driver has the word, and whether it ever gives it
 * back. What does not is left where it is, on a thread that keeps nobody from going on.
 */
final class Watch {
  private static final long LOOK_MS = 20;
  private static final long GRACE_MS = 100;

  /** Who has the word, null if nobody's code is watched. */
  private final AtomicReference<Actor> acting = new AtomicReference<>();
  /** How often that has changed. */
  private final AtomicLong changes = new AtomicLong();
  private volatile boolean givenUp;

  /** An actor did not give the word back. */
  static final class Late extends Exception {
    private static final long serialVersionUID = 1;

    private final transient HarnessFailure failure;

    Late(HarnessFailure failure) {
      super(failure);
      this.failure = failure;
    }

    HarnessFailure failure() {
      return failure;
    }
  }

  /** Gives the word to an actor. @return who has had it, for {@link #leave} */
  Actor enter(Actor actor) {
    Actor outer = acting.get();
    change(actor);
    return outer;
  }

  void leave(Actor outer) {
    change(outer);
  }

  private void change(Actor actor) {
    if (givenUp) {
      throw Control.GIVEN_UP;
    }
    acting.lazySet(actor);
    changes.lazySet(changes.get() + 1);
  }

  /**
   * Runs code on a thread of its own as long as somebody new has the word now and then.
   *
   * @param limit host time that one may have it; zero, or a debugger, for as long as it likes
   * @param watches who is watched; it may change in the course of time
   */
  static <T> T over(Duration limit, Supplier<Watch> watches, Supplier<T> code) throws Late {
    AtomicReference<T> result = new AtomicReference<>();
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread worker = new Thread(() -> {
      try {
        result.set(code.get());
      } catch (Throwable e) {
        thrown.set(e);
      }
    }, Thread.currentThread().getName());
    worker.setDaemon(true);
    worker.start();
    long most = limit.isZero() || isDebugged() ? Long.MAX_VALUE : limit.toNanos();
    boolean interrupted = false;
    long begin = System.nanoTime();
    Watch watch = null;
    long seen = 0;
    while (worker.isAlive()) {
      try {
        worker.join(LOOK_MS);
      } catch (InterruptedException e) {
        interrupted = true;
        worker.interrupt();
      }
      Watch now = watches.get();
      if (now != watch || now.changes.get() != seen || now.acting.get() == null) {
        watch = now;
        seen = now.changes.get();
        begin = System.nanoTime();
      } else if (System.nanoTime() - begin > most) {
        throw new Late(watch.giveUp(worker, limit));
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (thrown.get() instanceof RuntimeException e) {
      throw e;
    }
    if (thrown.get() instanceof Error e) {
      throw e;
    }
    return result.get();
  }

  private static boolean isDebugged() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .anyMatch(argument -> argument.startsWith("-agentlib:jdwp"));
  }

  private HarnessFailure giveUp(Thread worker, Duration limit) {
    Actor late = acting.get();
    StackTraceElement[] stack = worker.getStackTrace();
    givenUp = true;
    worker.interrupt();
    try {
      worker.join(GRACE_MS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    StringBuilder text = new StringBuilder(late.call()).append(" has not returned for ")
        .append(limit.toMillis() / 1000.0).append(" s");
    for (StackTraceElement frame : stack) {
      if (frame.getClassName().startsWith(Watch.class.getPackageName() + ".") && frame.getMethodName().equals("act")) {
        break;
      }
      text.append("\n    at ").append(frame);
    }
    HarnessFailure failure = new HarnessFailure("no return", text.toString());
    failure.setStackTrace(stack);
    return failure;
  }
}
