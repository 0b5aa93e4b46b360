package dev.gnomon.vmm.boot;

import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.XZInputStream;

/**
 * The compressed kernel inside a bzImage, found by {@code payload_offset} and {@code payload_length} of the setup
 * header and unpacked on the host (Linux, Documentation/arch/x86/boot.rst, "payload_offset"):
 * <pre>
 *  setup sectors | protected-mode part: decompressor … | payload: magic, compressed ELF file … , unpacked size (32 bits) | …
 * </pre>
 * gzip, bzip2, LZMA, XZ, LZ4 in its legacy frame, and Zstandard; the format is told by its magic. LZO is only
 * recognised. With gzip the last four bytes are the stream's own size field.
 */
final class CompressedKernel {
  private static final int VERSION_PAYLOAD = 0x208;
  private static final int SIZE_FIELD = 4;
  /**
   * More than any kernel unpacks to: its memory must be mapped by the 1 GiB that the kernel's part of the address space
   * has.
   */
  private static final long MAX_UNPACKED = 1L << 30;
  /** For a dictionary of 256 MiB, larger than any kernel's; a corrupt header can name one of 2 GiB. */
  private static final int MOST_MEMORY_KIB = 300 << 10;
  private static final long LZ4_LEGACY_MAGIC = 0x184C2102L;
  private static final int ZSTD_HEADER_DESCRIPTOR = 4;
  private static final int ZSTD_SINGLE_SEGMENT = 1 << 5;
  private static final int ZSTD_WINDOW_DESCRIPTOR = 5;
  /** Exponent 13: 8 MiB. */
  private static final byte ZSTD_WINDOW_8M = 13 << 3;

  private enum Format {
    GZIP("gzip"), BZIP2("bzip2"), LZMA("LZMA"), XZ("XZ"), LZO("LZO"), LZ4("LZ4"), ZSTD("Zstandard");

    private final String text;

    Format(String text) {
      this.text = text;
    }
  }

  private final ImageBytes image;
  private final long start;
  private final int length;
  private final Format format;

  private CompressedKernel(ImageBytes image, long start, int length, Format format) {
    this.image = image;
    this.start = start;
    this.length = length;
    this.format = format;
  }

  /**
   * The payload of a bzImage.
   *
   * @param setupBytes where the protected-mode part begins in the file
   * @return null if the image names none, as images that are not compressed do
   * @throws ImageException if the payload lies outside the file or is packed in no known way
   */
  static CompressedKernel of(ImageBytes image, long setupBytes) {
    if (image.u16(BootParams.VERSION, "boot protocol version") < VERSION_PAYLOAD) {
      return null;
    }
    long offset = image.u32(BootParams.PAYLOAD_OFFSET, "payload_offset");
    long bytes = image.u32(BootParams.PAYLOAD_LENGTH, "payload_length");
    if (offset == 0 || bytes == 0) {
      return null;
    }
    long start = setupBytes + offset;
    if (start + bytes > image.length()) {
      throw image.fault("payload_length", BootParams.PAYLOAD_LENGTH,
          bytes + " bytes from 0x" + Long.toHexString(start) + " on",
          "at most the " + Math.max(0, image.length() - start) + " that the file still has there; is it truncated?");
    }
    if (bytes <= 2 * SIZE_FIELD) {
      throw image.fault("payload_length", BootParams.PAYLOAD_LENGTH, bytes + " bytes",
          "a compressed kernel and its size");
    }
    return new CompressedKernel(image, start, (int) bytes, format(image, start));
  }

  private static Format format(ImageBytes image, long at) {
    if (image.has16(at, 0x8B1F)) {
      return Format.GZIP;
    }
    if (image.has16(at, 0x5A42)) {
      return Format.BZIP2;
    }
    if (image.has16(at, 0x005D)) {
      return Format.LZMA;
    }
    if (image.has32(at, 0x4F5A_4C89L)) {
      return Format.LZO;
    }
    if (image.has32(at, 0x587A_37FDL)) {
      return Format.XZ;
    }
    if (image.has32(at, LZ4_LEGACY_MAGIC)) {
      return Format.LZ4;
    }
    if (image.has32(at, 0xFD2F_B528L)) {
      return Format.ZSTD;
    }
    throw image.fault("compressed kernel's magic", at,
        "0x" + Long.toHexString(image.u32(at, "compressed kernel's magic")),
        "that of gzip, bzip2, LZMA, XZ, LZO, LZ4 (legacy) or Zstandard; the kernel's own decompressor may know it");
  }

  /** The format's usual name. */
  String format() {
    return format.text;
  }

  /** Whether {@link #unpack} knows the format: there is no library for LZO, which few kernels use. */
  boolean canUnpack() {
    return format != Format.LZO;
  }

  /**
   * The kernel, an ELF file with its relocations behind it. Kernels before 2.6.26 held a flat binary.
   *
   * @throws ImageException if the data is corrupt or does not have the size it names
   */
  byte[] unpack() {
    long size = image.u32(start + length - SIZE_FIELD, "unpacked size");
    if (size == 0 || size > MAX_UNPACKED) {
      throw image.fault("unpacked size", start + length - SIZE_FIELD, size + " bytes", "1 to " + MAX_UNPACKED);
    }
    byte[] kernel = new byte[(int) size];
    int done = 0;
    try {
      done = switch (format) {
        case LZ4 -> unpackLz4(kernel);
        case ZSTD -> unpackZstd(kernel);
        default -> unpackStream(kernel);
      };
    } catch (IOException | RuntimeException e) {
      throw corrupt(String.valueOf(e.getMessage()));
    }
    if (done != kernel.length) {
      throw corrupt("it ends after " + done + " of " + size + " bytes");
    }
    return kernel;
  }

  private ImageException corrupt(String how) {
    return new ImageException(image.name(),
        format.text + " payload at offset 0x" + Long.toHexString(start) + ": expected "
        + "well-formed data, " + how);
  }

  private int unpackStream(byte[] kernel) throws IOException {
    int packed = format == Format.GZIP ? length : length - SIZE_FIELD;
    try (InputStream stream = open(new ByteArrayInputStream(image.array(), (int) start, packed))) {
      int done = stream.readNBytes(kernel, 0, kernel.length);
      if (done == kernel.length && stream.read() >= 0) {
        throw new IOException("it goes on behind its " + done + " bytes");
      }
      return done;
    }
  }

  private InputStream open(InputStream packed) throws IOException {
    return switch (format) {
      case GZIP -> new GZIPInputStream(packed, 1 << 16);
      case BZIP2 -> new BZip2CompressorInputStream(packed);
      case LZMA -> new LZMAInputStream(packed, MOST_MEMORY_KIB);
      case XZ -> new XZInputStream(packed, MOST_MEMORY_KIB);
      case LZO, LZ4, ZSTD -> throw new IOException(format.text + " is no stream");
    };
  }

  /**
   * One frame at once. Kernels are packed with windows of up to 128 MiB, and the library refuses more than 8 MiB; but
   * with all that is unpacked at hand the window does not matter, so it gets a copy of the frame that names 8 MiB (RFC
   * 8878, "Window_Descriptor").
   */
  private int unpackZstd(byte[] kernel) {
    byte[] frame = Arrays.copyOfRange(image.array(), (int) start, (int) start + length - SIZE_FIELD);
    boolean hasWindow = (frame[ZSTD_HEADER_DESCRIPTOR] & ZSTD_SINGLE_SEGMENT) == 0;
    if (hasWindow && (frame[ZSTD_WINDOW_DESCRIPTOR] & 0xFF) > ZSTD_WINDOW_8M) {
      frame[ZSTD_WINDOW_DESCRIPTOR] = ZSTD_WINDOW_8M;
    }
    return new ZstdDecompressor().decompress(frame, 0, frame.length, kernel, 0, kernel.length);
  }

  /**
   * Blocks of at most 8 MiB, each with its packed size before it; a magic where a size should be starts another frame.
   */
  private int unpackLz4(byte[] kernel) throws IOException {
    long at = start + SIZE_FIELD;
    long end = start + length - SIZE_FIELD;
    int done = 0;
    while (at < end) {
      long packed = image.u32(at, "LZ4 block size");
      at += SIZE_FIELD;
      if (packed == LZ4_LEGACY_MAGIC) {
        continue;
      }
      if (packed == 0 || packed > end - at) {
        throw new IOException("found a block of " + packed + " bytes at offset 0x" + Long.toHexString(at) + " with "
            + (end - at) + " left");
      }
      try (InputStream block =
          new BlockLZ4CompressorInputStream(new ByteArrayInputStream(image.array(), (int) at, (int) packed))) {
        done += block.readNBytes(kernel, done, kernel.length - done);
        if (block.read() >= 0) {
          throw new IOException("it goes on behind its " + done + " bytes");
        }
      }
      at += packed;
    }
    return done;
  }
}
