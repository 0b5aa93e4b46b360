package dev.gnomon.bench.cli;
import picocli.CommandLine.Command;
@Command(name = "walk")
final class WalkCommand implements Runnable { @Override public void run() {} }
