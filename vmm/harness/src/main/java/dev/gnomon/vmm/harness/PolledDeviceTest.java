package dev.gnomon.vmm.harness;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test of a polled device: a method with one {@link Rig} parameter, called once for each schedule, that attaches
 * devices and drivers, runs the rig and judges the outcome. It fails with the first schedule that goes wrong,
 * shortened, and with the line that runs it again.
 *
 * <p>{@code -Dpolled.seed=N} begins at another seed, {@code -Dpolled.replay=CHOICES} runs one schedule,
 * {@code -Dpolled.report} prints what was done.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
@TestTemplate
@ExtendWith(PolledDeviceExtension.class)
public @interface PolledDeviceTest {
  /** Most schedules to try. */
  int schedules() default 10_000;

  Strategy strategy() default Strategy.RANDOM;

  MemoryModel memory() default MemoryModel.TSO;

  /** Stores that a buffer holds under TSO, 1 to 64. */
  int storeBuffer() default 8;

  /** Seed of the first schedule. */
  long seed() default 0;

  /** Choices after which a schedule is given up. */
  int maxPoints() default 20_000;

  /** Steps that find nothing after which a device is left alone until something changes. */
  int idleSteps() default 4;

  /** Switches that {@link Strategy#PCT} forces. */
  int pctDepth() default 3;

  /**
   * Seconds of the host's time after which a step or a driver that has not come back has failed; 0 to wait for ever, as
   * under a debugger.
   */
  int stepSeconds() default 10;
}
