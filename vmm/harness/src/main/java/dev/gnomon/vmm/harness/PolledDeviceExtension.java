package dev.gnomon.vmm.harness;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;

/**
 * Runs the methods of {@link PolledDeviceTest}: for JUnit one invocation, within which the method is called for each
 * schedule.
 */
public final class PolledDeviceExtension implements TestTemplateInvocationContextProvider {
  @Override
  public boolean supportsTestTemplate(ExtensionContext context) {
    return context.getTestMethod().map(method -> method.isAnnotationPresent(PolledDeviceTest.class)).orElse(false);
  }

  @Override
  public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(ExtensionContext context) {
    Method method = context.getRequiredTestMethod();
    if (method.getParameterCount() != 1 || method.getParameterTypes()[0] != Rig.class) {
      throw new IllegalArgumentException(method.getName() + ": expected one parameter, a Rig");
    }
    PolledDeviceTest test = method.getAnnotation(PolledDeviceTest.class);
    Long seed = Long.getLong(Report.SEED_PROPERTY);
    Exploration exploration = new Exploration(method.getName(), test.schedules(), test.strategy(), test.memory(),
        test.storeBuffer(), seed == null ? test.seed() : seed, test.maxPoints(), test.idleSteps(), test.pctDepth(),
        Duration.ofSeconds(test.stepSeconds()));
    return Stream.of(new Invocation(exploration));
  }

  private record Invocation(Exploration exploration) implements TestTemplateInvocationContext {
    @Override
    public String getDisplayName(int index) {
      return exploration.name() + " (" + exploration.schedules() + " schedules, " + exploration.strategy() + ", "
          + exploration.model() + ")";
    }

    @Override
    public List<Extension> getAdditionalExtensions() {
      return List.of(new Runner(exploration));
    }
  }

  /** A test method's failure on its way through the exploration. */
  private static final class Sneaky {
    private Sneaky() {}

    @SuppressWarnings("unchecked")
    static <T extends Throwable> void rethrow(Throwable cause) throws T {
      throw (T) cause;
    }
  }

  private static final class Runner implements InvocationInterceptor, ParameterResolver {
    private final Exploration exploration;

    Runner(Exploration exploration) {
      this.exploration = exploration;
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
      return parameter.getParameter().getType() == Rig.class;
    }

    /** Never used: the method is called with the exploration's own rig. */
    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
      return new Rig(new Rig.Config(MemoryModel.SC, 1, 1, 1, 1));
    }

    @Override
    public void interceptTestTemplateMethod(Invocation<Void> invocation, ReflectiveInvocationContext<Method> method,
        ExtensionContext context) {
      invocation.skip();
      Method test = method.getExecutable();
      Object instance = context.getRequiredTestInstance();
      test.setAccessible(true);
      String replay = System.getProperty(Report.REPLAY_PROPERTY);
      Report report = replay == null ? exploration.run(rig -> call(test, instance, rig))
          : exploration.replay(replay, rig -> call(test, instance, rig));
      if (!report.isClean()) {
        String command = "mvn test -Dtest='" + context.getRequiredTestClass().getSimpleName() + "#"
            + test.getName() + "'";
        throw new AssertionError(report.describe(command), report.failure().cause());
      }
      context.publishReportEntry("schedules", report.summary());
      if (System.getProperty(Report.REPORT_PROPERTY) != null) {
        System.out.println(report.summary());
      }
    }

    private static void call(Method test, Object instance, Rig rig) {
      try {
        test.invoke(instance, rig);
      } catch (InvocationTargetException e) {
        Sneaky.<RuntimeException>rethrow(e.getCause());
      } catch (IllegalAccessException e) {
        throw new IllegalArgumentException(test.getName() + ": expected a method that can be called", e);
      }
    }
  }
}
