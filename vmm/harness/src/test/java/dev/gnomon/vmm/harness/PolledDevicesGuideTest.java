package dev.gnomon.vmm.harness;

import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.vmm.guests.DebianPackage;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What docs/polled-devices.md shows is what happens, and its template project is where it ends. */
class PolledDevicesGuideTest {
  private static final Path DOCS = Path.of("../../docs");
  private static final Pattern BLOCK = Pattern.compile("```(java|text)\\n(.*?)```", Pattern.DOTALL);

  @TempDir
  private Path directory;

  private static List<String> blocks(String language) throws IOException {
    List<String> blocks = new ArrayList<>();
    Matcher matcher = BLOCK.matcher(Files.readString(DOCS.resolve("polled-devices.md")));
    while (matcher.find()) {
      if (matcher.group(1).equals(language)) {
        blocks.add(matcher.group(2));
      }
    }
    return blocks;
  }

  /** Code without the line that names its file. */
  private static String code(String block) {
    return block.substring(block.indexOf('\n') + 1);
  }

  /** Compiles the project's device and a test of it. @return the test class */
  private Class<?> compile(String device, String test) throws IOException, ClassNotFoundException {
    Matcher name = Pattern.compile("(?m)^class (\\w+)").matcher(test);
    assertThat(name.find()).isTrue();
    Path sources = Files.createTempDirectory(directory, "project");
    Path deviceFile = Files.writeString(sources.resolve("Mailbox.java"), device);
    Path testFile = Files.writeString(sources.resolve(name.group(1) + ".java"), test);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      List<String> options =
          List.of("-d", sources.toString(), "-cp", System.getProperty("java.class.path"), "-proc:none");
      boolean compiled =
          compiler.getTask(messages, files, null, options, null, files.getJavaFileObjects(deviceFile, testFile)).call();
      assertThat(compiled).as(messages.toString()).isTrue();
    }
    URLClassLoader loader = new URLClassLoader(new URL[] {sources.toUri().toURL()}, getClass().getClassLoader());
    return Class.forName("example." + name.group(1), true, loader);
  }

  /** Runs a test method as the extension does. */
  private static Report run(Class<?> type, String name) throws ReflectiveOperationException {
    Constructor<?> constructor = type.getDeclaredConstructor();
    constructor.setAccessible(true);
    Object instance = constructor.newInstance();
    Method method = type.getDeclaredMethod(name, Rig.class);
    method.setAccessible(true);
    PolledDeviceTest settings = method.getAnnotation(PolledDeviceTest.class);
    return new Exploration(name, settings.schedules(), settings.strategy(), settings.memory(), settings.storeBuffer(),
        settings.seed(),
        settings.maxPoints(), settings.idleSteps(), settings.pctDepth(),
        Duration.ofSeconds(settings.stepSeconds())).run(rig -> {
          try {
            method.invoke(instance, rig);
          } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Error error) {
              throw error;
            }
            throw new IllegalStateException(e.getCause());
          } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private static String template(String path) throws IOException {
    return Files.readString(DOCS.resolve("polled-device-template/src").resolve(path));
  }

  @Test
  void shouldFailAsShown() throws IOException, ReflectiveOperationException {
    List<String> java = blocks("java");
    Report report = run(compile(code(java.get(0)), code(java.get(1))), "everyRequestIsAnsweredOnce");
    assertThat(report.isClean()).isFalse();
    String expected = report.describe("mvn test -Dtest='MailboxTest#everyRequestIsAnsweredOnce'")
        .replace("\r\n", "\n") + "\n";
    assertThat(blocks("text").get(0)).isEqualTo(expected);
  }

  @Test
  void shouldBeMendedByWhatIsShown() throws IOException, ReflectiveOperationException {
    List<String> java = blocks("java");
    String mended = code(java.get(0));
    String step = code(java.get(2));
    int from = mended.indexOf("  @Override\n  public Poll step");
    int to = mended.indexOf("    memory.put32(page + ASLEEP, 0);");
    mended = mended.substring(0, from) + step + mended.substring(to);
    assertThat(run(compile(mended, code(java.get(1))), "everyRequestIsAnsweredOnce").isClean()).isTrue();
    Report dies = run(compile(mended, template("test/java/example/MailboxTest.java")),
        "everyRequestIsAnsweredOnceThoughTheDeviceDies");
    assertThat(dies.failure().cause()).hasMessageStartingWith("completed twice");
    mended = mended.substring(0, mended.lastIndexOf('}')) + "\n" + code(java.get(3)) + "}\n";
    Class<?> whole = compile(mended, template("test/java/example/MailboxTest.java"));
    assertThat(run(whole, "everyRequestIsAnsweredOnceThoughTheDeviceDies").isClean()).isTrue();
    String template = template("main/java/example/Mailbox.java");
    assertThat(template).contains(step).contains(code(java.get(3)));
  }

  @Test
  void shouldMeasureWhatIsShown() throws IOException, ReflectiveOperationException {
    Class<?> test = compile(template("main/java/example/Mailbox.java"), code(blocks("java").get(1)));
    assertThat(run(test, "everyRequestIsAnsweredOnce").summary() + "\n").isEqualTo(blocks("text").get(1));
  }

  @Test
  void shouldLetCodeDriveTheDevice() throws IOException, ReflectiveOperationException {
    String code = code(blocks("java").get(4));
    assertThat(run(compile(template("main/java/example/Mailbox.java"), code), "codeIsAnswered").isClean()).isTrue();
    Report unfenced = run(compile(template("main/java/example/Mailbox.java"), code.replace("    a.mfence();\n", "")),
        "codeIsAnswered");
    assertThat(unfenced.failure().cause()).hasMessageStartingWith("lost wake-up: guest waits for memory to change");
  }

  @Test
  void shouldLetLinuxDriveTheDevice() throws Exception {
    Path kernel = Files.write(directory.resolve("vmlinuz"), DebianPackage.kernel("linux-image-cloud-amd64"));
    Path busybox = Files.write(directory.resolve("busybox"), DebianPackage.file("busybox-static", "bin/busybox"));
    String code = code(blocks("java").get(5)).replace("\"vmlinuz\"", "\"" + kernel + "\"")
        .replace("\"busybox\"", "\"" + busybox + "\"");
    Report report = run(compile(template("main/java/example/Mailbox.java"), code), "linuxIsAnswered");
    assertThat(report.isClean()).as(report.isClean() ? "" : report.describe("")).isTrue();
  }

  @Test
  void shouldBeCleanInTheTemplate() throws IOException, ReflectiveOperationException {
    Class<?> test = compile(template("main/java/example/Mailbox.java"), template("test/java/example/MailboxTest.java"));
    assertThat(run(test, "everyRequestIsAnsweredOnce").isClean()).isTrue();
    assertThat(run(test, "everyRequestIsAnsweredOnceThoughTheDeviceDies").isClean()).isTrue();
  }
}
