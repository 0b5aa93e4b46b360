package dev.gnomon.bench.cli;

import dev.gnomon.bench.Interruption;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns whatever went wrong into one line on stderr and an exit code. */
final class Errors implements IParameterExceptionHandler, IExecutionExceptionHandler {
  private final Gnomon gnomon;
  private final PrintWriter err;

  Errors(Gnomon gnomon, PrintWriter err) {
    this.gnomon = gnomon;
    this.err = err;
  }

  @Override
  public int handleParseException(ParameterException e, String[] args) {
    StringBuilder text = new StringBuilder(oneLine(e.getMessage()));
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> near = unmatched.getSuggestions();
      if (!unmatched.isUnknownOption()) {
        boolean top = e.getCommandLine().getParent() == null;
        text = new StringBuilder(top ? "unknown command '"
            : "argument too many: '").append(oneLine(unmatched.getUnmatched().get(0))).append('\'');
      }
      if (!near.isEmpty()) {
        text.append("; did you mean ").append(String.join(" or ",
            near.subList(0, Math.min(2, near.size())))).append('?');
      }
    }
    print(text + " (" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help shows what there is)");
    boolean wanted = gnomon.stacktrace() || List.of(args).contains("--stacktrace");
    if (wanted) {
      e.printStackTrace(err);
    }
    return ExitCode.USAGE;
  }

  @Override
  public int handleExecutionException(Exception e, CommandLine commandLine, ParseResult parsed) {
    if (e instanceof ParameterException parameter) {
      return handleParseException(parameter, new String[0]);
    }
    int code = ExitCode.USAGE;
    if (e instanceof Interruption.Interrupted) {
      print("interrupted before a guest ran");
      code = ExitCode.INTERRUPTED;
    } else if (e instanceof IllegalArgumentException) {
      print(oneLine(e.getMessage()));
    } else if (e instanceof IOException io) {
      print(describe(io));
    } else if (e instanceof UncheckedIOException io) {
      print(describe(io.getCause()));
    } else {
      code = ExitCode.INTERNAL_ERROR;
      print("internal error: " + oneLine(e.toString()) + " (--stacktrace shows where)");
    }
    if (gnomon.stacktrace()) {
      e.printStackTrace(err);
    }
    return code;
  }

  private static String describe(IOException e) {
    if (e instanceof NoSuchFileException || e instanceof FileNotFoundException) {
      return oneLine(e.getMessage()) + ": no such file";
    }
    if (e instanceof AccessDeniedException) {
      return oneLine(e.getMessage()) + ": permission denied";
    }
    if (e instanceof FileSystemException file && file.getReason() != null) {
      return oneLine(file.getFile() + ": " + file.getReason());
    }
    return oneLine(e.getMessage());
  }

  private void print(String text) {
    err.println("gnomon: " + text);
    err.flush();
  }

  private static String oneLine(String text) {
    if (text == null) {
      return "unknown error";
    }
    String line = text.strip().replaceAll("\\s*[\\r\\n]+\\s*", " ");
    boolean startsWithWord = line.length() > 1 && Character.isUpperCase(line.charAt(0))
        && Character.isLowerCase(line.charAt(1));
    return startsWithWord ? Character.toLowerCase(line.charAt(0)) + line.substring(1) : line;
  }
}
