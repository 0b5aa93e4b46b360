package dev.gnomon.guest.memory;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.checkerframework.framework.qual.SubtypeOf;

/**
 * Marks a {@code long} that may be an address of any kind, where the kind does not matter: canonical form, overlap,
 * hexadecimal text. It is the top of the hierarchy that the build checks in the profile {@code addresses}:
 * <pre>
 *              AnyAddress
 *             ╱    │     ╲
 *           Gva   Gpa   Hpa
 *             ╲    │     ╱
 *              NoAddress      what carries no annotation: literals, sizes, offsets, table entries
 * </pre>
 * A plain value may go anywhere; an annotated address goes only where its own kind, or any kind, is declared.
 */
@SubtypeOf({})
@Documented
@Retention(RetentionPolicy.CLASS)
@Target({ElementType.TYPE_USE, ElementType.TYPE_PARAMETER})
public @interface AnyAddress {}
