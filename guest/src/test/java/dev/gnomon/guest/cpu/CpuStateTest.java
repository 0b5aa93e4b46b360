package dev.gnomon.guest.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.guest.mmu.Mmu;
import dev.gnomon.guest.mmu.PageWalker;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class CpuStateTest {
  /**
   * Fields that live no longer than an instruction or a call, are ties to the rest of the machine, or follow from
   * others.
   */
  private static final Set<String> NOT_SAVED = Set.of("faultVector", "faultErrorCode", "faultAddress", "value",
      "linear", "stopRequested", "codeMode", "canonicalShift", "bus", "interrupts", "apic", "mtrrs", "machineCheck",
      "observer", "exit", "intercepts", "memory", "mmu", "cpuid", "flagResult", "flagCarries");

  private static Cpu cpu() {
    HostMemory memory = new HostMemory(0, 64 << 10, 0);
    Mmu mmu = new Mmu(memory);
    mmu.setTranslator(new PageWalker(memory, mmu.paging, null));
    Cpu cpu = new Cpu(memory, mmu);
    cpu.select(CpuModel.parse("max"));
    cpu.mtrrs = new Mtrrs(46);
    return cpu;
  }

  /** Fills every field of the processor's that is saved with something else. */
  private static void fill(Cpu cpu) throws IllegalAccessException {
    SplittableRandom random = new SplittableRandom(7);
    for (Field field : fields()) {
      Class<?> type = field.getType();
      if (type == long.class) {
        field.setLong(cpu, random.nextLong());
      } else if (type == int.class) {
        field.setInt(cpu, random.nextInt(1, 4));
      } else if (type == boolean.class) {
        field.setBoolean(cpu, true);
      } else if (type == long[].class) {
        long[] values = (long[]) field.get(cpu);
        Arrays.setAll(values, i -> random.nextLong());
        if (values == cpu.regs) {
          Arrays.fill(values, 16, values.length, 0);
        }
      } else {
        Arrays.setAll((int[]) field.get(cpu), i -> random.nextInt(0x10000));
      }
    }
    cpu.setRflags(0x246 | Rflags.AC);
    cpu.cr4 = ControlRegister.CR4_OSXSAVE | ControlRegister.CR4_PKE | ControlRegister.CR4_PAE;
    cpu.efer &= 0xFFF;
    cpu.mmu.paging.pkru = 0x5555;
    cpu.mmu.paging.pkrs = 0x6666;
    cpu.mmu.paging.pdpte[2] = 0x7001;
    cpu.mtrrs.setAsFirmware(0xC000_0000L);
    cpu.machineCheck.write(MachineCheck.FIRST_BANK + 2, 0x1234);
    cpu.updateMode();
  }

  private static Field[] fields() {
    return Arrays.stream(Cpu.class.getDeclaredFields())
        .filter(f -> !Modifier.isStatic(f.getModifiers()) && !NOT_SAVED.contains(f.getName()))
        .peek(f -> f.setAccessible(true)).toArray(Field[]::new);
  }

  private static byte[] saved(Cpu cpu) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CpuState.save(cpu, new DataOutputStream(bytes));
    return bytes.toByteArray();
  }

  private static void load(Cpu cpu, byte[] bytes) throws IOException {
    CpuState.load(cpu, new DataInputStream(new ByteArrayInputStream(bytes)));
  }

  @Test
  void shouldBringBackEveryFieldOfTheProcessor() throws Exception {
    Cpu before = cpu();
    fill(before);
    Cpu after = cpu();
    load(after, saved(before));
    for (Field field : fields()) {
      assertThat(field.get(after)).as(field.getName()).isEqualTo(field.get(before));
    }
    assertThat(after.rflags()).isEqualTo(before.rflags());
    assertThat(after.codeMode).isEqualTo(before.codeMode);
    assertThat(after.mmu.paging.pkru).isEqualTo(0x5555);
    assertThat(after.mmu.paging.pkrs).isEqualTo(0x6666);
    assertThat(after.mmu.paging.pdpte[2]).isEqualTo(0x7001);
    assertThat(after.mtrrs.read(0x201)).isEqualTo(0x3FFF_C000_0800L);
    assertThat(after.machineCheck.read(MachineCheck.FIRST_BANK + 2)).isEqualTo(0x1234);
    assertThat(after.cpuid.query(1, 0)[Cpuid.ECX] >>> 27 & 1).as("OSXSAVE").isEqualTo(1);
    assertThat(after.cpuid.query(7, 0)[Cpuid.ECX] >>> 4 & 1).as("OSPKE").isEqualTo(1);
  }

  @Test
  void shouldRefuseOtherVersionsAndProcessorsInOneLine() throws Exception {
    byte[] bytes = saved(cpu());
    bytes[3]++;
    assertThatThrownBy(() -> load(cpu(), bytes)).isInstanceOf(IOException.class)
        .hasMessage("cpu: saved state has version 3, expected 2");
    bytes[3]--;
    Cpu without = cpu();
    without.mtrrs = null;
    assertThatThrownBy(() -> load(without, bytes)).isInstanceOf(IOException.class).hasMessageContaining("MTRRs");
    assertThatThrownBy(() -> load(cpu(), Arrays.copyOf(bytes, bytes.length / 2))).isInstanceOf(IOException.class);
  }
}
