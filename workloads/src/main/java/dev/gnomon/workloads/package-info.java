/**
 * Guest programs with parameters, each on the kernel of {@link dev.gnomon.workloads.kernel}, and the catalogue of them.
 *
 * <p>{@link dev.gnomon.workloads.WorkloadCatalog} finds a {@link dev.gnomon.workloads.Workload} by name and parses
 * {@code name:key=value,key=value}; {@link dev.gnomon.workloads.Workload#build} gives a {@link
 * dev.gnomon.workloads.GuestProgram}, an image for the multiboot loader together with what the machine around it must
 * have. The guest checks its result against one that Java computed another way.
 */
package dev.gnomon.workloads;
