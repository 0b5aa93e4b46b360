/** The same guest on several machines at once: finds the first instruction after which it could tell them apart. */
package dev.gnomon.bench.verify;
