/* scrimp for firmware in C: inference kernels with the bytes of TFLite's reference kernels. Drawn by `cargo xtask header`
   from tools/capi: do not edit.

   No function allocates, keeps state or ends the program. Memory is yours; `_init` fills tables once, runs read them.
   What is wrong with a call comes back as a status, and then nothing was written. */

#ifndef SCRIMP_H
#define SCRIMP_H

#include <stddef.h>
#include <stdint.h>
/* Bytes of scratch for scrimp_convolve_s8, of kernel_height * kernel_width * channels. */
#define SCRIMP_CONVOLVE_S8_SCRATCH(depth) ((depth) < 256 ? 512 : 2 * (depth))
/* Bytes of the tables of a layer: two int32_t and an int8_t an output. */
#define SCRIMP_TABLES_BYTES(outputs) (9 * (outputs))


// 0 if a call did what it is for; else what was wrong with it, and nothing was written.
enum scrimp_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It is done.
  SCRIMP_STATUS_OK = 0,
  // A pointer is null, or not aligned to what it points to.
  SCRIMP_STATUS_POINTER = -1,
  // A number of elements is zero, does not fit the other ones, or is too large.
  SCRIMP_STATUS_SIZE = -2,
  // A scale, a zero point, a multiplier, a range or another parameter cannot be.
  SCRIMP_STATUS_PARAMETER = -3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum scrimp_status scrimp_status;
#else
typedef int32_t scrimp_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The table of a softmax of 8-bit rows, 1 KiB in your memory: `scrimp_softmax_s8_init` fills it once, runs read it.
typedef struct {
  // Of no meaning to anybody else.
  uint32_t words[256];
} scrimp_softmax_table;

// What is common to all outputs of an 8-bit layer, in the terms of CMSIS-NN: offsets of the input and the filter are zero
// points with the sign turned over, the output's is its zero point.
typedef struct {
  // Minus the input's zero point, -255 to 255.
  int32_t input_offset;
  // Minus the weights' zero point, -255 to 255; 0 for convolutions.
  int32_t filter_offset;
  // The output's zero point.
  int32_t output_offset;
  // The least output: `output_offset` for a fused ReLU, -128 for none.
  int32_t activation_min;
  // The largest output.
  int32_t activation_max;
} scrimp_params;

// Bias and scale of the outputs, as TFLite's tools and CMSIS-NN have them.
typedef struct {
  // One for each output, or null.
  const int32_t *bias;
  // Mantissas in units of 2^-31, `channels` of them.
  const int32_t *multiplier;
  // Powers of two, `channels` of them; positive is a left shift.
  const int32_t *shift;
  // 1, or as many as outputs.
  size_t channels;
} scrimp_scales;

// The tables of a layer, `outputs` elements each, in your memory: `scrimp_..._init` fills them once, runs read them.
typedef struct {
  // Biases, with the input's zero point folded in.
  int32_t *bias;
  // Mantissas of the multipliers.
  int32_t *multiplier;
  // Shifts of the multipliers.
  int8_t *shift;
} scrimp_tables;

// How a kernel moves over pictures. TFLite's SAME pads `max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - input)`
// in all, the smaller half before.
typedef struct {
  // Pictures.
  size_t batches;
  // Rows of a picture.
  size_t height;
  // Columns of a picture.
  size_t width;
  // Channels of a picture.
  size_t channels;
  // Rows of the kernel.
  size_t kernel_height;
  // Columns of the kernel.
  size_t kernel_width;
  // Rows from output to output.
  size_t stride_height;
  // Columns from output to output.
  size_t stride_width;
  // Rows from tap to tap, 1 for an ordinary kernel.
  size_t dilation_height;
  // Columns from tap to tap.
  size_t dilation_width;
  // Rows of padding above.
  size_t pad_top;
  // Rows of padding below.
  size_t pad_bottom;
  // Columns of padding on the left.
  size_t pad_left;
  // Columns of padding on the right.
  size_t pad_right;
} scrimp_window;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Fills the table, from the integers that `arm_softmax_s8` takes: `exp((x - max) * mult / 2^31 * 2^shift)` in Q5.26, 0 where
// `x - max < diff_min`.
//
// # Safety
// `table` points to a table.
scrimp_status scrimp_softmax_s8_init(scrimp_softmax_table *table,
                                     int32_t mult,
                                     int32_t shift,
                                     int32_t diff_min);

// Softmax of `num_rows` rows of `row_size` codes, to codes of scale 1/256 and zero point -128: the bytes of `arm_softmax_s8`.
//
// # Safety
// `table` was filled by `scrimp_softmax_s8_init`; `input` and `output` are `num_rows * row_size` elements, apart.
scrimp_status scrimp_softmax_s8(const scrimp_softmax_table *table,
                                const int8_t *input,
                                size_t num_rows,
                                size_t row_size,
                                int8_t *output);

// The same to 16-bit codes of scale 1/65536 and zero point -32768: the bytes of `arm_softmax_s8_s16`.
//
// # Safety
// As `scrimp_softmax_s8`.
scrimp_status scrimp_softmax_s8_s16(const scrimp_softmax_table *table,
                                    const int8_t *input,
                                    size_t num_rows,
                                    size_t row_size,
                                    int16_t *output);

// Softmax of rows of 16-bit codes, to codes of scale 1/32768: the bytes of `arm_softmax_s16`. No table: `mult` and `shift`
// are the scale of the input in units of 10/65535.
//
// # Safety
// `input` and `output` are `num_rows * row_size` elements, apart.
scrimp_status scrimp_softmax_s16(const int16_t *input,
                                 size_t num_rows,
                                 size_t row_size,
                                 int32_t mult,
                                 int32_t shift,
                                 int16_t *output);

// Fills the tables of a fully connected layer of `inputs` inputs and `outputs` outputs.
//
// # Safety
// Every pointer is to what its type and documentation say; `weights` are `outputs * inputs`, all inputs of an output side by side.
scrimp_status scrimp_fully_connected_s8_init(const scrimp_params *params,
                                             const scrimp_scales *scales,
                                             const int8_t *weights,
                                             size_t inputs,
                                             size_t outputs,
                                             const scrimp_tables *tables);

// Runs a fully connected layer on `batches` rows of inputs: the bytes of `arm_fully_connected_s8` and
// `arm_fully_connected_per_channel_s8`.
//
// # Safety
// As `scrimp_fully_connected_s8_init`, which has filled the tables; `input` is `batches * inputs` elements, `output`
// `batches * outputs`, apart from all else.
scrimp_status scrimp_fully_connected_s8(const scrimp_params *params,
                                        const scrimp_tables *tables,
                                        const int8_t *weights,
                                        size_t inputs,
                                        size_t outputs,
                                        const int8_t *input,
                                        size_t batches,
                                        int8_t *output);

// Fills the tables of a convolution.
//
// # Safety
// Every pointer is to what its type and documentation say; `weights` are `[outputs][kernel_height][kernel_width][channels]`.
scrimp_status scrimp_convolve_s8_init(const scrimp_window *window,
                                      const scrimp_params *params,
                                      const scrimp_scales *scales,
                                      const int8_t *weights,
                                      size_t outputs,
                                      const scrimp_tables *tables);

// Runs a convolution: the bytes of `arm_convolve_s8`.
//
// # Safety
// As `scrimp_convolve_s8_init`, which has filled the tables; `input` and `output` have the sizes that follow from the window,
// `scratch` has `scratch_bytes`, all apart.
scrimp_status scrimp_convolve_s8(const scrimp_window *window,
                                 const scrimp_params *params,
                                 const scrimp_tables *tables,
                                 const int8_t *weights,
                                 size_t outputs,
                                 const int8_t *input,
                                 int8_t *output,
                                 int8_t *scratch,
                                 size_t scratch_bytes);

// Fills the tables of a depthwise convolution; `outputs` is a multiple of the channels.
//
// # Safety
// Every pointer is to what its type and documentation say; `weights` are `[kernel_height][kernel_width][outputs]`.
scrimp_status scrimp_depthwise_conv_s8_init(const scrimp_window *window,
                                            const scrimp_params *params,
                                            const scrimp_scales *scales,
                                            const int8_t *weights,
                                            size_t outputs,
                                            const scrimp_tables *tables);

// Runs a depthwise convolution: the bytes of `arm_depthwise_conv_s8`.
//
// # Safety
// As `scrimp_depthwise_conv_s8_init`, which has filled the tables; `input` and `output` have the sizes that follow from the
// window, apart from all else.
scrimp_status scrimp_depthwise_conv_s8(const scrimp_window *window,
                                       const scrimp_params *params,
                                       const scrimp_tables *tables,
                                       const int8_t *weights,
                                       size_t outputs,
                                       const int8_t *input,
                                       int8_t *output);

// The largest code under each window: the bytes of `arm_max_pool_s8`.
//
// # Safety
// `window` points to one; `input` and `output` have the sizes that follow from it, apart.
scrimp_status scrimp_max_pool_s8(const scrimp_window *window, const int8_t *input, int8_t *output);

// The mean of the codes under each window, those of the padding left out: the bytes of `arm_avgpool_s8`.
//
// # Safety
// As `scrimp_max_pool_s8`.
scrimp_status scrimp_avgpool_s8(const scrimp_window *window, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SCRIMP_H */
