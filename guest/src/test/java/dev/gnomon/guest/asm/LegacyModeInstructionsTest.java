package dev.gnomon.guest.asm;

import static dev.gnomon.guest.asm.Mem.abs;
import static dev.gnomon.guest.asm.Mem.index;
import static dev.gnomon.guest.asm.Mem.ptr;
import static dev.gnomon.guest.asm.Mem.seg;
import static dev.gnomon.guest.asm.Reg.*;

import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** 16- and 32-bit instructions, judged row by row by the host's disassembler. */
class LegacyModeInstructionsTest {

  @TestFactory
  Stream<DynamicTest> shouldEncode32BitInstructions() {
    return new InstructionTable(32)
        .row("mov eax,ebx", a -> a.mov(EAX, EBX))
        .row("mov ax,bx", a -> a.mov(AX, BX))
        .row("mov ch,dl", a -> a.mov(CH, DL))
        .row("mov eax,DWORD PTR ds:0xc0001000", a -> a.mov(EAX, abs(0xC0001000L)))
        .row("mov eax,ds:0xc0001000", a -> a.movabs(EAX, abs(0xC0001000L)))
        .row("mov ds:0x1000,al", a -> a.movabs(abs(0x1000), AL))
        .row("mov eax,DWORD PTR [ebp+0x0]", a -> a.mov(EAX, ptr(EBP)))
        .row("mov eax,DWORD PTR [esp+0x4]", a -> a.mov(EAX, ptr(ESP, 4)))
        .row("mov eax,DWORD PTR [esi+edi*4-0x1]", a -> a.mov(EAX, ptr(ESI, EDI, 4, 0xFFFFFFFFL)))
        .row("mov eax,DWORD PTR [ecx*8+0x1000]", a -> a.mov(EAX, index(ECX, 8, Label.absolute(0x1000))))
        .row("mov eax,DWORD PTR [ebx-0x40000000]", a -> a.mov(EAX, ptr(EBX, Label.absolute(0xC0000000L))))
        .row("mov eax,DWORD PTR [bx+si+0x10]", a -> a.mov(EAX, ptr(BX, SI, 1, 0x10)))
        .row("mov DWORD PTR cs:[eax],0xc0000000", a -> a.mov(seg(CS, ptr(EAX)).d(), Label.absolute(0xC0000000L)))
        .row("mov eax,0xc0000000", a -> a.mov(EAX, Label.absolute(0xC0000000L)))
        .row("mov ds,eax", a -> a.mov(DS, AX))
        .row("mov cr3,eax", a -> a.mov(CR3, EAX))
        .row("mov eax,cr4", a -> a.mov(EAX, CR4))
        .row("mov eax,dr7|mov eax,db7", a -> a.mov(EAX, DR7))
        .row("movzx eax,bh", a -> a.movzx(EAX, BH))
        .row("lds eax,FWORD PTR [ecx]", a -> a.loadFar(DS, EAX, ptr(ECX)))
        .row("les ax,DWORD PTR [ecx]", a -> a.loadFar(ES, AX, ptr(ECX)))
        .row("inc eax", a -> a.inc(EAX))
        .row("dec di", a -> a.dec(DI))
        .row("inc BYTE PTR [eax]", a -> a.inc(ptr(EAX).b()))
        .row("push eax", a -> a.push(EAX))
        .row("push ax", a -> a.push(AX))
        .row("push cs", a -> a.push(CS))
        .row("push ds", a -> a.push(DS))
        .row("push fs", a -> a.push(FS))
        .row("push 0xfffffff0", a -> a.push(0xFFFFFFF0L))
        .row("push 0xc0000000", a -> a.push(0xC0000000L))
        .row("push 0xc0000000", a -> a.push(Label.absolute(0xC0000000L)))
        .row("pushw 0x10", a -> a.pushw(0x10))
        .row("push DWORD PTR [eax]", a -> a.push(ptr(EAX).d()))
        .row("pop ss", a -> a.pop(SS))
        .row("pop es", a -> a.pop(ES))
        .row("pop DWORD PTR [eax]", a -> a.pop(ptr(EAX)))
        .row("jmp 0x8:0x100000", a -> a.jmpFar(8, Label.absolute(0x100000)))
        .row("jmp 0x10:0x7c00|jmpw 0x10:0x7c00", a -> a.jmpFar(0x10, 0x7C00, 2))
        .row("call 0x1b:0x12345678", a -> a.callFar(0x1B, 0x12345678, 4))
        .row("jmp FWORD PTR [eax]", a -> a.jmpFar(ptr(EAX).d()))
        .row("call DWORD PTR [eax]", a -> a.callFar(ptr(EAX).w()))
        .row("jmp eax", a -> a.jmp(EAX))
        .row("call DWORD PTR [eax*4+0x0]", a -> a.call(index(EAX, 4, 0)))
        .row("jmp $", a -> a.jmp(a.here()))
        .row("jo $", a -> a.jo(a.here()))
        .row("jcxz $", a -> a.jcxz(a.here()))
        .row("jecxz $", a -> a.jecxz(a.here()))
        .row("bound ecx,QWORD PTR [eax]", a -> a.bound(ECX, ptr(EAX)))
        .row("arpl WORD PTR [eax],cx", a -> a.arpl(ptr(EAX), CX))
        .row("arpl ax,cx", a -> a.arpl(AX, CX))
        .row("aam 0xa|aam", a -> a.aam())
        .row("aad 0xa|aad", a -> a.aad())
        .row("aam 0x10", a -> a.aam(16))
        .row("aad 0x7", a -> a.aad(7))
        .row("invpcid eax,[ecx]|invpcid eax,OWORD PTR [ecx]", a -> a.invpcid(EAX, ptr(ECX)))
        .row("xlat BYTE PTR cs:[ebx]", a -> a.seg(CS).xlatb())
        .row("lock cmpxchg8b QWORD PTR [edi]", a -> a.lock().cmpxchg8b(ptr(EDI)))
        .tests();
  }

  @TestFactory
  Stream<DynamicTest> shouldEncode16BitInstructions() {
    return new InstructionTable(16)
        .row("mov ax,bx", a -> a.mov(AX, BX))
        .row("mov eax,ebx", a -> a.mov(EAX, EBX))
        .row("mov al,BYTE PTR [bx+si]", a -> a.mov(AL, ptr(BX, SI, 1)))
        .row("mov al,BYTE PTR [bx+di+0x7f]", a -> a.mov(AL, ptr(BX, DI, 1, 0x7F)))
        .row("mov al,BYTE PTR [bp+si+0x80]", a -> a.mov(AL, ptr(BP, SI, 1, 0x80)))
        .row("mov al,BYTE PTR [bp+di-0x1]", a -> a.mov(AL, ptr(BP, DI, 1, 0xFFFF)))
        .row("mov al,BYTE PTR [si]", a -> a.mov(AL, ptr(SI)))
        .row("mov al,BYTE PTR [di+0x1]", a -> a.mov(AL, ptr(DI, 1)))
        .row("mov al,BYTE PTR [bp+0x0]", a -> a.mov(AL, ptr(BP)))
        .row("mov al,BYTE PTR [bx]", a -> a.mov(AL, ptr(BX)))
        .row("mov al,BYTE PTR [bx+0x7c00]", a -> a.mov(AL, ptr(BX, Label.absolute(0x7C00))))
        .row("mov al,BYTE PTR ds:0x7c00", a -> a.mov(AL, abs(0x7C00)))
        .row("mov al,BYTE PTR ds:0x7c00", a -> a.mov(AL, abs(Label.absolute(0x7C00))))
        .row("addr32 mov al,BYTE PTR ds:0x100000|mov al,BYTE PTR ds:0x100000", a -> a.mov(AL, abs(0x100000)))
        .row("mov eax,DWORD PTR es:[ebx+ecx*4]", a -> a.mov(EAX, seg(ES, ptr(EBX, ECX, 4))))
        .row("mov ax,ds:0x500", a -> a.movabs(AX, abs(0x500)))
        .row("mov WORD PTR [si],0x1234", a -> a.mov(ptr(SI).w(), 0x1234))
        .row("mov DWORD PTR [si],0x12345678", a -> a.mov(ptr(SI).d(), 0x12345678))
        .row("mov si,0x7c00", a -> a.mov(SI, Label.absolute(0x7C00)))
        .row("mov ds,ax", a -> a.mov(DS, AX))
        .row("mov cr0,eax", a -> a.mov(CR0, EAX))
        .row("mov eax,cr0", a -> a.mov(EAX, CR0))
        .row("push 0x1234", a -> a.push(0x1234))
        .row("pushd 0x12345678", a -> a.pushd(0x12345678))
        .row("push eax", a -> a.push(EAX))
        .row("pop ds", a -> a.pop(DS))
        .row("inc cx", a -> a.inc(CX))
        .row("dec ecx", a -> a.dec(ECX))
        .row("jmp $", a -> a.jmp(a.here()))
        .row("call $", a -> a.call(a.here()))
        .row("jne $", a -> a.jne(a.here()))
        .row("jne $", a -> a.jccShort(Cond.NE, a.here()))
        .row("jcxz $", a -> a.jcxz(a.here()))
        .row("jecxz $", a -> a.jecxz(a.here()))
        .row("jmp 0x0:0x7c00", a -> a.jmpFar(0, Label.absolute(0x7C00)))
        .row("jmp 0x8:0x100000|jmpd 0x8:0x100000", a -> a.jmpFar(8, Label.absolute(0x100000), 4))
        .row("jmp bx", a -> a.jmp(BX))
        .row("jmp ebx", a -> a.jmp(EBX))
        .row("jmp DWORD PTR [bx]", a -> a.jmpFar(ptr(BX)))
        .row("jmp FWORD PTR [bx]", a -> a.jmpFar(ptr(BX).d()))
        .row("lgdtw [si]", a -> a.lgdt(ptr(SI)))
        .row("lidtw ds:0x600", a -> a.lidt(abs(0x600)))
        .row("lmsw ax", a -> a.lmsw(AX))
        .row("in al,0x92", a -> a.in(AL, 0x92))
        .row("out dx,ax", a -> a.out(DX, AX))
        .row("int 0x10", a -> a.interrupt(0x10))
        .row("rep movs WORD PTR es:[di],WORD PTR ds:[si]", a -> a.rep().movsw())
        .row("rep movs DWORD PTR es:[edi],DWORD PTR ds:[esi]", a -> a.addressSize(32).rep().movsd())
        .row("lods al,BYTE PTR cs:[si]", a -> a.seg(CS).lodsb())
        .row("enter 0x8,0x0", a -> a.enter(8, 0))
        .row("popcnt cx,WORD PTR [di]", a -> a.popcnt(CX, ptr(DI)))
        .row("bound ax,DWORD PTR [bx]", a -> a.bound(AX, ptr(BX)))
        .tests();
  }

  @TestFactory
  Stream<DynamicTest> shouldEncodeInstructionsWithoutOperands() {
    return IntStream.of(16, 32).boxed().flatMap(bits -> {
      InstructionTable table = new InstructionTable(bits);
      for (SimpleOp op : SimpleOp.values()) {
        if (op.isValidIn(bits)) {
          table.row(textOf(op, bits), a -> a.simple(op));
        }
      }
      return table.tests();
    });
  }

  /** The disassembler leaves out a size that is the default of the code. */
  static String textOf(SimpleOp op, int bits) {
    String name = op.name().toLowerCase(Locale.ROOT);
    return switch (op) {
      case XLATB -> "xlat BYTE PTR ds:[" + (bits == 64 ? "rbx]" : bits == 32 ? "ebx]" : "bx]");
      case PUSHAW, POPAW, PUSHFW, POPFW, RETFW, IRETW -> bits == 16 ? name.substring(0, name.length() - 1) : name;
      case PUSHAD, POPAD, PUSHFD, POPFD, RETFD, IRETD -> bits == 16 ? name : name.substring(0, name.length() - 1);
      case PUSHFQ, POPFQ -> name.substring(0, name.length() - 1) + "|" + name;
      case RETFQ -> "retfq|rex.W retf";
      case SYSRET, SYSEXIT -> bits == 64 ? name + "d|" + name : name;
      case SYSRETQ, SYSEXITQ -> name + "|rex.W " + name.substring(0, name.length() - 1);
      default -> name;
    };
  }
}
