package dev.gnomon.bench.polled;

import dev.gnomon.bench.CostModel;
import dev.gnomon.bench.ExitCount;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.ExitInfo;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Observer;
import dev.gnomon.guest.memory.Gva;
import dev.gnomon.vmm.Vm;

/**
 * Lets exits take time: after each, and after each event that the guest takes through its IDT, the virtual clock jumps
 * by what the cost table gives. Without it a trap takes no virtual time, and nothing could be faster than one. Results
 * no longer agree between modes then.
 */
final class ExitClock implements Observer {
  private static final double NS_PER_US = 1000;

  private final Vm vm;
  private final Cpu cpu;
  private final CostModel costs;
  private final Observer next;
  private final long deliveryNs;
  private int reason;

  /** Puts itself before the machine's observer. */
  private ExitClock(Vm vm, CostModel costs) {
    this.vm = vm;
    this.cpu = vm.cpu();
    this.costs = costs;
    this.next = cpu.observer;
    this.deliveryNs = ns(costs, costs.cost("event.delivery"));
  }

  static void install(Vm vm, CostModel costs) {
    vm.cpu().observer = new ExitClock(vm, costs);
  }

  /** Cycles of a cost table as nanoseconds. */
  static long ns(CostModel costs, double cycles) {
    return Math.round(cycles * NS_PER_US / costs.megahertz());
  }

  @Override
  public void exit(ExitInfo exit, long retired) {
    reason = exit.reason;
  }

  @Override
  public void exitHandled(long retired) {
    cpu.skippedNs += ns(costs, costs.exitCost(new ExitCount(ExitReason.name(reason), vm.exits().lastCause(), 1)));
  }

  @Override
  public void delivered(int vector, int type, int errorCode, @Gva long rip, long retired) {
    next.delivered(vector, type, errorCode, rip, retired);
    cpu.skippedNs += deliveryNs;
  }
}
