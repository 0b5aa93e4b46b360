package dev.gnomon.workloads.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioConstants;

/**
 * A file tree to be packed as a cpio archive in the new ASCII format, which is what the kernel unpacks (its
 * Documentation/driver-api/early-userspace/buffer-format.rst). All files belong to root and are of the year 1970, so
 * equal trees give equal bytes.
 */
final class CpioTree {
  private static final int BLOCK = 512;

  private record Node(long mode, int major, int minor, byte[] content) {}

  /** By path without a leading slash, parents before what lies in them. */
  private final Map<String, Node> nodes = new LinkedHashMap<>();

  CpioTree directory(String path, int permissions) {
    return add(path, new Node(CpioConstants.C_ISDIR | permissions, 0, 0, new byte[0]));
  }

  CpioTree file(String path, int permissions, byte[] content) {
    return add(path, new Node(CpioConstants.C_ISREG | permissions, 0, 0, content));
  }

  CpioTree symbolicLink(String path, String target) {
    return add(path, new Node(CpioConstants.C_ISLNK | 0777, 0, 0, target.getBytes(StandardCharsets.UTF_8)));
  }

  CpioTree characterDevice(String path, int permissions, int major, int minor) {
    return add(path, new Node(CpioConstants.C_ISCHR | permissions, major, minor, new byte[0]));
  }

  private CpioTree add(String path, Node node) {
    int slash = path.lastIndexOf('/');
    if (slash > 0) {
      nodes.computeIfAbsent(path.substring(0, slash), missing -> {
        throw new IllegalArgumentException("/" + path + ": expected the directory /" + missing + " before it");
      });
    }
    if (nodes.putIfAbsent(path, node) != null) {
      throw new IllegalArgumentException("/" + path + ": is there already, expected each path once");
    }
    return this;
  }

  boolean contains(String path) {
    return nodes.containsKey(path);
  }

  /** The archive. */
  byte[] pack() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      write(bytes);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return bytes.toByteArray();
  }

  private void write(OutputStream out) throws IOException {
    try (CpioArchiveOutputStream cpio = new CpioArchiveOutputStream(out, CpioConstants.FORMAT_NEW, BLOCK, "UTF-8")) {
      long inode = 1;
      for (Map.Entry<String, Node> named : nodes.entrySet()) {
        Node node = named.getValue();
        CpioArchiveEntry entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, named.getKey());
        entry.setInode(inode++);
        entry.setMode(node.mode);
        entry.setNumberOfLinks((node.mode & CpioConstants.S_IFMT) == CpioConstants.C_ISDIR ? 2 : 1);
        entry.setTime(0);
        entry.setRemoteDeviceMaj(node.major);
        entry.setRemoteDeviceMin(node.minor);
        entry.setSize(node.content.length);
        cpio.putArchiveEntry(entry);
        cpio.write(node.content);
        cpio.closeArchiveEntry();
      }
    }
  }
}
