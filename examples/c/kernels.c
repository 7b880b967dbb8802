/* Single kernels by scrimp.h: each is called once, checked, and printed. Values are those of the library's documentation. */
#include "scrimp.h"
#include "semihosting.h"

static int failures;

static void check(const char *name, scrimp_status status, const int8_t *got, const int8_t *wanted, size_t count) {
    int is_wrong = status != SCRIMP_STATUS_OK;
    print(name);
    for (size_t i = 0; i < count; ++i) {
        print(" ");
        print_int(got[i]);
        is_wrong |= got[i] != wanted[i];
    }
    print(is_wrong ? " wrong\n" : "\n");
    failures += is_wrong;
}

/* Room for the tables of two outputs. */
static int32_t bias[2], multipliers[2];
static int8_t shifts[2];
static const scrimp_tables tables = {bias, multipliers, shifts};

static void softmax(void) {
    /* exp(x / 16). */
    static scrimp_softmax_table table;
    static const int8_t x[2] = {16, 0}, wanted[2] = {59, -59};
    int8_t y[2];
    scrimp_status status = scrimp_softmax_s8_init(&table, 1 << 30, 23, -248);
    if (status == SCRIMP_STATUS_OK) status = scrimp_softmax_s8(&table, x, 1, 2, y);
    check("softmax_s8", status, y, wanted, 2);
}

static void fully_connected(void) {
    static const int8_t weights[4] = {100, -3, 8, 127}, x[2] = {10, 20}, wanted[2] = {11, 26};
    static const int32_t multiplier = 1 << 30, shift = -6; /* 1/128 */
    const scrimp_params params = {5, 0, 0, -128, 127};
    const scrimp_scales scales = {0, &multiplier, &shift, 1};
    int8_t y[2];
    scrimp_status status = scrimp_fully_connected_s8_init(&params, &scales, weights, 2, 2, &tables);
    if (status == SCRIMP_STATUS_OK) status = scrimp_fully_connected_s8(&params, &tables, weights, 2, 2, x, 1, y);
    check("fully_connected_s8", status, y, wanted, 2);
}

static void convolve(void) {
    /* The sum of a 3 x 3 neighbourhood, times 0.5, padded to the picture's own size. */
    static const int8_t weights[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const int8_t x[6] = {0, 1, 2, 3, 4, 5}, wanted[6] = {6, 11, 8, 6, 11, 8};
    static const int32_t multiplier = 1 << 30, shift = 0;
    static int8_t scratch[SCRIMP_CONVOLVE_S8_SCRATCH(9)];
    const scrimp_window window = {1, 2, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
    const scrimp_params params = {1, 0, 0, 0, 127};
    const scrimp_scales scales = {0, &multiplier, &shift, 1};
    int8_t y[6];
    scrimp_status status = scrimp_convolve_s8_init(&window, &params, &scales, weights, 1, &tables);
    if (status == SCRIMP_STATUS_OK)
        status = scrimp_convolve_s8(&window, &params, &tables, weights, 1, x, y, scratch, sizeof scratch);
    check("convolve_s8", status, y, wanted, 6);
}

static void depthwise(void) {
    static const int8_t weights[4] = {1, 10, 1, -10}, x[6] = {4, 5, 6, 7, 8, 9}, wanted[4] = {4, -20, 8, -20};
    static const int32_t multiplier = 1 << 30, shift = 1; /* 1 */
    const scrimp_window window = {1, 1, 3, 2, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0};
    const scrimp_params params = {-3, 0, 0, -128, 127};
    const scrimp_scales scales = {0, &multiplier, &shift, 1};
    int8_t y[4];
    scrimp_status status = scrimp_depthwise_conv_s8_init(&window, &params, &scales, weights, 2, &tables);
    if (status == SCRIMP_STATUS_OK) status = scrimp_depthwise_conv_s8(&window, &params, &tables, weights, 2, x, y);
    check("depthwise_conv_s8", status, y, wanted, 4);
}

static void pools(void) {
    static const int8_t x[4] = {1, 2, 3, 8}, largest[1] = {8}, mean[1] = {4}; /* 3.5, away from zero */
    const scrimp_window window = {1, 2, 2, 1, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0};
    int8_t y[1];
    check("max_pool_s8", scrimp_max_pool_s8(&window, x, y), y, largest, 1);
    check("avgpool_s8", scrimp_avgpool_s8(&window, x, y), y, mean, 1);
}

static void refusals(void) {
    static scrimp_softmax_table table;
    const int is_wrong = scrimp_softmax_s8_init(0, 1 << 30, 23, -248) != SCRIMP_STATUS_POINTER ||
                         scrimp_softmax_s8_init(&table, 0, 23, -248) != SCRIMP_STATUS_PARAMETER ||
                         scrimp_softmax_s8(&table, 0, 0, 2, 0) != SCRIMP_STATUS_SIZE;
    print(is_wrong ? "refusals wrong\n" : "refusals\n");
    failures += is_wrong;
}

int main(void) {
    softmax();
    fully_connected();
    convolve();
    depthwise();
    pools();
    refusals();
    return failures;
}
