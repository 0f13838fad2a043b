/* SPDX-License-Identifier: MIT */
/*
 * string.c: the functions that compilers call implicitly, and the few other string functions.
 *
 * Bulk work is done by string instructions, eight bytes at a time.  An emulator counts one
 * instruction for each eight bytes, and no compiler can turn the code into a call to the function
 * itself.  The empty asm in the loop of strlen also prevents such a call.
 *
 * Tests:      string.
 */
#include <quarry/port.h>
#include <quarry/string.h>

#define KEEP_LOOP() __asm__ volatile("" : : : "memory")

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
	if (bytes)
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(bytes) : : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;
	size_t words = n / 8, bytes = n % 8;
	u64 pattern = (u8)c * 0x0101010101010101ULL;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	if (bytes)
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(pattern) : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if ((uintptr_t)d - (uintptr_t)s >= n)
		return memcpy(dst, src, n);
	while (n >= 8) {
		n -= 8;
		*(volatile u64 *)(d + n) = *(const volatile u64 *)(s + n);
	}
	while (n--)
		*(volatile u8 *)(d + n) = s[n];
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n]) {
		n++;
		KEEP_LOOP();
	}
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b) {
		a++;
		b++;
		n--;
	}
	return n ? (u8)*a - (u8)*b : 0;
}

/* Compilers call this for __builtin_popcountl where they may not use the POPCNT instruction. */
int __popcountdi2(u64 x);
int __popcountdi2(u64 x)
{
	return (int)count_bits(x);
}
