/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in, see ../../../../README.md. */
#ifndef TFLM_BUILD_STANDIN_OLD_RESOLVER_H_
#define TFLM_BUILD_STANDIN_OLD_RESOLVER_H_

#include_next "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace old {
using tflite_micro::MicroOpResolver;

template <unsigned int tOpCount>
class MicroMutableOpResolver : public tflite_micro::MicroMutableOpResolver<tOpCount> {
  using Newer = tflite_micro::MicroMutableOpResolver<tOpCount>;

 public:
  TfLiteStatus AddAdd() { return Newer::AddAdd(); }
  TfLiteStatus AddAveragePool2D() { return Newer::AddAveragePool2D(); }
  TfLiteStatus AddConv2D() { return Newer::AddConv2D(); }
  TfLiteStatus AddFullyConnected() { return Newer::AddFullyConnected(); }
  TfLiteStatus AddSoftmax() { return Newer::AddSoftmax(); }
};
}  // namespace old

#endif /* TFLM_BUILD_STANDIN_OLD_RESOLVER_H_ */
