package dev.gnomon.guest.exec;

import static dev.gnomon.guest.exec.SystemMachine.CODE0;
import static dev.gnomon.guest.exec.SystemMachine.HANDLER;
import static dev.gnomon.guest.exec.SystemMachine.STACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.gnomon.guest.cpu.ExitQualification;
import dev.gnomon.guest.cpu.ExitReason;
import dev.gnomon.guest.cpu.Rflags;
import dev.gnomon.guest.cpu.Segments;
import dev.gnomon.guest.cpu.Vector;
import dev.gnomon.guest.mmu.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ExceptionMergingTest {
  private static int raise(SystemMachine m, int vector, int errorCode) {
    m.cpu.fault(vector, errorCode);
    return m.events.raise();
  }

  private static void delivering(SystemMachine m, int vector, int type) {
    m.events.queue(vector, type, type == Vector.TYPE_HARDWARE_EXCEPTION && Vector.hasErrorCode(vector), 0, 2);
  }

  /** SDM vol. 3A, "Conditions for Generating a Double Fault": first (rows) by second (columns). */
  @ParameterizedTest
  @CsvSource({"benign, SERIAL, SERIAL, SERIAL", "contributory, SERIAL, DF, SERIAL", "page fault, SERIAL, DF, DF",
      "double fault, SERIAL, TRIPLE, TRIPLE"})
  void shouldMergeByTable(String first, String benign, String contributory, String pageFault) {
    int[] firsts = switch (first) {
      case "benign" -> new int[] {Vector.DB, Vector.BP, Vector.OF, Vector.BR, Vector.UD, Vector.NM, Vector.MF,
          Vector.AC, Vector.XM};
      case "contributory" -> new int[] {Vector.DE, Vector.TS, Vector.NP, Vector.SS, Vector.GP};
      case "page fault" -> new int[] {Vector.PF};
      default -> new int[] {Vector.DF};
    };
    for (int one : firsts) {
      for (int two : new int[] {Vector.DB, Vector.BR, Vector.UD, Vector.NM, Vector.AC, Vector.DE, Vector.TS, Vector.NP,
          Vector.SS, Vector.GP, Vector.PF}) {
        boolean isContributory = two == Vector.DE || two >= Vector.TS && two <= Vector.GP;
        String expected = two == Vector.PF ? pageFault : isContributory ? contributory : benign;
        SystemMachine m = SystemMachine.protectedMode(0);
        delivering(m, one, Vector.TYPE_HARDWARE_EXCEPTION);
        int status = raise(m, two, 0x10);
        String result = status == Status.EXIT ? "TRIPLE" : m.cpu.eventVector == Vector.DF ? "DF" : "SERIAL";
        assertThat(result).as("%d then %d", one, two).isEqualTo(expected);
        if (status == Status.EXIT) {
          assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.TRIPLE_FAULT);
          assertThat(m.cpu.eventPending).isFalse();
        } else if (result.equals("SERIAL")) {
          assertThat(m.cpu.eventVector).isEqualTo(two);
        } else {
          assertThat(m.cpu.eventErrorCode).isZero();
          assertThat(m.cpu.eventHasErrorCode).isTrue();
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {Vector.TYPE_EXTERNAL, Vector.TYPE_SOFTWARE_INTERRUPT})
  void shouldTreatInterruptsWithExceptionVectorsAsBenign(int type) {
    SystemMachine m = SystemMachine.protectedMode(0);
    delivering(m, Vector.GP, type);
    assertThat(raise(m, Vector.NP, 0)).isEqualTo(Status.OK);
    assertThat(m.cpu.eventVector).isEqualTo(Vector.NP);
  }

  @Test
  void shouldTripleFaultWithEmptyIdtNatively() {
    SystemMachine m = SystemMachine.protectedMode(0);
    m.cpu.idtrLimit = 0;
    m.cpu.fault(Vector.UD);
    assertThat(m.events.raiseAndDispatch()).isEqualTo(Status.EXIT);
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.TRIPLE_FAULT);
    assertThat(m.cpu.exit.idtVectoringInfo).isZero();
  }

  @Test
  void shouldTripleFaultInRealModeWithEmptyTable() {
    SystemMachine m = SystemMachine.real();
    m.cpu.idtrLimit = 0;
    m.cpu.fault(Vector.GP, 0x1234);
    assertThat(m.events.raiseAndDispatch()).isEqualTo(Status.EXIT);
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.TRIPLE_FAULT);
  }

  @Test
  void shouldDeliverDoubleFaultWhenStackOfPageFaultHandlerIsMissing() {
    SystemMachine m = SystemMachine.longMode(0);
    m.interruptGate(Vector.PF, CODE0, HANDLER, 0xE, 0, 0);
    m.interruptGate(Vector.DF, CODE0, HANDLER + 8, 0xE, 0, 1);
    m.pages.notPresent.add(STACK - 8 >> 12);
    m.cpu.pageFault(0x1234_5678L, 2);
    assertThat(m.events.raiseAndDispatch()).isEqualTo(Status.OK);
    assertThat(m.cpu.rip).isEqualTo(HANDLER + 8);
    assertThat(m.stack(0, 8)).isZero();
    assertThat(m.cpu.cr2).as("CR2 of the second fault").isEqualTo(STACK - 8);
  }

  @Test
  void shouldSetCr2WhenGuestTakesPageFault() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.pageFault(0xDEAD_B000L, 4);
    assertThat(m.events.raise()).isEqualTo(Status.OK);
    assertThat(m.cpu.cr2).isEqualTo(0xDEAD_B000L);
    assertThat(m.cpu.eventErrorCode).isEqualTo(4);
  }

  @Test
  void shouldLeaveCr2AloneWhenPageFaultIsIntercepted() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.PF;
    m.cpu.cr2 = 0x77;
    m.cpu.pageFault(0xDEAD_B000L, 6);
    assertThat(m.events.raise()).isEqualTo(Status.EXIT);
    assertThat(m.cpu.cr2).isEqualTo(0x77);
    assertThat(m.cpu.exit.reason).isEqualTo(ExitReason.EXCEPTION_NMI);
    assertThat(m.cpu.exit.qualification).isEqualTo(0xDEAD_B000L);
    assertThat(m.cpu.exit.interruptionInfo).isEqualTo(0x8000_0B0E);
    assertThat(m.cpu.exit.interruptionErrorCode).isEqualTo(6);
    assertThat(m.cpu.exit.idtVectoringInfo).isZero();
  }

  @Test
  void shouldReportInterruptedEventWhenNestedExceptionIsIntercepted() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.PF;
    m.interruptGate(0x40, CODE0, HANDLER, 0xE, 0, 0);
    m.pages.notPresent.add(STACK - 8 >> 12);
    m.events.queue(0x40, Vector.TYPE_EXTERNAL, false, 0, 0);
    assertThat(m.events.dispatch()).isEqualTo(Status.EXIT);
    assertThat(m.cpu.exit.interruptionInfo).isEqualTo(0x8000_0B0E);
    assertThat(m.cpu.exit.idtVectoringInfo).isEqualTo(0x8000_0040);
    assertThat(m.cpu.eventPending).isFalse();
  }

  @Test
  void shouldReportInterceptedDoubleFaultAsTheEventItself() {
    SystemMachine m = SystemMachine.longMode(0);
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.DF;
    delivering(m, Vector.GP, Vector.TYPE_HARDWARE_EXCEPTION);
    assertThat(raise(m, Vector.NP, 0x10)).isEqualTo(Status.EXIT);
    assertThat(m.cpu.exit.interruptionInfo).isEqualTo(0x8000_0B08);
    assertThat(m.cpu.exit.idtVectoringInfo).isZero();
    assertThat(m.cpu.eventPending).isFalse();
  }

  @Test
  void shouldInterceptBreakpointAsSoftwareException() {
    SystemMachine m = SystemMachine.longMode(3);
    m.cpu.intercepts.enabled = true;
    m.cpu.intercepts.exceptionBitmap = 1 << Vector.BP;
    assertThat(m.run(0xCC)).isEqualTo(Status.EXIT);
    assertThat(m.cpu.exit.interruptionInfo).isEqualTo(0x8000_0603);
    assertThat(m.cpu.exit.instructionLength).isEqualTo(2);
    assertThat(m.cpu.eventPending).isFalse();
  }

  @Test
  void shouldHaveNoErrorCodeInRealMode() {
    SystemMachine m = SystemMachine.real();
    m.cpu.fault(Vector.GP, 0x1234);
    assertThat(m.events.raise()).isEqualTo(Status.OK);
    assertThat(m.cpu.eventHasErrorCode).isFalse();
  }

  @Test
  void shouldUnblockNmiWhenIretFaultsAndTellTheHypervisorThatInterceptsTheFault() {
    for (boolean hidden : new boolean[] {false, true}) {
      SystemMachine m = SystemMachine.protectedMode(0);
      m.cpu.intercepts.enabled = hidden;
      m.cpu.intercepts.exceptionBitmap = -1;
      m.cpu.blockedByNmi = true;
      m.push(4, Rflags.FIXED, 0, 0);
      assertThat(m.run(0xCF)).isEqualTo(Status.FAULT);
      m.events.raise();
      assertThat(m.cpu.blockedByNmi).isFalse();
      assertThat((m.cpu.exit.interruptionInfo & ExitQualification.INFO_NMI_UNBLOCKING) != 0).isEqualTo(hidden);
    }
  }

  @Test
  void shouldKeepHandlerEntryExactForNestedFaultsInRing3() {
    SystemMachine m = SystemMachine.protectedMode(3);
    m.interruptGate(Vector.NP, CODE0, HANDLER, 0xE, 0, 0);
    m.memory.write(SystemMachine.IDT + 8 * 0x40 + 5, 1, 0xE);
    m.events.queue(0x40, Vector.TYPE_EXTERNAL, false, 0, 0);
    assertThat(m.events.dispatch()).isEqualTo(Status.OK);
    assertThat(m.cpu.rip).isEqualTo(HANDLER);
    assertThat(m.stack(0, 4)).as("error code of the #NP").isEqualTo(0x203);
    assertThat(m.cpu.selector[Segments.CS]).isEqualTo(CODE0);
  }
}
