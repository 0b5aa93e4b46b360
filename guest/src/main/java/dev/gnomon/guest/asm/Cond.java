package dev.gnomon.guest.asm;

/** Conditions of Jcc, SETcc and CMOVcc, in the order of their encoding (SDM vol. 2, "Condition Test Field"). */
public enum Cond {
  O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G;

  /** The condition that holds exactly when this one does not. */
  public Cond negated() {
    return values()[ordinal() ^ 1];
  }
}
