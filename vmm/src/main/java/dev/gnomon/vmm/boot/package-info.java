/**
 * What firmware and a boot loader do: put an image into guest memory by its own protocol (flat binary, multiboot1,
 * Linux boot protocol) and give the processor the state that the protocol promises.
 *
 * <p>An image is untrusted input. Whatever is wrong with one ends as an {@link dev.gnomon.vmm.boot.ImageException} of
 * one line.
 */
package dev.gnomon.vmm.boot;
