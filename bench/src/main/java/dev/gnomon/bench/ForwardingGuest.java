package dev.gnomon.bench;

import dev.gnomon.vmm.Vm;
import dev.gnomon.vmm.VmBuilder;
import dev.gnomon.vmm.VmOptions;
import java.util.Map;

/** A guest on a machine with more to it; everything but that is the guest's own. */
public abstract class ForwardingGuest implements Guest {
  private final Guest guest;

  protected ForwardingGuest(Guest guest) {
    this.guest = guest;
  }

  @Override
  public String name() {
    return guest.name();
  }

  @Override
  public Map<String, String> parameters() {
    return guest.parameters();
  }

  @Override
  public VmOptions adapt(VmOptions options, boolean memoryGiven) {
    return guest.adapt(options, memoryGiven);
  }

  @Override
  public void equip(VmBuilder builder, Region region) {
    guest.equip(builder, region);
  }

  @Override
  public void boot(Vm vm) {
    guest.boot(vm);
  }

  @Override
  public Map<String, Long> symbols() {
    return guest.symbols();
  }

  @Override
  public boolean marksRegion() {
    return guest.marksRegion();
  }

  @Override
  public Verdict verdict(int status) {
    return guest.verdict(status);
  }

  @Override
  public boolean dies(String line) {
    return guest.dies(line);
  }

  @Override
  public boolean ends(String line) {
    return guest.ends(line);
  }
}
