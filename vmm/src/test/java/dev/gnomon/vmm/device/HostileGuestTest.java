package dev.gnomon.vmm.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.memory.HostMemory;
import dev.gnomon.vmm.memory.GuestPhysicalMemory;
import dev.gnomon.vmm.memory.MemoryLayout;
import dev.gnomon.vmm.memory.MemorySlots;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * Random accesses to a bus with every device: nothing throws, peeking changes nothing, and a saved machine goes on as
 * the one it was saved from.
 */
class HostileGuestTest {
  private static final int[] PORTS = {
    0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x80, 0x92, 0xE9,
        0xED, 0xF4, 0xF6,
    0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x3C0, 0x3C1, 0x3C2, 0x3C4, 0x3C5, 0x3C7, 0x3C8, 0x3C9,
    0x3CC, 0x3CE, 0x3CF, 0x3D4, 0x3D5, 0x3DA, 0x600, 0x602, 0x604, 0x608,
    0xCF8, 0xCF9, 0xCFC, 0xCFE, 0xFFFF,
    0x1F0, 0x1F0, 0x1F0, 0x1F1, 0x1F2, 0x1F3, 0x1F4, 0x1F5, 0x1F6, 0x1F7, 0x1F7, 0x3F6, 0x402, 0x510, 0x511, 0x514,
    0x518, 0xE0, 0xE2, 0xE4, 0xE8, 0xEC, 0x2000, 0x2004, 0x2014
  };

  /** Every device of the package on one bus, and a log of all that leaves it. */
  private static final class Board {
    final List<String> log = new ArrayList<>();
    final DeviceBus bus = new DeviceBus();
    final Pic8259 pic = new Pic8259(level -> log.add("intr " + level));
    final Uart16550 uart = new Uart16550("com1", 0x3F8, pic.line(4), c -> log.add("tx " + c));
    final VgaText vga = new VgaText();
    final ApicBus apicBus = new ApicBus();
    final LocalApic local = new LocalApic(0, apicBus, () -> 12_345, () -> log.add("nmi"), true);
    final IoApic io = new IoApic(apicBus);

    Board() {
      bus.register(local);
      bus.register(io);
      local.setAsFirmware();
      bus.register(pic);
      bus.register(new Pit8254(pic.line(0)));
      bus.register(new Mc146818(pic.line(8), LocalDateTime.of(2024, 1, 1, 0, 0)));
      bus.register(uart);
      bus.register(vga);
      bus.register(new I8042(pic.line(1), s -> log.add("reset " + s)));
      bus.register(new AcpiPm(AcpiPm.PORT, io.line(9), () -> log.add("off")));
      PciHost pci = new PciHost((segment, read, write) -> log.add("pam " + segment + read + write)).withIde()
          .withPowerManagement();
      bus.register(new IdeChannel(pic.line(14),
          List.of(SnapshotDiskImage.of(new byte[32 << 10]), SnapshotDiskImage.of(new byte[8 << 10]))));
      HostMemory memory = new HostMemory(0, 1 << 20, 0);
      bus.register(new FwCfg(new GuestPhysicalMemory(memory, MemorySlots.identity(memory, MemoryLayout.pc(1 << 20)))));
      bus.register(new Hpet(io::line));
      bus.register(new PcTestDevice(io::line));
      bus.register(new ResetPort(s -> log.add("reset " + s), pci, new AddressLine20()));
      bus.register(pci);
      bus.register(new DelayPort(c -> log.add("post " + c)));
      bus.register(new DebugExit(s -> log.add("exit " + s)));
      bus.register(new DebugConsole(c -> log.add("debug " + c)));
    }

    void act(Random random, long now) {
      int port = random.nextInt(8) == 0 ? random.nextInt(0x10000) : PORTS[random.nextInt(PORTS.length)];
      int size = 1 << random.nextInt(3);
      long gpa = switch (random.nextInt(5)) {
        case 3 -> Hpet.GPA + (random.nextInt(0x60) << 3);
        case 4 -> PcTestDevice.GPA + random.nextInt(0x10000);
        case 0 -> 0xB8000 - 16 + random.nextInt(0x8020);
        case 1 -> LocalApic.BASE + (random.nextInt(0x42) << 4);
        default -> IoApic.BASE + (random.nextInt(3) << 4);
      };
      switch (random.nextInt(9)) {
        case 0, 1 -> log.add("in " + bus.in(port, size, now));
        case 2, 3, 4 -> bus.out(port, size, random.nextInt(), now);
        case 5 -> {
          log.add("read " + bus.mmioRead(gpa, 2 * size, now));
          int msr = random.nextInt(16) == 0 ? 0x6E0 : 0x800 + random.nextInt(0x40);
          log.add("msr " + (local.readable(msr) ? local.readMsr(msr, now)
              : local.writeMsr(msr, random.nextInt(), now)));
          if (random.nextInt(20) == 0) {
            log.add("base " + local.writeBase(LocalApic.BASE | random.nextInt(16) << 8, now));
          }
        }
        case 6 -> bus.mmioWrite(gpa, 2 * size, random.nextLong(), now);
        case 7 -> {
          if (pic.pending()) {
            log.add("vector " + pic.acknowledge());
          }
          if (local.pending()) {
            log.add("vector " + local.acknowledge());
          }
          io.line(random.nextInt(24)).set(random.nextBoolean());
        }
        default -> uart.receive(random.nextInt(), now);
      }
      log.add("deadline " + bus.nextDeadline());
      bus.advanceTo(now);
    }

    byte[] save() throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      bus.save(new DataOutputStream(bytes));
      return bytes.toByteArray();
    }
  }

  @Property(tries = 200)
  void shouldSurviveAnythingAndContinueFromSavedState(@ForAll long seed) throws IOException {
    Random random = new Random(seed);
    Board board = new Board();
    long now = 0;
    for (int i = 0; i < 300; i++) {
      now += random.nextInt(10) == 0 ? random.nextLong() & 0xFF_FFFF_FFFFL : random.nextInt(5000);
      board.act(random, now);
    }
    for (int port : PORTS) {
      board.bus.peekIn(port, 4);
    }
    board.bus.peekMmio(0xB8000, 8);
    board.vga.screenText();
    board.vga.cursor();
    byte[] saved = board.save();

    Board copy = new Board();
    copy.bus.load(new DataInputStream(new ByteArrayInputStream(saved)));
    assertThat(Arrays.mismatch(copy.save(), saved)).isEqualTo(-1);
    for (int port = 0; port < 0x10000; port++) {
      copy.bus.peekIn(port, 1);
    }
    board.log.clear();
    copy.log.clear();
    long next = random.nextLong();
    Random first = new Random(next);
    Random second = new Random(next);
    for (int i = 0; i < 300; i++) {
      now += i * 100L;
      board.act(first, now);
      copy.act(second, now);
    }
    assertThat(copy.log).isEqualTo(board.log);
    assertThat(Arrays.mismatch(copy.save(), board.save())).isEqualTo(-1);
  }

  @Property(tries = 200)
  void shouldRefuseOrSurviveDamagedState(@ForAll long seed) throws IOException {
    Random random = new Random(seed);
    Board board = new Board();
    byte[] saved = board.save();
    for (int i = 0; i < 40; i++) {
      saved[random.nextInt(random.nextBoolean() ? 600 : saved.length)] = (byte) random.nextInt();
    }
    try {
      board.bus.load(new DataInputStream(new ByteArrayInputStream(saved)));
    } catch (IOException refused) {
      assertThat(refused).isNotNull();
    }
    for (int i = 0; i < 300; i++) {
      board.act(random, i * 1000L);
    }
    assertThat(board.log).isNotEmpty();
  }
}
