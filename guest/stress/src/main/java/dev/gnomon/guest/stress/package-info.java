/** Races on the memory that guests and polled devices share, for jcstress: {@code mvn -Pstress verify}. */
package dev.gnomon.guest.stress;
