/**
 * A harness that breaks polled devices: it runs a device and drivers under every order of their memory accesses that
 * x86 allows, or a random sample of them, with faults between, and shows the shortest run that goes wrong.
 *
 * <p>An engineer writes a test method with {@link dev.gnomon.vmm.harness.PolledDeviceTest}, or runs an
 * {@link dev.gnomon.vmm.harness.Exploration}. Either calls the test once per schedule with a
 * {@link dev.gnomon.vmm.harness.Rig}, to which it attaches devices, drivers (in Java, as
 * {@link dev.gnomon.vmm.harness.GuestCode}, or a {@link dev.gnomon.vmm.harness.LinuxGuest}) and
 * {@link dev.gnomon.vmm.harness.Fault}s; {@link dev.gnomon.vmm.harness.Rig#run} runs them, and its
 * {@link dev.gnomon.vmm.harness.Outcome} is judged.
 *
 * <p>One thread runs everything. An {@link dev.gnomon.vmm.harness.Actor} acts one memory access at a time; before each
 * access the {@link dev.gnomon.vmm.harness.Scheduler} chooses who is next. All choices come from one
 * {@link dev.gnomon.vmm.harness.Choices}, so a list of them is a run.
 */
package dev.gnomon.vmm.harness;
