package dev.gnomon.vmm;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.memory.MemorySlot;
import dev.gnomon.vmm.polled.DeviceHost;
import dev.gnomon.vmm.polled.HostPolling;
import dev.gnomon.vmm.polled.Poll;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * Polls a machine's devices on threads of their own, as a host with processors to spare does. What the guest sees then
 * depends on the host's scheduling: such a run is not reproducible, and nothing in it may be published as a count.
 *
 * <p>A device thread touches only windows by itself. Writes of RAM and interrupts it leaves to the processor's thread,
 * which does them between instructions, at the latest each virtual microsecond. While all processors sleep, virtual
 * time jumps only after each device has looked once more and found nothing: a request in flight lets it pass as fast as
 * the host's and no faster. A device that is not trusted to return, and does not, is stopped by the processor's thread;
 * its own is left where it is.
 */
public final class RealThreads implements AutoCloseable {
  private static final long SPIN_BEFORE_PARK = 1000;
  private static final long PARK_NS = 2000;
  private static final long LOOK_MS = 10;
  /** First polling time of the adaptive rule, as QEMU has it. */
  private static final long FIRST_SPIN_NS = 4000;

  private final Vm vm;
  private final ConcurrentLinkedQueue<Runnable> work = new ConcurrentLinkedQueue<>();
  private final List<Poller> pollers = new ArrayList<>();
  private volatile boolean closed;
  /**
   * Virtual time as device threads see it: when the processor's thread was last between instructions. The clock itself
   * they would slow down by looking at it.
   */
  private volatile long seenNs;
  /** Who else waits while all processors sleep, null if nobody does. */
  private Idle other;

  private RealThreads(Vm vm) {
    this.vm = vm;
  }

  /**
   * Starts a thread for each device that nothing else polls: their setups have
   * {@link dev.gnomon.vmm.polled.PollPolicy#never}.
   *
   * @throws IllegalArgumentException if the machine has no such device
   */
  public static RealThreads start(Vm vm, HostPolling polling) {
    RealThreads threads = new RealThreads(vm);
    for (DeviceHost host : vm.deviceHosts()) {
      if (host.nextPoll() == Long.MAX_VALUE
          && vm.platform().bus().devices().stream().noneMatch(device -> device.name().equals(host.name()))) {
        threads.pollers.add(threads.new Poller(host, polling));
      }
    }
    if (threads.pollers.isEmpty()) {
      throw new IllegalArgumentException("real threads: expected a device whose poll policy is never");
    }
    threads.backAllMemory();
    threads.seenNs = vm.now();
    vm.deviceMemory().setHandover(threads::handOver);
    threads.other = vm.idle();
    vm.setIdle(threads::sleep);
    for (Poller poller : threads.pollers) {
      poller.host.runElsewhere(poller);
      poller.thread.start();
    }
    return threads;
  }

  /** Device threads look backing up, so none may be made while they run. */
  private void backAllMemory() {
    for (MemorySlot slot : vm.slots().layout().slots()) {
      for (@Gpa long gpa = slot.gpa(); slot.kind() == MemorySlot.Kind.RAM && gpa < slot.end(); gpa += 4096) {
        vm.slots().back(gpa);
      }
    }
  }

  /** Stops the threads; devices are polled no more. */
  @Override
  public void close() {
    closed = true;
    for (Poller poller : pollers) {
      LockSupport.unpark(poller.thread);
    }
    boolean interrupted = false;
    for (Poller poller : pollers) {
      while (poller.isAlive()) {
        try {
          poller.thread.join(LOOK_MS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
        poller.look();
      }
      poller.host.runElsewhere(null);
    }
    vm.deviceMemory().setHandover(null);
    vm.setIdle(other);
    work.clear();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void post(Runnable action) {
    work.add(action);
  }

  /** The processor's thread is between instructions. */
  private void serve() {
    seenNs = vm.now();
    for (Runnable action = work.poll(); action != null; action = work.poll()) {
      action.run();
    }
  }

  /** Something that a device thread waits for. */
  private static final class Task implements Runnable {
    private final Runnable action;
    private volatile boolean done;

    Task(Runnable action) {
      this.action = action;
    }

    @Override
    public void run() {
      action.run();
      done = true;
    }
  }

  /** Waits until the processor's thread has done something, or the threads are closed. */
  private void handOver(Runnable action) {
    Thread me = Thread.currentThread();
    Task task = new Task(() -> {
      action.run();
      pollers.stream().filter(poller -> poller.thread == me).forEach(poller -> poller.host.hasWaited());
    });
    post(task);
    for (int i = 0; !task.done; i++) {
      if (closed) {
        // Nobody runs the machine any more.
        return;
      }
      if (i < SPIN_BEFORE_PARK) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(PARK_NS);
      }
    }
  }

  /**
   * All processors sleep: time goes on when there is work, jumps when there can be none, and passes while that is not
   * known.
   */
  private long sleep(long nowNs, long untilNs) {
    seenNs = nowNs;
    long[] begun = new long[pollers.size()];
    for (int i = 0; i < begun.length; i++) {
      begun[i] = pollers.get(i).begun;
      LockSupport.unpark(pollers.get(i).thread);
    }
    long start = System.nanoTime();
    for (int i = 0; work.isEmpty(); i++) {
      if (vm.stopRequested() || System.nanoTime() - start >= untilNs - nowNs) {
        return untilNs;
      }
      boolean quiet = true;
      for (int k = 0; k < begun.length; k++) {
        pollers.get(k).look();
        quiet &= pollers.get(k).quietSince(begun[k]);
      }
      // What a device posted in the step that makes it quiet is there by now.
      if (quiet && work.isEmpty()) {
        return other == null ? untilNs : other.sleep(nowNs, untilNs);
      }
      if (i < SPIN_BEFORE_PARK) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(PARK_NS);
      }
    }
    return nowNs + 1;
  }

  /** One device's thread. */
  private final class Poller implements Runnable, DeviceHost.Elsewhere {
    private final DeviceHost host;
    private final HostPolling polling;
    private final Thread thread;
    /** Number of the step that began last. */
    private volatile long begun;
    /** Number of the last step that found nothing. */
    private volatile long foundNothing;
    private volatile boolean rung;
    /** The device was given up in the middle of a step, in which the thread still is. Of the processor's thread. */
    private boolean lost;
    private long spinNs;

    Poller(DeviceHost host, HostPolling polling) {
      this.host = host;
      this.polling = polling;
      this.spinNs = polling.adaptive() ? 0 : polling.spinNs();
      this.thread = new Thread(this, "device " + host.name());
      thread.setDaemon(true);
    }

    /** A step that began after another has found nothing, or the device does nothing any more. */
    boolean quietSince(long step) {
      return foundNothing > step || !isAlive();
    }

    boolean isAlive() {
      return !lost && thread.isAlive();
    }

    /** Gives the device up if its step takes too long. */
    void look() {
      lost |= !lost && host.giveUpIfLate(RealThreads.this::serve);
    }

    @Override
    public void wake() {
      rung = true;
      LockSupport.unpark(thread);
    }

    @Override
    public void post(Runnable action) {
      RealThreads.this.post(action);
    }

    @Override
    public void serve() {
      RealThreads.this.serve();
      look();
    }

    @Override
    public void run() {
      long lastWork = System.nanoTime();
      while (!closed) {
        begun++;
        rung = false;
        Poll result = host.step(seenNs);
        long now = System.nanoTime();
        if (result == Poll.BUSY) {
          adapt(now - lastWork);
          lastWork = now;
          continue;
        }
        foundNothing = begun;
        if (result == Poll.DEAD && host.state() == DeviceHost.State.STOPPED) {
          return;
        }
        if (result == Poll.IDLE && now - lastWork < spinNs) {
          Thread.onSpinWait();
        } else {
          rest(result == Poll.IDLE);
        }
      }
    }

    private void adapt(long waited) {
      if (polling.adaptive() && waited > spinNs) {
        spinNs = waited > polling.spinNs() ? 0 : Math.min(polling.spinNs(), Math.max(FIRST_SPIN_NS, 2 * spinNs));
      }
    }

    /** Asleep until the doorbell rings, all processors sleep, or it is time to look again. */
    private void rest(boolean looks) {
      if (!rung && !closed) {
        if (looks) {
          LockSupport.parkNanos(Math.max(1, polling.pauseNs()));
        } else {
          LockSupport.park();
        }
      }
    }
  }
}
