package dev.gnomon.bench.cli;

import dev.gnomon.bench.Interruption;
import dev.gnomon.bench.console.HostTerminal;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.util.concurrent.Callable;

/**
 * What a command has of the world.
 *
 * @param out data
 * @param err messages
 * @param outIsTerminal whether colour may be used
 * @param errIsTerminal whether progress may be shown
 * @param interruption ends the run in hand
 * @param terminal opens the terminal at which somebody sits, in raw mode; null if there is none
 */
public record Environment(OutputStream out, PrintWriter err, boolean outIsTerminal, boolean errIsTerminal,
    Interruption interruption, Callable<HostTerminal> terminal) {}
