package dev.gnomon.vmm.harness;

/** A store buffer that lets its oldest store become visible. */
final class FlushActor extends Actor {
  private final Rig rig;

  FlushActor(String owner, Rig rig, int agent) {
    super("flush(" + owner + ")");
    this.rig = rig;
    this.agent = agent;
    this.op = STORE;
  }

  @Override
  boolean enabled() {
    return rig.memory().buffer(agent).count > 0;
  }

  @Override
  void look() {
    StoreBuffer buffer = rig.memory().buffer(agent);
    opGpa = buffer.gpas[0];
    opSize = buffer.sizes[0];
  }

  @Override
  void act() {
    StoreBuffer buffer = rig.memory().buffer(agent);
    rig.trace().access(this, "store becomes visible", buffer.gpas[0], buffer.sizes[0], buffer.values[0]);
    rig.memory().flushOne(agent);
  }
}
