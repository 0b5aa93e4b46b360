/**
 * A small x86 assembler for guest programs: 16-, 32- and 64-bit code in one image, general-purpose and system
 * instructions, labels, data, and ELF images to put the result in.
 *
 * <p>Typical use, with {@code Reg}, {@code Mem} and {@code Cond} imported statically:
 *
 * <pre>{@code
 * Assembler a = new Assembler(64);
 * Label loop = new Label("loop");
 * a.mov(ECX, 10);
 * a.bind(loop);
 * a.lock().add(ptr(RDI, RCX, 8, -8).q(), 1);
 * a.dec(ECX);
 * a.jne(loop);
 * a.hlt();
 * byte[] image = a.assemble(0x100000);
 * }</pre>
 *
 * <p>Sizes are in bytes throughout (1, 2, 4, 8), except the code size, which is in bits as manuals give it. Every
 * mistake (operands that no encoding has, a label out of reach or never bound) is an
 * {@link java.lang.IllegalArgumentException} with a one-line message.
 */
package dev.gnomon.guest.asm;
