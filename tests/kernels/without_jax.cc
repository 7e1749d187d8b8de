// The LSTM kernel called by hand, without JAX: for processors that are emulated (`make aarch64`) and for sanitizers.
// Prints sums of its values and gradients, to compare with those of another processor or compiler.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "lstm.cc"

typedef XLA_FFI_Error* Handler(XLA_FFI_CallFrame*);

// An array with numbers in it, never given back.
XLA_FFI_Buffer* array(std::vector<int64_t> shape, XLA_FFI_DataType type = Type<Number>::of) {
  int64_t count = 1;
  for (int64_t n : shape) count *= n;
  auto* dimensions = new std::vector<int64_t>(shape);
  void* data = aligned_alloc(64, (count * sizeof(Number) + 127) / 64 * 64);
  for (int64_t i = 0; i < count; i++)
    if (type == XLA_FFI_DataType_S32)
      ((int32_t*)data)[i] = 6;
    else
      ((Number*)data)[i] = std::sin(i * 0.7 + shape.size());
  return new XLA_FFI_Buffer{sizeof(XLA_FFI_Buffer), nullptr, type, data, (int64_t)shape.size(), dimensions->data()};
}

void call(Handler* handler, std::vector<void*> arguments, std::vector<void*> results) {
  XLA_FFI_Api api{};
  api.XLA_FFI_Error_Create = [](XLA_FFI_Error_Create_Args* args) {
    fprintf(stderr, "%s\n", args->message);
    exit(1);
    return (XLA_FFI_Error*)nullptr;
  };
  int32_t threads = 1, truncation = 4;
  XLA_FFI_Scalar values[] = {{XLA_FFI_DataType_S32, &threads}, {XLA_FFI_DataType_S32, &truncation}};
  XLA_FFI_ByteSpan names[] = {{"threads", 7}, {"truncation", 10}}, *name[] = {names, names + 1};
  XLA_FFI_AttrType types[] = {XLA_FFI_AttrType_SCALAR, XLA_FFI_AttrType_SCALAR};
  void* attributes[] = {values, values + 1};
  std::vector<XLA_FFI_ArgType> given(arguments.size(), XLA_FFI_ArgType_BUFFER);
  std::vector<XLA_FFI_RetType> wanted(results.size(), XLA_FFI_RetType_BUFFER);
  XLA_FFI_CallFrame frame{};
  frame.struct_size = sizeof frame, frame.api = &api, frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  frame.args = {sizeof(XLA_FFI_Args), nullptr, (int64_t)arguments.size(), given.data(), arguments.data()};
  frame.rets = {sizeof(XLA_FFI_Rets), nullptr, (int64_t)results.size(), wanted.data(), results.data()};
  frame.attrs = {sizeof(XLA_FFI_Attrs), nullptr, 2, types, name, attributes};
  handler(&frame);
}

double magnitude(XLA_FFI_Buffer* array) {
  double sum = 0;
  int64_t count = 1;
  for (int64_t i = 0; i < array->rank; i++) count *= array->dims[i];
  for (int64_t i = 0; i < count; i++) sum += std::fabs(((Number*)array->data)[i]);
  return sum;
}

int main() {
  const int64_t time = 6, features = 2;
  for (auto [H, batch] : {std::pair<int64_t, int64_t>{3, 1}, {29, 11}, {64, 16}}) {
    auto *x = array({time, batch, features}), *input = array({features, 4 * H}), *recurrent = array({H, 4 * H});
    auto *bias = array({4 * H}), *state = array({batch, H}), *lengths = array({batch}, XLA_FFI_DataType_S32);
    auto *h = array({time, batch, H}), *last = array({batch, H}), *last_c = array({batch, H});
    auto *c = array({time, batch, H}), *gates = array({time, batch, 4 * H});
    call(lstm_keeping, {x, input, recurrent, bias, state, state, lengths}, {h, last, last_c, c, gates});
    auto *da = array({time, batch, 4 * H}), *dh = array({batch, H}), *dc = array({batch, H});
    call(lstm_backward, {recurrent, state, c, gates, h, last, last_c, lengths}, {da, dh, dc});
    printf("%.5g %.5g %.5g\n", magnitude(h), magnitude(da), magnitude(dh));
  }
}
