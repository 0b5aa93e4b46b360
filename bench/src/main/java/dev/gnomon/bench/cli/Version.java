package dev.gnomon.bench.cli;

import picocli.CommandLine.IVersionProvider;

/** The version that the jar's manifest states. */
public final class Version implements IVersionProvider {
  /** Such as {@code 0.1.0}; {@code development} when the classes do not come from the jar. */
  public static String number() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  @Override
  public String[] getVersion() {
    return new String[] {"gnomon " + number(),
        "Java " + System.getProperty("java.version") + " (" + System.getProperty("java.vm.name") + "), "
        + System.getProperty("os.name") + " "
            + System.getProperty("os.arch")};
  }
}
