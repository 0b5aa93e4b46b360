package dev.gnomon.guest.memory;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.checkerframework.framework.qual.PolymorphicQualifier;

/** For the check of {@link AnyAddress}: the result is of the kind that the arguments are, as that of a minimum. */
@PolymorphicQualifier(AnyAddress.class)
@Documented
@Retention(RetentionPolicy.CLASS)
@Target({ElementType.TYPE_USE, ElementType.TYPE_PARAMETER})
public @interface PolyAddress {}
