/**
 * Userland for a Linux kernel: initial RAM disks of a busybox and a shell script, and the scripts that serve as
 * workloads.
 */
package dev.gnomon.workloads.linux;
