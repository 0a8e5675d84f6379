#include "floats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLOAT_DIGITS 6
#define CM_DIGITS 8
#define MAX_DIGITS 8
/* What is so near to a half is one. */
#define NEAR 5e-7

static const double POWERS[]
    = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12 };

/* The power of ten of the first digit, of a number from 1e-4 up to 1e6. */
static int
power_of(double number)
{
    return number >= 1e5    ? 5
           : number >= 1e4  ? 4
           : number >= 1e3  ? 3
           : number >= 1e2  ? 2
           : number >= 10   ? 1
           : number >= 1    ? 0
           : number >= 0.1  ? -1
           : number >= .01  ? -2
           : number >= 1e-3 ? -3
                            : -4;
}

/* The first six digits of a positive number, rounded, and the power of ten of the first one. */
static uint32_t
six_digits(double number, int *exponent)
{
    char text[32];
    uint32_t digits;

    /* Of most numbers the digits follow from one multiplication, whose error is far from what
     * would round them otherwise. */
    if (number >= 1e-4 && number < 1e6) {
        int e = power_of(number);
        double scaled = number * POWERS[FLOAT_DIGITS - 1 - e], whole = floor(scaled);

        if (fabs(scaled - whole - 0.5) > 1e-6) {
            digits = (uint32_t) whole + (scaled - whole > 0.5);
            *exponent = digits == 1000000 ? e + 1 : e;
            return digits == 1000000 ? 100000 : digits;
        }
    }
    /* Of d.ddddde+xx, where the point may be another character or two, the last ones. */
    int size = snprintf(text, sizeof(text), "%.*e", FLOAT_DIGITS - 1, number);
    int e = size - 1;

    while (text[e] != 'e') {
        e--;
    }
    *exponent = 0;
    for (int i = e + 2; i < size; i++) {
        *exponent = 10 * *exponent + (text[i] - '0');
    }
    *exponent = text[e + 1] == '-' ? -*exponent : *exponent;
    digits = (uint32_t) (text[0] - '0');
    for (int i = e - (FLOAT_DIGITS - 1); i < e; i++) {
        digits = 10 * digits + (uint32_t) (text[i] - '0');
    }
    return digits;
}

/* The first eight digits of a positive number, rounded as PLINK does, and the power of ten of
 * the first one. */
static uint32_t
eight_digits(double number, int *exponent)
{
    double scaled, whole;
    uint32_t digits;
    int e = 0;

    for (; number >= 1e6; e++) {
        number /= 10;
    }
    for (; number < 1e-4; e--) {
        number *= 10;
    }
    scaled = number * POWERS[CM_DIGITS - 1 - power_of(number)];
    e += power_of(number);
    whole = floor(scaled);
    digits = (uint32_t) whole;
    digits += scaled - whole >= 0.5 + (digits % 2 == 0 ? NEAR : -NEAR);
    *exponent = digits == 100000000 ? e + 1 : e;
    return digits == 100000000 ? 10000000 : digits;
}

static uint8_t *
put_digits(uint8_t *to, const uint8_t *digits, int count)
{
    for (int i = 0; i < count; i++) {
        *to++ = digits[i];
    }
    return to;
}

static uint8_t *
put_exponent(uint8_t *to, int exponent)
{
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    exponent = exponent < 0 ? -exponent : exponent;
    if (exponent >= 100) {
        *to++ = (uint8_t) ('0' + exponent / 100);
        exponent %= 100;
    }
    *to++ = (uint8_t) ('0' + exponent / 10);
    *to++ = (uint8_t) ('0' + exponent % 10);
    return to;
}

/* Append a number of so many digits as %g does: without zeros at its end. */
static uint8_t *
put_number(uint8_t *to, uint32_t digits, int exponent, int precision)
{
    uint8_t text[MAX_DIGITS];
    int count = precision;

    for (int i = precision - 1; i >= 0; i--, digits /= 10) {
        text[i] = (uint8_t) ('0' + digits % 10);
    }
    while (count > 1 && text[count - 1] == '0') {
        count--;
    }
    if (exponent < -4 || exponent >= precision) {
        *to++ = text[0];
        if (count > 1) {
            *to++ = '.';
            to = put_digits(to, text + 1, count - 1);
        }
        return put_exponent(to, exponent);
    }
    if (exponent < 0) {
        *to++ = '0';
        *to++ = '.';
        for (int i = exponent + 1; i < 0; i++) {
            *to++ = '0';
        }
        return put_digits(to, text, count);
    }
    to = put_digits(to, text, exponent + 1);
    if (count > exponent + 1) {
        *to++ = '.';
        to = put_digits(to, text + exponent + 1, count - exponent - 1);
    }
    return to;
}

/* Append 0, infinity or what is no number. */
static uint8_t *
put_special(uint8_t *to, double number)
{
    if (number == 0) {
        *to++ = '0';
        return to;
    }
    memcpy(to, isnan(number) ? "nan" : "inf", 3);
    return to + 3;
}

static int
is_special(double number)
{
    return number == 0 || !isfinite(number);
}

uint8_t *
bf_put_float(uint8_t *to, float number)
{
    uint32_t digits;
    int exponent;

    if (signbit(number) && !isnan(number)) {
        *to++ = '-';
        number = -number;
    }
    if (is_special((double) number)) {
        return put_special(to, (double) number);
    }
    digits = six_digits((double) number, &exponent);
    return put_number(to, digits, exponent, FLOAT_DIGITS);
}

uint8_t *
bf_put_centimorgans(uint8_t *to, double number)
{
    uint32_t digits;
    int exponent;

    if (number < 0) {
        *to++ = '-';
        number = -number;
    }
    if (is_special(number)) {
        return put_special(to, number);
    }
    digits = eight_digits(number, &exponent);
    return put_number(to, digits, exponent, CM_DIGITS);
}
