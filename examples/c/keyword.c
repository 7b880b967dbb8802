/* Names the sound in beeps.h. keyword.h and the archive come from
   `scrimp compile --c examples/data/keyword.tflite --target cortex-m4f -o keyword`. */
#include "beeps.h"
#include "keyword.h"
#include "semihosting.h"

static const char *const SOUNDS[KEYWORD_OUTPUT_LEN] = {"silence", "noise", "rising", "falling", "beeps", "warble"};
static keyword_arena arena;

int main(void) {
    int8_t scores[KEYWORD_OUTPUT_LEN];
    if (keyword_run(&arena, BEEPS, scores) != 0) return 1;
    int best = 0;
    print("output [");
    for (int i = 0; i < KEYWORD_OUTPUT_LEN; ++i) {
        print(i ? ", " : "");
        print_int(scores[i]);
        if (scores[i] > scores[best]) best = i;
    }
    print("]\nheard: ");
    print(SOUNDS[best]);
    print("\n");

    /* The same without a copy of the input, and a call that is wrong. */
    int8_t again[KEYWORD_OUTPUT_LEN];
    int8_t *input = keyword_input(&arena);
    for (int i = 0; i < KEYWORD_INPUT_LEN; ++i) input[i] = BEEPS[i];
    if (keyword_run_in_place(&arena, again) != 0) return 2;
    for (int i = 0; i < KEYWORD_OUTPUT_LEN; ++i)
        if (again[i] != scores[i]) return 3;
    return keyword_run(&arena, 0, scores) == -1 ? 0 : 4;
}
