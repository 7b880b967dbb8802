#include <stdint.h>

void print(const char *text);
void print_int(int32_t x);
_Noreturn void semihosting_exit(int code);
