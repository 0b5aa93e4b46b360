/*
 * Multiboot 1 entry (Multiboot Specification 0.6.96, "OS image format" and "Machine state"):
 * protected mode, flat 4 GiB segments, paging off, EAX = magic, EBX = address of the boot information.
 * The loader's GDT need not stay readable, but no segment register is reloaded, so none is set up here.
 */
    .set MAGIC, 0x1badb002
    .set FLAGS, 0x00000003          /* page-aligned modules, memory sizes wanted */

    .section .multiboot, "a"
    .balign 4
    .long MAGIC
    .long FLAGS
    .long -(MAGIC + FLAGS)

    .text
    .globl _start
_start:
    cli
    cld
    movl $stack_top, %esp
    pushl %ebx
    pushl %eax
    call guest_main
1:  cli
    hlt
    jmp 1b

    .bss
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
