package dev.gnomon.bench.cli;
import picocli.CommandLine.Command;
@Command(name = "bench")
final class BenchCommand implements Runnable { @Override public void run() {} }
