package dev.gnomon.bench.cli;

import dev.gnomon.guest.cpu.CpuModel;
import java.util.ArrayList;
import java.util.List;

/**
 * A processor as QEMU's users name it: a model with its features, and among these two that the local APIC of machine pc
 * brings.
 *
 * @param model without the local APIC's features
 * @param x2Apic whether {@code +x2apic} is among them
 * @param deadlineTimer whether {@code +tsc-deadline} is; every local APIC here has that timer
 */
record CpuChoice(CpuModel model, boolean x2Apic, boolean deadlineTimer) {
  /** @throws IllegalArgumentException if there is no such model or feature, or a feature lacks the one that it needs */
  static CpuChoice parse(String text) {
    List<String> rest = new ArrayList<>();
    boolean x2Apic = false;
    boolean deadlineTimer = false;
    for (String word : text.split(",\\s*", -1)) {
      switch (word.replace('_', '-')) {
        case "+x2apic" -> x2Apic = true;
        case "-x2apic" -> x2Apic = false;
        case "+tsc-deadline" -> deadlineTimer = true;
        case "-tsc-deadline" -> throw new IllegalArgumentException("processor '" + text
            + "': the local APIC always has its deadline timer, expected no -tsc-deadline");
        default -> rest.add(word);
      }
    }
    return new CpuChoice(CpuModel.parse(String.join(",", rest)), x2Apic, deadlineTimer);
  }
}
