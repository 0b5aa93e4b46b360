package dev.gnomon.ept;

import dev.gnomon.guest.memory.Gpa;
import dev.gnomon.guest.memory.Hpa;
import dev.gnomon.guest.memory.SlotMap;
import java.util.ArrayList;
import java.util.List;

/** Slots with linear backing, each with a largest mapping of its own. */
final class FakeSlots implements SlotMap {
  private record Slot(@Gpa long first, long length, int kind, @Hpa long backing, int shift) {
    boolean holds(@Gpa long gpa) {
      return gpa >= first && gpa < first + length;
    }
  }

  private final List<Slot> slots = new ArrayList<>();
  private int generation = 1;

  FakeSlots add(@Gpa long first, long length, int kind, @Hpa long backing, int shift) {
    slots.add(new Slot(first, length, kind, backing, shift));
    generation++;
    return this;
  }

  FakeSlots remove(@Gpa long gpa) {
    slots.removeIf(slot -> slot.holds(gpa));
    generation++;
    return this;
  }

  void touch() {
    generation++;
  }

  private Slot at(@Gpa long gpa) {
    return slots.stream().filter(slot -> slot.holds(gpa)).findFirst().orElse(null);
  }

  @Override
  public int kind(@Gpa long gpa) {
    Slot slot = at(gpa);
    return slot == null ? NONE : slot.kind;
  }

  @Override
  public @Hpa long back(@Gpa long gpa) {
    Slot slot = at(gpa);
    return slot == null ? -1 : slot.backing + gpa - slot.first;
  }

  @Override
  public @Hpa long backing(@Gpa long gpa) {
    return back(gpa);
  }

  @Override
  public int mappingShift(@Gpa long gpa) {
    Slot slot = at(gpa);
    for (int shift : new int[] {30, 21}) {
      long page = gpa & -1L << shift;
      if (slot != null && shift <= slot.shift && slot.holds(page) && slot.holds(page + (1L << shift) - 1)
          && (back(page) & (1L << shift) - 1) == 0) {
        return shift;
      }
    }
    return 12;
  }

  @Override
  public int generation() {
    return generation;
  }
}
