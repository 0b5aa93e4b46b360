/**
 * The {@code gnomon} command: one class a subcommand, each a name, typed arguments and a result record. Data goes to
 * stdout, messages to stderr, one line each.
 */
package dev.gnomon.bench.cli;
