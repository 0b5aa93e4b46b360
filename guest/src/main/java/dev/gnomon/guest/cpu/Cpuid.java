package dev.gnomon.guest.cpu;

/** CPUID leaves. */
public final class Cpuid {
}
