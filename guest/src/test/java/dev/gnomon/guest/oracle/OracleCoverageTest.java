package dev.gnomon.guest.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.Cpu;
import dev.gnomon.guest.cpu.CpuModel;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.decode.Instruction;
import dev.gnomon.guest.decode.InstructionDecoder;
import dev.gnomon.guest.memory.HostMemory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.LongFunction;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * What the oracle's cases cover: every encoding that the model executes in user mode, each at every operand size and
 * with every form of address. Generates cases without running them.
 */
class OracleCoverageTest {
  private static final long SEED = 20_240_601;
  private static final long GOLDEN = 0x9E37_79B9_7F4A_7C15L;
  private static final long PAGE = HostMemory.FRAME_SIZE;
  private static final long CODE = 0x10_0000;
  private static final long DATA = 0x20_0000;
  private static final int MODE_64 = Cpu.MODE_64 | Cpu.MODE_FLAT_CODE | Cpu.MODE_FLAT_DATA | Cpu.MODE_USER;
  private static final int MODE_32 = Cpu.MODE_32 | Cpu.MODE_STACK32 | Cpu.MODE_FLAT_CODE | Cpu.MODE_FLAT_DATA
      | Cpu.MODE_USER;
  private static final int[] PREFIXES = {0, 0x66, 0xF3, 0xF2};

  /** Opcodes that user code may execute and that the oracle leaves out, one or more a line. */
  private static final Map<String, String> LEFT_OUT = Map.ofEntries(
      Map.entry("cc f1", "INT3 ends every case, INT1 is a single step to the host"),
      Map.entry("9a ea ff/3 ff/5 ca cb cf", "far transfers: guest.exec's tables"),
      Map.entry("8e 07 17 1f 1a1 1a9 c4 c5 1b2 1b4 1b5", "segment registers outlive a case: guest.exec's tables"),
      Map.entry("100 101", "system registers, UMIP, XCR0, PKRU, keys and the TSC: tests of their own"),
      Map.entry("102 103", "the host's descriptor tables: guest.exec's tables"),
      Map.entry("105 134", "they enter the host's kernel"),
      Map.entry("131 133 1a2", "the host's clock, counters and CPUID"),
      Map.entry("152 153", "RSQRT and RCP: every processor has its own tables; VectorRulesTest"),
      Map.entry("119 11a 11b 11c 11d 11e", "the NOPs of 0F 19 to 0F 1E, which some hosts take for MPX and CET"),
      Map.entry("1ae/2 1ae/3", "WRFSBASE and WRGSBASE: the helper lives by them; ExtensionRulesTest"),
      Map.entry("1c7/6 1c7/7", "RDRAND, RDSEED and RDPID; ExtensionRulesTest"));

  private static final Map<String, Set<String>> SEEN = new HashMap<>();
  private static final Set<String> SIZES = new HashSet<>();
  private static final Set<String> ADDRESSES = new HashSet<>();
  private static final InstructionDecoder DECODER = new InstructionDecoder();
  private static final Instruction INSN = new Instruction();

  @BeforeAll
  static void generate() throws Exception {
    Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux"),
        "which forms there are follows the host's /proc/cpuinfo");
    Assumptions.assumeTrue(Files.readString(Path.of("/proc/cpuinfo")).contains("xsavec"),
        "the host lacks some of what the model has");
    collect(400_000, new CaseGenerator(InstructionForms.all(), true)::generate);
    collect(600_000, new VectorGenerator(VectorForms.all(), true)::generate);
    collect(300_000, new VectorGenerator(ExtensionForms.vectors(), true)::generate);
    collect(30_000, new CaseGenerator(ExtensionForms.general(), true)::generate);
    collect(30_000, new VectorGenerator(ExtensionForms.states(), true)::generate);
    collect(200_000, new X87Generator(X87Forms.all(), true)::generate);
  }

  private static void collect(int cases, LongFunction<OracleCase> generator) {
    for (int i = 0; i < cases; i++) {
      OracleCase test = generator.apply(SEED + i * GOLDEN);
      byte[] code = test.code();
      if (DECODER.decode(code, 0, code.length, test.mode64() ? MODE_64 : MODE_32, INSN) == InstructionDecoder.OK) {
        String key = key();
        SEEN.computeIfAbsent(key, k -> new HashSet<>()).add(test.name);
        SIZES.add(key + " size " + INSN.operandSize);
        if (INSN.isMemory()) {
          ADDRESSES.add(key + " " + address());
        }
      }
    }
  }

  /**
   * What tells one instruction from another: mode, opcode, prefix and ModRM as far as they select, and whether memory
   * takes part.
   */
  private static String key() {
    int op = INSN.opcode;
    int map = op & 0x300;
    boolean selects = map >= Instruction.MAP_0F38 || map == Instruction.MAP_0F && selectedByPrefix(op & 0xFF)
        && !(op == 0x1C7 && INSN.group() == 1);
    String prefix = !selects ? "" : INSN.rep != 0 ? Integer.toHexString(INSN.rep) + " "
        : INSN.operandPrefix ? "66 " : "";
    boolean x87 = op >= 0xD8 && op <= 0xDF;
    String modrm = !INSN.hasModrm ? "" : INSN.isMemory() ? (group(op) ? " /" + INSN.group() : "") + " m"
        : x87 ? String.format(" %02x", 0xC0 | INSN.group() << 3 | INSN.rm & 7)
        : (group(op) ? " /" + INSN.group() : "") + " r";
    return (INSN.mode64 ? "64: " : "32: ") + prefix + String.format("%02x", op) + modrm;
  }

  private static boolean selectedByPrefix(int op) {
    return op >= 0x10 && op <= 0x17 || op >= 0x28 && op <= 0x2F || op >= 0x50 && op <= 0x7F || op >= 0xD0
        || op == 0xC2 || op >= 0xC4 && op <= 0xC6 || op == 0xAE || op == 0xB8 || op == 0xC7;
  }

  private static boolean group(int op) {
    return switch (op) {
      case 0x80, 0x81, 0x82, 0x83, 0x8F, 0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3, 0xC6, 0xC7, 0xF6, 0xF7, 0xFE,
          0xFF, 0xD8, 0xD9,
          0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0x100, 0x101, 0x171, 0x172, 0x173, 0x1AE, 0x1BA, 0x1C7 -> true;
      default -> false;
    };
  }

  private static String address() {
    if (INSN.addressSize == 2) {
      return "16-bit";
    }
    if (INSN.mode64 && INSN.addressSize == 4) {
      return "short";
    }
    return INSN.ripRelative ? "rip" : INSN.base < 0 && INSN.index < 0 ? "absolute" : INSN.base < 0 ? "index"
        : INSN.index < 0 ? "base" : "base+index";
  }

  /** Encodings that the model does not refuse with #UD in user mode. */
  private static Set<String> executed() {
    Set<String> keys = new TreeSet<>();
    for (boolean mode64 : new boolean[] {true, false}) {
      UserMachine machine = new UserMachine((int) (8 * PAGE), 1, CpuModel.parse("max"));
      machine.pages.map(CODE, PAGE, PageMap.WRITE | PageMap.EXECUTE);
      machine.pages.map(DATA, 2 * PAGE, PageMap.WRITE);
      machine.select(mode64 ? OracleLayout.USER_CODE_64 : OracleLayout.USER_CODE_32);
      Probe probe = new Probe(machine);
      byte[] code = new byte[InstructionDecoder.MAX_LENGTH];
      for (int opcode = 0; opcode < 0x400; opcode++) {
        for (int prefix : PREFIXES) {
          for (int modrm = 0; modrm < 0x100; modrm++) {
            // Memory operands by RSI alone: mod 0, rm 6, or with 16 bits of no account.
            boolean wanted = modrm >= 0xC0 || (modrm & 0xC7) == 6;
            if (wanted && encode(code, opcode, prefix, modrm) && decodes(code, mode64, opcode)
                && probe.executes(code)) {
              keys.add(key());
            }
          }
        }
      }
    }
    return keys;
  }

  private static boolean encode(byte[] code, int opcode, int prefix, int modrm) {
    int at = 0;
    if (prefix != 0) {
      code[at++] = (byte) prefix;
    }
    if (opcode >= Instruction.MAP_0F) {
      code[at++] = 0x0F;
    }
    if (opcode >= Instruction.MAP_0F38) {
      code[at++] = (byte) (opcode >= Instruction.MAP_0F3A ? 0x3A : 0x38);
    }
    code[at++] = (byte) opcode;
    code[at++] = (byte) modrm;
    while (at < code.length) {
      code[at++] = 0;
    }
    return true;
  }

  private static boolean decodes(byte[] code, boolean mode64, int opcode) {
    return DECODER.decode(code, 0, code.length, mode64 ? MODE_64 : MODE_32, INSN) == InstructionDecoder.OK
        && INSN.opcode == opcode;
  }

  /** Runs one instruction at a time in a state of its own. */
  private static final class Probe {
    private final UserMachine machine;
    private final int[] selectors;
    private final long[] bases;
    private final long[] limits;
    private final int[] rights;

    Probe(UserMachine machine) {
      this.machine = machine;
      selectors = machine.cpu.selector.clone();
      bases = machine.cpu.base.clone();
      limits = machine.cpu.limit.clone();
      rights = machine.cpu.rights.clone();
    }

    boolean executes(byte[] code) {
      Cpu cpu = machine.cpu;
      System.arraycopy(selectors, 0, cpu.selector, 0, Segments.COUNT);
      System.arraycopy(bases, 0, cpu.base, 0, Segments.COUNT);
      System.arraycopy(limits, 0, cpu.limit, 0, Segments.COUNT);
      System.arraycopy(rights, 0, cpu.rights, 0, Segments.COUNT);
      cpu.setRflags(2);
      cpu.setCpl(3);
      for (int i = 0; i < 16; i++) {
        cpu.regs[i] = i == Cpu.RSI || i == Cpu.RSP ? DATA + PAGE : 0;
      }
      cpu.rip = CODE;
      cpu.eventPending = false;
      machine.memory.writeBytes(PAGE, code, 0, code.length);
      int reason = machine.processor.run(cpu.retired + 1);
      return reason != ExitReason.EXCEPTION_NMI || (cpu.exit.interruptionInfo & 0xFF) != Vector.UD;
    }
  }

  private static boolean leftOut(String key) {
    return LEFT_OUT.keySet().stream().anyMatch(row -> Arrays.stream(row.split(" ")).anyMatch(rule -> names(rule, key)));
  }

  /** Whether an opcode, perhaps with the digit of its group, is that of a key. */
  private static boolean names(String rule, String key) {
    String instruction = key.substring(4).replaceFirst("^(66|f2|f3) ", "").replace(" /", "/");
    return instruction.equals(rule) || instruction.startsWith(rule + " ") || instruction.startsWith(rule + "/");
  }

  @Test
  void shouldMakeACaseOfEveryEncodingThatUserCodeMayExecute() {
    Set<String> missing = executed();
    assertThat(missing).hasSizeGreaterThan(1500);
    missing.removeIf(key -> SEEN.containsKey(key) || leftOut(key));
    assertThat(missing).isEmpty();
  }

  @Test
  void shouldLeaveOutOnlyWhatUserCodeMayExecute() {
    Set<String> executed = executed();
    for (String row : LEFT_OUT.keySet()) {
      for (String opcode : row.split(" ")) {
        assertThat(executed).as(opcode).anyMatch(key -> names(opcode, key));
      }
    }
  }

  @Test
  void shouldTakeEveryOperandSizeAndFormOfAddress() {
    Map<String, Set<String>> missing = new TreeMap<>();
    for (String key : SEEN.keySet()) {
      Set<String> names = SEEN.get(key);
      boolean undefined = names.contains("ud") || leftOut(key);
      List<String> wanted = new ArrayList<>();
      if (key.endsWith(" m")) {
        boolean mode64 = key.startsWith("64");
        wanted.addAll(List.of("base", "base+index", "index", "absolute"));
        wanted.addAll(mode64 ? List.of("rip", "short") : List.of("16-bit"));
      }
      wanted.removeIf(form -> undefined || ADDRESSES.contains(key + " " + form));
      if (!wanted.isEmpty()) {
        missing.computeIfAbsent(key, k -> new TreeSet<>()).addAll(wanted);
      }
      boolean sized = !undefined && key.matches("..: 1?[0-9a-f]{1,2}( .*)?") && sized(key);
      for (int size : sized ? key.startsWith("64") ? new int[] {2, 4, 8} : new int[] {2, 4} : new int[0]) {
        if (!SIZES.contains(key + " size " + size)) {
          missing.computeIfAbsent(key, k -> new TreeSet<>()).add("size " + size);
        }
      }
    }
    assertThat(missing).isEmpty();
  }

  /** General-purpose instructions that have operands of 16, 32 and 64 bits. */
  private static boolean sized(String key) {
    int op = Integer.parseInt(key.substring(4).replaceFirst(" .*", ""), 16);
    boolean wordForm = (op & 1) != 0;
    return op < 0x40 && (op & 7) < 6 && wordForm || op == 0x69 || op == 0x6B
        || op >= 0x81 && op <= 0x8B && wordForm && op != 0x82
        || op >= 0xB8 && op <= 0xBF || op == 0xC1 || op == 0xD1 || op == 0xD3 || op == 0xF7 || op == 0xA5 || op == 0xA7
        || op == 0xAB || op == 0xAD || op == 0xAF || op >= 0x140 && op <= 0x14F || op == 0x1AF || op == 0x1A3
        || op == 0x1AB
        || op == 0x1B3 || op == 0x1BB || op == 0x1BC || op == 0x1BD || op == 0x1C1 || op == 0x1B1 || op == 0x1A4
        || op == 0x1AC;
  }
}
