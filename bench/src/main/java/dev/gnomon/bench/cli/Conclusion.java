package dev.gnomon.bench.cli;

import dev.gnomon.bench.Guest;
import dev.gnomon.bench.GuestRun;
import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.vmm.RunResult;
import dev.gnomon.vmm.Vcpu;
import java.io.PrintWriter;
import java.util.Locale;

/** Says on stderr how a guest's run ended, and gives the exit code for it. */
final class Conclusion {
  private Conclusion() {}

  /** Of a run for its own sake, which always gets its line. */
  static int ofRun(GuestRun run, RunResult result, Environment environment) {
    return conclude(run, result, environment, true);
  }

  /**
   * Of a run to measure something: a guest that goes on running is no failure unless it had to reach a region's end.
   */
  static int ofMeasurement(GuestRun run, RunResult result, Environment environment) {
    boolean planned = result.end() == RunResult.End.BUDGET && !run.guest().marksRegion()
        && !environment.interruption().requested();
    return planned ? ExitCode.DONE : conclude(run, result, environment, false);
  }

  private static int conclude(GuestRun run, RunResult result, Environment environment, boolean always) {
    PrintWriter err = environment.err();
    String after = String.format(Locale.ROOT, "after %,d instructions", run.vm().retired());
    if (environment.interruption().requested()) {
      err.println("gnomon: interrupted " + after);
      return ExitCode.INTERRUPTED;
    }
    if (!run.lastWords().isEmpty()) {
      err.println("gnomon: the guest's kernel panicked, " + after + "; its last lines:");
      run.lastWords().forEach(err::println);
      return ExitCode.GUEST_DIED;
    }
    switch (result.end()) {
      case BUDGET -> {
        err.println("gnomon: instruction budget used up " + after + where(run));
        return ExitCode.BUDGET_USED_UP;
      }
      case HALTED, RESET, POWER_OFF -> {
        if (always) {
          err.println("gnomon: " + result.detail() + ", " + after);
        }
        return ExitCode.DONE;
      }
      case GUEST_EXIT -> {
        return guestExit(run.guest().verdict(result.status()), result.status(), after, err, always);
      }
      default -> {
        err.println("gnomon: the guest died: " + result.detail());
        err.println(result.registers());
        return ExitCode.GUEST_DIED;
      }
    }
  }

  private static String where(GuestRun run) {
    Vcpu vcpu = run.vm().current();
    Cpu cpu = vcpu.cpu();
    return ", at rip 0x" + Long.toHexString(cpu.rip) + " in ring " + cpu.cpl
        + (vcpu.index() == 0 ? "" : " of vCPU " + vcpu.index()) + (cpu.halted ? ", halted" : "");
  }

  private static int guestExit(Guest.Verdict verdict, int status, String after, PrintWriter err, boolean always) {
    switch (verdict) {
      case WRONG_RESULT -> {
        err.println("gnomon: the guest reports a wrong result " + after);
        return ExitCode.CHECK_FAILED;
      }
      case FAILURE -> {
        err.println("gnomon: the guest reports failure, exit status " + status + ", " + after);
        return ExitCode.GUEST_DIED;
      }
      default -> {
        if (always) {
          err.println("gnomon: the guest reports success " + after);
        }
        return ExitCode.DONE;
      }
    }
  }
}
