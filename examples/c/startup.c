/* What runs before main on a Cortex-M: vectors, data, the FPU. A vendor's SDK brings its own. */
#include <stdint.h>

extern uint32_t stack_top, data_start, data_end, data_source, bss_start, bss_end;
void reset(void);
int main(void);
_Noreturn void semihosting_exit(int code);

void reset(void) {
#ifdef __ARM_FP
    /* Also turns on the vector unit of a Cortex-M55. */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm volatile("dsb\n isb");
#endif
    uint32_t *from = &data_source;
    for (uint32_t *to = &data_start; to < &data_end; ++to, ++from) *to = *from;
    for (uint32_t *to = &bss_start; to < &bss_end; ++to) *to = 0;
    semihosting_exit(main());
}

static void fault(void) { semihosting_exit(99); }

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[15];
} vectors = {&stack_top, {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
