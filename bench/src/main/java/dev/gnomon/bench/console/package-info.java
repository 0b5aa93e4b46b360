/**
 * The outside world's way into a guest: typed, scripted or replayed input for its console, all through one log stamped
 * with instruction counts and virtual times.
 */
package dev.gnomon.bench.console;
