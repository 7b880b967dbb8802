//! The panic gate for one network: the handler calls what does not exist, so a program in which a panic survives does not
//! link.
#![allow(unsafe_code, reason = "a function that is declared and never defined")]

unsafe extern "C" {
    /// Its name is what the linker prints.
    #[link_name = "\n\nerror: the generated code of this network can panic\n\n"]
    safe fn can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    can_panic()
}
