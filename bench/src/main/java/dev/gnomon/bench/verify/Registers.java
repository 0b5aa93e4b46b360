package dev.gnomon.bench.verify;

import dev.gnomon.guest.cpu.Cpu;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * All that a processor holds for its guest, by name. The fields are read as they are declared, so that a register added
 * to the model is compared without anyone thinking of it.
 */
final class Registers {
  private static final String[] GENERAL = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
      "r11", "r12", "r13", "r14", "r15"};
  /** Scratch, events between instructions, how flags are kept, and what is the machine's, not the guest's. */
  private static final Set<String> OTHERS = Set.of("flagResult", "flagCarries", "systemFlags", "value", "linear",
      "stopRequested", "halted", "paused", "repeating", "rfLoaded", "pendingDebug", "faultUnblocksNmi", "eventPending",
      "eventVector", "eventType", "eventHasErrorCode", "eventErrorCode", "eventLength", "faultVector", "faultErrorCode",
      "faultAddress", "nsPerInstruction");

  private Registers() {}

  static Map<String, Long> of(Cpu cpu) {
    Map<String, Long> registers = new LinkedHashMap<>();
    for (int i = 0; i < GENERAL.length; i++) {
      registers.put(GENERAL[i], cpu.regs[i]);
    }
    registers.put("rflags", cpu.rflags());
    for (Field field : Cpu.class.getFields()) {
      if (!Modifier.isStatic(field.getModifiers()) && !OTHERS.contains(field.getName())
          && !field.getName().equals("regs")) {
        put(registers, field.getName(), get(field, cpu));
      }
    }
    return registers;
  }

  private static Object get(Field field, Cpu cpu) {
    try {
      return field.get(cpu);
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void put(Map<String, Long> registers, String name, Object value) {
    if (value instanceof Boolean truth) {
      registers.put(name, truth ? 1L : 0L);
    } else if (value instanceof Number number) {
      registers.put(name, number.longValue());
    } else if (value instanceof long[] || value instanceof int[]) {
      for (int i = 0; i < Array.getLength(value); i++) {
        registers.put(name + "[" + i + "]", Array.getLong(value, i));
      }
    }
  }
}
