package dev.gnomon.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;

/**
 * Modelled cycles by where they go.
 *
 * @param execution instructions and second-level TLB hits
 * @param walks page-walk references
 * @param delivery exceptions and interrupts through the guest's IDT
 * @param flushes TLB invalidations that the guest does without an exit
 * @param exits VM exits with their handling
 * @param hostMemory backing of memory on first touch
 */
@JsonPropertyOrder({"total"})
public record Cycles(long execution, long walks, long delivery, long flushes, long exits, long hostMemory) {
  @JsonProperty
  public long total() {
    return execution + walks + delivery + flushes + exits + hostMemory;
  }
}
