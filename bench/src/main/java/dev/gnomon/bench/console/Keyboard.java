package dev.gnomon.bench.console;

import dev.gnomon.vmm.Idle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * Somebody who types while the guest runs. What is typed is taken over between slices of the run and while the
 * processor sleeps, when virtual time passes as fast as time on the host.
 */
public final class Keyboard implements Idle {
  private static final long LOOK_NS = 50_000_000;
  private static final int BUFFER = 4096;

  private final HostTerminal terminal;
  private final Session session;
  private final Runnable leave;
  private final Runnable flush;
  private final BooleanSupplier stopping;
  private final BlockingQueue<byte[]> typed = new LinkedBlockingQueue<>();
  private volatile boolean left;
  private volatile boolean atEnd;

  /**
   * @param leave ends the run, from any thread
   * @param flush writes what the guest has written so far
   * @param stopping whether the run is to end for another reason
   */
  public Keyboard(HostTerminal terminal, Session session, Runnable leave, Runnable flush, BooleanSupplier stopping) {
    this.terminal = terminal;
    this.session = session;
    this.leave = leave;
    this.flush = flush;
    this.stopping = stopping;
  }

  /** Listens from now on, until the end of the input. */
  public void start() {
    Thread reader = new Thread(this::read, "keyboard");
    reader.setDaemon(true);
    reader.start();
  }

  private void read() {
    EscapeKeys keys = new EscapeKeys(new EscapeKeys.Listener() {
      @Override
      public void typed(byte[] bytes) {
        typed.add(bytes);
      }

      @Override
      public void command(EscapeKeys.Command command) {
        obey(command);
      }
    });
    byte[] buffer = new byte[BUFFER];
    try {
      for (int n = terminal.input().read(buffer); n >= 0 && !left; n = terminal.input().read(buffer)) {
        keys.accept(buffer, n);
      }
    } catch (IOException e) {
      // The terminal is gone, which is the end of the input.
    }
    atEnd = true;
  }

  private void obey(EscapeKeys.Command command) {
    switch (command) {
      case LEAVE -> {
        left = true;
        leave.run();
      }
      case HELP -> terminal.print("\n" + EscapeKeys.HELP);
      case WINDOW_SIZE -> typed.add(("stty rows " + terminal.rows() + " cols " + terminal.columns() + "\r").getBytes(
          StandardCharsets.US_ASCII));
    }
  }

  /** Whether Ctrl-A X was typed. */
  public boolean left() {
    return left;
  }

  /** Sends what was typed since the last look. */
  public void look() {
    for (byte[] bytes = typed.poll(); bytes != null; bytes = typed.poll()) {
      session.send(bytes);
    }
  }

  @Override
  public long sleep(long nowNs, long untilNs) {
    flush.run();
    long begin = System.nanoTime();
    long whole = untilNs == Long.MAX_VALUE ? Long.MAX_VALUE : untilNs - nowNs;
    while (!left && !atEnd) {
      long rest = whole - (System.nanoTime() - begin);
      if (rest <= 0) {
        return untilNs;
      }
      byte[] bytes = poll(Math.min(rest, LOOK_NS));
      if (bytes != null) {
        long due = nowNs + Math.max(1, Math.min(System.nanoTime() - begin, whole));
        session.send(bytes, due);
        return due;
      }
      if (Thread.currentThread().isInterrupted() || stopping.getAsBoolean()) {
        break;
      }
    }
    return untilNs;
  }

  private byte[] poll(long ns) {
    try {
      return typed.poll(ns, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return null;
    }
  }
}
