package dev.gnomon.bench;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.Architectures;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** The rules that hold the modules together. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ArchitectureTest {
  private static final String GENERATED = "..jmh_generated..";

  private JavaClasses classes;

  @BeforeAll
  void read() {
    classes = new ClassFileImporter().withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
        .withImportOption(location -> !location.contains("-tests.jar"))
        .importPackages("dev.gnomon");
    for (String module : List.of("guest", "ept", "shadow", "vmm", "workloads", "bench")) {
      assertThat(classes.stream().filter(type -> type.getPackageName().startsWith("dev.gnomon." + module)))
          .as(module).hasSizeGreaterThan(10);
    }
  }

  @Test
  void shouldDependOneWay() {
    Architectures.layeredArchitecture().consideringOnlyDependenciesInAnyPackage("dev.gnomon..")
        .layer("guest").definedBy("dev.gnomon.guest..")
        .layer("ept").definedBy("dev.gnomon.ept..")
        .layer("shadow").definedBy("dev.gnomon.shadow..")
        .layer("vmm").definedBy("dev.gnomon.vmm..")
        .layer("workloads").definedBy("dev.gnomon.workloads..")
        .layer("bench").definedBy("dev.gnomon.bench..")
        .whereLayer("guest").mayNotAccessAnyLayer()
        .whereLayer("ept").mayOnlyAccessLayers("guest")
        .whereLayer("shadow").mayOnlyAccessLayers("guest")
        .whereLayer("vmm").mayOnlyAccessLayers("guest", "ept", "shadow")
        .whereLayer("workloads").mayOnlyAccessLayers("guest", "ept", "shadow", "vmm")
        .whereLayer("bench").mayNotBeAccessedByAnyLayer()
        .check(classes);
  }

  @Test
  void shouldKeepLoggingOutOfTheModel() {
    noClasses().that(resideInAnyPackage("dev.gnomon.guest..", "dev.gnomon.ept..", "dev.gnomon.shadow.."))
        .should().dependOnClassesThat(resideInAnyPackage("org.slf4j..", "ch.qos.logback..", "java.util.logging.."))
        .orShould().dependOnClassesThat().haveFullyQualifiedName("java.lang.System$Logger")
        .check(classes);
  }

  @Test
  void shouldKeepTheCommandsLibrariesInBench() {
    noClasses().that(resideInAnyPackage("dev.gnomon..").and(resideOutsideOfPackage("dev.gnomon.bench..")))
        .should().dependOnClassesThat(resideInAnyPackage("picocli..", "com.fasterxml..", "me.tongfei..",
            "org.openjdk.jmh.."))
        .check(classes);
  }

  @Test
  void shouldPrintOnlyThroughItsEnvironment() {
    noClasses().that(resideOutsideOfPackage(GENERATED))
        .should().accessField(System.class, "out").orShould().accessField(System.class, "err")
        .check(classes);
  }

  @Test
  void shouldHaveNoStaticState() {
    noStaticState().check(classes);
  }

  /** What the rule must catch. */
  static final class Guilty {
    static final List<String> HARMLESS = List.of();
    static final ArrayList<String> LIST = new ArrayList<>();
    static final int[] OPEN = {1};
    static int counter;

    private Guilty() {}
  }

  @Test
  void shouldNoticeStaticState() {
    JavaClasses guilty = new ClassFileImporter().importClasses(Guilty.class);
    assertThatThrownBy(() -> noStaticState().check(guilty)).isInstanceOf(AssertionError.class)
        .hasMessageContaining("Guilty.LIST").hasMessageContaining("Guilty.OPEN").hasMessageContaining("Guilty.counter")
        .hasMessageNotContaining("HARMLESS");
  }

  private static ArchRule noStaticState() {
    return fields().that().areStatic()
        .and().areDeclaredInClassesThat(DescribedPredicate.<JavaClass>alwaysTrue()
            .and(resideOutsideOfPackage(GENERATED)))
        .should(new ArchCondition<>("not be able to change") {
          @Override
          public void check(JavaField field, ConditionEvents events) {
            if (canChange(field)) {
              events.add(SimpleConditionEvent.violated(field, field.getFullName() + " is static and can change"));
            }
          }
        });
  }

  /** Not final, or of a type that can be changed; arrays of constants are allowed if they are private. */
  private static boolean canChange(JavaField field) {
    Set<JavaModifier> modifiers = field.getModifiers();
    JavaClass type = field.getRawType();
    boolean collection = type.isAssignableTo(Collection.class) || type.isAssignableTo(Map.class);
    boolean interfaceOfCollection = Set.of(List.class.getName(), Set.class.getName(), Map.class.getName())
        .contains(type.getName());
    boolean openArray = type.isArray() && !modifiers.contains(JavaModifier.PRIVATE)
        && !modifiers.contains(JavaModifier.SYNTHETIC);
    return !modifiers.contains(JavaModifier.FINAL) || collection && !interfaceOfCollection || openArray
        || type.getName().startsWith("java.util.concurrent.atomic");
  }
}
