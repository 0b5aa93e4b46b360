package dev.gnomon.bench.polled;

import dev.gnomon.guest.memory.Addresses;
import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.vmm.polled.DeviceFailure;
import dev.gnomon.vmm.polled.DeviceSetup;
import dev.gnomon.vmm.polled.PolledDevice;
import dev.gnomon.vmm.polled.PollPolicy;
import dev.gnomon.vmm.polled.RegisterFile;
import dev.gnomon.vmm.polled.Window;
import dev.gnomon.vmm.polled.device.RequestDevice;
import dev.gnomon.vmm.polled.device.SharedRing;
import dev.gnomon.vmm.polled.device.TimerPage;
import dev.gnomon.vmm.polled.dma.StepLimits;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * A polled device as the command line names it: {@code CLASS[,option=value…]}. The class is a short name of those that
 * come with the machine, or the name of a {@link PolledDevice} with a public constructor without arguments. Options:
 * {@code address} of its first window, or {@code mmio} or {@code ports} to have it trapped there instead, {@code irq}
 * and {@code doorbell}; {@code name}, for the machine's own.
 */
public final class DeviceClass {
  /** Host time that a step of a class that does not come with the machine may take, if nobody says otherwise. */
  public static final Duration STEP_LIMIT = Duration.ofSeconds(10);

  private static final long PAGE = 4096;
  private static final double MS_PER_S = 1000;
  private static final int PORTS = 0x10000;
  private static final String NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}";
  private static final String OPTIONS = "expected address=HEX, mmio=HEX, ports=HEX, irq=N, doorbell=HEX or name=NAME";

  /** Makes one of the devices that come with the machine. */
  private interface Shipped {
    PolledDevice make(String name, Window window, long seed);
  }

  private final String text;
  private final Duration stepLimit;
  private Shipped shipped;
  private String className;
  private Class<? extends PolledDevice> loaded;
  private String name;
  private @Gpa long address = Window.ANYWHERE;
  private @Gpa long mmio = Window.ANYWHERE;
  private int ports = -1;
  private int irq = -1;
  private int doorbell = -1;

  private DeviceClass(String text, Duration stepLimit) {
    this.text = text;
    this.stepLimit = stepLimit;
  }

  /**
   * Reads what the command line gives and makes a first instance, to see whether that can be.
   *
   * @param loader where classes are looked for
   * @param stepLimit host time that a step of a class that does not come with the machine may take; zero for no limit
   * @throws IllegalArgumentException if the class or an option is not what it should be
   */
  public static DeviceClass parse(String text, ClassLoader loader, Duration stepLimit) {
    DeviceClass device = new DeviceClass(text, stepLimit);
    String[] parts = text.split(",", -1);
    device.select(parts[0], loader);
    Set<String> given = new HashSet<>();
    for (int i = 1; i < parts.length; i++) {
      if (!given.add(parts[i].replaceAll("=.*", ""))) {
        throw device.bad("option '" + parts[i] + "': expected each option once");
      }
      device.option(parts[i]);
    }
    if ((device.address != Window.ANYWHERE ? 1 : 0) + (device.mmio != Window.ANYWHERE ? 1 : 0)
        + (device.ports >= 0 ? 1 : 0) > 1) {
      throw device.bad("address, mmio and ports contradict each other: expected one of them");
    }
    device.inTime("the constructor, name, windows or registers", () -> device.check(device.make(0)));
    device.setup(PollPolicy.never(), 0);
    return device;
  }

  private void select(String word, ClassLoader loader) {
    switch (word) {
      case "request" -> shipped("request", RequestDevice::new);
      case "ring" -> shipped("ring", (label, window, seed) -> new SharedRing(label, window, 0));
      case "timer" -> shipped("timer-page", (label, window, seed) -> new TimerPage(label, window));
      default -> inTime("its static initializer", () -> load(word, loader));
    }
  }

  /** Runs code of a class that need not come to an end, and not for longer than one of its steps may take. */
  private void inTime(String what, Runnable code) {
    if (stepLimit.isZero() || shipped != null) {
      code.run();
      return;
    }
    FutureTask<Void> task = new FutureTask<>(code, null);
    Thread thread = new Thread(task, "device class");
    thread.setDaemon(true);
    thread.start();
    try {
      task.get(stepLimit.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IllegalArgumentException refusal ? refusal
          : bad(DeviceFailure.describe(e.getCause()));
    } catch (TimeoutException e) {
      throw bad(what + " did not return within " + stepLimit.toMillis() / MS_PER_S + " s");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw bad("interrupted");
    }
  }

  private void shipped(String label, Shipped maker) {
    name = label;
    shipped = maker;
  }

  private void load(String word, ClassLoader loader) {
    className = word;
    Class<?> found;
    try {
      found = Class.forName(word, true, loader);
    } catch (ClassNotFoundException e) {
      throw bad("no such class: expected request, ring, timer, or the name of a PolledDevice class in --class-path");
    } catch (ExceptionInInitializerError e) {
      throw bad("cannot be loaded: its static initializer throws " + DeviceFailure.describe(e.getCause()));
    } catch (LinkageError e) {
      throw bad("cannot be loaded: " + DeviceFailure.describe(e));
    }
    if (!PolledDevice.class.isAssignableFrom(found)) {
      throw bad("class " + word + " is no device: expected one that implements " + PolledDevice.class.getName());
    }
    loaded = found.asSubclass(PolledDevice.class);
    try {
      if (Modifier.isAbstract(loaded.getModifiers()) || !Modifier.isPublic(loaded.getModifiers())) {
        throw bad("class " + word + " cannot be made: expected a public class that is not abstract");
      }
      loaded.getConstructor();
    } catch (NoSuchMethodException e) {
      throw bad("class " + word + " cannot be made: expected a public constructor without arguments");
    }
  }

  private void option(String option) {
    int equals = option.indexOf('=');
    String key = equals < 0 ? option : option.substring(0, equals);
    String value = equals < 0 ? "" : option.substring(equals + 1);
    switch (key) {
      case "address" -> address = page(option, value);
      case "mmio" -> mmio = page(option, value);
      case "ports" -> ports = port(option, value);
      case "doorbell" -> doorbell = port(option, value);
      case "irq" -> {
        if (!value.matches("[0-9]|1[0-5]")) {
          throw bad("'" + option + "': expected irq=0 to irq=15");
        }
        irq = Integer.parseInt(value);
      }
      case "name" -> {
        if (shipped == null || !value.matches("[a-z][a-z0-9-]{0,30}")) {
          throw bad("'" + option
              + "': expected a name of lower-case letters, digits and hyphens, for request, ring or timer");
        }
        name = value;
      }
      default -> throw bad("option '" + option + "': " + OPTIONS);
    }
  }

  private long hex(String option, String value, long limit) {
    String digits = value.startsWith("0x") ? value.substring(2) : value;
    if (!digits.matches("[0-9a-fA-F]{1,15}") || Long.parseLong(digits, 16) >= limit) {
      throw bad("'" + option + "': expected a hexadecimal number below 0x" + Long.toHexString(limit));
    }
    return Long.parseLong(digits, 16);
  }

  private @Gpa long page(String option, String value) {
    @Gpa long gpa = hex(option, value, 1L << 46);
    if ((gpa & PAGE - 1) != 0) {
      throw bad("'" + option + "': expected a multiple of 0x1000");
    }
    return gpa;
  }

  private int port(String option, String value) {
    int port = (int) hex(option, value, PORTS);
    if ((port & 7) != 0) {
      throw bad("'" + option + "': expected a multiple of 8");
    }
    return port;
  }

  private PolledDevice make(long seed) {
    if (shipped != null) {
      return shipped.make(name, Window.anywhere(PAGE), seed);
    }
    try {
      return loaded.getConstructor().newInstance();
    } catch (InvocationTargetException e) {
      throw bad("the constructor of " + className + " throws " + DeviceFailure.describe(e.getCause()));
    } catch (ReflectiveOperationException | LinkageError e) {
      throw bad("class " + className + " cannot be made: " + DeviceFailure.describe(e));
    }
  }

  private void check(PolledDevice device) {
    String label;
    List<Window> windows;
    RegisterFile registers;
    try {
      label = device.name();
      windows = device.windows();
      registers = device.registers();
    } catch (Throwable e) {
      throw bad("the device's name, windows and registers cannot be had: " + DeviceFailure.describe(e));
    }
    if (label == null || !label.matches(NAME)) {
      throw bad("the device's name is " + (label == null ? "null" : "'" + label + "'")
          + ": expected 1 to 63 letters, digits, dots, hyphens and underscores");
    }
    if (windows == null || windows.isEmpty() || windows.stream().anyMatch(Objects::isNull) || registers == null) {
      throw bad("device " + label + " has windows " + windows + " and registers " + registers
          + ": expected at least one window, and registers");
    }
    if (!windows.get(0).isUnplaced() && address != Window.ANYWHERE) {
      throw bad("device " + label + " lies at 0x" + Long.toHexString(windows.get(0).gpa())
          + " by its own choice: expected no address with it");
    }
  }

  private IllegalArgumentException bad(String why) {
    return new IllegalArgumentException("--polled '" + text + "': " + why);
  }

  /**
   * How one machine gets the device.
   *
   * @param policy of that machine alone
   * @param seed of what the device draws
   */
  public DeviceSetup setup(PollPolicy policy, long seed) {
    Supplier<PolledDevice> factory = () -> make(seed);
    DeviceSetup setup = mmio != Window.ANYWHERE ? DeviceSetup.mmio(factory, mmio)
        : ports >= 0 ? DeviceSetup.ports(factory, ports)
        : DeviceSetup.polled(factory, policy).at(address);
    if (loaded != null) {
      setup = setup.withLimits(StepLimits.DEFAULT.withHostTime(stepLimit));
    }
    return setup.withIrq(irq).withDoorbell(doorbell);
  }

  /** Whether the guest reaches it by shared memory, and not by what traps. */
  public boolean isPolled() {
    return Addresses.bits(mmio) == Addresses.bits(Window.ANYWHERE) && ports < 0;
  }

  @Override
  public String toString() {
    return text;
  }
}
