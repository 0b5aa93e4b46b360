/**
 * Renderers: one {@link dev.gnomon.bench.report.Report} as text, Markdown, CSV or JSON, with the same numbers in all.
 */
package dev.gnomon.bench.report;
