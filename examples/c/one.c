/* A program that calls one kernel: what it weighs is that kernel and nothing else. */
#include "scrimp.h"

static scrimp_softmax_table table;
static int8_t logits[16], probabilities[16];

int main(void) {
    scrimp_status status = scrimp_softmax_s8_init(&table, 1 << 30, 23, -248);
    if (status == SCRIMP_STATUS_OK) status = scrimp_softmax_s8(&table, logits, 1, 16, probabilities);
    return status;
}
