package dev.gnomon.bench.cli;

import dev.gnomon.bench.Interruption;
import java.io.OutputStream;
import java.io.PrintWriter;

/**
 * What a command has of the world.
 *
 * @param out data
 * @param err messages
 * @param outIsTerminal whether colour may be used
 * @param errIsTerminal whether progress may be shown
 * @param interruption ends the run in hand
 */
public record Environment(OutputStream out, PrintWriter err, boolean outIsTerminal, boolean errIsTerminal,
    Interruption interruption) {}
