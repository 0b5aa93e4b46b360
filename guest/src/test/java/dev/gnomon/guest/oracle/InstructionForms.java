package dev.gnomon.guest.oracle;

import java.util.ArrayList;
import java.util.List;

/**
 * The general-purpose instructions that user code may run, one row a form (SDM vol. 2D, appendix "Opcode Map"):
 * <pre>
 *  name opcode [/r | /digit] [traits] [FLAGS that stay undefined]
 *
 *  b          byte operands; without it 16, 32 or 64 bits
 *  +r         register in the opcode
 *  ib iz iv iw  immediate: byte, 16 or 32 bits, operand size, word
 *  m          memory operand only       reg        register operand only
 *  src8 src16 src32  size of the ModRM operand where it is not the operand size
 *  lock       may be locked with a memory destination
 *  stack      operand size 64 in 64-bit mode, works on the stack
 *  legacy     not in 64-bit mode        long       only there
 *  by-cl      shifted by CL             by-1       by one
 *  moffs string branch indirect bitstring accumulator …   what the generator prepares
 * </pre>
 */
final class InstructionForms {
  private static final String[] ALU = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
  private static final String[] SHIFTS = {"rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"};
  private static final String[] BIT_TESTS = {"bt", "bts", "btr", "btc"};

  private static final String TABLE = """
      inc 0FE /0 b lock
      inc 0FF /0 lock
      dec 0FE /1 b lock
      dec 0FF /1 lock
      inc 40 +r legacy
      dec 48 +r legacy
      not F6 /2 b lock
      not F7 /2 lock
      neg F6 /3 b lock
      neg F7 /3 lock
      test 84 /r b LOGIC
      test 85 /r LOGIC
      test A8 b ib LOGIC
      test A9 iz LOGIC
      test F6 /0 b ib LOGIC
      test F6 /1 b ib LOGIC
      test F7 /0 iz LOGIC
      test F7 /1 iz LOGIC
      mul F6 /4 b MULTIPLY
      mul F7 /4 MULTIPLY
      imul F6 /5 b MULTIPLY
      imul F7 /5 MULTIPLY
      div F6 /6 b divide DIVIDE
      div F7 /6 divide DIVIDE
      idiv F6 /7 b divide DIVIDE
      idiv F7 /7 divide DIVIDE
      imul FAF /r MULTIPLY
      imul 69 /r iz MULTIPLY
      imul 6B /r ib MULTIPLY
      shld FA4 /r ib double DOUBLE_SHIFT
      shld FA5 /r by-cl double DOUBLE_SHIFT
      shrd FAC /r ib double DOUBLE_SHIFT
      shrd FAD /r by-cl double DOUBLE_SHIFT
      bsf FBC /r scan BIT_SCAN
      bsr FBD /r scan BIT_SCAN
      bswap FC8 +r bswap
      cmpxchg FB0 /r b lock accumulator
      cmpxchg FB1 /r lock accumulator
      cmpxchg8b FC7 /1 m lock pair
      xadd FC0 /r b lock
      xadd FC1 /r lock
      xchg 86 /r b lock
      xchg 87 /r lock
      xchg 90 +r xchg
      mov 88 /r b
      mov 89 /r
      mov 8A /r b
      mov 8B /r
      mov C6 /0 b ib
      mov C7 /0 iz
      mov B0 +r b ib
      mov B8 +r iv
      mov A0 b moffs
      mov A1 moffs
      mov A2 b moffs
      mov A3 moffs
      mov 8C /r src16 selector
      movzx FB6 /r src8
      movzx FB7 /r src16
      movsx FBE /r src8
      movsx FBF /r src16
      movsxd 63 /r src32 long
      lea 8D /r m lea
      cbw 98
      cwd 99
      sahf 9E
      lahf 9F
      cmc F5
      clc F8
      stc F9
      cld FC
      std FD
      push 50 +r stack
      pop 58 +r stack
      push 68 iz stack
      push 6A ib stack
      push FF /6 stack
      pop 8F /0 stack
      pushf 9C stack
      popf 9D stack popf
      push 06 stack legacy
      push 0E stack legacy
      push 16 stack legacy
      push 1E stack legacy
      push FA0 stack
      push FA8 stack
      into CE legacy
      leave C9 stack leave
      enter C8 stack enter
      pusha 60 stack legacy
      popa 61 stack legacy
      ret C3 stack branch ret
      ret C2 iw stack branch ret
      call E8 stack branch iz
      call FF /2 stack branch indirect
      jmp EB branch ib
      jmp E9 branch iz
      jmp FF /4 branch indirect
      loopne E0 branch ib loop
      loope E1 branch ib loop
      loop E2 branch ib loop
      jcxz E3 branch ib loop
      xlat D7 b xlat
      movs A4 b string
      movs A5 string
      cmps A6 b string
      cmps A7 string
      stos AA b string
      stos AB string
      lods AC b string
      lods AD string
      scas AE b string
      scas AF string
      nop 90
      nop F1F /0
      prefetch F18 /0
      prefetch F18 /3
      prefetchw F0D /1 m
      lfence FAE /5 reg plain
      mfence FAE /6 reg plain
      sfence FAE /7 reg plain
      clflush FAE /7 m src8 plain
      bound 62 /r m legacy bound
      aam D4 b ib legacy ASCII_MULTIPLY
      aad D5 b ib legacy ASCII_MULTIPLY
      aaa 37 legacy ASCII_ADJUST
      aas 3F legacy ASCII_ADJUST
      daa 27 legacy DECIMAL_ADJUST
      das 2F legacy DECIMAL_ADJUST
      arpl 63 /r src16 legacy arpl
      salc D6 legacy
      fnstcw D9 /7 m src16 plain
      fwait 9B plain
      hlt F4
      cli FA
      sti FB
      in E4 b ib
      in E5 ib
      in EC b
      in ED
      out E6 b ib
      out E7 ib
      out EE b
      out EF
      ins 6C b string
      ins 6D string
      outs 6E b string
      outs 6F string
      clts F06
      sysret F07 long
      sysexit F35
      invd F08
      wbinvd F09
      wrmsr F30
      rdmsr F32
      lldt F00 /2 src16
      ltr F00 /3 src16
      lgdt F01 /2 m
      lidt F01 /3 m
      lmsw F01 /6 src16
      invlpg F01 /7 m
      mov F20 /0
      mov F22 /3
      mov F21 /7
      mov F23 /7
      int CD vector
      ud2 F0B
      ud1 FB9 /r
      ud FF /7
      ud 0FE /2 b
      ud 0FE /7 b
      ud C6 /3 b ib
      ud C7 /4 iz
      ud FBA /0 ib
      ud FBA /3 ib
      ud F04
      ud F0A
      ud F0C
      ud F25
      ud F36
      ud F39
      ud F3C
      ud FA6
      ud FA7
      ud FFF
      ud 06 long
      ud 07 long
      ud 0E long
      ud 16 long
      ud 17 long
      ud 1E long
      ud 1F long
      ud 27 long
      ud 2F long
      ud 37 long
      ud 3F long
      ud 60 long
      ud 61 long
      ud 82 long
      ud CE long
      ud D4 long
      ud D5 long
      ud D6 long
      """;

  private InstructionForms() { }

  /** The general-purpose instructions and those of x87, MMX and SSE, as far as the host has them. */
  static List<InstructionForm> withVectors() {
    List<InstructionForm> forms = new ArrayList<>(all());
    forms.addAll(VectorForms.all());
    forms.addAll(X87Forms.all());
    forms.addAll(ExtensionForms.general());
    forms.addAll(ExtensionForms.vectors());
    return forms;
  }

  static List<InstructionForm> all() {
    List<String> rows = new ArrayList<>(List.of(TABLE.split("\n")));
    for (int i = 0; i < 8; i++) {
      String flags = i == 1 || i == 4 || i == 6 ? " LOGIC" : "";
      String lock = i < 7 ? " lock" : "";
      rows.add(String.format("%s %02X /r b%s%s", ALU[i], 8 * i, lock, flags));
      rows.add(String.format("%s %02X /r%s%s", ALU[i], 8 * i + 1, lock, flags));
      rows.add(String.format("%s %02X /r b%s", ALU[i], 8 * i + 2, flags));
      rows.add(String.format("%s %02X /r%s", ALU[i], 8 * i + 3, flags));
      rows.add(String.format("%s %02X b ib%s", ALU[i], 8 * i + 4, flags));
      rows.add(String.format("%s %02X iz%s", ALU[i], 8 * i + 5, flags));
      rows.add(String.format("%s 80 /%d b ib%s%s", ALU[i], i, lock, flags));
      rows.add(String.format("%s 81 /%d iz%s%s", ALU[i], i, lock, flags));
      rows.add(String.format("%s 82 /%d b ib legacy%s%s", ALU[i], i, lock, flags));
      rows.add(String.format("%s 83 /%d ib%s%s", ALU[i], i, lock, flags));
      String shift = i < 4 ? "ROTATE" : i == 7 ? "SHIFT_ARITHMETIC" : "SHIFT";
      rows.add(String.format("%s C0 /%d b ib %s", SHIFTS[i], i, shift));
      rows.add(String.format("%s C1 /%d ib %s", SHIFTS[i], i, shift));
      rows.add(String.format("%s D0 /%d b by-1 %s", SHIFTS[i], i, shift));
      rows.add(String.format("%s D1 /%d by-1 %s", SHIFTS[i], i, shift));
      rows.add(String.format("%s D2 /%d b by-cl %s", SHIFTS[i], i, shift));
      rows.add(String.format("%s D3 /%d by-cl %s", SHIFTS[i], i, shift));
    }
    for (int i = 0; i < 4; i++) {
      String lock = i > 0 ? " lock" : "";
      rows.add(String.format("%s F%02X /r bitstring%s BIT_TEST", BIT_TESTS[i], 0xA3 + 8 * i, lock));
      rows.add(String.format("%s FBA /%d ib%s BIT_TEST", BIT_TESTS[i], 4 + i, lock));
    }
    for (int condition = 0; condition < 16; condition++) {
      rows.add(String.format("cmov F%02X /r", 0x40 + condition));
      rows.add(String.format("set F%02X /0 b", 0x90 + condition));
      rows.add(String.format("jcc %02X branch ib", 0x70 + condition));
      rows.add(String.format("jcc F%02X branch iz", 0x80 + condition));
    }
    return rows.stream().filter(row -> !row.isBlank()).map(InstructionForm::parse).toList();
  }
}
