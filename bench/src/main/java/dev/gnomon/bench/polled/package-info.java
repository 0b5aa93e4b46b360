/** Polled devices named on the command line, and what their ways of being reached cost beside each other. */
package dev.gnomon.bench.polled;
