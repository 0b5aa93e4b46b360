package dev.gnomon.vmm.firmware;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.MachineType;
import dev.gnomon.vmm.Mode;
import dev.gnomon.vmm.PlatformOptions;
import dev.gnomon.vmm.Processors;
import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A guest finds the tables in the ROM and can follow them. */
class FirmwareTest {
  private static final PlatformOptions PC = PlatformOptions.DEFAULT.withMachine(MachineType.PC);

  private static GuestPhysicalMemory memory(Mode mode, PlatformOptions platform) {
    Vm vm = new VmBuilder(VmOptions.of(mode).withMemoryBytes(8 << 20).withPlatform(platform)).build();
    return vm.guestMemory();
  }

  private static String text(GuestPhysicalMemory memory, long gpa, int length) {
    return new String(memory.read(gpa, length, length), StandardCharsets.ISO_8859_1);
  }

  private static int sum(GuestPhysicalMemory memory, long gpa, int length) {
    int sum = 0;
    for (byte b : memory.read(gpa, length, 0x10000)) {
      sum += b;
    }
    return sum & 0xFF;
  }

  /** What lies at a signature on a paragraph of E0000h to FFFFFh. */
  private static long scan(GuestPhysicalMemory memory, String signature) {
    for (long gpa = 0xE0000; gpa < 0x100000; gpa += 16) {
      if (text(memory, gpa, signature.length()).equals(signature)) {
        return gpa;
      }
    }
    return -1;
  }

  private static Map<String, Long> tables(GuestPhysicalMemory memory) {
    long rsdp = scan(memory, "RSD PTR ");
    Map<String, Long> tables = new HashMap<>();
    long xsdt = memory.read(rsdp + 24, 8);
    for (long at = xsdt + 36; at < xsdt + memory.read(xsdt + 4, 4); at += 8) {
      long table = memory.read(at, 8);
      tables.put(text(memory, table, 4), table);
    }
    long fadt = tables.get("FACP");
    tables.put("DSDT", memory.read(fadt + 140, 8));
    tables.put("FACS", memory.read(fadt + 36, 4));
    return tables;
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void shouldLeadFromRootPointerToTables(Mode mode) {
    GuestPhysicalMemory memory = memory(mode, PC);
    long rsdp = scan(memory, "RSD PTR ");
    assertThat(rsdp).isEqualTo(Firmware.RSDP);
    assertThat(sum(memory, rsdp, 20)).isZero();
    assertThat(sum(memory, rsdp, 36)).isZero();
    Map<String, Long> tables = tables(memory);
    assertThat(tables).containsOnlyKeys("FACP", "APIC", "HPET", "DSDT", "FACS");
    for (String name : new String[] {"FACP", "APIC", "HPET", "DSDT"}) {
      long at = tables.get(name);
      assertThat(text(memory, at, 4)).isEqualTo(name);
      assertThat(sum(memory, at, (int) memory.read(at + 4, 4))).as(name).isZero();
    }
    long rsdt = memory.read(rsdp + 16, 4);
    assertThat(text(memory, rsdt, 4)).isEqualTo("RSDT");
    assertThat(memory.read(rsdt + 36, 4)).isEqualTo(tables.get("FACP"));
    assertThat(tables.get("FACS") % 64).isZero();
  }

  /** Offset, size and value of fields, as the ACPI specification numbers them. */
  @Test
  void shouldDescribeTheFixedHardware() {
    GuestPhysicalMemory memory = memory(Mode.NATIVE, PC);
    long fadt = tables(memory).get("FACP");
    long[][] fields = {{4, 4, 244}, {46, 2, 9}, {48, 4, 0}, {56, 4, 0x600}, {64, 4, 0x604}, {76, 4, 0x608}, {88, 1, 4},
        {89, 1, 2}, {91, 1, 4}, {108, 1, 0x32},
        {109, 2, 3}, {112, 4, 0x465}, {116, 4, 0x01000801}, {120, 8, 0xCF9}, {128, 1, 6}, {148, 4, 0x02002001}, 
        {152, 8, 0x600}, {172, 4, 0x02001001},
        {176, 8, 0x604}, {208, 4, 0x03002001}, {212, 8, 0x608}, {132, 8, 0}, {220, 8, 0}};
    for (long[] field : fields) {
      assertThat(memory.read(fadt + field[0], (int) field[1])).as("offset " + field[0]).isEqualTo(field[2]);
    }
    GuestPhysicalMemory without = memory(Mode.NATIVE, PC.withKeyboard(false));
    assertThat(without.read(tables(without).get("FACP") + 109, 2)).isEqualTo(1);
  }

  /** IA-PC HPET specification: its registers' first word, and where they are. */
  @Test
  void shouldNameTheHighPrecisionTimers() {
    Vm vm = new VmBuilder(VmOptions.of(Mode.NATIVE).withMemoryBytes(8 << 20).withPlatform(PC)).build();
    long hpet = tables(vm.guestMemory()).get("HPET");
    assertThat(vm.guestMemory().read(hpet + 4, 4)).isEqualTo(56);
    assertThat(vm.guestMemory().read(hpet + 36, 4)).isEqualTo(vm.platform().bus().peekMmio(0xFED0_0000L, 4));
    assertThat(vm.guestMemory().read(hpet + 40, 4)).isEqualTo(0x4000);
    assertThat(vm.guestMemory().read(hpet + 44, 8)).isEqualTo(0xFED0_0000L);
  }

  @Test
  void shouldListTheApics() {
    GuestPhysicalMemory memory = memory(Mode.NATIVE, PC);
    long madt = tables(memory).get("APIC");
    assertThat(memory.read(madt + 36, 4)).isEqualTo(0xFEE00000L);
    StringBuilder entries = new StringBuilder();
    for (long at = madt + 44; at < madt + memory.read(madt + 4, 4); at += memory.read(at + 1, 1)) {
      entries.append(memory.read(at, 1)).append(' ');
    }
    assertThat(entries.toString()).isEqualTo("0 1 2 2 2 2 4 ");
    assertThat(memory.read(madt + 44 + 8 + 4, 4)).isEqualTo(0xFEC00000L);
    assertThat(memory.read(madt + 44 + 8 + 12 + 4, 4)).as("IRQ 0").isEqualTo(2);
  }

  @Test
  void shouldLeaveMultiProcessorTables() {
    GuestPhysicalMemory memory = memory(Mode.NATIVE, PC);
    long pointer = scan(memory, "_MP_");
    assertThat(sum(memory, pointer, 16)).isZero();
    long table = memory.read(pointer + 4, 4);
    assertThat(text(memory, table, 4)).isEqualTo("PCMP");
    int length = (int) memory.read(table + 4, 2);
    assertThat(sum(memory, table, length)).isZero();
    int entries = 0;
    int interrupts = 0;
    for (long at = table + 44; at < table + length; at += memory.read(at, 1) == 0 ? 20 : 8) {
      entries++;
      interrupts += memory.read(at, 1) == 3 ? 1 : 0;
    }
    assertThat(entries).isEqualTo((int) memory.read(table + 34, 2));
    assertThat(interrupts).isEqualTo(15);
    assertThat(memory.read(table + 36, 4)).isEqualTo(0xFEE00000L);
  }

  /**
   * Every processor is in both tables and in the namespace, and the I/O APIC has an ID of its own while there is one.
   */
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 2", "4, 4", "15, 15", "64, 0"})
  void shouldListAllProcessors(int processors, int ioApicId) {
    GuestPhysicalMemory memory = memory(Mode.NATIVE, PC.withProcessors(new Processors(processors, 1)));
    long madt = tables(memory).get("APIC");
    int listed = 0;
    for (long at = madt + 44; at < madt + memory.read(madt + 4, 4); at += memory.read(at + 1, 1)) {
      if (memory.read(at, 1) == 0) {
        assertThat(memory.read(at + 2, 2)).isEqualTo(listed * 0x101L);
        assertThat(memory.read(at + 4, 4)).isEqualTo(1);
        listed++;
      } else if (memory.read(at, 1) == 1) {
        assertThat(memory.read(at + 2, 1)).isEqualTo(ioApicId);
      }
    }
    assertThat(listed).isEqualTo(processors);
    long table = memory.read(scan(memory, "_MP_") + 4, 4);
    for (int i = 0; i < processors; i++) {
      long at = table + 44 + 20L * i;
      assertThat(memory.read(at, 4)).isEqualTo(0x140000L | i << 8 | (i == 0 ? 3L : 1L) << 24);
    }
    int length = (int) memory.read(table + 4, 2);
    assertThat(sum(memory, table, length)).isZero();
    assertThat(memory.read(table + 44 + 20L * processors, 1)).isEqualTo(1);
    long dsdt = tables(memory).get("DSDT");
    assertThat(sum(memory, dsdt, (int) memory.read(dsdt + 4, 4))).isZero();
    String namespace = text(memory, dsdt, (int) memory.read(dsdt + 4, 4));
    assertThat(namespace.split("ACPI0007", -1)).hasSize(processors + 1);
  }

  /** MiB of memory; words at 15h, 17h, 30h and 34h. */
  @ParameterizedTest
  @CsvSource({"8,640,7168,7168,0", "64,640,64512,64512,768", "128,640,65535,65535,1792"})
  void shouldTellTheClocksMemoryHowMuchThereIs(long mib, int base, int extended, int again, int above) {
    Vm vm = new VmBuilder(VmOptions.of(Mode.NATIVE).withMemoryBytes(mib << 20)).build();
    int[] words = new int[4];
    int[] places = {0x15, 0x17, 0x30, 0x34};
    for (int i = 0; i < words.length; i++) {
      for (int b = 0; b < 2; b++) {
        vm.platform().bus().out(0x70, 1, places[i] + b, 0);
        words[i] |= vm.platform().bus().in(0x71, 1, 0) << 8 * b;
      }
    }
    assertThat(words).containsExactly(base, extended, again, above);
  }

  @Test
  void shouldLeaveTheRomOfAMinimalMachineEmpty() {
    GuestPhysicalMemory memory = memory(Mode.NATIVE, PlatformOptions.DEFAULT);
    assertThat(scan(memory, "RSD PTR ")).isEqualTo(-1);
    assertThat(scan(memory, "_MP_")).isEqualTo(-1);
  }
}
