package dev.gnomon.bench.polled;

import dev.gnomon.bench.ForwardingGuest;
import dev.gnomon.bench.Guest;
import dev.gnomon.bench.Region;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.polled.PollPolicy;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** A guest on a machine with polled devices. */
public final class PolledGuest extends ForwardingGuest {
  private final List<DeviceClass> devices;
  private final Polling polling;
  private final long seed;

  /** @param polling of all devices, each by itself; null if threads of the host poll them */
  public PolledGuest(Guest guest, List<DeviceClass> devices, Polling polling, long seed) {
    super(guest);
    this.devices = List.copyOf(devices);
    this.polling = polling;
    this.seed = seed;
  }

  @Override
  public Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>(super.parameters());
    parameters.put("polled", devices.stream().map(DeviceClass::toString).collect(Collectors.joining(" ")));
    if (polling != null) {
      parameters.put("poll", polling.toString());
    }
    return parameters;
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    super.equip(builder, region);
    devices.forEach(device ->
        builder.polled(device.setup(polling == null ? PollPolicy.never() : polling.policy(seed), seed)));
  }
}
