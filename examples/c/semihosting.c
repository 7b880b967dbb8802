/* Text and the end of the program, through the debugger or the emulator. */
#include "semihosting.h"

#include <stdint.h>

static uint32_t call(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void print(const char *text) {
    /* The standard output of the host, opened for writing. */
    static int32_t out = -1;
    if (out < 0) {
        const uintptr_t open[3] = {(uintptr_t)":tt", 4, 3};
        out = (int32_t)call(0x01, open);
    }
    uint32_t length = 0;
    while (text[length]) ++length;
    const uintptr_t write[3] = {(uintptr_t)out, (uintptr_t)text, length};
    call(0x05, write);
}

void print_int(int32_t x) {
    char text[12], *at = text + 11;
    uint32_t rest = x < 0 ? -(uint32_t)x : (uint32_t)x;
    *at = 0;
    do *--at = (char)('0' + rest % 10); while (rest /= 10);
    if (x < 0) *--at = '-';
    print(at);
}

_Noreturn void semihosting_exit(int code) {
    const uint32_t block[2] = {0x20026 /* the program ended by itself */, (uint32_t)code};
    call(0x20, block);
    for (;;) {}
}
