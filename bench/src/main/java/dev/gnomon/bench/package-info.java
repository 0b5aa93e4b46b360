/**
 * Runs guests, counts what they cost, prices it, and compares modes. A {@link dev.gnomon.bench.Guest} is run by
 * {@link dev.gnomon.bench.GuestRun}; {@link dev.gnomon.bench.Counters} are what was counted, exactly;
 * {@link dev.gnomon.bench.CostModel} turns them into modelled cycles. Each command's result is a record that implements
 * {@link dev.gnomon.bench.report.Report}.
 */
package dev.gnomon.bench;
