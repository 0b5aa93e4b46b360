package dev.gnomon.guest.memory;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.checkerframework.framework.qual.SubtypeOf;

/**
 * Marks a {@code long} that is a guest-virtual (linear) address, as a guest instruction forms it after segmentation.
 */
@SubtypeOf(AnyAddress.class)
@Documented
@Retention(RetentionPolicy.CLASS)
@Target({ElementType.TYPE_USE, ElementType.TYPE_PARAMETER})
public @interface Gva {}
