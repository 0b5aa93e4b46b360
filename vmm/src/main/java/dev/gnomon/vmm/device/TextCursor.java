package dev.gnomon.vmm.device;

/**
 * The text cursor as the CRTC holds it.
 *
 * @param row 0 to 24 on the screen; other values, negative ones included, lie off it
 * @param column 0 to 79
 * @param visible whether it is switched on, has a scan line and lies on the screen
 * @param firstScanLine its shape within the character cell, 0 to 31
 * @param lastScanLine as {@code firstScanLine}; a cursor whose last line is above its first is not drawn
 */
public record TextCursor(int row, int column, boolean visible, int firstScanLine, int lastScanLine) {
}
