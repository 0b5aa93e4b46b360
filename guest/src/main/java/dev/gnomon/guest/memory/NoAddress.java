package dev.gnomon.guest.memory;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.checkerframework.framework.qual.DefaultFor;
import org.checkerframework.framework.qual.DefaultQualifierInHierarchy;
import org.checkerframework.framework.qual.SubtypeOf;
import org.checkerframework.framework.qual.TypeKind;
import org.checkerframework.framework.qual.TypeUseLocation;
import org.checkerframework.framework.qual.UpperBoundFor;

/**
 * What a value without annotation is for the check of {@link AnyAddress}; it is never written out. Addresses are
 * {@code long}, so whatever is cast from one to a narrower type (an index, an offset in a page) is none.
 */
@SubtypeOf({Gva.class, Gpa.class, Hpa.class})
@DefaultQualifierInHierarchy
@DefaultFor({TypeUseLocation.LOWER_BOUND, TypeUseLocation.EXCEPTION_PARAMETER})
@UpperBoundFor(
    typeKinds = {TypeKind.BOOLEAN, TypeKind.BYTE, TypeKind.SHORT, TypeKind.CHAR, TypeKind.INT, TypeKind.FLOAT,
        TypeKind.DOUBLE},
    types = {String.class, Integer.class, Boolean.class})
@Documented
@Retention(RetentionPolicy.CLASS)
@Target({ElementType.TYPE_USE, ElementType.TYPE_PARAMETER})
public @interface NoAddress {}
