package example;

import dev.gnomon.vmm.harness.DriverPort;
import dev.gnomon.vmm.harness.Fault;
import dev.gnomon.vmm.harness.PolledDeviceTest;
import dev.gnomon.vmm.harness.Rig;

class MailboxTest {
  private static void driver(DriverPort port, Rig.Device mailbox) {
    long page = mailbox.window(0);
    for (int i = 1; i <= 3; i++) {
      port.begin(i);
      port.put32(page + Mailbox.NUMBER, 21);
      port.put32(page + Mailbox.SUBMITTED, i);
      port.fence();
      if (port.u32(page + Mailbox.ASLEEP) != 0) {
        port.kick(mailbox);
      }
      while (port.u32(page + Mailbox.COMPLETED) != i) {
        port.pause();
      }
      if (port.u32(page + Mailbox.DOUBLED) != 42) {
        throw new AssertionError("wrong answer");
      }
      port.end(i);
    }
  }

  @PolledDeviceTest(schedules = 20_000)
  void everyRequestIsAnsweredOnce(Rig rig) {
    Rig.Device mailbox = rig.attach(Mailbox::new);
    rig.driver("driver", port -> driver(port, mailbox));
    rig.run().assertNoLostWakeup().assertCompletedExactlyOnce().assertNoDoubleFetch().assertDmaConfined();
  }

  @PolledDeviceTest(schedules = 20_000)
  void everyRequestIsAnsweredOnceThoughTheDeviceDies(Rig rig) {
    Rig.Device mailbox = rig.attach(Mailbox::new);
    rig.driver("driver", port -> driver(port, mailbox)).inject(Fault.crash(2)).inject(Fault.spuriousKick(1));
    rig.run().assertNoLostWakeup().assertCompletedExactlyOnce();
  }
}
