/* SPDX-License-Identifier: MIT */
/* Describe a C struct once, so that every process and language that maps it
 * agrees on it.
 *
 *	struct telemetry { _Atomic uint64_t frames; double gain; };
 *	DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"),
 *	           DXH_FIELD(gain, "amplifier gain", "dB"));
 *
 * DXH_SCHEMA stands at file scope. It lists every member in order; a member
 * that is forgotten, misplaced or padded in an unexpected way stops the
 * compilation. Types come from the members themselves: fixed-width integers,
 * float, double, bool, char arrays (text), their arrays, and the _Atomic forms
 * of the lock-free ones. Any other member is described as opaque bytes.
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
	DXH_TYPE_TEXT = 12 /* char, usually an array, NUL-padded */
} dxh_type;

/* "u64", and the bytes of one element (1 for opaque bytes); "?" and 0 for a
 * code that is no type. Thread: any. */
DXH_API const char *dxh_type_name(dxh_type type);
DXH_API size_t dxh_type_bytes(dxh_type type);

/* One member. Text is static, or lives as long as the schema. */
typedef struct dxh_field {
	const char *name;
	const char *doc;  /* NULL: none */
	const char *unit; /* NULL: none */
	uint32_t offset_bytes;
	uint32_t count; /* elements: 1, or the length of an array */
	uint32_t bytes; /* of the whole member */
	dxh_type type;
	int atomic; /* not 0: read and written with C11 atomics */
} dxh_field;

/* One struct. */
typedef struct dxh_schema {
	const char *name;
	uint32_t bytes;
	uint32_t align;
	const dxh_field *fields;
	uint32_t field_count;
} dxh_schema;

/* Fields of one struct, and characters of a name, at the most. */
enum { DXH_FIELDS_MAX = 32, DXH_SCHEMA_NAME_MAX = 63 };

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* The descriptor that DXH_SCHEMA defines for `struct tag`. */
#define DXH_SCHEMA_OF(tag) (&dxh_schema_of_##tag)

#define DXH_FIELD(...) (__VA_ARGS__)

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
#define DXI_TEXT_(...) DXI_TEXT_I_(__VA_ARGS__)
#define DXI_TEXT_I_(...) #__VA_ARGS__

/* A field arrives as (name), (name, doc) or (name, doc, unit). */
#define DXI_FIRST_(...) DXI_FIRST_I_(__VA_ARGS__, 0)
#define DXI_FIRST_I_(a, ...) a
#define DXI_SECOND_(...) DXI_SECOND_I_(__VA_ARGS__, NULL, 0)
#define DXI_SECOND_I_(a, b, ...) b
#define DXI_THIRD_(...) DXI_THIRD_I_(__VA_ARGS__, NULL, NULL, 0)
#define DXI_THIRD_I_(a, b, c, ...) c

#define DXI_MEMBER_(tag, field) (((struct tag *)0)->DXI_FIRST_ field)

/* Each member starts where the one before ends, but for its own alignment:
 * so none is left out and none is out of order. */
#define DXI_SCHEMA_CHECK_(tag, before, this, field)                                                \
	enum {                                                                                     \
		dxi_end_##tag##_##this =                                                           \
			offsetof(struct tag, DXI_FIRST_ field) + sizeof(DXI_MEMBER_(tag, field))   \
	};                                                                                         \
	_Static_assert(                                                                            \
		DXI_ALIGN_UP_(dxi_end_##tag##_##before,                                            \
	                      _Alignof(__typeof__(DXI_MEMBER_(tag, field)))) ==                    \
			offsetof(struct tag, DXI_FIRST_ field),                                    \
		"DXH_SCHEMA(" #tag "): a member before this one is missing or out of order");

#define DXI_SCHEMA_FIELD_(tag, before, this, field)                                                \
	{DXI_TEXT_(DXI_FIRST_ field),                                                              \
	 DXI_SECOND_ field,                                                                        \
	 DXI_THIRD_ field,                                                                         \
	 offsetof(struct tag, DXI_FIRST_ field),                                                   \
	 sizeof(DXI_MEMBER_(tag, field)) / DXI_ELEMENT_BYTES_(DXI_MEMBER_(tag, field)),            \
	 sizeof(DXI_MEMBER_(tag, field)),                                                          \
	 DXI_TYPE_(DXI_MEMBER_(tag, field)),                                                       \
	 DXI_ATOMIC_(DXI_MEMBER_(tag, field))},

#define DXI_TYPE_LIST_(X)                                                                          \
	X(uint8_t, DXH_TYPE_U8)                                                                    \
	X(int8_t, DXH_TYPE_I8)                                                                     \
	X(uint16_t, DXH_TYPE_U16)                                                                  \
	X(int16_t, DXH_TYPE_I16)                                                                   \
	X(uint32_t, DXH_TYPE_U32)                                                                  \
	X(int32_t, DXH_TYPE_I32)                                                                   \
	X(unsigned long, DXH_TYPE_U64)                                                             \
	X(long, DXH_TYPE_I64)                                                                      \
	X(unsigned long long, DXH_TYPE_U64)                                                        \
	X(long long, DXH_TYPE_I64)                                                                 \
	X(float, DXH_TYPE_F32)                                                                     \
	X(double, DXH_TYPE_F64)                                                                    \
	X(_Bool, DXH_TYPE_BOOL)                                                                    \
	X(char, DXH_TYPE_TEXT)

/* As a controlling expression a scalar loses its qualifiers and an array turns
 * into a pointer, hence up to four forms of each type. */
#define DXI_TYPE_CASE_(type, code)                                                                 \
	type: code, type *: code, _Atomic(type): code, _Atomic(type) *: code,
#define DXI_BYTES_CASE_(type, code)                                                                \
	type: sizeof(type), type *: sizeof(type),                                                  \
	_Atomic(type): sizeof(type), _Atomic(type) *: sizeof(type),
#define DXI_ATOMIC_CASE_(type, code) _Atomic(type) *: 1,
#define DXI_TYPE_(member) _Generic((member), DXI_TYPE_LIST_(DXI_TYPE_CASE_) default: DXH_TYPE_BYTES)
#define DXI_ELEMENT_BYTES_(member)                                                                 \
	(_Generic((member), DXI_TYPE_LIST_(DXI_BYTES_CASE_) default: (size_t)1))
#define DXI_ATOMIC_(member)                                                                        \
	(_Generic(&(member), DXI_TYPE_LIST_(DXI_ATOMIC_CASE_) default: 0) |                        \
	 _Generic((member), DXI_TYPE_LIST_(DXI_ATOMIC_CASE_) default: 0))

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
