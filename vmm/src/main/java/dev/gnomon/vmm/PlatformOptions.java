package dev.gnomon.vmm;

import dev.gnomon.guest.cpu.CpuModel;
import java.time.LocalDateTime;
import java.util.Objects;

/**
 * What a machine has besides memory: which processor, and which devices.
 *
 * @param machine which devices there are
 * @param rtcStart what the real-time clock shows at virtual time 0, years 0 to 9999; a guest may take it for UTC or for
 *     local time
 * @param x2Apic whether a local APIC has x2APIC mode
 * @param keyboard whether there is a keyboard controller with a keyboard
 * @param cpu what each processor offers
 * @param processors how many there are; several only on a machine pc, whose local APICs start them
 */
public record PlatformOptions(MachineType machine, LocalDateTime rtcStart, boolean x2Apic, boolean keyboard,
    CpuModel cpu, Processors processors) {
  /** Any fixed date would do; this one is behind all dates that programs of 2023 have in them. */
  public static final LocalDateTime DEFAULT_RTC_START = LocalDateTime.of(2024, 1, 1, 0, 0);
  public static final PlatformOptions DEFAULT = new PlatformOptions(MachineType.MINIMAL, DEFAULT_RTC_START, false,
      false, CpuModel.DEFAULT, Processors.ONE);

  private static final int MAX_YEAR = 9999;

  public PlatformOptions {
    Objects.requireNonNull(machine);
    Objects.requireNonNull(rtcStart);
    Objects.requireNonNull(cpu);
    Objects.requireNonNull(processors);
    if (x2Apic && machine != MachineType.PC) {
      throw new IllegalArgumentException("x2APIC mode on machine " + machine + ": expected machine pc with it");
    }
    if (processors.count() > 1 && machine != MachineType.PC) {
      throw new IllegalArgumentException(processors.count() + " processors on machine " + machine
          + ": expected machine pc with them");
    }
    if (rtcStart.getYear() < 0 || rtcStart.getYear() > MAX_YEAR) {
      throw new IllegalArgumentException("real-time clock at " + rtcStart + ": expected a year from 0 to " + MAX_YEAR);
    }
  }

  /** Another machine, with a keyboard controller if it is a {@link MachineType#PC}. */
  public PlatformOptions withMachine(MachineType value) {
    return new PlatformOptions(value, rtcStart, x2Apic, value == MachineType.PC, cpu, processors);
  }

  public PlatformOptions withRtcStart(LocalDateTime value) {
    return new PlatformOptions(machine, value, x2Apic, keyboard, cpu, processors);
  }

  public PlatformOptions withX2Apic(boolean value) {
    return new PlatformOptions(machine, rtcStart, value, keyboard, cpu, processors);
  }

  public PlatformOptions withKeyboard(boolean value) {
    return new PlatformOptions(machine, rtcStart, x2Apic, value, cpu, processors);
  }

  public PlatformOptions withCpu(CpuModel value) {
    return new PlatformOptions(machine, rtcStart, x2Apic, keyboard, value, processors);
  }

  public PlatformOptions withProcessors(Processors value) {
    return new PlatformOptions(machine, rtcStart, x2Apic, keyboard, cpu, value);
  }
}
