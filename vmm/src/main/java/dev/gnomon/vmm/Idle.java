package dev.gnomon.vmm;

/** Waits while a processor sleeps, for what may come from outside at a time of its own: somebody typing. */
@FunctionalInterface
public interface Idle {
  /**
   * The processor sleeps and its devices have nothing to do for a while. May wait on the host, but no longer than the
   * guest sleeps, and may queue input for devices.
   *
   * @param nowNs virtual time, in nanoseconds
   * @param untilNs virtual time of the devices' next event, {@link Long#MAX_VALUE} if there is none
   * @return the virtual time to go on at, above {@code nowNs}; {@code untilNs} if nothing came
   */
  long sleep(long nowNs, long untilNs);
}
