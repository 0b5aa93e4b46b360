/** Traces of what a machine does: events with KVM's names, fields and formats, and the files that viewers open. */
package dev.gnomon.bench.trace;
