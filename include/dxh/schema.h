/* SPDX-License-Identifier: MIT */
/* Describe a C struct once, so that every process and language that maps it
 * agrees on it.
 *
 *	struct telemetry { _Atomic uint64_t frames; double gain; struct axis axes[3]; };
 *	DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"),
 *	           DXH_FIELD(gain, "amplifier gain", "dB"),
 *	           DXH_NESTED(axes, axis, "x, y and z"));
 *
 * DXH_SCHEMA stands at file scope. It lists every member in order; a member
 * that is forgotten, misplaced or padded in an unexpected way stops the
 * compilation. Types come from the members themselves: fixed-width integers,
 * enums (as the integers they are), float, double, bool, char arrays (text),
 * their arrays of one and two dimensions, and the _Atomic forms of the lock-free
 * ones. Structs with a DXH_SCHEMA of their own, and arrays of these, are
 * DXH_NESTED. Any other member is described as opaque bytes. Structs may be
 * packed; atomics then have to be aligned to their size all the same.
 *
 * A schema holds no pointers into the process, only numbers and text; it is
 * stored beside the data as MessagePack.
 */
#ifndef DXH_SCHEMA_H
#define DXH_SCHEMA_H

#include <dxh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dxh_type {
	DXH_TYPE_BYTES = 0, /* opaque */
	DXH_TYPE_U8 = 1,
	DXH_TYPE_I8 = 2,
	DXH_TYPE_U16 = 3,
	DXH_TYPE_I16 = 4,
	DXH_TYPE_U32 = 5,
	DXH_TYPE_I32 = 6,
	DXH_TYPE_U64 = 7,
	DXH_TYPE_I64 = 8,
	DXH_TYPE_F32 = 9,
	DXH_TYPE_F64 = 10,
	DXH_TYPE_BOOL = 11,
	DXH_TYPE_TEXT = 12,  /* char, usually an array, NUL-padded */
	DXH_TYPE_STRUCT = 13 /* members of its own: field->nested */
} dxh_type;

/* "u64", and the bytes of one element (1 for opaque bytes; 0 for a struct, whose
 * schema tells); "?" and 0 for a code that is no type. Thread: any. */
DXH_API const char *dxh_type_name(dxh_type type);
DXH_API size_t dxh_type_bytes(dxh_type type);

typedef struct dxh_schema dxh_schema;

/* One member. Text is static, or lives as long as the schema. */
typedef struct dxh_field {
	const char *name;
	const char *doc;  /* NULL: none */
	const char *unit; /* NULL: none */
	uint32_t offset_bytes;
	uint32_t count; /* elements: 1, or the length of an array, all rows together */
	uint32_t bytes; /* of the whole member */
	dxh_type type;
	int atomic;               /* not 0: read and written with C11 atomics */
	uint32_t columns;         /* elements of a row, of two dimensions; else 0 */
	const dxh_schema *nested; /* of a struct: its members, from its own begin; else NULL */
} dxh_field;

/* One struct. */
struct dxh_schema {
	const char *name;
	uint32_t bytes;
	uint32_t align;
	const dxh_field *fields;
	uint32_t field_count;
};

enum {
	DXH_SCHEMA_NAME_MAX = 63, /* characters */
	DXH_FIELDS_MAX = 32,      /* members of one struct */
	DXH_NESTING_MAX = 4,      /* structs in each other, the outermost counted */
	/* Members of all structs of one block; a nested struct counts wherever it
	 * stands, an array of them once. */
	DXH_FIELDS_TOTAL_MAX = 544
};

/* Called for one member that is no struct: `path` is its name from the outermost
 * struct on, "axes[2].gain", and offset_bytes its place from there; both are the
 * callee's only during the call. field->offset_bytes counts from the begin of the
 * innermost struct. Anything but DXH_OK ends the walk. */
typedef dxh_status (*dxh_visit_fn)(void *context, const char *path, const dxh_field *field,
                                   size_t offset_bytes);

/* Visit each member in order of its place: the members of nested structs one by one,
 * of arrays of structs those of each element. An array of numbers is one visit.
 * Thread: any. Returns: what `visit` returned last; DXH_EINVAL when a pointer is NULL,
 * a nested schema missing, or the schema deeper than DXH_NESTING_MAX. */
DXH_API dxh_status dxh_schema_walk(const dxh_schema *schema, dxh_visit_fn visit, void *context);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* The descriptor that DXH_SCHEMA defines for `struct tag`. */
#define DXH_SCHEMA_OF(tag) (&dxh_schema_of_##tag)

/* A member: its name and, as text, its doc and its unit: (name), (name, doc) or
 * (name, doc, unit). */
#define DXH_FIELD(...) (DXI_PLAIN_, __VA_ARGS__)

/* A member that is `struct tag`, or an array of them with one or two dimensions:
 * (name, tag) or (name, tag, doc). DXH_SCHEMA(tag, ...) stands above. */
#define DXH_NESTED(...) (DXI_NESTED_, __VA_ARGS__)

/* clang-format off */
#define DXH_SCHEMA(tag, ...)                                                                       \
	enum { dxi_end_##tag##_0 = 0 };                                                            \
	DXI_EACH_(DXI_SCHEMA_CHECK_, tag, __VA_ARGS__)                                             \
	_Static_assert(DXI_ALIGN_UP_(DXI_CAT3_(dxi_end_, tag, DXI_COUNT_(__VA_ARGS__)),            \
	                             _Alignof(struct tag)) == sizeof(struct tag),                  \
	               "DXH_SCHEMA(" #tag "): the last members are missing");                      \
	static const dxh_field dxh_fields_of_##tag[] = {                                           \
		DXI_EACH_(DXI_SCHEMA_FIELD_, tag, __VA_ARGS__)};                                   \
	static const dxh_schema dxh_schema_of_##tag = {                                            \
		#tag, sizeof(struct tag), _Alignof(struct tag), dxh_fields_of_##tag,               \
		DXI_COUNT_(__VA_ARGS__)}

/* Below: how the macro works. Nothing of it is part of the API. */

#define DXI_ALIGN_UP_(n, align) (((n) + (align)-1) / (align) * (align))
#define DXI_CAT3_(a, b, c) DXI_CAT3_I_(a, b, c)
#define DXI_CAT3_I_(a, b, c) a##b##_##c

/* A field arrives as (kind, name, more...). */
#define DXI_NAME_(kind, ...) DXI_NAME_I_(__VA_ARGS__, 0)
#define DXI_NAME_I_(name, ...) name
#define DXI_UNWRAP_(...) __VA_ARGS__

#define DXI_OF_(tag, name) (((struct tag *)0)->name)
#define DXI_MEMBER_(tag, field) DXI_OF_(tag, DXI_NAME_ field)

/* Each member starts where the one before ends, but for its own alignment, which
 * packing takes away: so none is left out and none is out of order. */
#define DXI_SCHEMA_CHECK_(tag, before, this, field)                                                \
	enum {                                                                                     \
		dxi_end_##tag##_##this =                                                           \
			offsetof(struct tag, DXI_NAME_ field) + sizeof(DXI_MEMBER_(tag, field))    \
	};                                                                                         \
	_Static_assert(                                                                            \
		dxi_end_##tag##_##before == offsetof(struct tag, DXI_NAME_ field) ||               \
			DXI_ALIGN_UP_(dxi_end_##tag##_##before,                                    \
	                              __alignof__(DXI_MEMBER_(tag, field))) ==                     \
				offsetof(struct tag, DXI_NAME_ field),                             \
		"DXH_SCHEMA(" #tag "): a member before this one is missing or out of order");      \
	_Static_assert(!DXI_ATOMIC_(DXI_MEMBER_(tag, field)) ||                                    \
	                       offsetof(struct tag, DXI_NAME_ field) %                             \
	                                       DXI_ELEMENT_BYTES_(DXI_MEMBER_(tag, field)) ==      \
	                               0,                                                          \
	               "DXH_SCHEMA(" #tag "): an atomic member is not aligned to its size");

/* The initializer of a dxh_field, by the field's kind. */
#define DXI_SCHEMA_FIELD_(tag, before, this, field) DXI_DESCRIBE_(tag, DXI_UNWRAP_ field),
#define DXI_DESCRIBE_(...) DXI_DESCRIBE_I_(__VA_ARGS__)
#define DXI_DESCRIBE_I_(tag, kind, ...) kind(tag, __VA_ARGS__)

#define DXI_PLAIN_(tag, ...) DXI_PLAIN_I_(tag, __VA_ARGS__, NULL, NULL, 0)
#define DXI_PLAIN_I_(tag, name, doc, unit, ...)                                                    \
	{#name,                                                                                    \
	 doc,                                                                                      \
	 unit,                                                                                     \
	 offsetof(struct tag, name),                                                               \
	 sizeof(DXI_OF_(tag, name)) / DXI_ELEMENT_BYTES_(DXI_OF_(tag, name)),                      \
	 sizeof(DXI_OF_(tag, name)),                                                               \
	 DXI_TYPE_(DXI_OF_(tag, name)),                                                            \
	 DXI_ATOMIC_(DXI_OF_(tag, name)),                                                          \
	 DXI_COLUMNS_(DXI_OF_(tag, name)),                                                         \
	 NULL}

#define DXI_NESTED_(tag, ...) DXI_NESTED_I_(tag, __VA_ARGS__, NULL, 0)
#define DXI_NESTED_I_(tag, name, inner, doc, ...)                                                  \
	{#name,                                                                                    \
	 doc,                                                                                      \
	 NULL,                                                                                     \
	 offsetof(struct tag, name),                                                               \
	 sizeof(DXI_OF_(tag, name)) / sizeof(struct inner),                                        \
	 sizeof(DXI_OF_(tag, name)),                                                               \
	 DXI_IS_STRUCT_(DXI_OF_(tag, name), inner),                                                \
	 0,                                                                                        \
	 DXI_STRUCT_COLUMNS_(DXI_OF_(tag, name), inner),                                           \
	 DXH_SCHEMA_OF(inner)}

/* Without a default: another struct than the one named does not compile. */
#define DXI_IS_STRUCT_(member, inner)                                                              \
	_Generic((member), struct inner: DXH_TYPE_STRUCT, struct inner *: DXH_TYPE_STRUCT,         \
	         struct inner (*)[]: DXH_TYPE_STRUCT)
#define DXI_STRUCT_COLUMNS_(member, inner)                                                         \
	(_Generic((member), struct inner (*)[]: 1, default: 0) *                                   \
	 (sizeof(*_Generic((member), struct inner (*)[]: (member), default: (char *)0)) /          \
	  sizeof(struct inner)))

#define DXI_TYPE_LIST_(X, member)                                                                  \
	X(uint8_t, DXH_TYPE_U8, member)                                                            \
	X(int8_t, DXH_TYPE_I8, member)                                                             \
	X(uint16_t, DXH_TYPE_U16, member)                                                          \
	X(int16_t, DXH_TYPE_I16, member)                                                           \
	X(uint32_t, DXH_TYPE_U32, member)                                                          \
	X(int32_t, DXH_TYPE_I32, member)                                                           \
	X(unsigned long, DXH_TYPE_U64, member)                                                     \
	X(long, DXH_TYPE_I64, member)                                                              \
	X(unsigned long long, DXH_TYPE_U64, member)                                                \
	X(long long, DXH_TYPE_I64, member)                                                         \
	X(float, DXH_TYPE_F32, member)                                                             \
	X(double, DXH_TYPE_F64, member)                                                            \
	X(_Bool, DXH_TYPE_BOOL, member)                                                            \
	X(char, DXH_TYPE_TEXT, member)

/* As a controlling expression a scalar loses its qualifiers and an array turns
 * into a pointer to its elements, which of two dimensions are arrays of some
 * length: hence six forms of each type. */
#define DXI_TYPE_CASE_(type, code, member)                                                         \
	type: code, type *: code, type (*)[]: code,                                                \
	_Atomic(type): code, _Atomic(type) *: code, _Atomic(type) (*)[]: code,
#define DXI_BYTES_CASE_(type, code, member) DXI_TYPE_CASE_(type, sizeof(type), member)
#define DXI_ATOMIC_CASE_(type, code, member) _Atomic(type) *: 1, _Atomic(type) (*)[]: 1,
#define DXI_ROW_CASE_(type, code, member) type (*)[]: (member), _Atomic(type) (*)[]: (member),
#define DXI_TWO_CASE_(type, code, member) type (*)[]: 1, _Atomic(type) (*)[]: 1,

#define DXI_TYPE_(member)                                                                          \
	_Generic((member), DXI_TYPE_LIST_(DXI_TYPE_CASE_, member) default: DXH_TYPE_BYTES)
#define DXI_ELEMENT_BYTES_(member)                                                                 \
	(_Generic((member), DXI_TYPE_LIST_(DXI_BYTES_CASE_, member) default: (size_t)1))
#define DXI_ATOMIC_(member)                                                                        \
	(_Generic(&(member), DXI_TYPE_LIST_(DXI_ATOMIC_CASE_, member) default: 0) |                \
	 _Generic((member), DXI_TYPE_LIST_(DXI_ATOMIC_CASE_, member) default: 0))

/* Elements of a row; 0 unless there are two dimensions. */
#define DXI_COLUMNS_(member)                                                                       \
	(_Generic((member), DXI_TYPE_LIST_(DXI_TWO_CASE_, member) default: 0) *                    \
	 (sizeof(*_Generic((member), DXI_TYPE_LIST_(DXI_ROW_CASE_, member) default: (char *)0)) /  \
	  DXI_ELEMENT_BYTES_(member)))

/* do(tag, number of the one before, own number, field) for up to 32 fields. */
#define DXI_EACH_(do, tag, ...) DXI_CAT2_(DXI_EACH_, DXI_COUNT_(__VA_ARGS__))(do, tag, __VA_ARGS__)
#define DXI_CAT2_(a, b) DXI_CAT2_I_(a, b)
#define DXI_CAT2_I_(a, b) a##b
#define DXI_COUNT_(...) DXI_COUNT_I_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define DXI_COUNT_I_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) n
#define DXI_EACH_1(do, tag, f1) do(tag, 0, 1, f1)
#define DXI_EACH_2(do, tag, f1, f2) DXI_EACH_1(do, tag, f1) do(tag, 1, 2, f2)
#define DXI_EACH_3(do, tag, f1, f2, f3) DXI_EACH_2(do, tag, f1, f2) do(tag, 2, 3, f3)
#define DXI_EACH_4(do, tag, f1, f2, f3, f4) DXI_EACH_3(do, tag, f1, f2, f3) do(tag, 3, 4, f4)
#define DXI_EACH_5(do, tag, f1, f2, f3, f4, f5) DXI_EACH_4(do, tag, f1, f2, f3, f4) do(tag, 4, 5, f5)
#define DXI_EACH_6(do, tag, f1, f2, f3, f4, f5, f6) DXI_EACH_5(do, tag, f1, f2, f3, f4, f5) do(tag, 5, 6, f6)
#define DXI_EACH_7(do, tag, f1, f2, f3, f4, f5, f6, f7) DXI_EACH_6(do, tag, f1, f2, f3, f4, f5, f6) do(tag, 6, 7, f7)
#define DXI_EACH_8(do, tag, f1, f2, f3, f4, f5, f6, f7, f8) DXI_EACH_7(do, tag, f1, f2, f3, f4, f5, f6, f7) do(tag, 7, 8, f8)
#define DXI_EACH_9(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9) DXI_EACH_8(do, tag, f1, f2, f3, f4, f5, f6, f7, f8) do(tag, 8, 9, f9)
#define DXI_EACH_10(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10) DXI_EACH_9(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9) do(tag, 9, 10, f10)
#define DXI_EACH_11(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11) DXI_EACH_10(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10) do(tag, 10, 11, f11)
#define DXI_EACH_12(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12) DXI_EACH_11(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11) do(tag, 11, 12, f12)
#define DXI_EACH_13(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13) DXI_EACH_12(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12) do(tag, 12, 13, f13)
#define DXI_EACH_14(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14) DXI_EACH_13(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13) do(tag, 13, 14, f14)
#define DXI_EACH_15(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15) DXI_EACH_14(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14) do(tag, 14, 15, f15)
#define DXI_EACH_16(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16) DXI_EACH_15(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15) do(tag, 15, 16, f16)
#define DXI_EACH_17(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17) DXI_EACH_16(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16) do(tag, 16, 17, f17)
#define DXI_EACH_18(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18) DXI_EACH_17(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17) do(tag, 17, 18, f18)
#define DXI_EACH_19(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19) DXI_EACH_18(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18) do(tag, 18, 19, f19)
#define DXI_EACH_20(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20) DXI_EACH_19(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19) do(tag, 19, 20, f20)
#define DXI_EACH_21(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21) DXI_EACH_20(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20) do(tag, 20, 21, f21)
#define DXI_EACH_22(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22) DXI_EACH_21(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21) do(tag, 21, 22, f22)
#define DXI_EACH_23(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23) DXI_EACH_22(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22) do(tag, 22, 23, f23)
#define DXI_EACH_24(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24) DXI_EACH_23(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23) do(tag, 23, 24, f24)
#define DXI_EACH_25(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25) DXI_EACH_24(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24) do(tag, 24, 25, f25)
#define DXI_EACH_26(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26) DXI_EACH_25(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25) do(tag, 25, 26, f26)
#define DXI_EACH_27(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27) DXI_EACH_26(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26) do(tag, 26, 27, f27)
#define DXI_EACH_28(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28) DXI_EACH_27(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27) do(tag, 27, 28, f28)
#define DXI_EACH_29(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29) DXI_EACH_28(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28) do(tag, 28, 29, f29)
#define DXI_EACH_30(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30) DXI_EACH_29(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29) do(tag, 29, 30, f30)
#define DXI_EACH_31(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31) DXI_EACH_30(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30) do(tag, 30, 31, f31)
#define DXI_EACH_32(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32) DXI_EACH_31(do, tag, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31) do(tag, 31, 32, f32)
/* clang-format on */

#endif /* __cplusplus */
#endif
