/**
 * What firmware would leave in a PC's ROM for an operating system to find: ACPI tables with their AML, and MP tables.
 */
package dev.gnomon.vmm.firmware;
