package dev.gnomon.guest.oracle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Instructions that not every x86-64 processor has, SSE3 to SSE4.2 and POPCNT, one row a form, as in
 * {@link InstructionForms}. An opcode of three bytes begins with F38 or F3A ({@code 66F3800} is 66 0F 38 00). Forms of
 * features that the host lacks are left out.
 */
final class ExtensionForms {
  private static final String SSE3 = """
      movsldup F3F12 /r m16 aligned
      movddup F2F12 /r m8
      movshdup F3F16 /r m16 aligned
      haddpd 66F7C /r m16 aligned float
      haddps F2F7C /r m16 aligned float
      hsubpd 66F7D /r m16 aligned float
      hsubps F2F7D /r m16 aligned float
      addsubpd 66FD0 /r m16 aligned float
      addsubps F2FD0 /r m16 aligned float
      lddqu F2FF0 /r m m16
      ud F2F16 /r
      ud F7C /r
      ud F3F7D /r
      ud FD0 /r
      """;

  private static final String SSSE3 = """
      palignr F3A0F /r m8 ib
      palignr 66F3A0F /r m16 aligned ib
      ud F380C /r
      ud F3F3800 /r
      ud F2F3800 /r
      """;

  private static final String SSE4_1 = """
      pblendvb 66F3810 /r m16 aligned
      blendvps 66F3814 /r m16 aligned
      blendvpd 66F3815 /r m16 aligned
      ptest 66F3817 /r m16 aligned
      pmovsxbw 66F3820 /r m8
      pmovsxbd 66F3821 /r m4
      pmovsxbq 66F3822 /r m2
      pmovsxwd 66F3823 /r m8
      pmovsxwq 66F3824 /r m4
      pmovsxdq 66F3825 /r m8
      movntdqa 66F382A /r m m16 aligned
      packusdw 66F382B /r m16 aligned
      pmovzxbw 66F3830 /r m8
      pmovzxbd 66F3831 /r m4
      pmovzxbq 66F3832 /r m2
      pmovzxwd 66F3833 /r m8
      pmovzxwq 66F3834 /r m4
      pmovzxdq 66F3835 /r m8
      phminposuw 66F3841 /r m16 aligned
      roundps 66F3A08 /r m16 aligned ib float
      roundpd 66F3A09 /r m16 aligned ib float
      roundss 66F3A0A /r m4 ib float
      roundsd 66F3A0B /r m8 ib float
      blendps 66F3A0C /r m16 aligned ib
      blendpd 66F3A0D /r m16 aligned ib
      pblendw 66F3A0E /r m16 aligned ib
      pextrb 66F3A14 /r m1 ib
      pextrw 66F3A15 /r m2 ib
      pextrd 66F3A16 /r gpr ib
      extractps 66F3A17 /r m4 ib
      pinsrb 66F3A20 /r m1 ib
      insertps 66F3A21 /r m4 ib
      pinsrd 66F3A22 /r gpr ib
      dpps 66F3A40 /r m16 aligned ib float
      dppd 66F3A41 /r m16 aligned ib float
      dpps 66F3A40 /r m16 aligned ib float
      dppd 66F3A41 /r m16 aligned ib float
      mpsadbw 66F3A42 /r m16 aligned ib
      ud F3810 /r
      ud 66F382A /r reg
      ud F3A08 /r ib
      """;

  private static final String SSE4_2 = """
      pcmpestrm 66F3A60 /r m16 ib strings
      pcmpestri 66F3A61 /r m16 ib strings
      pcmpistrm 66F3A62 /r m16 ib strings
      pcmpistri 66F3A63 /r m16 ib strings
      pcmpestrm 66F3A60 /r m16 ib strings
      pcmpestri 66F3A61 /r m16 ib strings
      pcmpistrm 66F3A62 /r m16 ib strings
      pcmpistri 66F3A63 /r m16 ib strings
      """;

  private static final String GENERAL = """
      popcnt F3FB8 /r host-popcnt
      crc32 F2F38F0 /r src8 host-sse4_2
      crc32 F2F38F1 /r host-sse4_2
      rdfsbase F3FAE /0 reg long host-fsgsbase
      rdgsbase F3FAE /1 reg long host-fsgsbase
      clflushopt 66FAE /7 m src8 plain host-clflushopt
      clwb 66FAE /6 m src8 plain host-clwb
      invpcid 66F3882 /r m m16 host-invpcid
      ud FB8 /r
      """;

  /** XSAVE and its kin, with the components that the model has. */
  private static final String STATES = """
      xsave FAE /4 m m576 area vector128 host-xsave
      xrstor FAE /5 m m576 area image vector128 host-xsave host-xsavec
      xsaveopt FAE /6 m m576 area vector128 host-xsaveopt
      xsavec FC7 /4 m m576 area vector128 host-xsavec
      """;

  private static final String HOST = "host-";

  private ExtensionForms() { }

  /** Flags of the host's processor, as Linux names them. */
  private static Set<String> hostFlags() {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return new HashSet<>(Arrays.asList(lines.filter(line -> line.startsWith("flags")).findFirst().orElse("")
          .split("\\s+")));
    } catch (IOException e) {
      return Set.of();
    }
  }

  private static boolean onHost(InstructionForm form, Set<String> flags) {
    return form.traits().stream().filter(trait -> trait.startsWith(HOST))
        .allMatch(trait -> flags.contains(trait.substring(HOST.length())));
  }

  /** General-purpose instructions. */
  static List<InstructionForm> general() {
    return parse(GENERAL.lines().toList());
  }

  static List<InstructionForm> states() {
    return parse(STATES.lines().toList());
  }

  static List<InstructionForm> vectors() {
    List<String> rows = new ArrayList<>();
    add(rows, SSE3, "pni");
    add(rows, SSSE3, "ssse3");
    add(rows, SSE4_1, "sse4_1");
    add(rows, SSE4_2, "sse4_2");
    for (int opcode = 0; opcode <= 0x1E; opcode++) {
      if (opcode <= 0x0B || opcode >= 0x1C) {
        rows.add(String.format("ssse3 F38%02X /r m8 vector128 host-ssse3", opcode));
        rows.add(String.format("ssse3 66F38%02X /r m16 aligned vector128 host-ssse3", opcode));
      }
    }
    for (int opcode : new int[] {0x28, 0x29, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x40}) {
      rows.add(String.format("packed 66F38%02X /r m16 aligned vector128 host-%s", opcode,
          opcode == 0x37 ? "sse4_2" : "sse4_1"));
    }
    return parse(rows);
  }

  private static void add(List<String> rows, String table, String flag) {
    table.lines().forEach(row -> rows.add(row + " vector128 " + HOST + flag));
  }

  static List<InstructionForm> parse(List<String> rows) {
    Set<String> flags = hostFlags();
    return rows.stream().filter(row -> !row.isBlank()).map(InstructionForm::parse).filter(form -> onHost(form, flags))
        .toList();
  }
}
