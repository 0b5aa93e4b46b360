/**
 * JMH benchmarks of the machine's own speed on the host: {@code gnomon bench}. They measure host time, which no
 * modelled number uses.
 */
package dev.gnomon.bench.jmh;
