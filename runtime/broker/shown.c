/* SPDX-License-Identifier: MIT */
/* Text that the broker passes on to others, which their decoders and terminals must bear:
 * one client's odd bytes would else spoil every list. */
#include "runtime/broker/parts.h"

#include <string.h>

/* How many bytes the UTF-8 character has that begins with this one; 0: none begins so. */
static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* One way of writing each: none longer than needed, no surrogates, none beyond the last. The
 * NUL at the end of a text ends each character that is cut there. */
static size_t character_bytes(const unsigned char *at)
{
	size_t bytes = length_of(at[0]);

	for (size_t i = 1; i < bytes; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return bytes;
}

/* A control character: of ASCII, or one that begins with 0xc2 and is of Latin-1. */
static bool is_control(const unsigned char *at)
{
	return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

/* The first byte that may not be shown; else the end. */
static char *first_odd(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at != '\0' && character_bytes(at) > 0 && !is_control(at))
		at += character_bytes(at);
	return (char *)at;
}

void dxi_make_shown(char *text)
{
	while (*(text = first_odd(text)) != '\0')
		*text = '?';
}

void dxi_take_shown(dxi_fields *fields, const char *key, char *text, size_t capacity)
{
	dxi_fields_text(fields, key, text, capacity);
	if (fields->status == DXH_OK && *first_odd(text) != '\0')
		dxi_fields_refuse(fields, key, "is no UTF-8 without control characters");
}

void dxi_take_name(dxi_fields *fields, const char *key, char *text, size_t capacity)
{
	dxi_fields_text(fields, key, text, capacity);
	if (fields->status == DXH_OK)
		dxi_make_shown(text);
}
