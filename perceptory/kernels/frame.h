// A call as XLA's foreign function interface (FFI) hands it over, by its C header alone: its C++ header takes seconds
// to compile. Everything is checked here, at the door: types, numbers of axes, sizes. Behind it nothing is.

#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>

#include "vectors.h"
#include "xla/ffi/api/c_api.h"

template <class T>
struct Type;
template <>
struct Type<float> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_F32;
};
template <>
struct Type<double> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_F64;
};
template <>
struct Type<int8_t> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_S8;
};
template <>
struct Type<int32_t> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_S32;
};
template <>
struct Type<uint32_t> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_U32;
};
template <>
struct Type<int64_t> {
  static constexpr XLA_FFI_DataType of = XLA_FFI_DataType_S64;
};

// Why a call is refused.
struct Refused {
  const char* message;
};
inline void require(bool fits, const char* message) {
  if (!fits) throw Refused{message};
}

// A product of sizes, none of them negative; room for more numbers than there can be is refused, and so is what wraps.
inline int64_t sized(std::initializer_list<int64_t> sizes) {
  constexpr int64_t MOST = int64_t(1) << 40;
  int64_t product = 1;
  bool fits = true;
  for (int64_t size : sizes) fits = fits && size >= 0 && !__builtin_mul_overflow(product, size, &product);
  require(fits && product <= MOST, "an array would be too large");
  return product;
}

template <class T>
struct Span {
  const T* first;
  size_t count;
  const T* begin() const { return first; }
  const T* end() const { return first + count; }
  size_t size() const { return count; }
  const T& operator[](size_t i) const { return first[i]; }
  const T& back(size_t i) const { return first[count - i]; }  // the i-th from the end
};
typedef Span<int64_t> Dimensions;

template <class T>
struct Array {
  const XLA_FFI_Buffer* buffer;
  Dimensions dimensions() const { return {buffer->dims, (size_t)buffer->rank}; }
  T* typed_data() const { return (T*)buffer->data; }
  int64_t element_count() const {
    int64_t count = 1;
    for (int64_t i = 0; i < buffer->rank; i++) count *= buffer->dims[i];
    return count;
  }
};

// The members of a call are those of one of its arrays: all its axes but the last `own`.
struct Members {
  Dimensions all;
  size_t own;

  int64_t count() const {
    int64_t members = 1;
    for (size_t i = 0; i + own < all.size(); i++) members *= all[i];
    return members;
  }

  // The array has these axes, and in front of them those of all members, each of its full size or 1.
  template <class T>
  void check(const Array<T>& array, std::initializer_list<int64_t> axes) const {
    Dimensions d = array.dimensions();
    const size_t front = all.size() - own;
    bool fits = d.size() == front + axes.size();
    for (size_t i = 0; fits && i < front; i++) fits = d[i] == 1 || d[i] == all[i];
    for (size_t i = 0; fits && i < axes.size(); i++) fits = d[front + i] == axes.begin()[i];
    require(fits, "the sizes of its arrays do not fit together");
  }
};

// Member m's part of an array with `own` axes of its own.
template <class T>
T* part(const Array<T>& array, size_t own, Dimensions all, int64_t m) {
  Dimensions d = array.dimensions();
  int64_t each = 1, at = 0;
  for (size_t i = d.size() - own; i < d.size(); i++) each *= d[i];
  for (size_t i = d.size() - own; i-- > 0; m /= all[i]) at += m % all[i] % d[i] * each, each *= d[i];
  return array.typed_data() + at;
}

struct Call {
  XLA_FFI_CallFrame* frame;

  int64_t arguments() const { return frame->args.size; }

  // `least`: axes that it has at least.
  template <class T = Number>
  Array<T> argument(int64_t i, int64_t least) const {
    require(i < frame->args.size && frame->args.types[i] == XLA_FFI_ArgType_BUFFER, "an array is missing");
    return checked<T>((XLA_FFI_Buffer*)frame->args.args[i], least);
  }
  template <class T = Number>
  Array<T> result(int64_t i, int64_t least) const {
    require(i < frame->rets.size && frame->rets.types[i] == XLA_FFI_RetType_BUFFER, "a result is missing");
    return checked<T>((XLA_FFI_Buffer*)frame->rets.rets[i], least);
  }
  template <class T>
  T scalar(const char* name) const {
    auto& found = *(const XLA_FFI_Scalar*)attribute(name, XLA_FFI_AttrType_SCALAR);
    require(found.dtype == Type<T>::of, "an attribute is of another type");
    return *(const T*)found.value;
  }
  template <class T>
  Span<T> list(const char* name) const {
    auto& found = *(const XLA_FFI_Array*)attribute(name, XLA_FFI_AttrType_ARRAY);
    require(found.dtype == Type<T>::of, "an attribute is of another type");
    return {(const T*)found.data, found.size};
  }

 private:
  template <class T>
  static Array<T> checked(const XLA_FFI_Buffer* buffer, int64_t least) {
    require(buffer->dtype == Type<T>::of, "an array is of another type");
    require(buffer->rank >= least, "an array has too few axes");
    return {buffer};
  }
  const void* attribute(const char* name, XLA_FFI_AttrType type) const {
    for (int64_t i = 0; i < frame->attrs.size; i++) {
      const XLA_FFI_ByteSpan& found = *frame->attrs.names[i];
      if (found.len == strlen(name) && !memcmp(found.ptr, name, found.len) && frame->attrs.types[i] == type)
        return frame->attrs.attrs[i];
    }
    throw Refused{"an attribute is missing"};
  }
};

// What a handler does around body(call): tells XLA what it was made for, and turns failures into XLA's errors.
template <class Body>
XLA_FFI_Error* handled(XLA_FFI_CallFrame* frame, const char* kernel, const Body& body) {
  if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    auto& about = *((XLA_FFI_Metadata_Extension*)frame->extension_start)->metadata;
    about.api_version.major_version = XLA_FFI_API_MAJOR;
    about.api_version.minor_version = XLA_FFI_API_MINOR;
    about.traits = 0;
    return nullptr;
  }
  auto error = [&](XLA_FFI_Error_Code code, const char* message) {
    char text[200] = "";
    strncat(text, kernel, 60), strcat(text, ": "), strncat(text, message, 120);
    XLA_FFI_Error_Create_Args args{XLA_FFI_Error_Create_Args_STRUCT_SIZE, nullptr, text, code};
    return frame->api->XLA_FFI_Error_Create(&args);
  };
  try {
    require(frame->stage == XLA_FFI_ExecutionStage_EXECUTE, "wrong stage");
    body(Call{frame});
    return nullptr;
  } catch (const Refused& why) {
    return error(XLA_FFI_Error_Code_INVALID_ARGUMENT, why.message);
  } catch (const std::bad_alloc&) {
    return error(XLA_FFI_Error_Code_RESOURCE_EXHAUSTED, "no memory");
  }
}

#define HANDLER(name, body) \
  extern "C" XLA_FFI_Error* name(XLA_FFI_CallFrame* frame) { return handled(frame, #name, body); }
