package dev.gnomon.vmm.harness;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Chooses who acts next, keeps the list of choices, and counts virtual time by them. */
final class Scheduler {
  private final List<Actor> actors = new ArrayList<>();
  private Actor[] enabled = new Actor[8];
  private Choices choices;
  private int[] taken = new int[64];
  private int takenCount;
  private int points;
  private int limit;
  /** Chosen by an actor that gave way. */
  private Actor pending;
  private long nsPerAccess;
  long now;

  void begin(Choices from, int pointLimit, long accessNs) {
    choices = from;
    limit = pointLimit;
    nsPerAccess = accessNs;
    actors.clear();
    takenCount = 0;
    points = 0;
    pending = null;
    now = 0;
  }

  /** Whether all that can act have a chance again and again. */
  boolean isRandom() {
    return choices.isRandom();
  }

  /** Whether it matters what each actor does next. */
  boolean looksAhead() {
    return choices.looksAhead();
  }

  void add(Actor actor) {
    actor.id = actors.size();
    actors.add(actor);
    if (actors.size() > enabled.length) {
      enabled = new Actor[2 * enabled.length];
    }
  }

  List<Actor> actors() {
    return actors;
  }

  /** Places in the schedule at which somebody could be chosen. */
  int points() {
    return points;
  }

  /** The choices that were made: ids of actors, and numbers as their complement. */
  int[] taken() {
    return Arrays.copyOf(taken, takenCount);
  }

  private void record(int choice) {
    if (takenCount == taken.length) {
      taken = Arrays.copyOf(taken, 2 * takenCount);
    }
    taken[takenCount++] = choice;
  }

  /** A number from 0 to {@code bound − 1} of the schedule's choice. */
  int number(int bound) {
    if (bound <= 1) {
      return 0;
    }
    int value = choices.number(bound);
    record(~value);
    return value;
  }

  /** The next to act, null if nobody can. @param current who acts now, null if it cannot go on */
  Actor next(Actor current) {
    if (pending != null) {
      Actor chosen = pending;
      pending = null;
      return chosen;
    }
    if (++points > limit) {
      throw Control.ABANDONED;
    }
    now += nsPerAccess;
    int count = 0;
    int faults = 0;
    int at = -1;
    for (int i = 0; i < actors.size(); i++) {
      Actor actor = actors.get(i);
      if (actor == current || actor.enabled()) {
        at = actor == current ? count : at;
        faults += actor.isFault() ? 1 : 0;
        enabled[count++] = actor;
      }
    }
    if (count - faults == 0) {
      // Nothing but faults can happen: the schedule is over.
      return null;
    }
    if (choices.looksAhead()) {
      for (int i = 0; i < count; i++) {
        enabled[i].look();
      }
    } else if (count == 1) {
      return enabled[0];
    }
    Actor chosen = enabled[choices.pick(enabled, count, faults, at)];
    if (count > 1) {
      record(chosen.id);
    }
    return chosen;
  }

  /** An actor that was not chosen leaves the choice to whoever runs it. */
  void giveWayTo(Actor chosen) {
    pending = chosen;
  }
}
